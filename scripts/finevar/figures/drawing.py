"""What all figures share: their rows, how panels are joined, and the files that a figure becomes.

Channels are given as Altair's classes, alt.X2("high:Q"): for a bare string it first searches all that it has.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from altair.utils import schemapi

from finevar.figures.palette import MOST_COLUMNS, QUIET, STYLE, WIDTH
from finevar.figures.vega import draw_svg, vega_lite_version
from finevar.files import read_json, write_bytes

LINE = 100  # letters of a figure's title
GRADIENT = re.compile(r"\bgradient_(\d+)\b")  # Vega's names of colour scales
# A chart of Altair's, or several in Vega-Lite's own form: Altair copies all parts each time that it joins some.
Picture = alt.TopLevelMixin | dict[str, Any]


def lean(rows: pd.DataFrame) -> dict[str, Any]:
    """Return rows as a chart's data, numbers of five digits, more than any figure can show, so that a file stays small.

    As plain values, which Altair takes as they are; a table's columns it would look at and convert, chart by chart.
    """
    columns = [list(map(lean_value, rows[name].tolist())) for name in rows]
    return {"values": [dict(zip(rows, row, strict=True)) for row in zip(*columns, strict=True)]}


def lean_value(value: Any) -> Any:
    """Return one value as a figure holds it; what is missing or infinite is None."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return None if value is pd.NA else value


def layered(*layers: alt.Chart, **properties: Any) -> Picture:
    """Lay charts over each other."""
    return {"layer": layers, **properties}


def beside(panels: Sequence[Picture], spacing: int, **properties: Any) -> Picture:
    """Set panels in a row, so many pixels apart."""
    return {"hconcat": panels, "spacing": spacing, **properties}


def stacked(panels: Sequence[Picture], columns: int, across: int = 16, down: int = 20, **properties: Any) -> Picture:
    """Set panels in rows of some columns, so many pixels apart; the properties are of each row and of the whole."""
    rows = [beside(panels[at : at + columns], across, **properties) for at in range(0, len(panels), columns)]
    return {"vconcat": rows, "spacing": down, **properties}


def by_response(rows: pd.DataFrame, panel: Callable[..., Picture]) -> Picture:
    """Draw a panel for each response: panel(its rows, how many stand in a row of them, whether it begins one)."""
    parts = [part for _, part in rows.groupby("response", sort=False)]
    columns = min(len(parts), MOST_COLUMNS)
    panels = [panel(part, columns, number % columns == 0) for number, part in enumerate(parts)]
    return stacked(panels, columns)


def zero_rule(channel: str, **encoded: Any) -> alt.Chart:
    """Draw a broken line at zero across a channel."""
    at = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=QUIET, strokeDash=[3, 3])
    return at.encode({"x": alt.X, "y": alt.Y}[channel]("zero:Q", **encoded))


def note_chart(text: str) -> Picture:
    """Draw a sentence where there is nothing to plot."""
    note = alt.Chart(alt.Data(values=[{"text": text}])).mark_text(fontSize=13, color=QUIET)
    return note.encode(text=alt.Text("text:N")).properties(width=WIDTH, height=60)


def titled(picture: Picture, finding: str) -> Picture:
    """Set what a figure shows, in words, above it; nothing where there is nothing to say."""
    if not finding:
        return picture
    title = {"text": textwrap.wrap(finding, LINE), "fontSize": 15, "anchor": "start", "offset": 14}
    return {**picture, "title": title} if isinstance(picture, dict) else picture.properties(title=title)


@dataclass(frozen=True)
class Drawing:
    """A figure: its Vega-Lite specification, and what Vega draws of it."""

    spec: Mapping[str, Any]
    svg: str

    @property
    def title(self) -> str:
        """Return what it shows, in words; "" where it says nothing."""
        return " ".join(self.spec.get("title", {}).get("text", []))

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


def draw(picture: Picture) -> Drawing:
    """Draw a figure: once, since Vega takes far longer than to turn its SVG into another format."""
    spec = specification(picture)
    svg = draw_svg(spec)
    numbers = sorted(set(map(int, GRADIENT.findall(svg))))  # counted on from one figure of a process to the next
    return Drawing(spec, GRADIENT.sub(lambda found: f"gradient_{numbers.index(int(found[1]))}", svg))


def write_drawing(drawing: Drawing, *, svg: str | Path, json: str | Path) -> None:
    """Write a figure as SVG and as the specification that the report embeds."""
    spec = dumps(drawing.spec, separators=(",", ":"), sort_keys=True)
    write_bytes(drawing.svg.encode(), svg)
    write_bytes(f"{spec}\n".encode(), json)


def read_drawing(*, svg: str | Path, json: str | Path) -> Drawing:
    """Return a figure that was written."""
    return Drawing(read_json(json), Path(svg).read_text(encoding="utf-8"))


def program() -> str:
    """Return the program that draws figures in a browser: Vega, Vega-Lite and Vega-Embed in one."""
    return vl_convert.javascript_bundle(vl_version=vega_lite_version())


def specification(picture: Picture) -> dict[str, Any]:
    """Return a figure's Vega-Lite specification, in the report's type, ink and spacing."""
    datasets: dict[str, Any] = {}
    drawn = plain(picture, datasets)
    return {"$schema": alt.SCHEMA_URL, "config": STYLE, "datasets": datasets, **drawn}


def plain(part: Any, datasets: dict[str, Any]) -> Any:
    """Return a part of a picture as plain values; the rows of its charts are added to the data sets, by name."""
    if isinstance(part, alt.TopLevelMixin):
        return part.to_dict(validate=False, context={"datasets": datasets, "top_level": False})
    if isinstance(part, alt.SchemaBase):
        return part.to_dict(validate=False)
    if isinstance(part, Mapping):
        return {name: plain(value, datasets) for name, value in part.items()}
    return [plain(value, datasets) for value in part] if isinstance(part, list | tuple) else part
