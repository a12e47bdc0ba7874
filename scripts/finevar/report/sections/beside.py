"""The report's section on found models beside a study that trained: the same claims, both findings."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.parts import Labels, Section, Tables, group
from finevar.report.sections.found import beside_group
from finevar.tables import are_found

PART, PLACE, TITLE = "details", 76, "Beside a study that trained its models"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section | None:
    """Return both studies' findings; nothing where no other study is named."""
    found = beside_group(tables["beside"], confidence) if are_found(tables["metrics"]) else None
    if found is None:
        return None
    return {"finding": found["finding"], "groups": [group("", [], tables=[found["table"]] if found["table"] else [])]}
