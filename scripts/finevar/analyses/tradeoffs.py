"""What metrics cost each other: the price of one metric's best setting in another, and which setting suits them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.disagreements import disagreement_rows, joint_draws
from finevar.analyses.fits import FittedStudy
from finevar.analyses.pareto import (
    incomparable_seconds,
    metric_means,
    own_points,
    pareto_tables,
    shared_names,
    wanted_metrics,
)
from finevar.metrics import SECONDS, towards
from finevar.statistics.optimum import point_contrasts
from finevar.statistics.regression import Surface
from finevar.statistics.simultaneous import largest_t, parameter_draws
from finevar.statistics.verdicts import verdict
from finevar.tables import Rows

MOST_PAIRS = 20_000  # of tried points; beyond, all contrasts there are stand in for their differences


def tradeoff_rows(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables pareto, pareto_points, disagreements, prices and desirability.

    Responses that a gate stops, or that the config leaves out, have no rows.
    """
    fitted = {surface.response: surface for surface in study.surfaces}
    surfaces = [fitted[name] for name in wanted_metrics(study.plan) if name in fitted]
    tables = pareto_tables(study)
    if not surfaces:
        return tables | {"disagreements": [], "prices": [], "desirability": []}
    draws = joint_draws(surfaces)
    return tables | {
        "disagreements": disagreement_rows(surfaces, draws),
        "prices": price_rows(surfaces),
        "desirability": desirability_rows(surfaces, draws, study),
    }


# Prices ---------------------------------------------------------------------------------------------------------------


def price_rows(surfaces: Sequence[Surface]) -> Rows:
    """Return what the setting predicted best for one response costs in another, against that one's own best setting.

    Both settings were chosen for their predictions, so the interval is one that holds for the differences of all pairs
    of tried points at once.
    """
    if len(surfaces) < 2:
        return []
    weights = {surface.response: point_contrasts(surface, surface.points) for surface in surfaces}
    best = {
        surface.response: int(np.argmax(towards(surface.response) * weights[surface.response] @ surface.fit.params))
        for surface in surfaces
    }
    points = surfaces[0].points["point_id"]
    rows = []
    for surface in surfaces:
        name = surface.response
        quantile = largest_difference_t(surface, weights[name])
        for other in (response for response in best if response != name):
            where = {"point_id": points[best[other]], "own_best": points[best[name]]}
            change = towards(name) * (weights[name][best[name]] - weights[name][best[other]])
            rows.append({"best_for": other, "response": name} | where | price(surface, change, quantile))
    return rows


def largest_difference_t(surface: Surface, weights: np.ndarray) -> float:
    """Return the quantile of the largest |t| among the differences of all pairs of points [points, parameters].

    With too many pairs, that of all contrasts of the parameters (Scheffe 1953), which is larger.
    """
    if math.comb(len(weights), 2) <= MOST_PAIRS:
        first, second = np.triu_indices(len(weights), 1)
        return largest_t(weights[first] - weights[second], surface, two_sided=True)
    draws = parameter_draws(surface)
    lengths = (draws * np.linalg.lstsq(surface.cov, draws.T)[0].T).sum(1)
    return float(np.sqrt(np.quantile(lengths, surface.confidence)))


def price(surface: Surface, change: np.ndarray, quantile: float) -> dict[str, Any]:
    """Return a price with its interval and its verdict against the smallest effect of interest."""
    value = float(change @ surface.fit.params)
    error = float(surface.read(change[None]).std_error[0])
    reach = quantile * error
    row = {"price": value, "std_error": error, "ci_low": value - reach, "ci_high": value + reach}
    row["smallest_effect"] = surface.smallest_effect
    if not change.any():
        return row | {"reason": "the same setting is predicted best for both"}
    return row | {"verdict": verdict(surface, 0.0 if value > reach else 1.0, value - reach, value + reach)}


# Desirability ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goal:
    """One metric at the tried points, turned so that more is better."""

    response: str
    weight: float
    values: np.ndarray  # [points]
    drawn: np.ndarray  # [draws, points]; a single draw where the values are observed, not fitted


def desirability_rows(surfaces: Sequence[Surface], draws: Sequence[np.ndarray], study: FittedStudy) -> Rows:
    """Return each tried point's desirability for every metric by itself, and for all together (response "").

    Intervals are percentiles of draws that take the worst and the best prediction, the ends of the scale, as given. The
    share best counts the draws in which a point is the most desirable of all, on that draw's own scale.
    """
    points = list(surfaces[0].points["point_id"])
    goals = goals_of(surfaces, draws, study)
    if len(goals) < 2:
        return []
    weights = [goal.weight for goal in goals]
    tails = [(1 - study.plan.confidence) / 2, (1 + study.plan.confidence) / 2]
    spread = [desirability(goal.drawn, goal.values) for goal in goals]
    rows = [row for goal, part in zip(goals, spread, strict=True) for row in goal_rows(goal, part, points, tails)]
    together = overall([desirability(goal.values, goal.values) for goal in goals], weights)
    low, high = np.quantile(overall(spread, weights), tails, axis=0)
    best = overall([desirability(goal.drawn, goal.drawn) for goal in goals], weights).argmax(1)
    shares = np.bincount(best, minlength=len(points)) / len(best)
    names = ("desirability", "ci_low", "ci_high", "best_share")
    for point, *found in zip(points, together, low, high, shares, strict=True):
        rows.append({"point_id": point, "response": ""} | dict(zip(names, map(float, found), strict=True)))
    return rows


def goals_of(surfaces: Sequence[Surface], draws: Sequence[np.ndarray], study: FittedStudy) -> list[Goal]:
    """Return the predictions of every surface, and the observed seconds of training where they can be compared."""
    found = {}
    for surface, drawn in zip(surfaces, draws, strict=True):
        weights = point_contrasts(surface, surface.points)
        found[surface.response] = weights @ surface.fit.params, drawn @ weights.T
    if SECONDS in wanted_metrics(study.plan) and incomparable_seconds(study.metrics) is None:
        seconds = mean_seconds(study, surfaces[0].points["point_id"])
        found[SECONDS] = seconds, seconds[None]
    shares = study.plan.tradeoffs.get("weights", {})
    return [
        Goal(name, float(shares.get(name, 1)), towards(name) * values, towards(name) * drawn)
        for name, (values, drawn) in found.items()
    ]


def mean_seconds(study: FittedStudy, points: Sequence[str]) -> np.ndarray:
    """Return the geometric mean of the seconds of training at some points, over all data sets [points]."""
    own = own_points(study)
    found = metric_means(study, None, own)
    dataset = list(found)[-1]  # the mean over data sets where there are several
    values = pd.Series(np.exp(found[dataset].values), list(own[dataset]))
    names = dict(zip(study.metrics["point_id"], shared_names(study), strict=True))
    return values[[names[point] for point in points]].to_numpy()


def goal_rows(goal: Goal, spread: np.ndarray, points: Sequence[str], tails: Sequence[float]) -> Rows:
    """Return each point's desirability for one metric, with an interval from draws [draws, points] if it is fitted."""
    single = desirability(goal.values, goal.values)
    rows = [
        {
            "point_id": point,
            "response": goal.response,
            "weight": goal.weight,
            "value": float(towards(goal.response) * value),
            "desirability": float(desired),
        }
        for point, value, desired in zip(points, goal.values, single, strict=True)
    ]
    if len(goal.drawn) > 1:
        for row, low, high in zip(rows, *np.quantile(spread, tails, axis=0).tolist(), strict=True):
            row |= {"ci_low": low, "ci_high": high}
    return rows


def desirability(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return values [..., points], more being better, on a line from 0 at a scale's least value to 1 at its largest.

    The larger-the-better desirability of Derringer & Suich (1980) with exponent 1; what lies beyond has 0 or 1. scale:
    [..., points]. Where it is one value, all points are as good as the best.
    """
    low, span = scale.min(-1, keepdims=True), np.ptp(scale, axis=-1, keepdims=True)
    return np.where(span > 0, np.clip((values - low) / np.where(span > 0, span, 1), 0, 1), 1.0)


def overall(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the weighted geometric mean of desirabilities (Derringer & Suich 1980): 0 where one of them is."""
    with np.errstate(divide="ignore"):
        return np.exp(sum(weight * np.log(part) for weight, part in zip(weights, parts, strict=True)) / sum(weights))
