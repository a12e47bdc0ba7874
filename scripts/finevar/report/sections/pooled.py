"""The report's section on pooling: what each setting seems to do in pooled cards, and within data sets."""

from __future__ import annotations

from finevar.report.labels import names
from finevar.report.parts import Facts, Labels, Section, Tables
from finevar.report.sections.found import pooling_section
from finevar.tables import are_found

PART, PLACE, TITLE = "trust", 20, "Pooled or apart"


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section | None:
    """Return the comparisons; nothing of a study that trained its own models."""
    if not are_found(tables["metrics"]):
        return None
    return pooling_section(tables["pooling"], names(tables, facts), facts["config"]["analysis"]["confidence"])
