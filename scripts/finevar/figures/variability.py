"""The figure of where variance comes from: a stacked bar a response."""

from __future__ import annotations

import itertools

import altair as alt
import pandas as pd

from finevar.figures.axes import number_tips
from finevar.figures.drawing import Picture, layered, lean, note_chart
from finevar.figures.palette import BLUE, ON_SCALE, PAPER, WIDTH
from finevar.words.formatting import joined, response_label, sentence_case, term_label
from finevar.words.numbers import TIMES, percent, whole_percent

SOURCE_WORDS = {
    "other_factors": "other factors",
    "other_interactions": "other interactions",
    "higher_order": "higher-order interactions",
    "dataset": "data set",
    "dataset:settings": f"data set {TIMES} settings",
    "seed": "seed",
    "seed:point": f"seed {TIMES} settings",
    "test_set": "test sentences",
}
# Okabe and Ito's hues for factors, paler steps of one neutral for the rest: neighbours differ in lightness as well.
HUES = {
    "factor": [BLUE, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"],
    "interaction": ["#8c6bb1", "#c6a5d8", "#6a51a3", "#dcc9e8"],
    "dataset": ["#8c6d1f", "#c9b67a"],
    "seed": ["#4d545c", "#7a7f87"],
    "test_set": ["#c3c8ce"],
}
ROW = 34
LEAST_LABELLED = 0.05  # a narrower segment has no room for its share

ALTERNATIVE = (
    "One horizontal bar a metric, divided into the sources of the variance between runs: hyperparameters, their "
    "interactions, data set, seed and test sentences. The table beside the figure holds the same shares."
)


def source_label(source: str) -> str:
    """Return a source's name in words."""
    return SOURCE_WORDS.get(source) or term_label(source)


def variability_chart(variability: pd.DataFrame) -> Picture:
    """Draw each response's shares of variance as one bar; shares of 5 % and more are printed in it."""
    rows = variability[variability["share"].notna()]
    if rows.empty:
        return note_chart("No variance to divide: every response was stopped by a gate.")
    rows = pooled(rows)
    hues = hues_of(dict(zip(rows["component"], rows["kind"], strict=True)))
    rows = rows.assign(
        label=rows["component"].map(source_label),
        metric=rows["response"].map(lambda name: sentence_case(response_label(name))),
        end=rows.groupby("response")["share"].cumsum(),
        text=[whole_percent(share) if share >= LEAST_LABELLED else "" for share in rows["share"]],
    )
    rows["start"] = rows["end"] - rows["share"]
    rows["middle"] = (rows["end"] + rows["start"]) / 2
    kept = ["metric", "label", "share", "ci_low", "ci_high", "sd", "start", "middle", "end", "text"]
    labels = [source_label(name) for name in hues]
    scale = alt.Scale(domain=labels, range=list(hues.values()))
    base = alt.Chart(lean(rows[kept]))
    y_axis = alt.Axis(title=None, ticks=False, domain=False)
    y = alt.Y("metric:N", sort=list(dict.fromkeys(rows["metric"])), axis=y_axis)
    title = "share of the variance between runs"
    axis = alt.Axis(title=title, labelExpr="round(100 * datum.value) + '%'", tickCount=5, grid=False)
    legend = alt.Legend(title=None, columns=4, symbolType="square", labelLimit=220)
    tips = [alt.Tooltip("metric:N"), alt.Tooltip("label:N", title="source")]
    tips += number_tips(share="share", ci_low="from", ci_high="to", sd="standard deviation")
    bars = base.mark_bar(stroke=PAPER, strokeWidth=1).encode(
        x=alt.X("start:Q", axis=axis, scale=alt.Scale(domain=[0, 1], nice=False)),
        x2=alt.X2("end:Q"),
        y=y,
        color=alt.Color("label:N", scale=scale, sort=labels, legend=legend),
        tooltip=tips,
    )
    dark = [source_label(name) for name, hue in hues.items() if is_dark(hue)]
    printed = base.mark_text(fontSize=12, aria=False).encode(
        x=alt.X("middle:Q"),
        y=y,
        text=alt.Text("text:N"),
        color=alt.condition(alt.FieldOneOfPredicate("label", dark), alt.value("white"), alt.value(ON_SCALE)),
    )
    return layered(bars, printed, width=WIDTH - 110, height=alt.Step(ROW))


def pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Pool the smallest factors and interactions where there are more of them than hues; rows keep their order."""
    for kind in ("factor", "interaction"):
        largest = rows[rows["kind"] == kind].groupby("component")["share"].max().nlargest(len(HUES[kind]) - 1).index
        rest = (rows["kind"] == kind) & ~rows["component"].isin(largest)
        if rows.loc[rest, "component"].nunique() > 1:
            rows = rows.assign(component=rows["component"].mask(rest, f"other_{kind}s"))
            # A sum of shares has no interval or standard deviation here: the table holds its parts.
            whole = rows[rest].groupby("response")["share"].sum()
            sums = rows["share"].mask(rest, rows["response"].map(whole))
            blank = rows[["ci_low", "ci_high", "sd"]].mask(rest)
            rows = rows.assign(share=sums, **blank)
            rows = rows[~(rest & rows.duplicated(["response", "component"], keep="last"))]
    return rows


def hues_of(sources: dict[str, str]) -> dict[str, str]:
    """Return each source's colour: in turn from the hues of its kind."""
    palettes = {kind: itertools.cycle(hues) for kind, hues in HUES.items()}
    return {source: next(palettes[kind]) for source, kind in sources.items()}


def is_dark(hue: str) -> bool:
    """Say whether white reads better than ink on a colour (relative luminance, WCAG 2)."""
    parts = [int(hue[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.25


def caption(variability: pd.DataFrame, runs: int, confidence: float) -> str:
    """Return the figure's caption; runs: how many finished."""
    rows = variability[variability["share"].notna()]
    surface = list(dict.fromkeys(rows.loc[rows["method"] == "surface", "response"]))
    how = "The runs over the complete grid are divided exactly"
    if surface:
        which = f" for {joined([response_label(name) for name in surface])}"
        how = f"Shares are those of the fitted surface{which}, whose misfit is counted to {SOURCE_WORDS['seed:point']}"
    limits = f" {percent(confidence)} intervals of the shares are in the table." if rows["ci_low"].notna().any() else ""
    return (
        f"Where the variance between runs comes from, {runs:,} runs. {how}; noise of seeds, and the sampling of test "
        f"sentences where it is known, are taken out of the other sources.{limits}"
    )
