"""The report's section on importance: the share of each metric's variance that each hyperparameter makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finevar.report.parts import STOPPED, Labels, Row, Section, Tables, group, rows_of
from finevar.report.sections.variability import importance_sentence, importance_table, share_text
from finevar.words.formatting import factor_label, joined, together
from finevar.words.numbers import is_missing

PART, PLACE, TITLE = "effects", 10, "Importance"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return which hyperparameter makes most of the variance between settings of each metric."""
    known = set(tables["importance"]["response"])
    worth = {name: rows_of(tables["importance"], response=name) for name in labels if name in known}
    if not worth:
        return {"finding": STOPPED, "groups": []}
    sentences = [importance_sentence(rows, labels[name], confidence) for name, rows in worth.items()]
    grid = importance_table(worth, {name: labels[name] for name in worth}, factors, confidence)
    shares = group("Shares with intervals", sentences, tables=[grid], fold=True)
    return {"finding": most_sentence(worth, labels), "groups": [group("", [], figures=["importance"]), shares]}


def most_sentence(worth: Mapping[str, Sequence[Row]], labels: Labels) -> str:
    """Name the hyperparameter with the largest share of each metric's variance."""
    largest = {
        name: max(known, key=lambda row: row["shapley"])
        for name, rows in worth.items()
        if (known := [row for row in rows if not is_missing(row["shapley"])])
    }
    parts = together(
        (factor_label(row["factor"]), f"{labels[name]} ({share_text(row['shapley'])})") for name, row in largest.items()
    )
    most = [f"{factor} on {joined(metrics)}" for factor, metrics in parts.items()]
    return f"Largest share of the variance between settings: {'; '.join(most)}." if most else ""
