"""The setting that a study recommends, for all figures and pages: one for all metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from finevar.study.coding import as_level


def recommended_point(tables: Mapping[str, pd.DataFrame]) -> str | None:
    """Return the recommended setting's first point_id; None where there is none."""
    rows = tables["recommendation"]
    return next(iter(rows.loc[rows["role"] == "recommended", "point_id"]), None)


def levels_of(point: str | None, metrics: pd.DataFrame, factors: Iterable[str]) -> dict[str, Any]:
    """Return a setting's levels by factor; none of a setting that has no runs."""
    rows = metrics.loc[metrics["point_id"] == point, list(factors)]
    return {name: as_level(value) for name, value in rows.iloc[0].items()} if len(rows) else {}
