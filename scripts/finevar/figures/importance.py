"""The figure of importance: what each factor is worth to each metric, with intervals."""

from __future__ import annotations

from functools import partial

import altair as alt
import pandas as pd

from finevar.figures.axes import number_tips
from finevar.figures.drawing import Picture, by_response, layered, lean, note_chart
from finevar.figures.palette import BLUE, GRID, INK, WIDTH
from finevar.words.formatting import factor_label, response_label, sentence_case
from finevar.words.numbers import whole_percent

LABELS = 150  # pixels for the factors' names


def importance_chart(importance: pd.DataFrame) -> Picture:
    """Draw each factor's Shapley share of a metric's variance as a bar with its interval, a panel a metric.

    Factors stand in the order of their importance to the first metric.
    """
    rows = importance.dropna(subset="shapley")
    if rows.empty:
        return note_chart("No importance: every response was stopped by a gate.")
    first = rows[rows["response"] == rows["response"].iloc[0]].sort_values("shapley", ascending=False)
    names = list(dict.fromkeys([*first["factor"], *rows["factor"]]))
    end = float(rows[["shapley", "shapley_ci_high"]].max(axis=None))
    return by_response(rows, partial(importance_panel, [sentence_case(factor_label(name)) for name in names], end))


def importance_panel(names: list[str], end: float, rows: pd.DataFrame, columns: int, first: bool) -> Picture:
    """Draw one metric's bars; the first of a row names the factors."""
    used = {"shapley": "share", "shapley_ci_low": "ci_low", "shapley_ci_high": "ci_high"}
    kept = rows.rename(columns=used).assign(label=[sentence_case(factor_label(name)) for name in rows["factor"]])
    kept["text"] = [whole_percent(share) for share in kept["share"]]
    base = alt.Chart(lean(kept[["label", "share", "ci_low", "ci_high", "text"]]))
    in_percent = {"labelExpr": "round(100 * datum.value) + '%'", "title": "share of variance"}
    x_axis = alt.Axis(**in_percent, tickCount=4, gridColor=GRID)
    x = {"scale": alt.Scale(domain=[0, end * 1.12], nice=False), "axis": x_axis}
    y_axis = alt.Axis(title=None, labels=first, ticks=False, domain=False, labelLimit=LABELS)
    y = alt.Y("label:N", sort=names, scale=alt.Scale(domain=names), axis=y_axis)
    tips = [alt.Tooltip("label:N", title="hyperparameter"), *number_tips(share="share", ci_low="from", ci_high="to")]
    layers = [base.mark_bar(color=BLUE, opacity=0.75, height=18).encode(x=alt.X("share:Q", **x), y=y, tooltip=tips)]
    if kept["ci_low"].notna().any():
        spans = base.mark_rule(color=INK, strokeWidth=1.5)
        layers.append(spans.encode(x=alt.X("ci_low:Q", **x), x2=alt.X2("ci_high:Q"), y=y))
    printed = base.mark_text(align="left", dx=4, dy=-13).encode(x=alt.X("share:Q", **x), y=y, text=alt.Text("text:N"))
    width = (WIDTH - LABELS) // columns - 24
    title = sentence_case(response_label(rows["response"].iloc[0]))
    return layered(*layers, printed, width=width, height=alt.Step(44), title=title)
