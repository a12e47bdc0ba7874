"""Scales, axes, tooltips and legends that figures share, in natural units."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from finevar.figures.palette import HUES, VERDICT_COLOURS, VERDICT_SHAPES
from finevar.study.coding import Category, Coding, factor_of, level_of
from finevar.words.effects import VERDICTS
from finevar.words.formatting import axis_title, factor_label

TINY = "format(datum.value, '.3~e')"
PLAIN = "format(datum.value, ',.6~r')"
MOST_LETTERS = 22  # of names that stand side by side along an axis
TWO_LINES = "split(datum.value, '|')"
READABLE = f"abs(datum.value) > 0 && abs(datum.value) < 0.001 ? {TINY} : {PLAIN}"


def scale_type(coding: Coding) -> str:
    """Return the axis type that fits a factor's coding."""
    return "log" if coding.logarithmic else "linear"


def factor_scale(coding: Coding, values: Sequence[float]) -> alt.Scale:
    """Return a factor's scale with a little room at both ends."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    if coding.logarithmic:
        room = (high / low) ** 0.08
        return alt.Scale(type="log", domain=[low / room, high * room], nice=False)
    room = 0.08 * (high - low)
    return alt.Scale(domain=[low - room, high + room], nice=False, zero=False)


def factor_axis(name: str, coding: Coding) -> alt.Axis:
    """Return a factor's axis with ticks at its levels."""
    levels = sorted(map(float, coding.levels))
    title = axis_title(name, levels)
    return alt.Axis(title=title, values=levels, labelExpr=READABLE, labelOverlap="greedy", grid=False, labelFlush=False)


def factor_x(name: str, coding: Coding | Category, values: Sequence[Any]) -> dict[str, Any]:
    """Return the scale and the axis along a factor, of names one place a level in the config's order."""
    if isinstance(coding, Category):
        levels = list(coding.levels)
        angle = 0 if len("".join(levels)) <= MOST_LETTERS else -35
        axis = alt.Axis(title=factor_label(name), labelAngle=angle, grid=False)
        return {"sort": levels, "scale": alt.Scale(domain=levels), "axis": axis}
    return {"scale": factor_scale(coding, values), "axis": factor_axis(name, coding)}


def level_tip(field: str, name: str, coding: Coding | Category) -> alt.Tooltip:
    """Return a tooltip line with a factor's value, as a power of ten where its levels are tiny."""
    if isinstance(coding, Category):
        return alt.Tooltip(f"{field}:N", title=factor_label(name))
    tiny = 0 < min(map(abs, coding.levels)) < 0.001
    return alt.Tooltip(f"{field}:Q", title=factor_label(name), format=".3~e" if tiny else ",.4~r")


def change_label(name: str) -> str:
    """Return a factor's name; of a change between levels that are names the levels on a line of their own."""
    end, _, start = level_of(name).partition("-")
    return f"{factor_label(factor_of(name))}|{start} \N{RIGHTWARDS ARROW} {end}" if start else factor_label(name)


def in_lines(labels: Iterable[str]) -> dict[str, Any]:
    """Return the axis options for labels of which some have two lines; none where none has."""
    return {"labelExpr": TWO_LINES} if any("|" in label for label in labels) else {}


def number_tips(**titles: str) -> list[alt.Tooltip]:
    """Return tooltip lines for numbers, by column, each under its title."""
    return [alt.Tooltip(f"{column}:Q", title=title, format=".4~f") for column, title in titles.items()]


def padded(values: pd.Series) -> tuple[float, float]:
    """Return the range of finite values with a twentieth of room at both ends.

    Values that differ by rounding alone are one: an axis of that range has ticks beyond number.
    """
    finite = values[np.isfinite(values.astype(float))].astype(float)
    low, high = float(finite.min()), float(finite.max())
    room = 0.01 if np.isclose(low, high, rtol=1e-9, atol=1e-12) else 0.05 * (high - low)
    return low - room, high + room


def by_verdict(verdicts: pd.Series) -> tuple[alt.Color, alt.Shape]:
    """Return the colour and the shape of marks with a verdict; "none" is among the verdicts where some have none."""
    domain = [*VERDICTS] + ["none"] * bool((verdicts == "none").any())
    colours, shapes = (
        alt.Scale(domain=domain, range=values[: len(domain)]) for values in (VERDICT_COLOURS, VERDICT_SHAPES)
    )
    words = f"{json.dumps(VERDICTS)}[datum.label] || datum.label"
    legend = alt.Legend(title="verdict", labelExpr=words)
    return alt.Color("verdict:N", scale=colours, legend=legend), alt.Shape("verdict:N", scale=shapes)


def by_dataset(names: Sequence[str], alone: str, **legend: Any) -> alt.Color | alt.ColorValue:
    """Return the colour of data sets; alone: that of a single one."""
    if len(names) < 2:
        return alt.ColorValue(alone)
    hues = list(itertools.islice(itertools.cycle(HUES), len(names)))
    scale = alt.Scale(domain=list(names), range=hues)
    return alt.Color("dataset:N", scale=scale, legend=alt.Legend(title="data set", **legend))
