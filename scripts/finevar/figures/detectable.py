"""The design card's figure: the smallest change that a study finds of each factor, against that of interest."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd

from finevar.figures.axes import READABLE, change_label, in_lines
from finevar.figures.drawing import Picture, layered, lean
from finevar.figures.palette import BLUE, GREY, INK, VERMILION
from finevar.words.formatting import factor_label, response_label, sentence_case
from finevar.words.numbers import significant

LABELS, PLOT = 95, 190  # pixels: with both, a phone is wide enough
UNKNOWN = "of interest: not known yet"
ALTERNATIVE = "{label}: smallest change found of each hyperparameter, {found}; smallest effect of interest, {smallest}."


def detectable_chart(response: str, changes: Mapping[str, float], smallest: float | None) -> Picture:
    """Draw one metric's smallest changes found, by factor, and the smallest effect of interest as a line.

    Blue: no larger than what is of interest. smallest: None where it is not known yet.
    """
    rows = pd.DataFrame({"label": list(map(change_label, changes)), "change": list(changes.values())})
    rows["text"] = list(map(significant, rows["change"]))
    rows["fill"] = [colour(change, smallest) for change in rows["change"]]
    base, names = alt.Chart(lean(rows)), list(rows["label"])
    end = 1.3 * max(rows["change"].max(), smallest or 0.0)
    axis = alt.Axis(title="change over the range", tickCount=4, grid=False, labelExpr=READABLE, labelFlush=False)
    x = {"scale": alt.Scale(domain=[0, end], nice=False), "axis": axis}
    y_axis = alt.Axis(title=None, ticks=False, domain=False, labelLimit=LABELS, minExtent=LABELS, **in_lines(names))
    y = alt.Y("label:N", sort=names, scale=alt.Scale(domain=names), axis=y_axis)
    at, fill = alt.X("change:Q", **x), alt.Color("fill:N", scale=None)
    layers = [
        base.mark_bar(height=3, opacity=0.75).encode(x=at, y=y, color=fill),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=at, y=y, color=fill),
    ]
    beyond = rows["change"] > (smallest or 0)
    for part, place in ((rows[beyond], {"align": "left", "dx": 9}), (rows[~beyond], {"align": "right", "dy": -10})):
        layers.append(alt.Chart(lean(part)).mark_text(**place).encode(x=at, y=y, text=alt.Text("text:N")))
    marked = {"smallest": smallest or 0, "text": f"of interest: {significant(smallest)}" if smallest else UNKNOWN}
    line, place = alt.Chart(alt.Data(values=[marked])), alt.X("smallest:Q", **x)
    words = line.mark_text(align="left" if marked["smallest"] < end / 2 else "right")
    layers.append(words.encode(x=place, y=alt.value(-12), text=alt.Text("text:N")))
    if smallest:
        layers.insert(0, line.mark_rule(color=INK, strokeDash=[4, 3]).encode(x=place))
    title = {"text": sentence_case(response_label(response)), "offset": 18}
    return layered(*layers, width=PLOT, height=alt.Step(30), title=title)


def colour(change: float, smallest: float | None) -> str:
    """Return the colour of a change: whether one of interest is found, or is not known to be."""
    return GREY if smallest is None else BLUE if change <= smallest else VERMILION


def alternative(response: str, changes: Mapping[str, float], smallest: float | None) -> str:
    """Return the words that stand in the figure's place."""
    found = ", ".join(f"{factor_label(name)} {significant(change)}" for name, change in changes.items())
    known = "not known yet" if smallest is None else significant(smallest)
    return ALTERNATIVE.format(label=sentence_case(response_label(response)), found=found, smallest=known)
