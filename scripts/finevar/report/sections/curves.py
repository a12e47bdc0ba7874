"""The report's section on learning curves: training loss by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.parts import Labels, Section, Tables, group
from finevar.study.kinds import TRAINED

PART, PLACE, TITLE = "details", 95, "Learning curves"
STUDIES = (TRAINED,)


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return the figure of all runs' training loss."""
    return {"finding": "Training loss of every run, by epoch.", "groups": [group("", [], figures=["learning_curves"])]}
