"""The study in one picture: what each factor did to each metric, against what counts as negligible."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from finevar.figures.axes import by_verdict, change_label, in_lines, number_tips, padded
from finevar.figures.drawing import Picture, by_response, layered, lean, note_chart, zero_rule
from finevar.figures.palette import FAINT, WIDTH
from finevar.words.effects import effect_label, is_named, range_words, separate
from finevar.words.formatting import factor_label, response_label
from finevar.words.numbers import Row

LABELS = 150  # pixels for the factors' names
WIDER = 30  # where names of levels stand below


def effects_chart(effects: pd.DataFrame) -> Picture:
    """Draw the change of each metric over each factor's levels with its interval, a panel a metric.

    The thin line is what the intervals at all settings span; the grey band is the smallest effect of interest to
    either side of zero.
    """
    rows = separate(effects.dropna(subset="change"))
    if rows.empty:
        return note_chart("No effects: every response was stopped by a gate.")
    ends = [row["unit"] if is_named(row) else range_words(row).removeprefix("from ") for row in rows.to_dict("records")]
    rows = rows.assign(
        label=list(map(row_label, rows.to_dict("records"))), levels=ends, verdict=rows["verdict"].fillna("none")
    )
    return by_response(rows, effects_panel)


def row_label(row: Row) -> str:
    """Return what a row is of, on two lines where it is a change between levels that are names."""
    return effect_label(row).replace(factor_label(row["factor"]), change_label(row["factor"]))


def effects_panel(rows: pd.DataFrame, columns: int, first: bool) -> Picture:
    """Draw one metric's effects, the verdict shown by colour and by shape; the first of a row names the factors."""
    label, factors = response_label(rows["response"].iloc[0]), list(dict.fromkeys(rows["label"]))
    smallest = rows["smallest_effect"].iloc[0]
    reach = pd.Series([*rows["simple_low"], *rows["simple_high"], smallest, -smallest, 0.0])
    x = {
        "scale": alt.Scale(domain=list(padded(reach.dropna())), nice=False, zero=False),
        "axis": alt.Axis(title=f"change in {label}", tickCount=4, grid=False, labelFlush=False),
    }
    two = in_lines(factors)
    room = LABELS + WIDER * bool(two)
    y_axis = alt.Axis(title=None, labels=first, ticks=False, domain=False, labelLimit=room, **two)
    y = alt.Y("label:N", sort=factors, scale=alt.Scale(domain=factors), axis=y_axis)
    colour, shape = by_verdict(rows["verdict"])
    tips = [alt.Tooltip("label:N", title="factor"), alt.Tooltip("levels:N")]
    tips += [*number_tips(change="change", ci_low="from", ci_high="to"), alt.Tooltip("verdict:N")]
    used = ["label", "levels", "change", "ci_low", "ci_high", "simple_low", "simple_high", "verdict"]
    base = alt.Chart(lean(rows[used]))
    spans, lines = (
        base.mark_rule(strokeWidth=width).encode(
            x=alt.X(f"{ends}_low:Q", **x), x2=alt.X2(f"{ends}_high:Q"), y=y, color=colour
        )
        for ends, width in (("simple", 0.75), ("ci", 2))
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("change:Q", **x), y=y, color=colour, shape=shape, tooltip=tips
    )
    layers = [zero_rule("x", **x), spans, lines, points]
    if np.isfinite(smallest):
        ends = alt.Data(values=[{"low": -float(smallest), "high": float(smallest)}])
        band = alt.Chart(ends).mark_rect(color=FAINT, opacity=0.75)
        layers.insert(0, band.encode(x=alt.X("low:Q", **x), x2=alt.X2("high:Q")))
    width = (WIDTH - room) // columns - 24
    return layered(*layers, width=width, height=alt.Step(38), title=label)
