"""The figure of the recommended setting's gain: how much of it each factor brings."""

from __future__ import annotations

import altair as alt
import pandas as pd

from finevar.analyses.gain import moved
from finevar.figures.axes import TWO_LINES, change_label, number_tips, padded
from finevar.figures.drawing import Picture, by_response, layered, lean, note_chart, zero_rule
from finevar.figures.palette import BLUE, INK, VERMILION, WIDTH
from finevar.metrics import towards
from finevar.words.formatting import factor_label, response_label, sentence_case
from finevar.words.numbers import Row, estimated, is_missing, level

LABELS = 130  # pixels for the factors' names and levels


def gain_chart(gain_shares: pd.DataFrame) -> Picture:
    """Draw the share of the predicted gain of each factor that changes as a bar with intervals, a panel a metric."""
    rows = gain_shares.dropna(subset="estimate")
    rows = rows[moved(rows)]
    if not (rows["factor"] != "").any():
        return note_chart(
            "No gain to divide: nothing new is recommended, or nothing is predicted at the baseline's settings."
        )
    return by_response(rows, gain_panel)


def gain_panel(rows: pd.DataFrame, columns: int, first: bool) -> Picture:
    """Draw one metric's shares under its whole gain; the first of a row names the factors."""
    response, whole = rows["response"].iloc[0], rows[rows["factor"] == ""].iloc[0]
    rows = rows[rows["factor"] != ""]
    kept = rows[["estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high"]].assign(
        label=list(map(step_label, rows.to_dict("records"))),
        text=[estimated(row, ends="simultaneous") for row in rows.to_dict("records")],
        fill=[BLUE if towards(response) * value >= 0 else VERMILION for value in rows["estimate"]],
    )
    base, names = alt.Chart(lean(kept)), list(kept["label"])
    reach = pd.concat([kept["simultaneous_low"], kept["simultaneous_high"], kept["estimate"], pd.Series([0.0])])
    axis = alt.Axis(title=f"share of the change in {response_label(response)}", tickCount=4, grid=False)
    x = {"scale": alt.Scale(domain=list(padded(reach)), nice=False, zero=False), "axis": axis}
    y_axis = alt.Axis(title=None, labels=first, ticks=False, domain=False, labelLimit=LABELS, labelExpr=TWO_LINES)
    y = alt.Y("label:N", sort=names, scale=alt.Scale(domain=names), axis=y_axis)
    tips = [alt.Tooltip("label:N", title="hyperparameter"), *number_tips(estimate="share", ci_low="from", ci_high="to")]
    fill = alt.Color("fill:N", scale=None)
    bars = base.mark_bar(height=18, opacity=0.75).encode(x=alt.X("estimate:Q", **x), y=y, color=fill, tooltip=tips)
    spans = [
        base.mark_rule(color=INK, strokeWidth=width).encode(
            x=alt.X(f"{ends}_low:Q", **x), x2=alt.X2(f"{ends}_high:Q"), y=y
        )
        for ends, width in (("simultaneous", 0.75), ("ci", 2))
    ]
    printed = base.mark_text(dy=-17).encode(x=alt.X("estimate:Q", **x), y=y, text=alt.Text("text:N"))
    title = f"{sentence_case(response_label(response))}: {estimated(whole)} in all"
    width = (WIDTH - LABELS) // columns - 24
    return layered(zero_rule("x", **x), bars, *spans, printed, width=width, height=alt.Step(52), title=title)


def step_label(row: Row) -> str:
    """Return a factor's name and, on a line of its own, its change of level."""
    if is_missing(row["from_level"]) or is_missing(row["to_level"]):
        return sentence_case(change_label(row["factor"]))
    change = f"{level(row['from_level'])} \N{RIGHTWARDS ARROW} {level(row['to_level'])}"
    return f"{sentence_case(factor_label(row['factor']))}|{change}"
