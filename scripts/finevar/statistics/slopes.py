"""Slopes of a response surface: at the baseline, at the centre, on average, and along every interaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from scipy import stats

from finevar.statistics.regression import Rows, Surface, contrasts
from finevar.study.coding import (
    Coded,
    axes_of,
    categories_of,
    exists,
    factor_of,
    model_matrix,
    numbers_of,
    present,
    step_unit,
)
from finevar.study.presence import centre

LINE_POINTS = 41


def gradient(surface: Surface, place: Mapping[str, np.ndarray], factor: str) -> np.ndarray:
    """Return the contrasts [places, parameters] that give the surface's slope along a factor, per coded unit.

    place: the coded level [places] of each factor.
    """
    counts = [term.count(factor) for term in surface.columns]
    rest = [term[: (at := term.index(factor))] + term[at + 1 :] if factor in term else term for term in surface.columns]
    return surface.padded(counts * model_matrix(place, rest))


def slope_rows(surface: Surface, baseline: Mapping[str, float]) -> Rows:
    """Return every number's slope at the baseline, at the centre, on average over the runs, and its simple slopes.

    baseline: its level of each factor; none where there is no baseline. A simple slope within a level that is a name
    has that as its moderator: schedule[cosine].
    """
    rows = []
    for factor, coding in numbers_of(surface.codings).items():
        places = {"centre": centre(surface.codings, factor), "average": where_present(surface, factor)}
        if baseline and exists(coding, baseline):
            places = {"baseline": surface.coded({name: [baseline[name]] for name in surface.codings})} | places
        for place, where in places.items():
            weights = gradient(surface, where, factor).mean(0, keepdims=True)
            rows += slopes_of(surface, factor, weights, [{"place": place}])
    for factor, moderator in interacting(surface):
        levels = sorted(surface.codings[moderator].levels)
        weights = gradient_along(surface, factor, moderator, surface.codings[moderator].coded(levels))
        simple = [{"place": "simple", "moderator": moderator, "moderator_level": float(level)} for level in levels]
        rows += slopes_of(surface, factor, weights, simple)
    for factor in numbers_of(surface.codings):
        rows += slopes_by_level(surface, factor)
    return rows


def where_present(surface: Surface, factor: str) -> Coded:
    """Return the coded values of each axis [runs] of the runs at which a number exists."""
    coded = surface.coded()
    there = present(surface.codings, coded).get(factor, slice(None))
    return {axis: column[there] for axis, column in coded.items()}


def slopes_by_level(surface: Surface, factor: str) -> Rows:
    """Return a number's slope within each level of each category that it interacts with, all else at the centre."""
    rows = []
    for name, coding in categories_of(surface.codings).items():
        if any(factor in term and factor_of(axis) == name for term in surface.columns for axis in term):
            within = dict(zip(coding.axes(name), coding.columns(coding.levels).T, strict=True))
            middle = centre(surface.codings, factor, places=len(coding.levels))
            places = [{"place": "simple", "moderator": f"{name}[{level}]"} for level in coding.levels]
            rows += slopes_of(surface, factor, gradient(surface, middle | within, factor), places)
    return rows


def slopes_of(surface: Surface, factor: str, weights: np.ndarray, places: Rows) -> Rows:
    """Return the slopes of some contrasts [places, parameters] in coded and in natural units."""
    coding, who = surface.codings[factor], {"response": surface.response, "factor": factor}
    who["population"] = surface.population
    natural = {"units": "natural", "unit": step_unit(factor, coding.scale)}
    rows = []
    for found, place in zip(contrasts(surface, weights), places, strict=True):
        rows.append(who | {"units": "coded", "unit": "per coded unit"} | place | found.scaled(1.0))
        rows.append(who | natural | place | found.scaled(coding.step))
    return rows


def gradients(surface: Surface, places: np.ndarray, names: Iterable[str]) -> np.ndarray:
    """Return the contrasts [places, numbers, parameters] of some slopes at coded places [places, axes]."""
    where = dict(zip(axes_of(surface.codings), places.T, strict=True))
    return np.stack([gradient(surface, where, name) for name in names], axis=1)


def interacting(surface: Surface) -> Iterator[tuple[str, str]]:
    """Yield both directions of every pair of numbers whose interaction is in the model: factor, moderator.

    A number whose levels slide with a category is no moderator.
    """
    for first, second in itertools.permutations(numbers_of(surface.codings), 2):
        if surface.codings[second].by:  # its levels are no line along which a slope could be followed
            continue
        if (first, second) in surface.columns or (second, first) in surface.columns:
            yield first, second


def gradient_along(surface: Surface, factor: str, moderator: str, coded: np.ndarray) -> np.ndarray:
    """Return the contrasts [places, parameters] of a factor's slope along another one, the rest at the centre."""
    place = centre(surface.codings, factor, moderator, places=len(coded)) | {moderator: coded}
    return gradient(surface, place, factor)


def interplay_rows(surface: Surface) -> Rows:
    """Return the slope of each factor as a line over each of its partners, with interval, in natural units."""
    rows = []
    coded = np.linspace(-1, 1, LINE_POINTS)
    for factor, moderator in interacting(surface):
        values = surface.codings[moderator].natural(coded).tolist()
        places = [{"moderator": moderator, "moderator_value": value} for value in values]
        slopes = slopes_of(surface, factor, gradient_along(surface, factor, moderator, coded), places)
        rows += [row | {"sign": sign(row["ci_low"], row["ci_high"])} for row in slopes if row["units"] == "natural"]
    return rows


def sign(low: float, high: float) -> str:
    """Say on which side of zero an interval lies."""
    return "positive" if low > 0 else "negative" if high < 0 else "open"


def johnson_neyman_rows(surface: Surface) -> Rows:
    """Return where along its partner a factor's slope differs significantly from zero (Johnson & Neyman 1936), exactly.

    The slope is a + b x with a variance quadratic in x, so its interval touches zero at the roots of a quadratic.
    """
    rows = []
    for factor, moderator in interacting(surface):
        who = {"response": surface.response, "factor": factor, "moderator": moderator}
        who["population"] = surface.population
        constant, end = gradient_along(surface, factor, moderator, np.array([0.0, 1.0]))
        linear = end - constant
        edges = np.array([-1.0, *touching(surface, constant, linear), 1.0])
        middles = contrasts(surface, constant + linear * (edges[:-1, None] + edges[1:, None]) / 2)
        signs = (sign(middle.ci_low, middle.ci_high) for middle in middles)
        parts = zip(signs, itertools.pairwise(surface.codings[moderator].natural(edges).tolist()), strict=True)
        for its_sign, group in itertools.groupby(parts, key=lambda part: part[0]):
            ranges = [ends for _, ends in group]
            rows.append(who | {"value_low": ranges[0][0], "value_high": ranges[-1][1], "sign": its_sign})
    return rows


def touching(surface: Surface, constant: np.ndarray, linear: np.ndarray) -> list[float]:
    """Return the coded values within the range at which the interval of constant + linear x touches zero."""
    pair = np.stack([constant, linear])
    a, b = pair @ surface.fit.params
    (v_aa, v_ab), (_, v_bb) = pair @ surface.cov @ pair.T
    t2 = float(stats.t.ppf((1 + surface.confidence) / 2, surface.df)) ** 2
    roots = np.roots([b * b - t2 * v_bb, 2 * (a * b - t2 * v_ab), a * a - t2 * v_aa])
    return sorted(float(root.real) for root in roots if abs(root.imag) < 1e-12 and -1 < root.real < 1)
