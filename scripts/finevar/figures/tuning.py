"""The figure of tuning curves: how good the best of some runs is expected to be, and its setting at a fresh seed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import altair as alt
import pandas as pd

from finevar.analyses.tuning import enough_draws, smallest_effects
from finevar.figures.axes import by_dataset, number_tips, padded
from finevar.figures.drawing import Picture, by_response, layered, lean, note_chart
from finevar.figures.palette import BLUE, INK, WIDTH
from finevar.words.formatting import response_label, response_unit
from finevar.words.numbers import percent

KINDS = {"expected": "best run", "expected_again": "its setting at another seed"}
TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
ALTERNATIVE = (
    "One panel a metric: the expected metric of the best run over the number of runs drawn at random, with its band; "
    "dashed below it, what the setting of that best run is expected to give at another seed."
)


def caption(tuning_curves: pd.DataFrame, confidence: float) -> str:
    """Return the figure's caption: what is drawn, from how many runs, and what the band is."""
    sizes = tuning_curves.drop_duplicates("dataset").dropna(subset="runs")
    found = ", ".join(
        f"{row.runs:.0f} runs of {row.settings:.0f} settings on {row.dataset}" for row in sizes.itertuples()
    )
    return (
        f"Best of some runs, drawn at random with replacement from those of this grid ({found or 'none'}). Solid: the "
        f"expected metric of the best run, with the {percent(confidence)} band that holds at all numbers of runs at "
        "once. It treats runs as independent, so it leaves out what all runs of a seed share; a run beyond the "
        "best or worst seen counts as that one. Dashed: what the setting of the best run gives at its "
        "other seeds, so the gap is the luck of the seed. Ring: from here on within the smallest effect of interest of "
        "the end of the curve."
    )


def tuning_chart(tuning_curves: pd.DataFrame, fits: pd.DataFrame) -> Picture:
    """Draw a panel a response, a colour a data set."""
    rows = tuning_curves.dropna(subset="expected")
    if rows.empty:
        return note_chart("No tuning curves: no response has two finished runs.")
    hue = by_dataset(list(dict.fromkeys(rows["dataset"])), BLUE, symbolOpacity=1)
    return by_response(rows, partial(curve_panel, smallest_effects(fits), hue))


def curve_panel(smallest: Mapping[str, float], hue: Any, rows: pd.DataFrame, columns: int, first: bool) -> Picture:
    """Draw one response: bands, both curves, and where more runs no longer matter."""
    response = rows["response"].iloc[0]
    shown = pd.concat([rows["ci_low"], rows["ci_high"], rows["expected"], rows["expected_again"]])
    ends = [1, int(rows["draws"].max())]
    x_axis = alt.Axis(
        title="runs drawn", values=[tick for tick in TICKS if tick <= ends[1]], grid=False, format="d", labelFlush=False
    )
    x = alt.X("draws:Q", scale=alt.Scale(type="log", domain=ends, nice=False), axis=x_axis)
    y = {
        "scale": alt.Scale(domain=list(padded(shown.dropna())), zero=False, nice=False),
        "axis": alt.Axis(title=response_label(response) + response_unit(response), tickCount=5),
    }
    band = alt.Chart(lean(rows[["dataset", "draws", "ci_low", "ci_high"]])).mark_area(opacity=0.16)
    layers = [band.encode(x=x, y=alt.Y("ci_low:Q", **y), y2=alt.Y2("ci_high:Q"), color=hue), lines(rows, x, y, hue)]
    marks = [enough_draws(curve, smallest.get(response)) for _, curve in rows.groupby("dataset", sort=False)]
    if marks := [mark[["dataset", "draws", "expected"]] for mark in marks if mark is not None]:
        rings = alt.Chart(lean(pd.DataFrame(marks).astype({"draws": int, "expected": float})))
        ring = rings.mark_point(size=90, strokeWidth=2, stroke=INK, filled=False)
        layers.append(ring.encode(x=x, y=alt.Y("expected:Q", **y)))
    return layered(*layers, width=WIDTH // columns - 75, height=200, title=response_label(response))


def lines(rows: pd.DataFrame, x: alt.X, y: dict[str, Any], hue: Any) -> alt.Chart:
    """Draw the expected best run, and its setting at a fresh seed, dashed."""
    long = rows.melt(["dataset", "draws"], list(KINDS), "kind", "value").dropna(subset="value")
    kinds = [words for kind, words in KINDS.items() if kind in set(long["kind"])]
    long["kind"] = long["kind"].map(KINDS)
    dash = alt.StrokeDash(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[[1, 0], [5, 4]][: len(kinds)]),
        legend=alt.Legend(title=None, symbolStrokeColor=INK, symbolStrokeWidth=2, symbolSize=400, labelLimit=260),
    )
    tips = [alt.Tooltip("dataset:N"), alt.Tooltip("draws:Q", title="runs drawn"), alt.Tooltip("kind:N")]
    tips += number_tips(value="expected")
    drawn = alt.Chart(lean(long)).mark_line(strokeWidth=2.2)
    return drawn.encode(x=x, y=alt.Y("value:Q", **y), color=hue, strokeDash=dash, tooltip=tips)
