"""The report's section on importance: the share of each metric's variance that each hyperparameter makes."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.parts import STOPPED, Labels, Section, Tables, group, rows_of
from finevar.report.sections.variability import importance_sentence, importance_table

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
    return {"finding": "", "groups": [group("", [], figures=["importance"]), shares]}
