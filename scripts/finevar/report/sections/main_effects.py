"""The report's section on main effects: each metric along each hyperparameter, over the measured means."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.parts import STOPPED, Labels, Section, Tables, group
from finevar.words.effects import largest_sentence

PART, PLACE, TITLE = "effects", 30, "Main effects"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return along which hyperparameter each metric moves most, and the figure of all."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    largest = group("The largest changes", [largest_sentence(tables["effects"], labels)], fold=True)
    return {"finding": "", "groups": [group("", [], figures=["main_effects"]), largest]}
