"""Predictions of a surface on grids, which figures draw: along each factor, and over each pair of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from finevar.statistics.regression import Rows, Surface, predicted
from finevar.study.coding import Coded, Coding, axes_of, categories_of, cuts, levels_text, numbers_of
from finevar.study.presence import centre, numbers_at, reads_of

PROFILE_POINTS = 41
SURFACE_POINTS = 25


def profile_rows(surface: Surface) -> Rows:
    """Return the predicted response along each number and at each level that is a name, the others mid-range.

    The latter are a factor each, schedule[cosine], without a value. A number whose levels slide with a category has a
    profile at each of its levels: learning_rate[lora].
    """
    x = np.linspace(-1, 1, PROFILE_POINTS)
    rows, axes = [], axes_of(surface.codings)
    for name, (level, cut, coding) in every_read(surface):
        at = {axis: np.full(len(x), own) for axis, (own,) in cut.items()} | {name: x}
        found = predicted(surface, centre(surface.codings, name, places=len(x)) | at)
        who = {"response": surface.response, "factor": f"{name}[{level}]" if level else name}
        rows += [who | {"value": value} | row for value, row in zip(coding.natural(x).tolist(), found, strict=True)]
    for name, coding in categories_of(surface.codings).items():
        own = dict(zip(coding.axes(name), coding.columns(coding.levels).T, strict=True))
        found = predicted(surface, {axis: np.zeros(len(coding.levels)) for axis in axes} | own)
        levels = zip(coding.levels, found, strict=True)
        rows += [{"response": surface.response, "factor": f"{name}[{level}]"} | row for level, row in levels]
    return rows


def every_read(surface: Surface) -> Iterator[tuple[str, tuple[str, Coded, Coding]]]:
    """Yield each number with each way to read it, see reads_of()."""
    for name in numbers_of(surface.codings):
        yield from ((name, read) for read in reads_of(surface.codings, name))


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
        levels = [there[name].natural(axis).tolist() for name, axis in zip(pair, grid, strict=True)]
        place = {axis: np.full_like(grid[0], x) for axis, (x,) in cut.items()}
        place |= {name: np.zeros_like(grid[0]) for name in numbers} | dict(zip(pair, grid, strict=True))
        found = predicted(surface, place)
        rows += [who | {"value_x": x, "value_y": y} | row for x, y, row in zip(*levels, found, strict=True)]
    return rows
