"""Tidy tables to figures: coefficients, main effects, learning curves; nothing statistical is computed here."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from finevar.figures.axes import (
    READABLE,
    by_dataset,
    by_verdict,
    factor_x,
    level_tip,
    number_tips,
    padded,
    scale_type,
)
from finevar.figures.drawing import Picture, by_response, layered, lean, note_chart, stacked, zero_rule
from finevar.figures.palette import BLUE, GRID, HUES, INK, QUIET, RAMP, WIDTH
from finevar.study.coding import Category, Coding, Codings, factor_of, level_of, nested_of
from finevar.words.formatting import (
    axis_title,
    factor_label,
    response_label,
    response_labels,
    response_unit,
    term_label,
)

FEW_LEVELS = 6  # beyond, levels become a gradient instead of facets or separate colours
MOST_LINES = 1_000  # beyond, single runs' lines would only be a cloud
MOST_LINE_ROWS = 2_000  # beyond, lines are of fewer points, which no eye can see


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
    return by_response(rows, partial(forest_panel, terms))


def forest_panel(terms: Sequence[str], rows: pd.DataFrame, columns: int, first: bool) -> Picture:
    """Draw one response's estimates, verdict shown by colour and by shape; the first of a row names the terms."""
    label = response_label(rows["response"].iloc[0])
    y_axis = alt.Axis(title=None, labels=first, ticks=False, domain=False, grid=True, gridColor=GRID, labelLimit=260)
    y = alt.Y("label:N", sort=list(terms), scale=alt.Scale(domain=list(terms)), axis=y_axis)
    tips = [alt.Tooltip("label:N", title="term"), *number_tips(estimate="estimate", ci_low="from", ci_high="to")]
    tips += [alt.Tooltip("verdict:N"), alt.Tooltip("p_adjusted:Q", title="adjusted p", format=".3~g")]
    base = alt.Chart(lean(rows[["label", "estimate", "ci_low", "ci_high", "verdict", "p_adjusted"]]))
    colour, shape = by_verdict(rows["verdict"])
    title = f"change in {label} per coded unit"
    estimates = alt.X("estimate:Q", title=title, axis=alt.Axis(tickCount=4, grid=False, labelFlush=False))
    lines = base.mark_rule(strokeWidth=1.6).encode(
        x=alt.X("ci_low:Q", title=title), x2=alt.X2("ci_high:Q"), y=y, color=colour
    )
    points = base.mark_point(filled=True, size=64, opacity=1).encode(
        x=estimates, y=y, color=colour, shape=shape, tooltip=tips
    )
    width = (WIDTH - 130) // columns - 30
    return layered(zero_rule("x"), lines, points, width=width, height=alt.Step(22), title=label)


def main_effects_chart(profiles: pd.DataFrame, metrics: pd.DataFrame, factors: Codings) -> Picture:
    """Draw each response's predicted profile along each factor, with its band, over the observed runs and cell means.

    profiles: predictions with the other factors mid-range. metrics: the aggregate, one row a run.
    """
    responses = list(dict.fromkeys(profiles["response"]))
    if not responses:
        return note_chart("No profiles: every response was stopped by a gate.")
    runs = metrics[metrics["status"] == "ok"]
    panels = []
    for response in responses:
        cells = runs.groupby(["dataset", *factors], as_index=False, dropna=False)[[response]].mean()
        profile = profiles[profiles["response"] == response]
        title = response_labels(metrics, [response])[response]
        domain = padded(pd.concat([profile["ci_low"], profile["ci_high"], runs[response]]))
        scale = alt.Scale(domain=list(domain), zero=False, nice=False)
        first = alt.Axis(title=title + response_unit(response), labels=True, ticks=True, tickCount=5)
        others = alt.Axis(title=None, labels=False, ticks=False, tickCount=5)
        panels += [
            profile_panel(
                profile[profile["factor"].map(factor_of) == factor],
                runs[[factor, "dataset", "seed", response]].dropna(subset=factor),
                cells[[factor, "dataset", response]].dropna(subset=factor),
                y={"scale": scale, "axis": first if factor == next(iter(factors)) else others},
                coding=coding,
                width=(WIDTH - 50) // len(factors) - 28,
            )
            for factor, coding in factors.items()
        ]
    return stacked(panels, len(factors), across=14, down=22)


def profile_panel(
    profile: pd.DataFrame,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    y: Mapping[str, Any],
    coding: Coding | Category,
    width: int,
) -> Picture:
    """Draw one response along one factor: runs as dots, cell means as rings, the profile as a line with its band.

    Of levels that are names the profile is a point a level with its interval. runs: the factor in the first column, the
    response in the last.
    """
    factor, response = runs.columns[0], runs.columns[-1]
    along, kind = factor_x(factor, coding, [*coding.levels, *runs[factor]]), "Q" if isinstance(coding, Coding) else "N"
    if kind == "N":
        profile = profile.assign(value=[level_of(name) for name in profile["factor"]])
    line = alt.Chart(lean(profile[["factor", "value", "predicted", "ci_low", "ci_high"]]))
    tips = [level_tip("value", factor, coding), *number_tips(predicted="predicted", ci_low="from", ci_high="to")]
    ends = {"x": alt.X(f"value:{kind}", **along), "y": alt.Y("ci_low:Q", **y), "y2": alt.Y2("ci_high:Q")}
    at = {"x": alt.X(f"value:{kind}", **along), "y": alt.Y("predicted:Q", **y), "tooltip": tips}
    if kind == "N":
        band = line.mark_rule(color=BLUE, strokeWidth=2.2).encode(**ends)
        curve = line.mark_point(color=BLUE, filled=True, size=70, opacity=1).encode(**at)
    else:
        apart = {"detail": alt.Detail("factor:N")} if coding.by else {}
        band = line.mark_area(opacity=0.2, color=BLUE).encode(**ends, **apart)
        curve = line.mark_line(color=BLUE, strokeWidth=2.2).encode(**at, **apart)
    hue = by_dataset(sorted(runs["dataset"].unique()), QUIET)
    place = {"x": alt.X(f"{factor}:{kind}", **along), "y": alt.Y(f"{response}:Q", **y), "color": hue}
    seen = [alt.Tooltip("dataset:N"), level_tip(factor, factor, coding), *number_tips(**{response: response})]
    dots = alt.Chart(lean(runs)).mark_circle(size=11, opacity=0.45)
    rings = alt.Chart(lean(cells)).mark_point(size=34, strokeWidth=1, opacity=0.8).encode(**place, tooltip=seen)
    dots = dots.encode(**place, tooltip=[*seen, alt.Tooltip("seed:N")])
    return layered(dots, rings, band, curve, *line_names(profile, coding, along), width=max(width, 90), height=170)


def line_names(profile: pd.DataFrame, coding: Coding | Category, along: Mapping[str, Any]) -> list[alt.Chart]:
    """Name each line of a factor whose levels slide with a category, above its middle."""
    if not coding.by:
        return []
    middles = profile.groupby("factor", as_index=False)["value"].median()
    base = alt.Chart(lean(middles.assign(name=middles["factor"].map(level_of))))
    at = {"x": alt.X("value:Q", **along), "y": alt.value(6), "text": alt.Text("name:N")}
    return [base.mark_text(fontSize=11, color=INK, aria=False).encode(**at)]


def learning_curves_chart(learning_curves: pd.DataFrame, factors: Codings) -> Picture:
    """Draw training loss by epoch: a thin line a run, a bold mean; coloured by the first factor, facets by the second.

    Where epochs is a factor, means are taken apart by it, since a run's schedule depends on its length.
    """
    rows = learning_curves.dropna(subset="loss")
    if rows.empty:
        return note_chart("No learning curves: no run logged a training loss.")
    first, facet = colour_and_facet(rows, factors)
    kept = ["run_id", first, "epoch", "loss", "dataset", *([facet] if facet else [])]
    apart = ["epochs"] if "epochs" in factors and "epochs" not in kept else []
    rows = thinned(rows[[*kept, *apart]].assign(epoch=rows["epoch"].round(3)))
    return faceted(curves_panel(rows, first, factors[first], apart), rows, facet)


def colour_and_facet(rows: pd.DataFrame, factors: Codings) -> tuple[str, str | None]:
    """Return the factor that colours curves, the first, and that of facets, the second where it has few levels.

    Of those that exist in every run.
    """
    first, *others = (name for name in factors if name not in nested_of(factors))
    return first, next((name for name in others[:1] if rows[name].nunique() <= FEW_LEVELS), None)


def faceted(panel: alt.LayerChart, rows: pd.DataFrame, facet: str | None) -> Picture:
    """Draw a panel of rows for each level of a factor, side by side, and each data set, one below the other."""
    columns = rows[facet].nunique() if facet else 1
    panel = panel.properties(width=min((WIDTH - 60) // columns - 20, 560), height=230)
    style = {"title": None, "labelFontSize": 12, "labelColor": INK}
    headers = {}
    if facet:
        named = pd.api.types.is_string_dtype(rows[facet])
        shown = "datum.value" if named else READABLE
        header = alt.Header(labelExpr=f"{json.dumps(factor_label(facet))} + ' ' + ({shown})", **style)
        headers["column"] = alt.Column(f"{facet}:N" if named else f"{facet}:Q", header=header, type="ordinal")
    if rows["dataset"].nunique() > 1:
        headers["row"] = alt.Row("dataset:N", header=alt.Header(**style))
    else:
        rows = rows.drop(columns="dataset")
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


def curves_panel(rows: pd.DataFrame, first: str, coding: Coding | Category, apart: Sequence[str]) -> alt.LayerChart:
    """Draw the lines of one panel; its data come from the facet around it."""
    colour = level_colour(first, coding, sorted(rows[first].dropna().unique()))
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, grid=False))
    detail = [alt.Detail(f"{name}:N") for name in (first, *apart)]
    tips = [level_tip(first, first, coding)]
    layers = []
    if "run_id" in rows:
        lines = alt.Chart().mark_line(strokeWidth=0.7, opacity=0.4, aria=False)
        own = {"y": alt.Y("loss:Q"), "detail": alt.Detail("run_id:N"), "tooltip": [*tips, alt.Tooltip("run_id:N")]}
        layers.append(lines.encode(x=x, color=colour, **own))
    y = alt.Y("mean(loss):Q", title="training loss (nats)", scale=alt.Scale(zero=False))
    tips.append(alt.Tooltip("mean(loss):Q", title="mean loss", format=".4~f"))
    means = alt.Chart().mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, detail=detail, tooltip=tips)
    return alt.layer(*layers, means)


def level_colour(name: str, coding: Coding | Category, levels: Sequence[Any]) -> alt.Color:
    """Return the colour of a factor's levels, in steps where they are few, else as a gradient; of names one each."""
    if isinstance(coding, Category):
        hues = list(itertools.islice(itertools.cycle(HUES), len(coding.levels)))
        legend = alt.Legend(title=factor_label(name), symbolStrokeWidth=3, symbolOpacity=1)
        return alt.Color(f"{name}:N", scale=alt.Scale(domain=list(coding.levels), range=hues), legend=legend)
    title = axis_title(name, coding.levels)
    if len(levels) > FEW_LEVELS:
        scale = alt.Scale(type=scale_type(coding), range=RAMP)
        return alt.Color(f"{name}:Q", scale=scale, legend=alt.Legend(title=title, labelExpr=READABLE))
    places = np.linspace(0, len(RAMP) - 1, len(levels)).round().astype(int)
    scale = alt.Scale(domain=[float(value) for value in levels], range=[RAMP[place] for place in places])
    legend = alt.Legend(title=title, labelExpr=READABLE, symbolStrokeWidth=3, symbolOpacity=1)
    return alt.Color(f"{name}:O", scale=scale, legend=legend)
