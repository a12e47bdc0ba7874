"""Slopes of a response surface: at the baseline, at the centre, on average, and along every interaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from finevar.statistics.regression import Surface, contrasts
from finevar.study.coding import Codings, Term, step_unit

LINE_POINTS = 41

Rows = list[dict[str, Any]]
Place = Mapping[str, np.ndarray]  # coded level [points] of each factor


def gradient(columns: list[Term], place: Place, factor: str) -> np.ndarray:
    """Return the contrasts [points, terms] that give the surface's slope along a factor, per coded unit."""
    points = len(next(iter(place.values())))
    weights = []
    for term in columns:
        rest = list(term)
        if factor in rest:
            rest.remove(factor)
        power = np.prod([place[name] for name in rest], axis=0) * np.ones(points)
        weights.append(term.count(factor) * power)
    return np.column_stack(weights)


def slope_rows(surface: Surface, baseline: Mapping[str, float]) -> Rows:
    """Return every factor's slope at the baseline, at the centre, on average over the runs, and its simple slopes."""
    centre = {name: np.zeros(1) for name in surface.codings}
    own = {name: np.array([float(coding.coded(baseline[name]))]) for name, coding in surface.codings.items()}
    rows = []
    for factor in surface.codings:
        for place, where in (("baseline", own), ("centre", centre), ("average", surface.coded())):
            weights = gradient(surface.columns, where, factor).mean(0, keepdims=True)
            rows += slopes_of(surface, factor, weights, [{"place": place}])
    for factor, moderator in interacting(surface):
        levels = sorted(surface.codings[moderator].levels)
        where = centre_along(surface.codings, moderator, surface.codings[moderator].coded(levels))
        places = [{"place": "simple", "moderator": moderator, "moderator_level": float(level)} for level in levels]
        rows += slopes_of(surface, factor, gradient(surface.columns, where, factor), places)
    return rows


def slopes_of(surface: Surface, factor: str, weights: np.ndarray, places: Rows) -> Rows:
    """Return the slopes of some contrasts [places, terms] in coded and in natural units."""
    coding = surface.codings[factor]
    rows = []
    for found, place in zip(contrasts(surface, surface.padded(weights)), places, strict=True):
        for units, scale, unit in (
            ("coded", 1.0, "per coded unit"),
            ("natural", coding.step, step_unit(factor, coding.scale)),
        ):
            row = {"response": surface.response, "factor": factor, "units": units, "unit": unit}
            rows.append(row | place | found.scaled(scale))
    return rows


def gradients(surface: Surface, places: np.ndarray) -> np.ndarray:
    """Return the contrasts [places, factors, parameters] of all slopes at coded places [places, factors]."""
    where = dict(zip(surface.codings, places.T, strict=True))
    return np.stack([surface.padded(gradient(surface.columns, where, name)) for name in surface.codings], axis=1)


def interacting(surface: Surface) -> Iterator[tuple[str, str]]:
    """Yield both directions of every pair of factors whose interaction is in the model: factor, moderator."""
    for first, second in itertools.permutations(surface.codings, 2):
        if (first, second) in surface.columns or (second, first) in surface.columns:
            yield first, second


def centre_along(codings: Codings, moderator: str, coded: np.ndarray) -> dict[str, np.ndarray]:
    """Return places along one factor, the others at the centre."""
    return {name: coded if name == moderator else np.zeros(len(coded)) for name in codings}


def interplay_rows(surface: Surface) -> Rows:
    """Return the slope of each factor as a line over each of its partners, with interval, in natural units."""
    rows = []
    coded = np.linspace(-1, 1, LINE_POINTS)
    for factor, moderator in interacting(surface):
        weights = gradient(surface.columns, centre_along(surface.codings, moderator, coded), factor)
        values = surface.codings[moderator].natural(coded)
        step = surface.codings[factor].step
        for value, found in zip(values, contrasts(surface, surface.padded(weights)), strict=True):
            rows.append(
                {
                    "response": surface.response,
                    "factor": factor,
                    "moderator": moderator,
                    "moderator_value": float(value),
                    "unit": step_unit(factor, surface.codings[factor].scale),
                    "estimate": found.estimate * step,
                    "std_error": found.std_error * step,
                    "ci_low": found.ci_low * step,
                    "ci_high": found.ci_high * step,
                    "sign": sign(found.ci_low, found.ci_high),
                }
            )
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
        coding = surface.codings[moderator]
        ends = gradient(surface.columns, centre_along(surface.codings, moderator, np.array([0.0, 1.0])), factor)
        constant, linear = surface.padded(ends[0]), surface.padded(ends[1] - ends[0])
        edges = [-1.0, *touching(surface, constant, linear), 1.0]
        ranges: Rows = []
        for low, high in itertools.pairwise(edges):
            middle = next(contrasts(surface, (constant + linear * (low + high) / 2)[None]))
            its_sign = sign(middle.ci_low, middle.ci_high)
            natural = coding.natural([low, high])
            if ranges and ranges[-1]["sign"] == its_sign:
                ranges[-1]["value_high"] = float(natural[1])
                continue
            place = {"value_low": float(natural[0]), "value_high": float(natural[1])}
            who = {"response": surface.response, "factor": factor, "moderator": moderator}
            ranges.append(who | place | {"sign": its_sign})
        rows += ranges
    return rows


def touching(surface: Surface, constant: np.ndarray, linear: np.ndarray) -> list[float]:
    """Return the coded values within the range at which the interval of constant + linear x touches zero."""
    pair = np.stack([constant, linear])
    a, b = pair @ surface.fit.params
    (v_aa, v_ab), (_, v_bb) = pair @ surface.fit.cov @ pair.T
    t2 = surface.fit.quantile(surface.confidence) ** 2
    roots = np.roots([b * b - t2 * v_bb, 2 * (a * b - t2 * v_ab), a * a - t2 * v_aa])
    return sorted(float(root.real) for root in roots if abs(root.imag) < 1e-12 and -1 < root.real < 1)
