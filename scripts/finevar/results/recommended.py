"""The setting that a study recommends, in one place for all that name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]


def recommended_row(recommendations: Iterable[Row], response: str) -> Row | None:
    """Return the row that recommends a setting by a metric, of the table recommendations; None where there is none."""
    return next((row for row in recommendations if row["response"] == response), None)
