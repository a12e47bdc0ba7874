"""What the recommended setting is predicted to gain over the baseline's own settings, and which factor brings it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.baselines import at_baseline
from finevar.analyses.fits import FittedStudy
from finevar.analyses.recommended import levels_of
from finevar.statistics.bounds import limits, within
from finevar.statistics.gain import shapley_weights
from finevar.statistics.ranking import measured
from finevar.statistics.regression import Surface, estimates
from finevar.statistics.setting_means import misses_settings, setting_names
from finevar.study.coding import as_level, change_name, factor_of, model_matrix
from finevar.tables import Rows

ENDS = ("estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high")
TOGETHER = ""  # the factor of the row of the whole gain
BEYOND = "the baseline's own settings lie outside the levels tried ({}), where the surface shows nothing"
FAILED_THERE = "all runs failed at the setting next to the baseline's own"


def gain_tables(study: FittedStudy, recommendation: Rows) -> dict[str, Rows]:
    """Return rows of the table gain_shares; none where nothing is recommended, or there are no baseline's settings.

    recommendation: the rows of that table.
    """
    point = next((row["point_id"] for row in recommendation if row["role"] == "recommended"), None)
    if point is None or not study.plan.baseline:
        return {"gain_shares": []}
    end = levels_of(point, study.metrics, study.plan.codings)
    return {"gain_shares": study.rows(partial(surface_rows, study.plan.baseline, end, point))}


def surface_rows(start: Mapping[str, Any], end: Mapping[str, Any], point: str, surface: Surface) -> Rows:
    """Return one metric's gain from the levels `start` to those of a point, then each factor's share in it.

    Shares are contrasts of the coefficients, for new seeds and new sentences, and one family.
    """
    coded = [
        {axis: float(x) for axis, (x,) in surface.coded({name: [level] for name, level in levels.items()}).items()}
        for levels in (start, end)
    ]
    who = {"response": surface.response, "point_id": point, "population": surface.population}
    if reason := why_not(surface, start, coded[0]):
        return [who | {"factor": TOGETHER, "reason": reason}]
    shares = shapley_weights(*coded, surface.columns)
    owners = np.array(list(map(factor_of, coded[0])))
    weights = surface.padded(np.stack([shares[owners == name].sum(0) for name in surface.codings]))
    found = list(estimates(surface.read(np.vstack([weights.sum(0), weights])), surface.confidence))
    moved = weights.any(axis=1)
    at_once = np.where(moved, surface.family(weights).interval(surface.confidence), 0.0)
    whole = {"factor": TOGETHER, "measured": measured_gain(surface, point), "missed": misses_settings(surface)}
    at_start = surface.padded(model_matrix({name: np.array([x]) for name, x in coded[0].items()}, surface.columns))
    between = limits(surface.response, float((at_start @ surface.fit.params)[0]))
    rows = [within(who | whole | columns_of(found[0], moved=bool(moved.any())), ENDS, between)]
    for name, each, one, low, high in zip(surface.codings, found[1:], moved, *at_once.tolist(), strict=True):
        ends = {"simultaneous_low": low, "simultaneous_high": high}
        row = who | way_of(name, start[name], end[name]) | columns_of(each, moved=bool(one)) | ends
        rows.append(within(row, ENDS, limits(surface.response)))
    return rows


def moved(shares: pd.DataFrame) -> pd.Series:
    """Say which rows are of the whole gain or of a factor that changes."""
    differs = shares["from_level"] != shares["to_level"]
    named = shares["from_level"].isna() & shares["to_level"].isna()
    return (shares["factor"] == "") | np.where(
        named, shares["factor"].str.contains("[", regex=False), differs | (shares["estimate"] != 0)
    )


def way_of(name: str, start: Any, end: Any) -> dict[str, Any]:
    """Return which factor changes, from which level to which; of levels that are names all in the factor's name."""
    if not isinstance(start, str):
        return {"factor": name, "from_level": as_level(start), "to_level": as_level(end)}
    return {"factor": name if start == end else change_name(name, start, end)}


def columns_of(found: Any, *, moved: bool) -> dict[str, float]:
    """Return an estimate's columns; what does not move is exactly 0."""
    return {name: getattr(found, name) if moved else 0.0 for name in ("estimate", "std_error", "ci_low", "ci_high")}


def why_not(surface: Surface, start: Mapping[str, float], coded: Mapping[str, float]) -> str | None:
    """Return why the surface says nothing of the baseline's own settings, or None."""
    beyond = [f"{name} = {start[name]:.4g}" for name, value in coded.items() if abs(value) > 1 + 1e-9]
    if beyond:
        return BEYOND.format(", ".join(beyond))
    excluded = surface.is_excluded({name: np.array([value]) for name, value in coded.items()})
    return FAILED_THERE if excluded[0] else None


def measured_gain(surface: Surface, point: str) -> float | None:
    """Return by how much a point's measured mean is above that of the baseline's own settings; None where not tried."""
    means, own = measured(surface)["mean"], setting_names(surface.runs, surface.codings)[at_baseline(surface.runs)]
    return float(means[point] - means[own.iloc[0]]) if len(own) and point in means.index else None
