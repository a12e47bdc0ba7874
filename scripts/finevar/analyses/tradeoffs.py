"""What metrics cost each other: the price of one metric's best setting in another, and which setting suits them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.disagreements import disagreement_rows, joint_draws, joint_population, shared_points
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
from finevar.statistics.bounds import limits, within
from finevar.statistics.families import Family
from finevar.statistics.optimum import coded_points, point_contrasts
from finevar.statistics.regression import Surface
from finevar.statistics.verdicts import verdict
from finevar.tables import Rows

ENDS = ("ci_low", "ci_high")
PRICE = ("price", *ENDS)
MOST_POINTS = 40  # whose pairs are judged together with the prices


def tradeoff_rows(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables pareto, pareto_points, disagreements, prices and desirability.

    Responses that a gate stops, or that the config leaves out, have no rows.
    """
    fitted = {surface.response: surface for surface in study.surfaces}
    surfaces = [fitted[name] for name in wanted_metrics(study.plan) if name in fitted]
    tables = pareto_tables(study)
    if shared_points(surfaces).empty:
        return tables | {"disagreements": [], "prices": [], "desirability": []}
    draws = joint_draws(surfaces)
    return tables | {
        "disagreements": disagreement_rows(surfaces, draws),
        "prices": price_rows(surfaces),
        "desirability": desirability_rows(surfaces, draws, study),
    }


def price_rows(surfaces: Sequence[Surface]) -> Rows:
    """Return what the setting predicted best for one response costs in another, against that one's own best setting.

    Both settings were chosen for their predictions, so the interval is one that holds for the differences of all pairs
    of tried settings at once.
    """
    if len(surfaces) < 2:
        return []
    tried = shared_points(surfaces)
    points, found, best = tried["point_id"], {}, {}
    for surface in surfaces:
        name = surface.response
        found[name] = towards(name) * point_contrasts(surface, tried)
        best[name] = int(np.argmax(found[name] @ surface.fit.params))
    rows = []
    for surface in surfaces:
        name, weights = surface.response, found[surface.response]
        others = [response for response in best if response != name]
        changes = weights[best[name]] - weights[[best[other] for other in others]]
        judged = surface.family(np.vstack([changes, pair_differences(surface, weights, tried)]))
        for other, part in zip(others, prices(surface, judged, changes), strict=True):
            row = {"best_for": other, "response": name, "point_id": points[best[other]], "own_best": points[best[name]]}
            rows.append(row | part)
    return rows


def pair_differences(surface: Surface, weights: np.ndarray, tried: pd.DataFrame) -> np.ndarray:
    """Return the differences [pairs, parameters] of all pairs of settings; of many settings, those furthest out."""
    if len(weights) > MOST_POINTS:
        distance = (coded_points(surface, tried) ** 2).sum(1)
        weights = weights[np.argsort(-distance, kind="stable")[:MOST_POINTS]]
    first, second = np.triu_indices(len(weights), 1)
    return weights[first] - weights[second]


def prices(surface: Surface, judged: Family, changes: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield prices with intervals and verdicts against the smallest effect of interest.

    judged: the changes [prices, parameters] first, and all that they were chosen from.
    """
    ends = np.where(changes.any(1), np.array(judged.interval(surface.confidence))[:, : len(changes)], 0.0)
    about = {"population": surface.population, "smallest_effect": surface.smallest_effect}
    between = limits(surface.response)
    for change, value, error, low, high in zip(
        changes, judged.found.estimate.tolist(), judged.found.std_error.tolist(), *ends.tolist(), strict=False
    ):
        row = within({"price": value, "std_error": error, "ci_low": low, "ci_high": high}, PRICE, between) | about
        if change.any():
            yield row | {"verdict": verdict(surface, 0.0 if low > 0 else 1.0, low, high)}
        else:
            yield row | {"reason": "the same setting is predicted best for both"}


def desirability_rows(surfaces: Sequence[Surface], draws: Sequence[np.ndarray], study: FittedStudy) -> Rows:
    """Return each tried setting's desirability for every metric by itself, and for all together (response "").

    Intervals are percentiles of draws that take the worst and the best prediction, the ends of the scale, as given. The
    share best counts the draws in which a setting is the most desirable of all, on that draw's own scale.
    """
    tried = shared_points(surfaces)
    goals = goals_of(surfaces, draws, study, tried)
    if len(goals) < 2:
        return []
    points, tails = tried["point_id"], [(1 - study.plan.confidence) / 2, (1 + study.plan.confidence) / 2]
    weights = [float(study.plan.tradeoffs.get("weights", {}).get(name, 1)) for name in goals]
    single = [desirability(values, values) for values, _ in goals.values()]
    spread = [desirability(drawn, values) for values, drawn in goals.values()]
    rows: Rows = []
    whom = joint_population(surfaces)
    for (name, (values, _)), weight, own, drawn in zip(goals.items(), weights, single, spread, strict=True):
        columns = {"point_id": points, "response": name, "weight": weight, "desirability": own}
        columns |= {"value": towards(name) * values}
        columns |= dict(zip(ENDS, np.quantile(drawn, tails, axis=0), strict=True)) if len(drawn) > 1 else {}
        rows += pd.DataFrame(columns | {"population": whom}).to_dict("records")
    ends = dict(zip(ENDS, np.quantile(overall(spread, weights), tails, axis=0), strict=True))
    best = overall([desirability(drawn, drawn) for _, drawn in goals.values()], weights).argmax(1)
    columns = {"desirability": overall(single, weights), **ends}
    columns |= {"best_share": np.bincount(best, minlength=len(points)) / len(best)}
    return rows + pd.DataFrame({"point_id": points, "response": "", "population": whom, **columns}).to_dict("records")


def goals_of(
    surfaces: Sequence[Surface], draws: Sequence[np.ndarray], study: FittedStudy, tried: pd.DataFrame
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each metric of the tried settings [settings] and draws of it [draws, settings], more being better.

    Predictions of every surface; of seconds of training, where they can be compared, the observed ones as one draw.
    """
    found = {}
    for surface, drawn in zip(surfaces, draws, strict=True):
        weights = towards(surface.response) * point_contrasts(surface, tried)
        found[surface.response] = weights @ surface.fit.params, drawn @ weights.T
    if SECONDS in wanted_metrics(study.plan) and incomparable_seconds(study.metrics) is None:
        seconds = towards(SECONDS) * mean_seconds(study, tried["point_id"])
        found[SECONDS] = seconds, seconds[None]
    return found


def mean_seconds(study: FittedStudy, points: Sequence[str]) -> np.ndarray:
    """Return the geometric mean of the seconds of training at some settings, over all data sets [settings]."""
    own, names = own_points(study), shared_names(study)
    found = metric_means(study, None, own)
    dataset = list(found)[-1]  # the mean over data sets where there are several
    values = pd.Series(np.exp(found[dataset].values), list(own[dataset]))
    return values[[names[point] for point in points]].to_numpy()


def desirability(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return values [..., settings], more being better, on a line from 0 at a scale's least value to 1 at its largest.

    The larger-the-better desirability of Derringer & Suich (1980) with exponent 1; what lies beyond has 0 or 1. scale:
    [..., settings]. Where it is one value, all settings are as good as the best.
    """
    low, span = scale.min(-1, keepdims=True), np.ptp(scale, axis=-1, keepdims=True)
    return np.where(span > 0, np.clip((values - low) / np.where(span > 0, span, 1), 0, 1), 1.0)


def overall(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the weighted geometric mean of desirabilities (Derringer & Suich 1980): 0 where one of them is."""
    with np.errstate(divide="ignore"):
        return np.exp(sum(weight * np.log(part) for weight, part in zip(weights, parts, strict=True)) / sum(weights))
