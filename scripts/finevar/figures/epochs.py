"""The figure of evaluation loss by epoch."""

from __future__ import annotations

import altair as alt
import pandas as pd

from finevar.analyses.epochs import epoch_means, whole_runs
from finevar.figures.axes import level_tip, number_tips
from finevar.figures.charts import colour_and_facet, faceted, level_colour
from finevar.figures.drawing import Picture, note_chart
from finevar.study.coding import Codings
from finevar.words.formatting import counted
from finevar.words.numbers import PLUS_MINUS

MOST_TICKS = 10
ALTERNATIVE = (
    "Loss on the test sentences over epochs, a line a setting with a band of a standard deviation between its seeds, "
    "coloured by the first hyperparameter."
)


def caption(evaluations: pd.DataFrame, confidence: float) -> str:
    """Return the figure's caption: what is drawn, and which runs are left out."""
    runs, kept = evaluations["run_id"].nunique(), whole_runs(evaluations)["run_id"].nunique()
    left = f" Left out: {counted(runs - kept, 'run')} without a loss after every epoch." if kept < runs else ""
    return (
        f"Loss on the test sentences after each epoch: a line a setting, mean over its seeds, band {PLUS_MINUS} one "
        "standard deviation between them. For information: no epoch is chosen by it, and metrics are of the last."
        f"{left} From {counted(kept, 'run')}."
    )


def epochs_chart(evaluations: pd.DataFrame, factors: Codings) -> Picture:
    """Draw each setting's mean loss by epoch with its spread, coloured by the first factor, facets by the second."""
    rows = epoch_means(evaluations, list(factors))
    if rows.empty:
        return note_chart("No evaluation by epoch: no run recorded one after each of its epochs.")
    first, facet = colour_and_facet(rows, factors)
    colour = level_colour(first, factors[first], sorted(rows[first].dropna().unique()))
    detail = [alt.Detail(f"{name}:N") for name in factors if name not in (first, facet)]
    last = int(rows["epoch"].max())
    ticks = list(range(1, last + 1, -(-last // MOST_TICKS)))  # left to Vega they stand between epochs, too
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=ticks, grid=False, format="d"))
    scale = alt.Scale(zero=False)
    tips = [level_tip(name, name, coding) for name, coding in factors.items()]
    tips += [alt.Tooltip("epoch:Q"), *number_tips(mean="mean loss", low="from", high="to")]
    bands = alt.Chart().mark_area(opacity=0.15)
    bands = bands.encode(x=x, y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high:Q"), color=colour, detail=detail)
    y = alt.Y("mean:Q", title="loss on the test sentences (nats)", scale=scale)
    lines = alt.Chart().mark_line(strokeWidth=1.8, point={"filled": True, "size": 36})
    lines = lines.encode(x=x, y=y, color=colour, detail=detail, tooltip=tips)
    return faceted(alt.layer(bands, lines), rows.drop(columns=["std", "count"]), facet)
