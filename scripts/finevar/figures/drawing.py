"""What all figures share: palette, type, axes in natural units, and the files that a figure becomes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from altair.utils import schemapi

from finevar.files import read_json, write_bytes
from finevar.study.coding import Coding
from finevar.words.formatting import axis_title, factor_label
from finevar.words.wording import VERDICTS

WIDTH = 860  # pixels for the panels of a figure
FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
INK, QUIET, FAINT, GRID = "#1b1f24", "#57606a", "#d8dee4", "#eef1f4"
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#7a7f87"  # Okabe and Ito's first two: safe for colour-blind eyes
HUES = [VERMILION, "#009e73", "#cc79a7", "#56b4e9", "#8c6d1f", BLUE]  # of data sets
VERDICT_COLOURS = [BLUE, VERMILION, GREY, INK]
VERDICT_SHAPES = ["circle", "triangle-up", "square", "diamond"]
MOST_COLUMNS = 3
TINY = "format(datum.value, '.3~e')"
PLAIN = "format(datum.value, ',.6~r')"
GRADIENT = re.compile(r"\bgradient_(\d+)\b")  # Vega's names of colour scales
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


def level_tip(field: str, name: str, coding: Coding) -> alt.Tooltip:
    """Return a tooltip line with a factor's value, as a power of ten where its levels are tiny."""
    tiny = 0 < min(map(abs, coding.levels)) < 0.001
    return alt.Tooltip(f"{field}:Q", title=factor_label(name), format=".3~e" if tiny else ",.4~r")


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


def lean(rows: pd.DataFrame) -> pd.DataFrame:
    """Round numbers to five digits, more than any figure can show, so that a file stays small."""
    floats = rows.select_dtypes("float").columns
    rounded = {name: [value if pd.isna(value) else float(f"{value:.5g}") for value in rows[name]] for name in floats}
    return rows.assign(**rounded).reset_index(drop=True)


def stacked(panels: Sequence[alt.Chart], columns: int) -> alt.VConcatChart:
    """Set panels in rows of some columns."""
    rows = [alt.hconcat(*panels[start : start + columns], spacing=16) for start in range(0, len(panels), columns)]
    return alt.vconcat(*rows, spacing=20)


def by_response(rows: pd.DataFrame, panel: Callable[..., alt.TopLevelMixin]) -> alt.TopLevelMixin:
    """Draw a panel for each response: panel(its rows, how many stand in a row of them, whether it begins one)."""
    parts = [part for _, part in rows.groupby("response", sort=False)]
    columns = min(len(parts), MOST_COLUMNS)
    panels = [panel(part, columns, number % columns == 0) for number, part in enumerate(parts)]
    return styled(stacked(panels, columns))


def zero_rule(channel: str, **encoded: Any) -> alt.Chart:
    """Draw a broken line at zero across a channel."""
    at = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=QUIET, strokeDash=[3, 3])
    return at.encode({"x": alt.X, "y": alt.Y}[channel]("zero:Q", **encoded))


def by_verdict(verdicts: pd.Series) -> tuple[alt.Color, alt.Shape]:
    """Return the colour and the shape of marks with a verdict; "none" is among the verdicts where some have none."""
    domain = [*VERDICTS] + ["none"] * bool((verdicts == "none").any())
    colours, shapes = (
        alt.Scale(domain=domain, range=values[: len(domain)]) for values in (VERDICT_COLOURS, VERDICT_SHAPES)
    )
    legend = alt.Legend(title="verdict")
    return alt.Color("verdict:N", scale=colours, legend=legend), alt.Shape("verdict:N", scale=shapes)


def by_dataset(names: Sequence[str], alone: str, **legend: Any) -> Any:
    """Return the colour of data sets; alone: that of a single one."""
    if len(names) < 2:
        return alt.value(alone)
    hues = list(itertools.islice(itertools.cycle(HUES), len(names)))
    scale = alt.Scale(domain=list(names), range=hues)
    return alt.Color("dataset:N", scale=scale, legend=alt.Legend(title="data set", **legend))


def note_chart(text: str) -> alt.Chart:
    """Draw a sentence where there is nothing to plot."""
    note = alt.Chart(alt.Data(values=[{"text": text}])).mark_text(fontSize=13, color=QUIET).encode(text="text:N")
    return styled(note.properties(width=WIDTH, height=60))


STYLE = {
    "font": FONT,
    "background": "white",
    "padding": 8,
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET, "titleColor": INK, "domainColor": FAINT, "tickColor": FAINT, "gridColor": GRID,
        "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 8,
    },
    "legend": {
        "orient": "top", "titleOrient": "left", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal",
        "labelColor": INK, "titleColor": INK,
    },
    "title": {"fontSize": 13, "fontWeight": 600, "anchor": "start", "color": INK, "offset": 8},
}  # fmt: skip


def styled(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """Give a figure the report's type, ink and spacing, in place: each of Altair's own methods copies all of it."""
    chart.config = alt.Config(**STYLE)
    return chart


@dataclass(frozen=True)
class Drawing:
    """A figure: its Vega-Lite specification, and what Vega draws of it."""

    spec: Mapping[str, Any]
    svg: str

    def png(self, scale: float) -> bytes:
        """Return it as an image of so many pixels a point."""
        return vl_convert.svg_to_png(self.svg, scale=scale)

    def pdf(self) -> bytes:
        """Return it as PDF."""
        return vl_convert.svg_to_pdf(self.svg)


def unchecked() -> AbstractContextManager[None]:
    """Let Altair make charts without checking each part against Vega-Lite's schema, as often as it is copied.

    It is half of the time that a figure takes; the tests check what comes out.
    """
    return schemapi.debug_mode(False)


def draw(chart: alt.TopLevelMixin) -> Drawing:
    """Draw a figure: once, since each start of Vega takes far longer than to turn its SVG into another format."""
    spec = specification(chart)
    svg = vl_convert.vegalite_to_svg(spec, vl_version=vega_lite_version())
    numbers = sorted(set(map(int, GRADIENT.findall(svg))))  # counted on from one figure of a process to the next
    return Drawing(spec, GRADIENT.sub(lambda found: f"gradient_{numbers.index(int(found[1]))}", svg))


def write_drawing(drawing: Drawing, *, svg: str | Path, png: str | Path, json: str | Path) -> None:
    """Write a figure as SVG, as PNG at twice its size, and as the specification that the report embeds."""
    write_bytes(drawing.svg.encode(), svg)
    write_bytes(drawing.png(2), png)
    write_bytes(dump(drawing.spec).encode(), json)


def read_drawing(*, svg: str | Path, json: str | Path) -> Drawing:
    """Return a figure that was written."""
    return Drawing(read_json(json), Path(svg).read_text(encoding="utf-8"))


def program() -> str:
    """Return the program that draws figures in a browser: Vega, Vega-Lite and Vega-Embed in one."""
    return vl_convert.javascript_bundle(vl_version=vega_lite_version())


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return a figure's Vega-Lite specification, however many rows it holds."""
    with alt.data_transformers.enable("default", max_rows=None):
        return chart.to_dict(validate=False)


def vega_lite_version() -> str:
    """Return the version of Vega-Lite that the figures are written for, as major.minor."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def dump(spec: Mapping[str, Any]) -> str:
    """Return a specification as compact JSON."""
    return json.dumps(spec, separators=(",", ":"), sort_keys=True) + "\n"
