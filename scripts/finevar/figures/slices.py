"""A fitted surface in slices: what its tables predict at any place, and what was measured there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.fits import failed_settings
from finevar.statistics.stored import Stored
from finevar.study.coding import Codings, categories_of, coded_of, positions_of
from finevar.study.presence import numbers_for

SAME = 0.006  # coded units within which two levels are one

Tables = Mapping[str, pd.DataFrame]
Levels = Mapping[str, Any]


def predictions(tables: Tables, response: str, factors: Codings, coded: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return predicted, ci_low and ci_high at coded places [places] by factor, blocks averaged, in the metric's bounds.

    tables: covariances, metrics. Nothing is predicted nearest to a setting at which all runs failed.
    """
    ends = Stored.of(tables["covariances"], response).predict(coded)
    ends[near_failed(tables["metrics"], factors, coded)] = np.nan
    return ends


def near_failed(metrics: pd.DataFrame, factors: Codings, coded: Mapping[str, np.ndarray]) -> np.ndarray:
    """Say of places whether the nearest setting that was tried is one at which all runs failed."""
    failed = failed_settings(metrics, factors)
    places = positions_of(factors, coded)
    if failed.empty:
        return np.zeros(len(places), dtype=bool)
    nearest = [
        ((places[:, None] - positions_of(factors, coded_of(factors, rows))) ** 2).sum(2).min(1)
        for rows in (failed, metrics[list(factors)].drop_duplicates())
    ]
    return nearest[0] <= nearest[1]


def measured(metrics: pd.DataFrame, response: str, factors: Codings) -> pd.DataFrame:
    """Return the settings that were tried: their levels, the mean and the number of their runs that have the metric."""
    runs = metrics[metrics["status"] == "ok"].dropna(subset=response)
    return runs.groupby(list(factors), as_index=False, dropna=False).agg(
        mean=(response, "mean"), runs=(response, "size")
    )


def in_slice(settings: pd.DataFrame, held: Levels, factors: Codings) -> pd.Series:
    """Say which settings have the levels that a slice holds."""
    own = {name: factors[name] for name in held}
    at = coded_of(own, {name: [value] for name, value in held.items()})  # 0 of a factor that does not exist there
    apart = [np.abs(column - at[axis]) for axis, column in coded_of(own, settings).items()]
    return pd.Series(np.max([np.zeros(len(settings)), *apart], axis=0) < SAME, index=settings.index)


def middle(factors: Codings) -> dict[str, Any]:
    """Return the levels halfway between each number's lowest and highest, and the first of each category."""
    first = {name: coding.levels[0] for name, coding in categories_of(factors).items()}
    halfway = {name: float(coding.natural(0.0)) for name, coding in numbers_for(factors, first).items()}
    return {name: (first | halfway).get(name) for name in factors}
