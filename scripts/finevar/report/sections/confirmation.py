"""The part of the report's answer on the confirmation: what the recommended setting reaches with fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.analyses.confirmation import is_confirmed
from finevar.report.cells import cell, level_columns, listed, metric_column, ranged, whole
from finevar.report.parts import Cell, Column, Labels, Row, Section, Table, Tables, group
from finevar.tables import as_rows
from finevar.words.confirmation import (
    STALE,
    Levels,
    difference_sentences,
    failed_sentence,
    headline,
    meaning_sentence,
    shrinkage_sentence,
)
from finevar.words.numbers import number, percent


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section | None:
    """Return what was confirmed, or that it is stale; None of a study without a confirmation.

    tables: metrics, recommendation and, where there is one, confirmation.
    """
    if "confirmation" not in tables:
        return None
    if not is_confirmed(tables):
        return {"finding": STALE, "groups": []}
    rows = [row for row in as_rows(tables["confirmation"]) if row["response"] in labels]
    runs = tables["metrics"].drop_duplicates("point_id").set_index("point_id")
    levels = runs[list(factors)].to_dict("index")
    sentences = [
        shrinkage_sentence(rows, labels),
        *difference_sentences(rows, levels, labels),
        failed_sentence(rows, levels),
        meaning_sentence(rows[0], confidence),
    ]
    folded = [confirmation_table(rows, levels, labels, confidence)]
    return {"finding": headline(rows, levels, labels), "groups": [group("", sentences, folded=folded)]}


def confirmation_table(rows: Sequence[Row], levels: Levels, labels: Labels, confidence: float) -> Table:
    """Return a row a setting and metric: confirmed mean, the study's own, and the recommended setting's difference."""

    def selected(row: Row) -> Cell:
        return cell(number(row["selected"]), note=number(row["shrinkage"], sign=True))

    shown: list[Column] = [
        *level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]]),
        ("Role", lambda row: row["role"]),
        *metric_column(labels),
        ("Confirmed#", lambda row: ranged(row, "mean", sign=False)),
        ("Chosen by#", selected),
        ("Recommended less this#", lambda row: ranged(row, "difference", "difference")),
        ("Runs#", lambda row: whole(row["runs"])),
    ]
    caption = f"Confirmed means with {percent(confidence)} intervals; below the mean chosen by, the change since."
    return listed(caption, rows, shown)
