"""The report's section on prices: where metrics pull apart, what one costs in another, and a compromise."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.parts import STOPPED, Labels, Section, Tables
from finevar.report.sections.tradeoffs import apart_sentences, compromise, directions, known_of, prices

PART, PLACE, TITLE = "details", 60, "Cosines, prices and desirability"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return where the directions of metrics disagree, what that costs, and the most desirable settings."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    names, levels = known_of(tables, labels, factors)
    parts = [part(tables, names, levels, confidence) for part in (directions, prices, compromise)]
    return {"finding": " ".join(apart_sentences(tables, names)), "groups": parts}
