"""What all figures share: palette, type, axes in natural units, and the files that a figure becomes."""

from __future__ import annotations

import re
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
from finevar.files import read_json, write_bytes

GRADIENT = re.compile(r"\bgradient_(\d+)\b")  # Vega's names of colour scales


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


def note_chart(text: str) -> alt.Chart:
    """Draw a sentence where there is nothing to plot."""
    note = alt.Chart(alt.Data(values=[{"text": text}])).mark_text(fontSize=13, color=QUIET).encode(text="text:N")
    return styled(note.properties(width=WIDTH, height=60))


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
    spec = dumps(drawing.spec, separators=(",", ":"), sort_keys=True)
    write_bytes(drawing.svg.encode(), svg)
    write_bytes(drawing.png(2), png)
    write_bytes(f"{spec}\n".encode(), json)


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
