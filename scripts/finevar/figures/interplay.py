"""The figure of how factors interact: the slope of one as a line over another."""

from __future__ import annotations

from functools import partial

import altair as alt
import pandas as pd

from finevar.figures.axes import factor_axis, factor_scale, level_tip, number_tips
from finevar.figures.drawing import Picture, by_response, layered, lean, note_chart, zero_rule
from finevar.figures.palette import BLUE, WIDTH
from finevar.study.coding import Coding, Codings
from finevar.words.findings import notable_pairs
from finevar.words.formatting import factor_label, response_label, unit_label


def interplay_chart(interplay: pd.DataFrame, coefficients: pd.DataFrame, factors: Codings) -> Picture:
    """Draw, a panel a response, the slope of one factor over another with its interval.

    The pair is the first of the report's: epochs over batch size where both are factors. Slopes whose interval
    excludes zero are drawn stronger.
    """
    if coefficients.empty:
        return note_chart("No interplay: every response was stopped by a gate.")
    pairs = notable_pairs(coefficients, interplay)
    if not pairs:
        return note_chart("No interplay: the model has no interactions.")
    factor, moderator = pairs[0]
    rows = interplay[(interplay["factor"] == factor) & (interplay["moderator"] == moderator)]
    return by_response(rows, partial(slope_panel, moderator, factors[moderator]))


def slope_panel(moderator: str, coding: Coding, rows: pd.DataFrame, columns: int, first: bool) -> Picture:
    """Draw one response's slope: a thin line with its band, bold where the interval excludes zero."""
    factor, unit, response = rows.iloc[0][["factor", "unit", "response"]]
    title = f"slope of {factor_label(factor)}, {unit_label(unit, factor)}"
    rows = rows.assign(stretch=(rows["sign"] != rows["sign"].shift()).cumsum())
    base = alt.Chart(lean(rows[["moderator_value", "estimate", "ci_low", "ci_high", "sign", "stretch"]]))
    x = alt.X("moderator_value:Q", scale=factor_scale(coding, [*coding.levels]), axis=factor_axis(moderator, coding))
    y_axis = alt.Axis(title=title, tickCount=5)
    tips = [level_tip("moderator_value", moderator, coding)]
    tips += number_tips(estimate="slope", ci_low="from", ci_high="to")
    apart = base.transform_filter("datum.sign !== 'open'")
    stretch = alt.Detail("stretch:N")
    span = {"x": x, "y": alt.Y("ci_low:Q", axis=y_axis), "y2": alt.Y2("ci_high:Q")}
    line = {"x": x, "y": alt.Y("estimate:Q", axis=y_axis)}
    layers = [
        base.mark_area(opacity=0.12, color=BLUE).encode(**span),
        apart.mark_area(opacity=0.22, color=BLUE).encode(**span, detail=stretch),
        zero_rule("y"),
        base.mark_line(color=BLUE, strokeWidth=1.2, strokeDash=[4, 3]).encode(**line, tooltip=tips),
        apart.mark_line(color=BLUE, strokeWidth=3).encode(**line, detail=stretch, tooltip=tips),
    ]
    return layered(*layers, width=WIDTH // columns - 80, height=190, title=response_label(response))
