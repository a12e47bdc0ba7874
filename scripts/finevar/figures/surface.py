"""Response surfaces as figures: a filled plane for each pair of factors, with contours and the design on top."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import contourpy
import numpy as np
import pandas as pd

from finevar.figures.axes import factor_axis, level_tip, number_tips, scale_type
from finevar.figures.drawing import Picture, layered, lean, note_chart, stacked
from finevar.figures.palette import INK, QUIET, VERMILION, WIDTH
from finevar.metrics import LOWER_IS_BETTER
from finevar.study.coding import Coding, Codings
from finevar.words.formatting import held_label, response_label, response_labels


def surface_chart(
    surface: pd.DataFrame, metrics: pd.DataFrame, response: str, factors: Codings, baseline: Mapping[str, Any]
) -> Picture:
    """Draw one response's predicted surface over every pair of factors, design points and baseline on top.

    surface: predictions on a grid for each pair. baseline: the baseline's own settings; drawn where they lie inside.
    """
    rows = surface[surface["response"] == response]
    label = response_labels(metrics, [response])[response]
    if rows.empty:
        why = "one factor spans no plane" if len(factors) < 2 else "a gate stopped this response"
        return note_chart(f"No surface of {label}: {why}.")
    runs = metrics[metrics["status"] == "ok"]
    pairs = list(rows[["factor_x", "factor_y"]].drop_duplicates().itertuples(index=False, name=None))
    columns = min(len(pairs), 3)
    domain = [float(rows["predicted"].min()), float(rows["predicted"].max())]
    size = min((WIDTH - 40) // columns - 52, 340)
    panels = []
    for x, y in pairs:
        grid = rows[(rows["factor_x"] == x) & (rows["factor_y"] == y)]
        layers = [heat_map(grid, factors, label, response, domain), *contours(grid, factors, domain)]
        layers.append(marks(runs, x, y, response, factors, baseline))
        held = next((text for text in grid["held"] if text and not pd.isna(text)), None)
        title = alt.TitleParams(held_label(held) if held else "", fontSize=11, fontWeight="normal", color=QUIET)
        panels.append(layered(*layers, width=size, height=min(size, 240), title=title))
    return stacked(panels, columns)


def heat_map(grid: pd.DataFrame, factors: Codings, label: str, response: str, domain: Sequence[float]) -> alt.Chart:
    """Draw one plane as filled cells whose edges lie half-way between grid values on each factor's own scale."""
    x, y = grid["factor_x"].iloc[0], grid["factor_y"].iloc[0]
    cells = grid[["value_x", "value_y", "predicted", "ci_low", "ci_high"]].copy()
    for axis, factor in (("x", x), ("y", y)):
        edges = cell_edges(grid[f"value_{axis}"].unique(), factors[factor])
        cells[f"{axis}_low"], cells[f"{axis}_high"] = (cells[f"value_{axis}"].map(side) for side in edges)
    colour = alt.Scale(scheme="viridis", reverse=response in LOWER_IS_BETTER, domain=list(domain), nice=False)
    legend = alt.Legend(title=f"predicted {label}", gradientLength=220, tickCount=5)
    tips = [level_tip("value_x", x, factors[x]), level_tip("value_y", y, factors[y])]
    tips += number_tips(predicted=f"predicted {label}", ci_low="from", ci_high="to")
    # Drawn in this order, each cell covers its neighbour's overlap, which closes the hairlines of anti-aliasing.
    cells = cells.sort_values(["value_y", "value_x"])
    return (
        alt.Chart(lean(cells))
        .mark_rect(aria=False)
        .encode(
            x=alt.X("x_low:Q", scale=plane_scale(cells, "x", factors[x]), axis=factor_axis(x, factors[x])),
            x2=alt.X2("x_high:Q"),
            y=alt.Y("y_low:Q", scale=plane_scale(cells, "y", factors[y]), axis=factor_axis(y, factors[y])),
            y2=alt.Y2("y_high:Q"),
            color=alt.Color("predicted:Q", scale=colour, legend=legend),
            tooltip=tips,
        )
    )


def plane_scale(cells: pd.DataFrame, axis: str, coding: Coding) -> alt.Scale:
    """Return the scale of one axis of a plane, from edge to edge of its cells."""
    domain = [float(cells[f"{axis}_low"].min()), float(cells[f"{axis}_high"].max())]
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


def contours(grid: pd.DataFrame, factors: Codings, domain: Sequence[float]) -> list[alt.Chart]:
    """Draw lines of equal prediction, each labelled once; none on a grid too coarse to show their course."""
    table = grid.pivot(index="value_y", columns="value_x", values="predicted")
    if min(table.shape) < 8 or table.isna().any(axis=None) or domain[0] == domain[1]:
        return []
    scales = [scale_type(factors[grid[f"factor_{axis}"].iloc[0]]) for axis in "xy"]
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
    named = alt.Chart(lean(places)).encode(**at, text=alt.Text("text:N"))
    halo = named.mark_text(fontSize=9, stroke="white", strokeWidth=2.5, strokeJoin="round", opacity=0.85, aria=False)
    return [drawn, halo, named.mark_text(fontSize=9, color=INK, aria=False)]


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


def marks(
    runs: pd.DataFrame, x: str, y: str, response: str, factors: Codings, baseline: Mapping[str, Any]
) -> alt.Chart:
    """Draw the design's points and, where it lies inside them, the baseline."""
    observed = runs.groupby([x, y], as_index=False).agg(runs=("run_id", "size"), mean=(response, "mean"))
    points = observed.assign(kind="design point")
    inside = all(runs[name].min() <= (baseline.get(name) or math.inf) <= runs[name].max() for name in (x, y))
    if inside:
        points = pd.concat([points, pd.DataFrame([{x: baseline[x], y: baseline[y], "kind": "baseline"}])])
    kinds = ["design point", "baseline"]
    tips = [alt.Tooltip("kind:N"), level_tip(x, x, factors[x]), level_tip(y, y, factors[y])]
    seen = f"mean {response_label(response)} observed"
    tips += [alt.Tooltip("runs:Q"), alt.Tooltip("mean:Q", title=seen, format=".4~f")]
    is_baseline = "datum.kind == 'baseline'"
    legend = alt.Legend(title=None, symbolSize=70, symbolStrokeWidth=2)
    shapes, strokes = (alt.Scale(domain=kinds, range=values) for values in (["circle", "diamond"], [INK, VERMILION]))
    drawn = alt.Chart(lean(points)).mark_point(opacity=1, strokeWidth=1)
    return drawn.encode(
        x=alt.X(f"{x}:Q"),
        y=alt.Y(f"{y}:Q"),
        shape=alt.Shape("kind:N", scale=shapes, legend=legend),
        stroke=alt.Stroke("kind:N", scale=strokes, legend=legend),
        fill=alt.FillValue("white", condition={"test": is_baseline, "value": VERMILION}),
        size=alt.SizeValue(34, condition={"test": is_baseline, "value": 110}),
        tooltip=tips,
    )
