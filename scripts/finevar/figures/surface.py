"""Response surfaces as figures: planes through the recommended setting, under what was tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import contourpy
import numpy as np
import pandas as pd

from finevar.analyses.recommended import levels_of, recommended_point
from finevar.figures.axes import factor_axis, level_tip, number_tips, scale_type
from finevar.figures.drawing import Picture, layered, lean, note_chart, stacked
from finevar.figures.palette import ON_SCALE, QUIET, WIDTH
from finevar.figures.slices import Levels, Tables, in_slice, measured, middle, predictions
from finevar.metrics import LOWER_IS_BETTER
from finevar.study.coding import Category, Coding, Codings, as_level, categories_of, coded_of
from finevar.study.presence import numbers_for
from finevar.words.formatting import response_label, response_labels, settings_list

SIDE = 21  # grid values along an axis
STAR = "M0,-1L.24,-.32L.95,-.31L.38,.12L.59,.81L0,.4L-.59,.81L-.38,.12L-.95,-.31L-.24,-.32Z"
NAMED = {"recommended": ("#f0e442", STAR), "baseline": ("white", "diamond")}


def surface_chart(tables: Tables, response: str, factors: Codings, baseline: Mapping[str, Any]) -> Picture:
    """Draw one response's predicted surface over every pair of factors, the others as the recommended setting has them.

    tables: coefficients, covariances, metrics, recommendations. baseline: the baseline's own settings; drawn where they
    lie inside. Rings are measured means of the settings in a slice, on its colour scale; dots are other settings.
    """
    metrics = tables["metrics"]
    label = response_labels(metrics, [response])[response]
    recommended = levels_of(recommended_point(tables), metrics, factors)
    through = recommended or middle(factors)
    numbers = numbers_for(factors, through)
    if len(numbers) < 2 or response not in set(tables["coefficients"]["response"]):
        why = "a gate stopped this response"
        if len(numbers) < 2:
            why = f"{'one hyperparameter' if numbers else 'no hyperparameter'} with levels that are numbers"
            why = "one hyperparameter spans no plane" if len(factors) < 2 else f"{why} spans no plane"
        return note_chart(f"No surface of {label}: {why}.")
    settings, here = measured(metrics, response, factors), dict(factors) | numbers
    pairs = list(itertools.combinations(numbers, 2))
    planes = {pair: plane(tables, response, factors, through, pair) for pair in pairs}
    values = pd.concat([settings["mean"], *(grid["predicted"] for grid in planes.values())])
    domain = [float(values.min()), float(values.max())]
    known = {"recommended": recommended, "baseline": inside(baseline, factors)}
    columns = min(len(pairs), 3)
    size = min((WIDTH - 40) // columns - 52, 340)
    panels = []
    for pair, grid in planes.items():
        held = {name: value for name, value in through.items() if name not in pair}
        layers = [heat_map(grid, pair, here, label, response, domain), *contours(grid, pair, here, domain)]
        layers += rings(settings.assign(near=in_slice(settings, held, factors)), pair, response, here)
        layers += named({name: own for name, own in known.items() if None not in map(own.get, pair)}, pair)
        title = alt.TitleParams(settings_list(held), fontSize=12, fontWeight="normal", color=QUIET)
        panels.append(layered(*layers, width=size, height=min(size, 240), title=title))
    return stacked(panels, columns)


def plane(tables: Tables, response: str, factors: Codings, through: Levels, pair: tuple[str, str]) -> pd.DataFrame:
    """Return predictions over two factors on a grid, the others held: value_x, value_y, predicted, ci_low, ci_high."""
    grid = [axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2)]
    held = coded_of(factors, {name: [value] for name, value in through.items()})
    coded = {axis: np.full(SIDE**2, float(x[0])) for axis, x in held.items()} | dict(zip(pair, grid, strict=True))
    own = numbers_for(factors, through)
    values = {f"value_{axis}": own[name].natural(coded[name]) for axis, name in zip("xy", pair, strict=True)}
    return pd.DataFrame(values).join(predictions(tables, response, factors, coded))


def inside(baseline: Mapping[str, Any], factors: Codings) -> dict[str, Any]:
    """Return the baseline's levels where they lie within those tried, else nothing."""
    levels = {name: baseline.get(name) for name in factors}
    there = categories_of(factors) | numbers_for(factors, levels)
    within = (levels[name] is not None and is_within(coding, levels[name]) for name, coding in there.items())
    return {name: as_level(value) for name, value in levels.items()} if all(within) else {}


def is_within(coding: Coding | Category, value: Any) -> bool:
    """Say whether a level is among those tried or, of numbers, between them."""
    if isinstance(coding, Category):
        return value in coding.levels
    return min(coding.levels) <= value <= max(coding.levels)


def is_between(coding: Coding, values: pd.Series) -> pd.Series:
    """Say which levels lie within the range of a number's: those of other levels of a category may lie beyond."""
    return values.between(min(coding.levels) * (1 - 1e-9), max(coding.levels) * (1 + 1e-9))


def colour_scale(response: str, domain: Sequence[float]) -> alt.Scale:
    """Return the one colour scale of a response, on which yellow is better."""
    return alt.Scale(scheme="viridis", reverse=response in LOWER_IS_BETTER, domain=list(domain), nice=False)


def heat_map(
    grid: pd.DataFrame, pair: tuple[str, str], factors: Codings, label: str, response: str, domain: Sequence[float]
) -> alt.Chart:
    """Draw one plane as filled cells whose edges lie half-way between grid values on each factor's own scale."""
    x, y = pair
    cells = grid.dropna(subset="predicted").copy()
    for axis, factor in (("x", x), ("y", y)):
        edges = cell_edges(grid[f"value_{axis}"].unique(), factors[factor])
        cells[f"{axis}_low"], cells[f"{axis}_high"] = (cells[f"value_{axis}"].map(side) for side in edges)
    legend = alt.Legend(title=label, gradientLength=220, tickCount=5)
    tips = [level_tip("value_x", x, factors[x]), level_tip("value_y", y, factors[y])]
    tips += number_tips(predicted=f"predicted {label}", ci_low="from", ci_high="to")
    # Drawn in this order, each cell covers its neighbour's overlap, which closes the hairlines of anti-aliasing.
    cells = cells.sort_values(["value_y", "value_x"])
    return (
        alt.Chart(lean(cells))
        .mark_rect(aria=False)
        .encode(
            x=alt.X("x_low:Q", scale=plane_scale(factors[x]), axis=factor_axis(x, factors[x])),
            x2=alt.X2("x_high:Q"),
            y=alt.Y("y_low:Q", scale=plane_scale(factors[y]), axis=factor_axis(y, factors[y])),
            y2=alt.Y2("y_high:Q"),
            color=alt.Color("predicted:Q", scale=colour_scale(response, domain), legend=legend),
            tooltip=tips,
        )
    )


def plane_scale(coding: Coding) -> alt.Scale:
    """Return the scale of one axis of a plane, over the factor's range."""
    domain = [float(min(coding.levels)), float(max(coding.levels))]
    return alt.Scale(type=scale_type(coding), domain=domain, nice=False, zero=False)


def cell_edges(values: Sequence[float], coding: Coding) -> tuple[dict[float, float], dict[float, float]]:
    """Return the lower and upper edge of each grid value: half-way to the next, a little beyond on the upper side.

    The outer cells end at the grid.
    """
    values = np.sort(np.asarray(values, dtype=float))
    there, back = (np.log, np.exp) if coding.logarithmic else (np.asarray, np.asarray)
    places = there(values)
    low = back(np.concatenate([places[:1], (places[:-1] + places[1:]) / 2]))
    high = back(np.concatenate([places[:-1] + 0.65 * np.diff(places), places[-1:]]))
    return dict(zip(values, low, strict=True)), dict(zip(values, high, strict=True))


def contours(grid: pd.DataFrame, pair: tuple[str, str], factors: Codings, domain: Sequence[float]) -> list[alt.Chart]:
    """Draw lines of equal prediction, each labelled once; none on a grid too coarse to show their course."""
    table = grid.pivot(index="value_y", columns="value_x", values="predicted")
    if min(table.shape) < 8 or table.isna().any(axis=None) or domain[0] == domain[1]:
        return []
    scales = [scale_type(factors[name]) for name in pair]
    heights = round_steps(*domain)
    lines = contour_lines(table, scales, heights)
    if lines.empty:
        return []
    places = label_places(lines, heights)
    at = {"x": alt.X("x:Q"), "y": alt.Y("y:Q")}
    drawn = (
        alt.Chart(lean(lines[["x", "y", "line"]].assign(step=range(len(lines)))))
        .mark_line(color="white", strokeWidth=0.9, opacity=0.75, aria=False)
        .encode(**at, detail=alt.Detail("line:N"), order=alt.Order("step:Q"))
    )
    numbers = alt.Chart(lean(places)).encode(**at, text=alt.Text("text:N"))
    halo = numbers.mark_text(fontSize=12, stroke="white", strokeWidth=2.5, strokeJoin="round", opacity=0.85, aria=False)
    return [drawn, halo, numbers.mark_text(fontSize=12, color=ON_SCALE, aria=False)]


def contour_lines(table: pd.DataFrame, scales: Sequence[str], heights: Sequence[float]) -> pd.DataFrame:
    """Return the points of lines of equal height, in order along each line; columns x, y, line (its number), height.

    table: heights [y, x]. Interpolates on the axes' own scales.
    """
    xs, ys = (
        np.log(axis) if scale == "log" else np.asarray(axis, dtype=float)
        for axis, scale in zip((table.columns, table.index), scales, strict=True)
    )
    generator = contourpy.contour_generator(xs, ys, table.to_numpy())
    found = [(height, line) for height in heights for line in generator.lines(height)]
    lines = pd.DataFrame(
        [(*point, number, height) for number, (height, line) in enumerate(found) for point in line],
        columns=["x", "y", "line", "height"],
    )
    for axis, scale in zip("xy", scales, strict=True):
        if scale == "log":
            lines[axis] = np.exp(lines[axis])
    return lines


def label_places(lines: pd.DataFrame, heights: Sequence[float]) -> pd.DataFrame:
    """Return where each height carries its number: two fifths along its longest line, clear of the design's centre."""
    decimals = max(-math.floor(math.log10(min(np.diff(heights), default=heights[0]) * 1.000001)), 0)
    rows = []
    for height, points in lines.groupby("height"):
        longest = max((line for _, line in points.groupby("line")), key=len)
        at = longest.iloc[2 * len(longest) // 5]
        if len(longest) > 8:  # a shorter line is a corner, with no room for a number
            rows.append({"x": at["x"], "y": at["y"], "text": f"{height:.{decimals}f}"})
    return pd.DataFrame(rows, columns=["x", "y", "text"])


def round_steps(low: float, high: float, count: int = 7) -> list[float]:
    """Return about count round numbers strictly between low and high."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step) + 1, math.ceil(high / step)
    return [round(step * k, 12) for k in range(first, last)]


def rings(settings: pd.DataFrame, pair: tuple[str, str], response: str, factors: Codings) -> list[alt.Chart]:
    """Draw the measured means in the slice as rings filled on its colour scale, other settings as dots."""
    x, y = pair
    at = {"x": alt.X(f"{x}:Q"), "y": alt.Y(f"{y}:Q")}
    kept = settings[[x, y, "mean", "runs", "near"]].dropna(subset=[x, y])
    kept = kept[kept["near"] | np.logical_and(*(is_between(factors[name], kept[name]) for name in pair))]
    apart = kept[~kept["near"]].drop_duplicates([x, y])
    dots = alt.Chart(lean(apart[[x, y]])).mark_point(size=16, color="white", strokeWidth=1.2, opacity=1, filled=False)
    tips = [level_tip(x, x, factors[x]), level_tip(y, y, factors[y]), alt.Tooltip("runs:Q")]
    tips += number_tips(mean=f"measured {response_label(response)}")
    circles = alt.Chart(lean(kept[kept["near"]])).mark_point(
        filled=True, size=150, stroke="white", strokeWidth=2, opacity=1
    )
    return [dots.encode(**at), circles.encode(**at, color=alt.Color("mean:Q"), tooltip=tips)]


def named(places: Mapping[str, Levels], pair: tuple[str, str]) -> list[alt.Chart]:
    """Draw the recommended setting as a star and the baseline's own as a diamond, each with its name beside it."""
    layers = []
    for name, levels in places.items():
        fill, shape = NAMED[name]
        row = {"x": levels[pair[0]], "y": levels[pair[1]], "name": name}
        base = alt.Chart(alt.Data(values=[row])).encode(x=alt.X("x:Q"), y=alt.Y("y:Q"))
        mark = base.mark_point(shape=shape, size=130, fill=fill, stroke=ON_SCALE, strokeWidth=1, opacity=1)
        beside = {"fontSize": 12, "dy": -14 if name == "recommended" else 15, "fontWeight": 600}
        words = base.encode(text=alt.Text("name:N"))
        halo = words.mark_text(**beside, stroke="white", strokeWidth=3, strokeJoin="round", aria=False)
        layers += [mark, halo, words.mark_text(**beside, color=ON_SCALE)]
    return layers
