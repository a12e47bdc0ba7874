"""The report's section on slopes: at the baseline, mid-range and on average, and where signs change."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Labels, Section, Table, Tables, group
from finevar.words import findings
from finevar.words.wording import have_own_baselines

PART, PLACE, TITLE = "details", 40, "Slopes"
SAME = "The slopes at the baseline are the relative analysis: its first-order terms, with the same p-values."


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return slopes at the baseline, mid-range and on average, and where signs change."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    turns = findings.sign_changes_sentence(tables["johnson_neyman"], labels)
    finding = findings.baseline_slopes_sentence(tables["slopes"], labels, 1 - confidence)
    same = "" if have_own_baselines(tables["fits"]) else SAME
    return {"finding": finding, "groups": [group("", [turns, same], tables=[slopes_of(tables, labels, confidence)])]}


def slopes_of(tables: Tables, labels: Labels, confidence: float) -> Table:
    """Return the slopes of all factors, by metric and place."""
    return analysis_tables.slopes_table(tables["slopes"], labels, confidence)
