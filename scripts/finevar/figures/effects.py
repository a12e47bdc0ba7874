"""The study in one picture: what each factor did to each metric, against what counts as negligible."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from finevar.figures.charts import VERDICT_COLOURS, VERDICT_SHAPES
from finevar.figures.drawing import (
    FAINT,
    INK,
    QUIET,
    WIDTH,
    Picture,
    layered,
    lean,
    note_chart,
    number_tips,
    padded,
    stacked,
)
from finevar.words.formatting import factor_label, level, response_label
from finevar.words.wording import VERDICTS

LABELS = 150  # pixels for the factors' names


def effects_chart(effects: pd.DataFrame) -> Picture:
    """Draw the change of each metric over each factor's levels with its interval, a panel a metric.

    The grey band is what counts as negligible: the smallest effect of interest to either side of zero.
    """
    rows = effects.dropna(subset="change")
    if rows.empty:
        return note_chart("No effects: every response was stopped by a gate.")
    ends = [f"{level(low)} to {level(high)}" for low, high in zip(rows["from_level"], rows["to_level"], strict=True)]
    rows = rows.assign(label=rows["factor"].map(factor_label), levels=ends, verdict=rows["verdict"].fillna("none"))
    responses = list(dict.fromkeys(rows["response"]))
    columns = min(len(responses), 3)
    width = (WIDTH - LABELS) // columns - 24
    panels = [
        effects_panel(rows[rows["response"] == response], response, width, first=number % columns == 0)
        for number, response in enumerate(responses)
    ]
    return stacked(panels, columns)


def effects_panel(rows: pd.DataFrame, response: str, width: int, *, first: bool) -> Picture:
    """Draw one metric's effects, the verdict told by colour and by shape."""
    factors = list(dict.fromkeys(rows["label"]))
    kinds = [*VERDICTS] + ["none"] * bool((rows["verdict"] == "none").any())
    smallest = rows["smallest_effect"].iloc[0]
    reach = pd.Series([*rows["ci_low"], *rows["ci_high"], smallest, -smallest, 0.0])
    low, high = padded(reach.dropna())
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    title = f"change in {response_label(response)}"
    axis = alt.Axis(title=title, tickCount=4, grid=False, labelFlush=False)
    y_axis = alt.Axis(title=None, labels=first, ticks=False, domain=False, labelLimit=LABELS)
    y = alt.Y("label:N", sort=factors, scale=alt.Scale(domain=factors), axis=y_axis)
    colour = alt.Scale(domain=kinds, range=[*VERDICT_COLOURS, INK][: len(kinds)])
    shape = alt.Scale(domain=kinds, range=[*VERDICT_SHAPES, "diamond"][: len(kinds)])
    verdict = alt.Color("verdict:N", scale=colour, legend=alt.Legend(title="verdict"))
    tips = [alt.Tooltip("label:N", title="factor"), alt.Tooltip("levels:N")]
    tips += [*number_tips(change="change", ci_low="from", ci_high="to"), alt.Tooltip("verdict:N")]
    shown = rows[["label", "levels", "change", "ci_low", "ci_high", "verdict"]]
    base = alt.Chart(lean(shown))
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("ci_low:Q", scale=scale, axis=axis), x2=alt.X2("ci_high:Q"), y=y, color=verdict
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("change:Q", scale=scale, axis=axis), y=y, color=verdict, tooltip=tips,
        shape=alt.Shape("verdict:N", scale=shape),
    )  # fmt: skip
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=QUIET, strokeDash=[3, 3]).encode(
        x=alt.X("zero:Q", scale=scale, axis=axis)
    )  # fmt: skip
    layers = [zero, lines, points]
    if np.isfinite(smallest):
        ends = alt.Data(values=[{"low": -float(smallest), "high": float(smallest)}])
        band = alt.Chart(ends).mark_rect(color=FAINT, opacity=0.75)
        layers.insert(0, band.encode(x=alt.X("low:Q", scale=scale, axis=axis), x2=alt.X2("high:Q")))
    return layered(*layers, width=width, height=alt.Step(38), title=response_label(response))
