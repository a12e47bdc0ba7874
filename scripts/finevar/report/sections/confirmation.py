"""The part of the report's answer on the confirmation: what the recommended setting reaches with fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.analyses.confirmation import is_confirmed
from finevar.report.cells import cell, level_columns, listed, metric_column, ranged, whole
from finevar.report.parts import Cell, Column, Facts, Labels, Row, Section, Table, Tables, chosen, group
from finevar.study.confirmation import BASELINE
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


def section(tables: Tables, labels: Labels, facts: Facts) -> Section | None:
    """Return what was confirmed, or that it is stale; None of a study without a confirmation.

    tables: metrics, recommendation and, where there is one, confirmation. facts: config and factors.
    """
    if "confirmation" not in tables:
        return None
    if not is_confirmed(tables):
        return {"finding": STALE, "groups": []}
    finding, *sentences = confirmed_sentences(tables, labels, facts)
    return {"finding": finding, "groups": [group("", sentences, folded=[confirmation_table(tables, labels, facts)])]}


def confirmed_sentences(tables: Tables, labels: Labels, facts: Facts) -> list[str]:
    """Return what was confirmed, how far from the means chosen by, and by how much others differ; see section()."""
    rows, levels = confirmed_rows(tables, labels), confirmed_levels(tables, facts)
    return [
        headline(rows, levels, labels),
        shrinkage_sentence(rows, labels),
        *difference_sentences(rows, levels, labels),
        failed_sentence(rows, levels),
        meaning_sentence(rows[0], facts["config"]["analysis"]["confidence"]),
    ]


def confirmed_rows(tables: Tables, labels: Labels) -> Sequence[Row]:
    """Return the confirmation's rows of the metrics that are shown."""
    return [row for row in as_rows(tables["confirmation"]) if row["response"] in labels]


def confirmed_levels(tables: Tables, facts: Facts) -> Levels:
    """Return the levels of the settings of a study; the baseline's own need not be among its runs."""
    factors, own = list(facts["factors"]), facts["config"]["baseline"]["settings"]
    confirmed = chosen(tables["confirmation"], role=BASELINE)["point_id"]
    runs = tables["metrics"].drop_duplicates("point_id").set_index("point_id")
    return {name: {factor: own[factor] for factor in factors} for name in confirmed} | runs[factors].to_dict("index")


def confirmation_table(tables: Tables, labels: Labels, facts: Facts) -> Table:
    """Return a row a setting and metric: confirmed mean, the study's own, and the recommended setting's difference."""
    rows, levels = confirmed_rows(tables, labels), confirmed_levels(tables, facts)

    def selected(row: Row) -> Cell:
        return cell(number(row["selected"]), note=number(row["shrinkage"], sign=True))

    shown: list[Column] = [
        *level_columns(facts["factors"], lambda row: levels[row["point_id"]]),
        ("Role", lambda row: row["role"]),
        *metric_column(labels),
        ("Confirmed#", lambda row: ranged(row, "mean", sign=False)),
        ("Chosen by#", selected),
        ("Recommended less this#", lambda row: ranged(row, "difference", "difference")),
        ("Runs#", lambda row: whole(row["runs"])),
    ]
    confidence = percent(facts["config"]["analysis"]["confidence"])
    caption = f"Confirmed means with {confidence} intervals; below the mean chosen by, the change since."
    return listed(caption, rows, shown)
