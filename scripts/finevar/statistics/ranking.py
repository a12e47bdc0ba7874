"""Tried settings by what was measured there: means, how far each is from the best, and what the surface predicts."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from finevar.metrics import towards
from finevar.statistics.bounds import limits
from finevar.statistics.optimum import compared_points, point_contrasts, rival_gaps
from finevar.statistics.regression import Surface, on_scale, predicted, within_bounds
from finevar.statistics.setting_means import setting_names


class Regret(NamedTuple):
    """By how much the truly best tried setting may be better than one of them."""

    expected: float
    bound: float  # with the confidence, all comparisons counted, and no more than the metric leaves room for
    reach: float  # what the bound would be without that room, which shrinks with the root of seeds and sentences


def rank_settings(surface: Surface, lost: Collection[str] = ()) -> pd.DataFrame:
    """Return a row a setting, by the id of its first point, in the order of surface.points.

    mean, sd (between seeds), seeds and runs are measured, data sets counting alike; rank is by the mean. difference,
    its ends at all settings at once, within what it can be (least, most), and worse are against the setting of the best
    mean at which no run failed; lost: those at which one did. band_low and band_high hold for all of the surface's
    predictions at once, beside the columns of predicted(); outside says whether the mean is not between them.
    """
    sign, points = towards(surface.response), surface.points
    table = measured(surface).loc[points["point_id"]]
    values = sign * table["mean"].to_numpy()
    table["rank"] = (-values).argsort(kind="stable").argsort() + 1
    whole = ~table.index.isin(list(lost))
    columns = ["difference", "simultaneous_low", "simultaneous_high"]
    table[[*columns, "least", "most"]], table["worse"] = np.nan, False
    if whole.any():
        best = int(np.where(whole, values, -np.inf).argmax())
        between = limits(surface.response, sign * values[best])
        table["least"], table["most"] = (end if np.isfinite(end) else np.nan for end in between)
        table[columns] = differences(surface, best).clip(*between)
        nearest = table["simultaneous_high" if sign > 0 else "simultaneous_low"]
        table["worse"] = sign * nearest < 0
    table = table.join(pd.DataFrame(list(predicted(surface, surface.coded(points))), index=table.index))
    table["band_low"], table["band_high"] = band(surface)
    table["outside"] = ~table["mean"].between(table["band_low"], table["band_high"])
    return table


def measured(surface: Surface) -> pd.DataFrame:
    """Return each setting's mean, standard deviation between seeds, seeds and runs; data sets count alike."""
    runs = surface.runs.assign(setting=setting_names(surface.runs, surface.codings))
    cells = runs.groupby(["setting", "dataset"], sort=False)[surface.response].agg(["mean", "var"]).groupby("setting")
    table = cells.mean().assign(var=lambda found: np.sqrt(found["var"])).rename(columns={"var": "sd"})
    own = runs.groupby("setting")["seed"]
    return table.assign(seeds=own.nunique(), runs=own.size())


def comparison(surface: Surface) -> tuple[Surface, np.ndarray]:
    """Return what settings are compared by, and the contrasts [settings, parameters] of their means.

    Their own means; where too few settings have a second seed to show noise, the surface's predictions.
    """
    repeated = surface.pure_error_df >= surface.seeds
    compared, _, weights = compared_points(surface, surface.points, by_means=repeated)
    return compared, weights


def differences(surface: Surface, best: int) -> np.ndarray:
    """Return each setting's difference from one of them, and its ends that hold for all at once [settings, 3]."""
    compared, weights = comparison(surface)
    found = np.zeros((len(weights), 3))
    others = np.arange(len(weights)) != best
    if others.any():
        judged = compared.family(weights[others] - weights[best])
        found[others] = np.column_stack([judged.found.estimate, *judged.interval(surface.confidence)])
    return found


def band(surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends [settings] of a band around the surface's predictions that holds at all settings at once."""
    judged = on_scale(surface).family(point_contrasts(surface, surface.points))
    columns = (judged.found.estimate, judged.found.std_error, *judged.interval(surface.confidence))
    rows = [within_bounds(surface, *map(float, each)) for each in zip(*columns, strict=True)]
    return tuple(np.array([row[end] for row in rows]) for end in ("ci_low", "ci_high"))


@lru_cache(maxsize=16)
def regret_of(surface: Surface, setting: str) -> Regret:
    """Return the regret of taking a setting, by the comparison that ranks them."""
    compared, weights = comparison(surface)
    most, drawn, room = rival_gaps(compared, weights, surface.points["point_id"].tolist().index(setting))
    reach = float(np.maximum(most, 0).max(initial=0.0))
    return Regret(float(drawn.clip(0, room).max(1).mean()), min(reach, room), reach)
