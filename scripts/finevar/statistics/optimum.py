"""Where a response is best: stationary point and region, canonical analysis, ridge path, and which setting to take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq, linprog
from scipy.stats import qmc

from finevar.metrics import towards
from finevar.statistics.bounds import limits
from finevar.statistics.regression import Rows, Surface, on_scale, predicted, within_bounds
from finevar.statistics.setting_means import mean_contrasts, misses_settings, setting_names, settings_surface
from finevar.statistics.simultaneous import parameter_draws
from finevar.statistics.slopes import gradients
from finevar.study.coding import (
    Coded,
    Codings,
    axes_of,
    categories_of,
    cuts,
    levels_text,
    model_matrix,
    numbers_of,
)
from finevar.study.presence import numbers_at

RIDGE_SHARE = 0.1  # an axis flatter than this share of the steepest is a ridge (Myers et al. 2009, ch. 6)
RADII = np.linspace(0, 1, 11)
PLANE_POINTS = {1: 2001, 2: 101, 3: 25}  # grid points per factor; more factors take a Sobol sequence
SOBOL_POINTS = 2**13
SOBOL_SEED = 20250101
FORBIDDEN = "the design's condition forbids that place"
SMALL_REGION = "noise differs between settings, for which the region is somewhat too small"


# Canonical analysis ---------------------------------------------------------------------------------------------------


def quadratic_form(surface: Surface, cut: Coded | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return b [numbers] and symmetric B [numbers, numbers] of y = b0 + x'b + x'Bx, or None for another model.

    cut: the columns [1] of levels that are names, whose averages are taken without it.
    """
    names = list(numbers_at(surface.codings, cut) if cut else numbers_of(surface.codings))
    at = dict(zip(surface.columns, surface.fit.params, strict=False))
    if not names or any(len(term) > 2 for term in at) or not all((name, name) in at for name in names):
        return None
    upper = np.array([[at.get((first, second), 0.0) for second in names] for first in names])
    slopes = np.array([at[name,] for name in names])
    for axis, (x,) in (cut or {}).items():
        slopes = slopes + x * np.array([at.get((name, axis), 0.0) + at.get((axis, name), 0.0) for name in names])
    return slopes, (upper + upper.T) / 2


def places_of(surface: Surface, numbers: np.ndarray, cut: Coded) -> np.ndarray:
    """Return coded places [places, axes] from those of numbers [places, numbers] and the columns of a cut."""
    own = dict(zip(numbers_at(surface.codings, cut), numbers.T, strict=True))
    rest = {axis: np.zeros(1) for axis in axes_of(surface.codings)} | cut
    return np.column_stack([np.broadcast_to((rest | own)[axis], len(numbers)) for axis in rest])


def canonical_analysis(slopes: np.ndarray, curves: np.ndarray) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return kind, stationary point [factors], eigenvalues and eigenvectors, the largest absolute value first.

    Axes flatter than RIDGE_SHARE of the steepest are left out of the inversion; the point is then the nearest to the
    centre.
    """
    values, vectors = np.linalg.eigh(curves)
    order = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[order], vectors[:, order]
    steep = np.abs(values) >= RIDGE_SHARE * np.abs(values).max()
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=steep)
    point = -0.5 * vectors @ (inverse * (vectors.T @ slopes))
    kind = "maximum" if (values < 0).all() else "minimum" if (values > 0).all() else "saddle"
    return kind if steep.all() else "ridge", point, values, vectors


def optimum_rows(surface: Surface) -> dict[str, Rows]:
    """Return the rows of optima, optimum_factors and canonical of one response, of each combination of named levels."""
    numbers = numbers_of(surface.codings)
    if quadratic_form(surface) is None:
        why = "only a surface with every square and no higher term has one stationary point"
        who = {"response": surface.response}
        factors = [who | {"factor": name} for name in numbers]
        return {"optima": [who | {"reason": why}], "optimum_factors": factors, "canonical": []}
    tables: dict[str, Rows] = {"optima": [], "optimum_factors": [], "canonical": []}
    for text, cut in cuts(surface.codings).items():
        for name, rows in cut_rows(surface, text, cut).items() if quadratic_form(surface, cut) else ():
            tables[name] += rows
    return tables


def cut_rows(surface: Surface, text: str, cut: Coded) -> dict[str, Rows]:
    """Return the rows of the surface of one combination of levels that are names; text: the combination, if any."""
    who, numbers = {"response": surface.response} | ({"at": text} if text else {}), numbers_at(surface.codings, cut)
    kind, point, values, vectors = canonical_analysis(*quadratic_form(surface, cut))
    place = dict(zip(axes_of(surface.codings), places_of(surface, point[None], cut).T, strict=True))
    at = next(predicted(surface, place))
    forbidden = bool(surface.is_forbidden(place)[0])
    inside = not forbidden and within_hull(tried_numbers(surface, cut), point)
    region = confidence_region(surface, point, cut)
    caveats = [SMALL_REGION] * surface.has_own_noise + [FORBIDDEN] * forbidden
    row = {"kind": kind, "inside": inside, "stationary_predicted": at.pop("predicted"), **at}
    row |= {"region_share": region["share"], "region_closed": region["closed"]}
    row |= {"reason": "; ".join(caveats)} if caveats else {}
    factors = []
    for number, (name, coding) in enumerate(numbers.items()):
        ends = (None, None) if region["ends"] is None else coding.natural(region["ends"][number]).tolist()
        natural = float(coding.natural(point[number]))
        place = {"stationary_coded": float(point[number]), "stationary": natural if np.isfinite(natural) else None}
        factors.append(who | {"factor": name} | place | {"region_low": ends[0], "region_high": ends[1]})
    axes = [
        who | {"axis": axis, "eigenvalue": float(value), "factor": name, "weight": float(weight)}
        for axis, (value, weights) in enumerate(zip(values, vectors.T, strict=True), 1)
        for name, weight in zip(numbers, weights, strict=True)
    ]
    return {"optima": [who | row], "optimum_factors": factors, "canonical": axes}


def tried_numbers(surface: Surface, cut: Coded) -> np.ndarray:
    """Return the coded numbers [settings, numbers] of the tried settings that have the levels of a cut."""
    coded = surface.coded(surface.points)
    own = np.all([np.isclose(coded[axis], x) for axis, x in cut.items()], axis=0) if cut else slice(None)
    return np.column_stack([coded[name] for name in numbers_at(surface.codings, cut)])[own]


def within_hull(points: np.ndarray, place: np.ndarray) -> bool:
    """Say whether a place [factors] is a weighted mean of points [points, factors], of which there may be none."""
    if not len(points):
        return False
    equal = np.vstack([points.T, np.ones(len(points))])
    found = linprog(np.zeros(len(points)), A_eq=equal, b_eq=np.append(place, 1.0), bounds=(0, None))
    return bool(found.status == 0)


def region_statistic(surface: Surface, places: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return g'V^-1 g / k at coded places [places, axes], g the gradient along k numbers there and V its covariance.

    A place is in the stationary point's confidence region where this is at most region_limit() (Box & Hunter 1954).
    """
    slopes = gradients(surface, places, names)
    values = slopes @ surface.fit.params
    cov = slopes @ surface.cov @ slopes.transpose(0, 2, 1)
    return np.einsum("pi,pi->p", values, np.linalg.solve(cov, values[..., None])[..., 0]) / values.shape[1]


def region_limit(surface: Surface, count: int) -> float:
    """Return the quantile of region_statistic at the stationary point itself: Hotelling's, as V is estimated.

    Infinite where the covariance has fewer degrees of freedom than there are numbers: then nothing is excluded.
    """
    rest = surface.df - count + 1
    return float(stats.f.ppf(surface.confidence, count, rest)) * surface.df / rest if rest > 0 else math.inf


def confidence_region(surface: Surface, point: np.ndarray, cut: Coded | None = None) -> dict[str, Any]:
    """Return share of the box, extent [numbers, 2] in coded units, and closure of the stationary point's region.

    Of what the design's condition allows: a region that reaches into what it forbids is open there.
    """
    places, names = np.vstack([box_points(len(point)), point]), numbers_at(surface.codings, cut or {})
    whole = places_of(surface, places, cut or {})
    inside = region_statistic(surface, whole, names) <= region_limit(surface, len(names))
    inside[-1] = np.abs(point).max() <= 1  # the point itself belongs to its region, however small that is
    allowed = ~surface.is_forbidden(dict(zip(axes_of(surface.codings), whole.T, strict=True)))
    kept = places[inside & allowed]
    if not len(kept):
        return {"share": 0.0, "ends": None, "closed": False}
    ends = np.column_stack([kept.min(0), kept.max(0)])
    closed = bool(np.abs(kept).max() < 1) and not (inside & ~allowed).any()
    return {"share": float(inside[:-1][allowed[:-1]].mean()), "ends": ends, "closed": closed}


def box_points(count: int) -> np.ndarray:
    """Return coded places [places, factors] that fill the design's box, its faces among them."""
    if count in PLANE_POINTS:
        axis = np.linspace(-1, 1, PLANE_POINTS[count])
        return np.stack(np.meshgrid(*[axis] * count, indexing="ij"), axis=-1).reshape(-1, count)
    inner = 2 * qmc.Sobol(count, seed=SOBOL_SEED).random(SOBOL_POINTS) - 1
    part = inner[: SOBOL_POINTS // (4 * count)]
    faces = [np.insert(np.delete(part, axis, 1), axis, side, 1) for axis in range(count) for side in (-1.0, 1.0)]
    return np.vstack([inner, *faces])


def ridge_rows(surface: Surface) -> Rows:
    """Return the best predicted place at each distance from the centre: (B - mu I) x = -b / 2 (Draper 1963)."""
    if quadratic_form(surface) is None:
        return []
    kept = {text: cut for text, cut in cuts(surface.codings).items() if quadratic_form(surface, cut)}
    return [row for text, cut in kept.items() for row in path_rows(surface, text, cut)]


def path_rows(surface: Surface, text: str, cut: Coded) -> Rows:
    """Return the path of one combination of levels that are names, without places that the design's condition forbids.

    text: the combination, if any.
    """
    slopes, curves = (towards(surface.response) * part for part in quadratic_form(surface, cut))
    path = np.stack([best_at_radius(slopes, curves, radius) for radius in RADII])
    places = places_of(surface, path, cut)
    coded = dict(zip(axes_of(surface.codings), places.T, strict=True))
    who = {"response": surface.response} | ({"at": text} if text else {})
    steps = zip(RADII.tolist(), path.tolist(), predicted(surface, coded), surface.is_forbidden(coded), strict=True)
    return [
        who | {"radius": radius, "factor": name, "coded": level} | {"value": float(coding.natural(level))} | at
        for radius, place, at, forbidden in steps
        if not forbidden
        for (name, coding), level in zip(numbers_at(surface.codings, cut).items(), place, strict=True)
    ]


def best_at_radius(slopes: np.ndarray, curves: np.ndarray, radius: float) -> np.ndarray:
    """Return the x [factors] of this length with the largest x'b + x'Bx: the mu above B's largest eigenvalue."""
    if radius == 0:
        return np.zeros_like(slopes)
    values, vectors = np.linalg.eigh(curves)
    rotated = vectors.T @ slopes / 2
    scale = np.abs(values).max() + np.linalg.norm(slopes)
    low, high = values.max() + 1e-12 * scale, values.max() + np.linalg.norm(rotated) / radius + scale

    def excess(mu: float) -> float:
        return float(np.linalg.norm(rotated / (mu - values))) - radius

    mu = brentq(excess, low, high, xtol=1e-15 * scale) if excess(low) > 0 else low
    x = vectors @ (rotated / (mu - values))
    short = radius**2 - float(x @ x)
    top = vectors[:, np.argmax(values)]
    return x + top * np.sqrt(short) if short > 1e-9 else x  # no slope along the top axis: either way is as good


# The best of the tried settings ---------------------------------------------------------------------------------------


def coded_points(surface: Surface, points: pd.DataFrame) -> np.ndarray:
    """Return the coded values [settings, axes] of settings from natural levels."""
    return np.column_stack([*surface.coded(points).values()])


def point_contrasts(surface: Surface, points: pd.DataFrame) -> np.ndarray:
    """Return the contrasts [settings, parameters] of the predictions at settings in natural levels."""
    return surface.padded(model_matrix(surface.coded(points), surface.columns))


def compared_points(
    surface: Surface, points: pd.DataFrame, *, by_means: bool
) -> tuple[Surface, pd.DataFrame, np.ndarray]:
    """Return what settings are compared by, the settings, and the contrasts [settings, parameters] of their means.

    By the surface, or by the tried settings' own means, which is asked for where the surface misses them.
    """
    if by_means:
        means = settings_surface(surface)
        return means, means.points, mean_contrasts(means)
    return surface, points, point_contrasts(surface, points)


def predicted_best(surface: Surface) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the tried setting of best prediction, what it would cost to be wrong, and its levels above its rivals'.

    Where the surface misses the settings, each is predicted by its own mean. The interval is a band that holds at all
    tried settings at once, so that having chosen the best does not flatter it. A rival is a tried setting that is not
    significantly worse than it, all comparisons counted. The regret is how much better the truly best
    tried setting is; it is averaged over the fit's uncertainty, and bounded with the confidence.
    """
    by_means = misses_settings(surface)
    surface, points, weights = compared_points(surface, surface.points, by_means=by_means)
    values = weights @ surface.fit.params
    chosen = int(np.argmax(towards(surface.response) * values))
    band = on_scale(surface).family(weights)
    ends = (float(each[chosen]) for each in band.interval(surface.confidence))
    read = within_bounds(surface, float(band.found.estimate[chosen]), float(band.found.std_error[chosen]), *ends)
    rival, drawn, room = rival_gaps(surface, weights, chosen)
    levels = points[list(surface.codings)]
    cell = setting_names(surface.runs, surface.codings) == points.loc[chosen, "point_id"]
    row = {
        "response": surface.response,
        "point_id": points.loc[chosen, "point_id"],
        "observed": float(surface.runs.loc[cell, surface.response].mean()),
        "by_means": by_means,
        **read,
        "candidates": len(points),
        "rivals": int((rival > 0).sum()),
        "expected_regret": float(drawn.clip(0, room).max(1).mean()),
        "regret_bound": float(rival.clip(0, room).max(initial=0.0)),
        "smallest_effect": surface.smallest_effect,
    }
    rivals = np.delete(np.arange(len(points)), chosen)[rival > 0]
    return row, levels.iloc[[chosen, *rivals]]


def rival_levels(alike: pd.DataFrame, codings: Codings, factor: str, at: str | None) -> dict[str, float]:
    """Return a number's level at the best setting and its range over that and its rivals, as predicted_best() has them.

    at: of settings at one combination of levels that are names, where there are any; the best may be at another one.
    """
    texts = [levels_text(each) for each in alike[list(categories_of(codings))].to_dict("records")]
    here = np.array([at is None or text == at for text in texts])
    own = alike[factor].astype(float)
    best = own.iloc[0] if here[0] else math.nan
    return {"best": float(best), "rival_low": float(own[here].min()), "rival_high": float(own[here].max())}


def rival_gaps(surface: Surface, weights: np.ndarray, chosen: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return by how much each other tried setting may be better than the chosen one, adjusted, and draws.

    weights: contrasts [settings, parameters] of the predictions. Returns [settings - 1], [draws, settings - 1] and how
    much better the metric can be at all.
    """
    sign = towards(surface.response)
    others = sign * (np.delete(weights, chosen, axis=0) - weights[chosen])
    if not len(others):
        return np.zeros(0), np.zeros((1, 1)), 0.0
    judged = surface.family(others)
    most = judged.interval(1 - 2 * surface.alpha)[1]  # one-sided
    most = np.where(judged.found.std_error > 0, most, judged.found.estimate)  # alike in every run: no error to measure
    drawn = others @ surface.fit.params + parameter_draws(surface) @ others.T
    return most, drawn, max(sign * end for end in limits(surface.response, weights[chosen] @ surface.fit.params))
