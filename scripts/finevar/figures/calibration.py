"""The figure on calibration: which part of the loss each factor moves, and reliability curves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from finevar.analyses.calibration import PARTS
from finevar.figures.axes import change_label, in_lines, number_tips
from finevar.figures.drawing import Picture, layered, lean, note_chart, stacked
from finevar.figures.palette import BLUE, GREY, GRID, INK, QUIET, VERMILION, WIDTH
from finevar.study.coding import Codings, changes_of
from finevar.words.formatting import counted
from finevar.words.numbers import percent

PART_LABELS = dict(zip(PARTS, ("loss", "refinement (discrimination)", "calibration loss (confidence)"), strict=True))
GROUPS = {  # with their colour (Okabe and Ito's), shape and dash
    "baseline": (GREY, "square", [2, 2]),
    "best accuracy": (BLUE, "circle", [1, 0]),
    "best loss": ("#009e73", "diamond", [8, 3]),
    "highest loss": (VERMILION, "triangle-up", [5, 2, 1, 2]),
}
MOST_DATASETS = 5  # panels of reliability
FEWEST = 10  # sentences in a bin that is drawn: fewer say next to nothing
PANEL = WIDTH // 2 - 70
HEIGHT = 300

ALTERNATIVE = (
    "Left, for each hyperparameter the change of the loss from its lowest to its highest level, split into refinement "
    "and calibration loss, with intervals. Right, for the baseline and three settings the share of right predictions "
    "over the confidence, with the diagonal on which the two agree."
)


def calibration_chart(effects: pd.DataFrame, reliability: pd.DataFrame, factors: Codings) -> Picture:
    """Draw the changes of the loss's parts by factor, and a panel of reliability curves for each of the data sets.

    effects: the table of calibration effects, without rows to draw where a gate stopped it.
    """
    changes = effects.dropna(subset="change")
    panels = [changes_panel(changes, factors)] if len(changes) else []
    shown = reliability[reliability["count"] >= FEWEST * reliability["models"]]
    datasets = list(dict.fromkeys(shown["dataset"]))
    for number, name in enumerate(datasets[:MOST_DATASETS]):
        title = f"Reliability on {name}" if len(datasets) > 1 else "Reliability"
        panels.append(reliability_panel(shown[shown["dataset"] == name], title, first=number == 0))
    if not panels:
        return note_chart("No calibration: no model has predictions.")
    apart = {"scale": dict.fromkeys(("color", "shape", "strokeDash"), "independent")}
    return stacked(panels, 2, across=24, resolve=apart)


def caption(reliability: pd.DataFrame, runs: int, confidence: float) -> str:
    """Return the figure's caption; runs: those whose loss was taken apart."""
    datasets = reliability["dataset"].nunique()
    some = f" (the first {MOST_DATASETS} of {datasets} data sets)" if datasets > MOST_DATASETS else ""
    seeds = reliability.loc[reliability["group"] != "baseline", "models"]
    pooled = f", all {int(seeds.max())} seeds of a setting pooled" if len(seeds) and seeds.max() > 1 else ""
    return (
        f"Left: change of the loss from a hyperparameter's lowest to its highest level, the others mid-range, by the "
        f"surfaces fitted to {counted(runs, 'run')}; the change of the loss is the sum of those of its two parts. Bars "
        f"are {percent(confidence)} intervals. Right{some}: share of right predictions in bins of 0.1 of the predicted "
        f"class's probability{pooled}; below the diagonal a model is overconfident. Bars are {percent(confidence)} "
        f"Wilson intervals that count sentences, not runs; bins with fewer than {FEWEST} sentences are left to the "
        "table. The size of a mark is the share of its group's predictions."
    )


# Panels ---------------------------------------------------------------------------------------------------------------


def changes_panel(changes: pd.DataFrame, factors: Codings) -> Picture:
    """Draw a bar with its interval for each part of the loss, by factor."""
    names = [change_label(name) for name in changes_of(factors)]
    rows = changes.assign(factor=changes["factor"].map(change_label), part=changes["response"].map(PART_LABELS))
    base = alt.Chart(lean(rows[["factor", "part", "change", "ci_low", "ci_high", "p_value"]]))
    parts = list(PART_LABELS.values())
    y_axis = alt.Axis(title=None, ticks=False, domain=False, labelLimit=120, **in_lines(names))
    y = alt.Y("factor:N", sort=names, scale=alt.Scale(domain=names, paddingInner=0.35), axis=y_axis)
    offset = alt.YOffset("part:N", sort=parts, scale=alt.Scale(domain=parts, paddingInner=0.15))
    title = "change from lowest to highest level"
    x_axis = alt.Axis(title=title, tickCount=5, gridColor=GRID, labelFlush=False)
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=parts, range=[INK, BLUE, VERMILION]),
        legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=300),
    )
    tips = [alt.Tooltip("factor:N"), alt.Tooltip("part:N"), *number_tips(change="change", ci_low="from", ci_high="to")]
    tips.append(alt.Tooltip("p_value:Q", title="p", format=".3~g"))
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=QUIET).encode(x=alt.X("zero:Q"))
    bars = base.mark_bar(opacity=0.75).encode(
        x=alt.X("change:Q", axis=x_axis), y=y, yOffset=offset, color=colour, tooltip=tips
    )
    spans = base.mark_rule(color=INK, strokeWidth=1.5).encode(
        x=alt.X("ci_low:Q"), x2=alt.X2("ci_high:Q"), y=y, yOffset=offset
    )
    return layered(bars, spans, zero, width=PANEL - 60, height=HEIGHT, title="Change of the loss and its parts")


def reliability_panel(rows: pd.DataFrame, title: str, *, first: bool) -> Picture:
    """Draw the share of right predictions over the confidence for each group, with the diagonal.

    first: whether this panel bears the legend.
    """
    totals = rows.groupby("group")["count"].transform("sum")
    kept = ["group", "confidence_mean", "correct_share", "ci_low", "ci_high", "count", "share"]
    base = alt.Chart(lean(rows.assign(share=rows["count"] / totals)[kept]))
    left = float(rows["confidence_mean"].min()) - 0.03
    across = alt.Scale(domain=[left, 1.01], nice=False, zero=False)
    up = alt.Scale(domain=[min(float(rows["ci_low"].min()) - 0.03, left), 1.01], nice=False, zero=False)
    x = alt.X("confidence_mean:Q", scale=across, axis=axis("mean confidence"))
    y = alt.Y("correct_share:Q", scale=up, axis=axis("share of right predictions"))
    known = {name: marks for name, marks in GROUPS.items() if name in set(rows["group"])}
    colours, shapes, dashes = zip(*known.values(), strict=True)
    colour, shape = by_group(alt.Color, known, colours, first), by_group(alt.Shape, known, shapes, first)
    dash = by_group(alt.StrokeDash, known, dashes, False)
    tips = [alt.Tooltip("group:N"), alt.Tooltip("count:Q", title="predictions")]
    tips += number_tips(confidence_mean="confidence", correct_share="right", ci_low="from", ci_high="to")
    diagonal = (
        alt.Chart(alt.Data(values=[{"at": left}, {"at": 1}]))
        .mark_line(color=QUIET, strokeDash=[3, 3], strokeWidth=1)
        .encode(x=alt.X("at:Q", scale=across), y=alt.Y("at:Q", scale=up))
    )
    spans = base.mark_rule(opacity=0.45, strokeWidth=1.4).encode(
        x=x, y=alt.Y("ci_low:Q", scale=up), y2=alt.Y2("ci_high:Q"), color=colour
    )
    lines = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash)
    size = alt.Size("share:Q", scale=alt.Scale(domain=[0, 1], range=[30, 240]), legend=None)
    marks = base.mark_point(filled=True, opacity=1).encode(x=x, y=y, color=colour, shape=shape, size=size, tooltip=tips)
    return layered(diagonal, spans, lines, marks, width=PANEL, height=HEIGHT, title=title)


def axis(title: str) -> alt.Axis:
    """Return an axis of shares."""
    return alt.Axis(title=title, tickCount=6, format=".2~f", gridColor=GRID, labelFlush=False)


def by_group(channel: Any, groups: Iterable[str], values: Iterable[Any], legend: bool) -> Any:
    """Return a channel that separates the groups, all under one legend or none."""
    style = {"title": None, "orient": "top", "columns": 2, "symbolSize": 90, "symbolOpacity": 1, "symbolStrokeWidth": 0}
    scale = alt.Scale(domain=list(groups), range=list(values))
    return channel("group:N", scale=scale, legend=alt.Legend(**style) if legend else None)
