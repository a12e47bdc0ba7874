"""Tidy tables to figures: coefficients, main effects, learning curves; nothing statistical is computed here."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from finevar.figures.drawing import (
    BLUE,
    GREY,
    GRID,
    INK,
    QUIET,
    READABLE,
    VERMILION,
    WIDTH,
    Picture,
    below,
    beside,
    factor_axis,
    factor_scale,
    layered,
    lean,
    level_tip,
    note_chart,
    number_tips,
    padded,
    scale_type,
    stacked,
)
from finevar.study.coding import Coding, Codings
from finevar.words.formatting import (
    axis_title,
    factor_label,
    response_label,
    response_labels,
    response_unit,
    term_label,
)
from finevar.words.wording import VERDICTS

HUES = [VERMILION, "#009e73", "#cc79a7", "#56b4e9", "#8c6d1f", BLUE]  # of data sets
VERDICT_COLOURS = [BLUE, VERMILION, GREY]
VERDICT_SHAPES = ["circle", "triangle-up", "square"]
RAMP = ["#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154"]  # viridis without what is too pale for a line
FEW_LEVELS = 6  # beyond, levels become a gradient instead of facets or separate colours
MOST_LINES = 1_000  # beyond, single runs' lines would only be a cloud
MOST_LINE_ROWS = 4_000  # beyond, lines are of fewer points, which no eye can tell


# Forest plot ----------------------------------------------------------------------------------------------------------


def coefficients_chart(coefficients: pd.DataFrame) -> Picture:
    """Draw the absolute framework's coded estimates with their intervals, one panel a response.

    Intercept and blocks are left out: they say where a response lies, not what moves it.
    """
    rows = coefficients.query("framework == 'absolute' and units == 'coded' and group not in ['intercept', 'block']")
    rows = rows.dropna(subset="estimate")
    if rows.empty:
        return note_chart("No coefficients: every response was stopped by a gate.")
    rows = rows.assign(label=rows["term"].map(term_label), verdict=rows["verdict"].fillna("none"))
    terms = list(dict.fromkeys(rows["label"]))
    responses = list(dict.fromkeys(rows["response"]))
    columns = min(len(responses), 3)
    width = (WIDTH - 130) // columns - 30
    panels = [
        forest_panel(rows[rows["response"] == response], terms, response, width, first=position % columns == 0)
        for position, response in enumerate(responses)
    ]
    return stacked(panels, columns)


def forest_panel(rows: pd.DataFrame, terms: Sequence[str], response: str, width: int, *, first: bool) -> Picture:
    """Draw one response's estimates, verdict told by colour and by shape."""
    y_axis = alt.Axis(title=None, labels=first, ticks=False, domain=False, grid=True, gridColor=GRID, labelLimit=260)
    y = alt.Y("label:N", sort=list(terms), scale=alt.Scale(domain=list(terms)), axis=y_axis)
    domain = [*VERDICTS] + ["none"] * bool((rows["verdict"] == "none").any())
    colour = alt.Scale(domain=domain, range=[*VERDICT_COLOURS, INK][: len(domain)])
    shape = alt.Scale(domain=domain, range=[*VERDICT_SHAPES, "diamond"][: len(domain)])
    tips = [alt.Tooltip("label:N", title="term"), *number_tips(estimate="estimate", ci_low="from", ci_high="to")]
    tips += [alt.Tooltip("verdict:N"), alt.Tooltip("p_adjusted:Q", title="adjusted p", format=".3~g")]
    rows = rows[["label", "estimate", "ci_low", "ci_high", "verdict", "p_adjusted"]]
    base = alt.Chart(lean(rows))
    verdict = alt.Color("verdict:N", scale=colour, legend=alt.Legend(title="verdict"))
    title = f"change in {response_label(response)} per coded unit"
    estimates = alt.X("estimate:Q", title=title, axis=alt.Axis(tickCount=4, grid=False, labelFlush=False))
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=QUIET, strokeDash=[3, 3]).encode(x=alt.X("zero:Q"))
    lines = base.mark_rule(strokeWidth=1.6).encode(
        x=alt.X("ci_low:Q", title=title), x2=alt.X2("ci_high:Q"), y=y, color=verdict
    )
    points = base.mark_point(filled=True, size=64, opacity=1).encode(
        x=estimates, y=y, color=verdict, shape=alt.Shape("verdict:N", scale=shape), tooltip=tips
    )
    return layered(zero, lines, points, width=width, height=alt.Step(22), title=response_label(response))


# Main effects ---------------------------------------------------------------------------------------------------------


def main_effects_chart(profiles: pd.DataFrame, metrics: pd.DataFrame, factors: Codings) -> Picture:
    """Draw each response's predicted profile along each factor, with its band, over the observed runs and cell means.

    profiles: predictions with the other factors at the centre. metrics: the aggregate, one row a run.
    """
    responses = list(dict.fromkeys(profiles["response"]))
    if not responses:
        return note_chart("No profiles: every response was stopped by a gate.")
    runs = metrics[metrics["status"] == "ok"]
    rows = []
    for response in responses:
        cells = cell_means(runs, [response], factors)
        profile = profiles[profiles["response"] == response]
        title = response_labels(metrics, [response])[response]
        domain = padded(pd.concat([profile["ci_low"], profile["ci_high"], runs[response]]))
        panels = [
            profile_panel(
                profile[profile["factor"] == factor],
                runs[[factor, "dataset", "seed", response]],
                cells[[factor, "dataset", response]],
                y=response_axis(response, title if factor == next(iter(factors)) else None, domain),
                factor=factor,
                coding=coding,
                width=(WIDTH - 50) // len(factors) - 28,
            )
            for factor, coding in factors.items()
        ]
        rows.append(beside(panels, 14))
    return below(rows, 22)


def response_axis(response: str, title: str | None, domain: Sequence[float]) -> dict[str, Any]:
    """Return scale and axis of a response; only the first panel of a row is labelled."""
    axis = alt.Axis(
        title=title and title + response_unit(response), labels=title is not None, ticks=title is not None, tickCount=5
    )
    return {"scale": alt.Scale(domain=list(domain), zero=False, nice=False), "axis": axis}


def profile_panel(
    profile: pd.DataFrame,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    y: Mapping[str, Any],
    factor: str,
    coding: Coding,
    width: int,
) -> Picture:
    """Draw one response along one factor: runs as dots, cell means as rings, the profile as a line with its band."""
    response = runs.columns[-1]
    line = alt.Chart(lean(profile[["value", "predicted", "ci_low", "ci_high"]]))
    x = {"scale": factor_scale(coding, [*coding.levels, *runs[factor]]), "axis": factor_axis(factor, coding)}
    tips = [level_tip("value", factor, coding), *number_tips(predicted="predicted", ci_low="from", ci_high="to")]
    band = line.mark_area(opacity=0.2, color=BLUE).encode(
        x=alt.X("value:Q", **x), y=alt.Y("ci_low:Q", **y), y2=alt.Y2("ci_high:Q")
    )
    curve = line.mark_line(color=BLUE, strokeWidth=2.2).encode(
        x=alt.X("value:Q", **x), y=alt.Y("predicted:Q", **y), tooltip=tips
    )
    hue = dataset_hue(runs["dataset"])
    place = {"x": alt.X(f"{factor}:Q", **x), "y": alt.Y(f"{response}:Q", **y), "color": hue}
    seen = [alt.Tooltip("dataset:N"), level_tip(factor, factor, coding), *number_tips(**{response: response})]
    dots = (
        alt.Chart(lean(runs)).mark_circle(size=11, opacity=0.45).encode(**place, tooltip=[*seen, alt.Tooltip("seed:N")])
    )
    rings = alt.Chart(lean(cells)).mark_point(size=34, strokeWidth=1, opacity=0.8).encode(**place, tooltip=seen)
    return layered(dots, rings, band, curve, width=max(width, 90), height=170)


def dataset_hue(datasets: pd.Series) -> Any:
    """Return the colour of observations: grey, or by data set where there are several."""
    names = sorted(datasets.unique())
    if len(names) < 2:
        return alt.ColorValue(QUIET)
    hues = list(itertools.islice(itertools.cycle(HUES), len(names)))
    return alt.Color("dataset:N", scale=alt.Scale(domain=names, range=hues), legend=alt.Legend(title="data set"))


def cell_means(runs: pd.DataFrame, responses: Sequence[str], factors: Codings) -> pd.DataFrame:
    """Average runs over seeds, one row a point and data set."""
    return runs.groupby(["dataset", *factors], as_index=False, dropna=False)[list(responses)].mean()


# Learning curves ------------------------------------------------------------------------------------------------------


def learning_curves_chart(learning_curves: pd.DataFrame, factors: Codings) -> Picture:
    """Draw training loss by epoch: a thin line a run, a bold mean; coloured by the first factor, facets by the second.

    Where epochs is a factor, means are taken apart by it, since a run's schedule depends on its length.
    """
    names = list(factors)
    rows = learning_curves.dropna(subset="loss")
    if rows.empty:
        return note_chart("No learning curves: no run logged a training loss.")
    first = names[0]
    facet = next((name for name in names[1:2] if rows[name].nunique() <= FEW_LEVELS), None)
    several = rows["dataset"].nunique() > 1
    kept = ["run_id", first, "epoch", "loss", *([facet] if facet else []), *(["dataset"] if several else [])]
    apart = ["epochs"] if "epochs" in names and "epochs" not in kept else []
    rows = thinned(rows[[*kept, *apart]].assign(epoch=rows["epoch"].round(3)))
    columns = rows[facet].nunique() if facet else 1
    panel = curves_panel(rows, first, factors[first], apart)
    panel = panel.properties(width=min((WIDTH - 60) // columns - 20, 560), height=230)
    headers = {}
    if facet:
        name = json.dumps(factor_label(facet))
        header = alt.Header(title=None, labelExpr=f"{name} + ' ' + ({READABLE})", labelFontSize=12, labelColor=INK)
        headers["column"] = alt.Column(f"{facet}:Q", header=header, type="ordinal")
    if several:
        headers["row"] = alt.Row("dataset:N", header=alt.Header(title=None, labelFontSize=12, labelColor=INK))
    data = lean(rows)
    return panel.properties(data=data) if not headers else panel.facet(data=data, **headers).resolve_scale(x="shared")


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return curves of fewer points where they are many: every second, third, ... of a run, or means over runs alone.

    The last point of a run is always among them.
    """
    if rows["run_id"].nunique() > MOST_LINES:
        return rows.groupby([name for name in rows if name not in ("run_id", "loss")], as_index=False)["loss"].mean()
    every = -(-len(rows) // MOST_LINE_ROWS)
    from_end = rows.groupby("run_id", sort=False).cumcount(ascending=False)
    return rows[from_end % every == 0]


def curves_panel(rows: pd.DataFrame, first: str, coding: Coding, apart: Sequence[str]) -> alt.LayerChart:
    """Draw the lines of one panel; its data come from the facet around it."""
    colour = level_colour(first, coding, sorted(rows[first].dropna().unique()))
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, grid=False))
    detail = [alt.Detail(f"{name}:N") for name in (first, *apart)]
    tips = [level_tip(first, first, coding)]
    layers = []
    if "run_id" in rows:
        lines = alt.Chart().mark_line(strokeWidth=0.7, opacity=0.4, aria=False)
        layers.append(
            lines.encode(x=x, y=alt.Y("loss:Q"), color=colour, detail="run_id:N", tooltip=[*tips, "run_id:N"])
        )
    means = (
        alt.Chart()
        .mark_line(strokeWidth=2.4)
        .encode(
            x=x,
            y=alt.Y("mean(loss):Q", title="training loss (nats)", scale=alt.Scale(zero=False)),
            color=colour,
            detail=detail,
            tooltip=[*tips, alt.Tooltip("mean(loss):Q", title="mean loss", format=".4~f")],
        )
    )
    return alt.layer(*layers, means)


def level_colour(name: str, coding: Coding, levels: Sequence[float]) -> alt.Color:
    """Return the colour of a factor's levels, in steps where they are few, else as a gradient."""
    title = axis_title(name, coding.levels)
    if len(levels) > FEW_LEVELS:
        scale = alt.Scale(type=scale_type(coding), range=RAMP)
        return alt.Color(f"{name}:Q", scale=scale, legend=alt.Legend(title=title, labelExpr=READABLE))
    places = np.linspace(0, len(RAMP) - 1, len(levels)).round().astype(int)
    scale = alt.Scale(domain=[float(value) for value in levels], range=[RAMP[place] for place in places])
    legend = alt.Legend(title=title, labelExpr=READABLE, symbolStrokeWidth=3, symbolOpacity=1)
    return alt.Color(f"{name}:O", scale=scale, legend=legend)
