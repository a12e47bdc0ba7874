"""The figure of how factors act together: the slope of one as a line over another."""

from __future__ import annotations

import altair as alt
import pandas as pd

from finevar.figures.drawing import (
    BLUE,
    QUIET,
    WIDTH,
    Picture,
    factor_axis,
    factor_scale,
    layered,
    lean,
    level_tip,
    note_chart,
    number_tips,
    stacked,
)
from finevar.study.coding import Coding, Codings
from finevar.words.findings import notable_pairs
from finevar.words.formatting import factor_label, response_label, unit_label

MOST_COLUMNS = 3


def interplay_chart(interplay: pd.DataFrame, coefficients: pd.DataFrame, factors: Codings) -> Picture:
    """Draw, a panel a response, the slope of one factor over another with its interval.

    The pair is the first that the report tells: epochs over batch size where both are factors. Slopes whose interval
    excludes zero are drawn stronger.
    """
    if coefficients.empty:
        return note_chart("No interplay: every response was stopped by a gate.")
    pairs = notable_pairs(coefficients)
    if not pairs:
        return note_chart("No interplay: the model has no interactions.")
    factor, moderator = pairs[0]
    rows = interplay[(interplay["factor"] == factor) & (interplay["moderator"] == moderator)]
    responses = list(dict.fromkeys(rows["response"]))
    columns = min(len(responses), MOST_COLUMNS)
    panels = [
        slope_panel(rows[rows["response"] == response], moderator, factors[moderator], WIDTH // columns - 80)
        for response in responses
    ]
    return stacked(panels, columns)


def slope_panel(rows: pd.DataFrame, moderator: str, coding: Coding, width: int) -> Picture:
    """Draw one response's slope: a thin line with its band, bold where the interval excludes zero."""
    first = rows.iloc[0]
    title = f"slope of {factor_label(first['factor'])}, {unit_label(first['unit'], first['factor'])}"
    rows = rows.assign(stretch=(rows["sign"] != rows["sign"].shift()).cumsum())
    kept = ["moderator_value", "estimate", "ci_low", "ci_high", "sign", "stretch"]
    base = alt.Chart(lean(rows[kept]))
    x = alt.X("moderator_value:Q", scale=factor_scale(coding, [*coding.levels]), axis=factor_axis(moderator, coding))
    y_axis = alt.Axis(title=title, tickCount=5)
    tips = [
        level_tip("moderator_value", moderator, coding),
        *number_tips(estimate="slope", ci_low="from", ci_high="to"),
    ]
    told = base.transform_filter("datum.sign !== 'open'")
    stretch = alt.Detail("stretch:N")
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=QUIET, strokeDash=[3, 3]).encode(y=alt.Y("zero:Q"))
    span = {"x": x, "y": alt.Y("ci_low:Q", axis=y_axis), "y2": alt.Y2("ci_high:Q")}
    line = {"x": x, "y": alt.Y("estimate:Q", axis=y_axis)}
    layers = [
        base.mark_area(opacity=0.12, color=BLUE).encode(**span),
        told.mark_area(opacity=0.22, color=BLUE).encode(**span, detail=stretch),
        zero,
        base.mark_line(color=BLUE, strokeWidth=1.2, strokeDash=[4, 3]).encode(**line, tooltip=tips),
        told.mark_line(color=BLUE, strokeWidth=3).encode(**line, detail=stretch, tooltip=tips),
    ]
    return layered(*layers, width=width, height=190, title=response_label(first["response"]))
