"""Predictions of a surface on grids, which figures draw: along each factor, and over each pair of numbers."""

from __future__ import annotations

import itertools

import numpy as np

from finevar.statistics.regression import Rows, Surface, predicted
from finevar.study.coding import axes_of, categories_of, centre, cuts, levels_text, numbers_at, numbers_of

PROFILE_POINTS = 41
SURFACE_POINTS = 25


def profile_rows(surface: Surface) -> Rows:
    """Return the predicted response along each number and at each level that is a name, the others mid-range.

    The latter are a factor each, schedule[cosine], without a value.
    """
    x = np.linspace(-1, 1, PROFILE_POINTS)
    rows, axes = [], axes_of(surface.codings)
    for name, coding in numbers_of(surface.codings).items():
        found = predicted(surface, centre(surface.codings, name, places=len(x)) | {name: x})
        values = zip(coding.natural(x).tolist(), found, strict=True)
        rows += [{"response": surface.response, "factor": name, "value": value} | row for value, row in values]
    for name, coding in categories_of(surface.codings).items():
        own = dict(zip(coding.axes(name), coding.columns(coding.levels).T, strict=True))
        found = predicted(surface, {axis: np.zeros(len(coding.levels)) for axis in axes} | own)
        levels = zip(coding.levels, found, strict=True)
        rows += [{"response": surface.response, "factor": f"{name}[{level}]"} | row for level, row in levels]
    return rows


def surface_rows(surface: Surface) -> Rows:
    """Return the predicted response over each pair of numbers, the others mid-range, at each level that is a name."""
    grid = [axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, SURFACE_POINTS)] * 2)]
    rows, numbers = [], numbers_of(surface.codings)
    for pair, (text, cut) in itertools.product(itertools.combinations(numbers, 2), cuts(surface.codings).items()):
        there = numbers_at(surface.codings, cut)
        if not set(pair) <= set(there):
            continue
        middles = {name: float(coding.natural(0.0)) for name, coding in there.items() if name not in pair}
        held = ", ".join(filter(None, [levels_text(middles), text]))
        who = {"response": surface.response, "factor_x": pair[0], "factor_y": pair[1], "held": held}
        levels = [numbers[name].natural(axis).tolist() for name, axis in zip(pair, grid, strict=True)]
        place = {axis: np.full_like(grid[0], x) for axis, (x,) in cut.items()}
        place |= {name: np.zeros_like(grid[0]) for name in numbers} | dict(zip(pair, grid, strict=True))
        found = predicted(surface, place)
        rows += [who | {"value_x": x, "value_y": y} | row for x, y, row in zip(*levels, found, strict=True)]
    return rows
