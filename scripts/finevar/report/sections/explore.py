"""The report's section to explore: the fitted surfaces under sliders, and every run."""

from __future__ import annotations

from finevar.report.explorer import explorer_data
from finevar.report.parts import STOPPED, Facts, Labels, Section, Tables
from finevar.tables import are_found
from finevar.words.effects import population_text
from finevar.words.numbers import percent

PART, PLACE, TITLE = "explore", 0, "Explore"


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return the explorer's data; without a fitted surface it has the runs' views alone, and of found models none."""
    if are_found(tables["metrics"]) and not labels:
        return {"finding": STOPPED, "groups": []}
    return {
        "template": "explorer.html",
        "explorer": explorer_data(tables, labels, facts),
        "fitted": bool(labels),
        "pairs": not are_found(tables["metrics"]),
        "confidence": percent(facts["config"]["analysis"]["confidence"]),
        "population": population_text(tables["effects"]),
    }
