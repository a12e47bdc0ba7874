"""The report's section on the data: what the model sees of each data set."""

from __future__ import annotations

from finevar.report.data_tables import seen_section
from finevar.report.parts import Facts, Labels, Section, Tables
from finevar.study.kinds import TRAINED

PART, PLACE, TITLE = "details", 84, "Data"
STUDIES = (TRAINED,)


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return what the model sees of each data set."""
    return seen_section(facts["seen"])
