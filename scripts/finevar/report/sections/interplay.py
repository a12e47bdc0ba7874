"""The report's section on interplay: which hyperparameters interact, and the slope of one over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Labels, Section, Tables, chosen, group, rows_of, sentence
from finevar.words import findings
from finevar.words.formatting import factor_label

PART, PLACE, TITLE = "effects", 40, "Interplay"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return for each pair of factors worth a sentence its sentences and its tables of simple slopes."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    pairs = findings.notable_pairs(tables["coefficients"])
    parts = [pair_group(tables, pair, labels, confidence, every=pair == pairs[0]) for pair in pairs]
    finding = findings.interplay_finding(tables["coefficients"], labels)
    if not pairs:
        return {"finding": finding, "groups": []}
    drawn = [group("", [], figures=["interplay"]), group("Which interact", [finding], fold=True)]
    return {"finding": "", "groups": [*drawn, *parts]}


def pair_group(tables: Tables, pair: findings.Pair, labels: Labels, confidence: float, *, every: bool) -> Any:
    """Return a pair's sentences, and its slopes at each level, both ways round."""
    slope, moderator = map(factor_label, pair)
    grids = [
        analysis_tables.simple_slopes_table(tables["slopes"], *way, labels, confidence) for way in (pair, pair[::-1])
    ]
    sentences = pair_sentences(tables, pair, labels, confidence, every=every)
    return group(f"Slope of {slope} over {moderator}", sentences, tables=grids, fold=True)


def pair_sentences(
    tables: Tables, pair: findings.Pair, labels: Labels, confidence: float, *, every: bool
) -> list[Mapping[str, Any]]:
    """Return a sentence a response on a pair of factors; only where they interact unless all are asked for."""
    natural = findings.interactions(tables["coefficients"], "natural")
    rows = [(name, findings.pair_row(natural, name, pair)) for name in labels]
    return [
        sentence(
            f"{slope_line(tables, name, pair, labels[name], confidence)} "
            f"{findings.slope_change_sentence(row, pair[1], confidence)}",
            row["verdict"] or "none",
        )
        for name, row in rows
        if row and (every or row["verdict"] == "effect")
    ]


def slope_line(tables: Tables, response: str, pair: findings.Pair, label: str, confidence: float) -> str:
    """Return the sentence on one slope along one moderator."""
    who = {"response": response, "factor": pair[0], "moderator": pair[1]}
    simple = chosen(tables["slopes"], place="simple", units="natural", **who).sort_values("moderator_level")
    ranges = rows_of(tables["johnson_neyman"], **who)
    return findings.slope_line_sentence(simple.to_dict("records"), ranges, label, confidence)
