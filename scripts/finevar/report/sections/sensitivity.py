"""The report's section on sensitivity: which terms change under other specifications."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Labels, Section, Tables, chosen, group
from finevar.words import caveats

PART, PLACE, TITLE = "details", 30, "Sensitivity"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return which terms change under other specifications, and all p-values."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    rows = tables["sensitivity"]
    grids = [analysis_tables.sensitivity_table(chosen(rows, response=name), label) for name, label in labels.items()]
    finding = caveats.sensitivity_sentence(rows, labels, confidence)
    return {"finding": finding, "groups": [group("", caveats.untried_sentences(rows, labels), folded=grids)]}
