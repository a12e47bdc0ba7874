"""The report's section on model cards: what was found, gate by gate."""

from __future__ import annotations

from finevar.report.parts import Facts, Labels, Section, Tables
from finevar.report.sections.found import cards_section
from finevar.tables import are_found

PART, PLACE, TITLE = "trust", 10, "Model cards and gates"


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section | None:
    """Return the gates, what is compared and the models; nothing of a study that trained its own."""
    return cards_section(tables, facts) if are_found(tables["metrics"]) else None
