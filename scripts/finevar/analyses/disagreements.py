"""Where two metrics pull apart: the angle between their fitted gradients, each turned so that up is better.

The surfaces of a study share their design matrix and their runs, so their errors are correlated; how much follows
from the products of their residuals, run by run, as the covariance of one surface does from its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.metrics import towards
from finevar.statistics.covariance import scores
from finevar.statistics.optimum import coded_points, region_limit, region_statistic
from finevar.statistics.regression import THESE_SENTENCES, Surface, contrasts
from finevar.statistics.simultaneous import joint_df, t_draws
from finevar.statistics.slopes import gradient, gradients, sign
from finevar.study.coding import numbers_of
from finevar.tables import Rows

FLAT = "the gradient of {} does not differ significantly from zero here, so its direction is unknown"
VERDICTS = {"positive": "agree", "negative": "disagree", "open": "open"}


def named_scores(surface: Surface) -> pd.DataFrame:
    """Return what each independent run, or trajectory, adds to the parameters' errors [clusters, parameters], by id."""
    fit = surface.fit
    added = scores(fit.matrix, fit.bread, fit.resid, surface.errors.clusters)
    return pd.DataFrame(added, index=pd.unique(surface.runs["trajectory_id"]))


def joint_draws(surfaces: Sequence[Surface]) -> list[np.ndarray]:
    """Return draws [draws, parameters] about the estimates of each surface, drawn together.

    Multivariate t, with cross products of scores as the covariance between surfaces; a run that one of them lacks adds
    nothing to it.
    """
    together = pd.concat([named_scores(surface) for surface in surfaces], axis=1).fillna(0.0).to_numpy()
    draws = t_draws(together.T @ together, min(joint_df(surface) for surface in surfaces))
    ends = np.cumsum([len(surface.names) for surface in surfaces])[:-1]
    parts = np.split(draws, ends, axis=1)
    return [surface.fit.params + part for surface, part in zip(surfaces, parts, strict=True)]


def joint_population(surfaces: Sequence[Surface]) -> str | None:
    """Say whom joint_draws() hold for: the products of scores know nothing of other sentences."""
    return THESE_SENTENCES if surfaces[0].population else None


def shared_points(surfaces: Sequence[Surface]) -> pd.DataFrame:
    """Return the tried settings of which every metric has a value, a row of its run each; none without a surface."""
    if not surfaces:
        return pd.DataFrame()
    points, factors = surfaces[0].points, list(surfaces[0].codings)
    for surface in surfaces[1:]:
        own = pd.MultiIndex.from_frame(surface.points[factors])
        points = points[pd.MultiIndex.from_frame(points[factors]).isin(own)]
    return points.reset_index(drop=True)


def disagreement_rows(surfaces: Sequence[Surface], draws: Sequence[np.ndarray]) -> Rows:
    """Return for each pair of responses the cosine of their gradients at every tried setting and at the centre.

    draws: of joint_draws(). The last row of a pair has the shares of tried settings where the two agree, disagree or
    leave it open, and names the factors whose average slope is better for one and worse for the other, significantly.
    """
    if len(surfaces) < 2 or not (numbers := shared_numbers(surfaces[0])):
        return []
    points = shared_points(surfaces)
    coded = coded_points(surfaces[0], points)
    places = np.vstack([coded, np.zeros(coded.shape[1])])
    names = [("cell", point) for point in points["point_id"]] + [("centre", None)]
    steep = [region_statistic(each, places, numbers) > region_limit(each, len(numbers)) for each in surfaces]
    weights = [towards(surface.response) * gradients(surface, places, numbers) for surface in surfaces]
    found: dict[tuple[int, int], Rows] = {pair: [] for pair in itertools.combinations(range(len(surfaces)), 2)}
    for number, (place, point) in enumerate(names):
        drawn = [part @ at[number].T for part, at in zip(draws, weights, strict=True)]
        at_best = [at[number] @ surface.fit.params for surface, at in zip(surfaces, weights, strict=True)]
        for (a, b), rows in found.items():
            flat = [surfaces[which].response for which in (a, b) if not steep[which][number]]
            row = angle(at_best[a], at_best[b], drawn[a], drawn[b], surfaces[a].alpha, flat)
            rows.append({"place": place, "point_id": point} | row)
    ways = [average_ways(surface) for surface in surfaces]
    for (a, b), rows in found.items():
        verdicts = [row.get("verdict") for row in rows[:-1]]
        shares = {f"share_{name}": verdicts.count(name) / len(verdicts) for name in VERDICTS.values()}
        parting = [name for name in ways[a] if {ways[a][name], ways[b][name]} == {"positive", "negative"}]
        rows.append({"place": "summary", "cells": len(verdicts), "factors": ", ".join(parting)} | shares)
    whom = joint_population(surfaces)
    return [
        {"response_a": surfaces[a].response, "response_b": surfaces[b].response, "population": whom} | row
        for (a, b), rows in found.items()
        for row in rows
    ]


def shared_numbers(surface: Surface) -> list[str]:
    """Return the numbers that exist at every setting: at some, directions along others would have no angle."""
    return [name for name, coding in numbers_of(surface.codings).items() if not coding.when]


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine of the angle between vectors along the last axis; not a number where one has no length."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))


def angle(
    a: np.ndarray, b: np.ndarray, drawn_a: np.ndarray, drawn_b: np.ndarray, alpha: float, flat: Sequence[str]
) -> dict[str, Any]:
    """Return the cosine of two gradients [factors] with its percentile interval over draws [draws, factors].

    flat: the responses whose gradient does not differ significantly from zero; the interval is then every cosine
    (Fieller 1954).
    Noise turns parallel gradients apart but never together, so that draws stay short of a cosine of 1, or of -1: it
    belongs to the interval where the angle's basic bootstrap interval (Davison & Hinkley 1997, ch. 5) reaches it.
    """
    value = float(cosine(a, b))
    if not math.isfinite(value):
        return {"reason": "a fitted gradient is zero here"}
    if flat:
        why = FLAT.format(" and that of ".join(flat))
        return {"cosine": value, "ci_low": -1.0, "ci_high": 1.0, "verdict": "open", "reason": why}
    here, drawn = math.acos(np.clip(value, -1, 1)), np.arccos(np.clip(cosine(drawn_a, drawn_b), -1, 1))
    near, far = np.quantile(drawn, [alpha / 2, 1 - alpha / 2]).tolist()
    low = math.cos(far) if 2 * here - near < math.pi else -1.0
    high = math.cos(near) if 2 * here - far > 0 else 1.0
    return {"cosine": value, "ci_low": low, "ci_high": high, "verdict": VERDICTS[sign(low, high)]}


def average_ways(surface: Surface) -> dict[str, str]:
    """Return which way each factor's slope, averaged over the runs, points; positive is better."""
    numbers = shared_numbers(surface)
    averages = np.stack([gradient(surface, surface.coded(), name).mean(0) for name in numbers])
    slopes = contrasts(surface, towards(surface.response) * averages)
    return {name: sign(slope.ci_low, slope.ci_high) for name, slope in zip(numbers, slopes, strict=True)}
