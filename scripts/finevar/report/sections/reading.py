"""The report's section on its words."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.parts import Labels, Section, Tables
from finevar.words.effects import population_text
from finevar.words.numbers import percent

PART, PLACE, TITLE = "details", 110, "How to read this"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return what the list of words needs to know."""
    return {
        "template": "reading.html",
        "confidence": percent(confidence),
        "error_rate": percent(1 - confidence),
        "population": population_text(tables["effects"]),
    }
