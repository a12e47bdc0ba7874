"""The figure of trade-offs: every tried setting in two metrics, and against the seconds that it takes to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from finevar.analyses.baselines import at_baseline, have_own_baselines
from finevar.analyses.pareto import ALL_DATASETS, nondominated
from finevar.analyses.recommended import recommended_point
from finevar.figures.axes import level_tip, number_tips, padded
from finevar.figures.drawing import Picture, beside, layered, lean, note_chart
from finevar.figures.palette import BLUE, GREY, INK, PAPER, VERMILION, WIDTH
from finevar.metrics import SECONDS, towards
from finevar.study.coding import Codings
from finevar.study.settings import MODEL
from finevar.words.formatting import counted, counted_between, response_labels, response_unit, sentence_case
from finevar.words.numbers import is_missing, percent

PLACES = {  # with their colour and shape
    "on the front": (BLUE, "circle"),
    "dominated on the means": (GREY, "square"),
    "shown to be dominated": (VERMILION, "triangle-up"),
}
GAIN = "gain"  # of the first metric on the baseline, more being better
FIRST_PAIR = ["accuracy", "loss"]  # drawn against each other where both are traded off
LEAST_ROOM = 1.05  # beside the seconds, as a factor, where all runs take the same
ALTERNATIVE = "Every setting tried in two metrics, marked by whether one dominates it; the tables list the same."


def tradeoffs_chart(tables: Mapping[str, pd.DataFrame], factors: Codings) -> Picture:
    """Draw the settings' means in two metrics, and what the first gains on the baseline against seconds of training.

    tables: pareto, pareto_points, metrics, recommendations. Accuracy and loss where both are traded off, else the
    config's first two; of several data sets the mean over them. Better is right and up in both panels.
    """
    pareto, metrics = tables["pareto"], tables["metrics"]
    shown = drawn_points(pareto, tables["pareto_points"], metrics, list(factors))
    if shown.empty:
        return note_chart("No trade-offs: fewer than two metrics passed the gates.")
    pairs = drawn_pairs(list(dict.fromkeys(pareto["response"])), shown.columns)
    titles = response_labels(metrics, [name for pair in pairs for name in pair]) | {SECONDS: "seconds of training"}
    for name in (pair[1] for pair in pairs if pair[0] == SECONDS):
        gain = gained(shown, metrics, name)
        shown = shown.assign(**{GAIN: gain, f"{GAIN}_se": shown[f"{name}_se"]})
        titles[GAIN] = f"gain in {titles[name]} on the baseline"
    pairs = [[pair[0], GAIN if pair[0] == SECONDS else pair[1]] for pair in pairs]
    shown["name"] = names_of(shown, pairs[0], titles, recommended_point(tables), metrics)
    width = WIDTH // 2 - 75
    panels = [panel(shown, pair, titles, factors, width) for pair in pairs]
    return beside(panels, 30)


def gained(shown: pd.DataFrame, metrics: pd.DataFrame, name: str) -> pd.Series:
    """Return how far settings are better than their own model's baseline, more being better; without one, than none."""
    known = metrics.assign(baseline=metrics[f"baseline_{name}"].astype(float))
    if have_own_baselines(metrics):
        baseline = shown[MODEL].map(known.groupby(MODEL)["baseline"].mean()).astype(float)
    else:
        baseline = pd.Series(known["baseline"].mean(), shown.index)
    return towards(name) * (shown[name] - baseline.fillna(0.0))


def names_of(
    shown: pd.DataFrame, pair: Sequence[str], titles: Mapping[str, str], recommended: str | None, metrics: pd.DataFrame
) -> pd.Series:
    """Return what settings are called beside their marks: recommended, best in a metric, the baseline's own."""
    own = set(metrics.loc[at_baseline(metrics), "point_id"])
    names: dict[str, list[str]] = {point: [] for point in shown["point_id"]}
    for point, known in names.items():
        known += ["recommended"] * (point == recommended) + ["baseline"] * (point in own)
    for name in (name for name in pair if name in titles and name not in (SECONDS, GAIN)):
        names[shown.loc[(towards(name) * shown[name]).idxmax(), "point_id"]].append(f"best {titles[name]}")
    return shown["point_id"].map(lambda point: "\n".join(names[point]))


def drawn_dataset(datasets: pd.Series) -> str:
    """Return whose settings are drawn: the mean over data sets where there is one, else the only one's."""
    known = set(datasets.dropna())
    return ALL_DATASETS if ALL_DATASETS in known else min(known)


def where(dataset: str) -> str:
    """Say which runs a mean is over."""
    return "over all data sets" if dataset == ALL_DATASETS else f"on {dataset}"


def drawn_points(
    pareto: pd.DataFrame, pareto_points: pd.DataFrame, metrics: pd.DataFrame, factors: Sequence[str]
) -> pd.DataFrame:
    """Return one row a point: its levels, its mean and standard error in every metric, and its place."""
    if pareto_points.empty:
        return pd.DataFrame()
    dataset = drawn_dataset(pareto_points["dataset"])
    rows = pareto[pareto["dataset"] == dataset]
    means = rows.pivot(index="point_id", columns="response", values="mean")
    errors = rows.pivot(index="point_id", columns="response", values="std_error").add_suffix("_se")
    own = pareto_points[pareto_points["dataset"] == dataset].set_index("point_id")
    levels = metrics.drop_duplicates("point_id").set_index("point_id")[factors]
    places = [place_of(row) for row in own.to_dict("records")]
    shown = own.assign(place=places)[["place"]].join([levels, means, errors])
    return shown.reset_index()


def place_of(row: Mapping[str, Any]) -> str:
    """Say in words where a setting stands."""
    front, on_means, dominated = PLACES
    if row["efficient"]:
        return front
    return dominated if not is_missing(row["verdict"]) and row["verdict"] == "dominated" else on_means


def drawn_pairs(responses: Sequence[str], known: Sequence[str]) -> list[list[str]]:
    """Return which metrics are drawn against each other."""
    others = [name for name in responses if name != SECONDS]
    first = FIRST_PAIR if set(FIRST_PAIR) <= set(others) else others[:2]
    pairs = [first] if len(first) == 2 else []
    return pairs + ([[SECONDS, first[0]]] if SECONDS in known else [])


def panel(shown: pd.DataFrame, pair: Sequence[str], titles: Mapping[str, str], factors: Codings, width: int) -> Picture:
    """Draw the settings in two metrics with their standard errors, and the Pareto front as a line."""
    x_name, y_name = pair
    kept = shown.assign(**{f"{name}_{end}": span for name in pair for end, span in spans(shown, name)})
    base = alt.Chart(lean(kept))
    x, y = (axis(kept, name, titles[name]) for name in pair)
    places = {name: marks for name, marks in PLACES.items() if name in set(kept["place"])}
    colours, shapes = (
        alt.Scale(domain=list(places), range=list(marks)) for marks in zip(*places.values(), strict=True)
    )
    legend = alt.Legend(title=None, symbolOpacity=1)
    colour, shape = (
        alt.Color("place:N", scale=colours, legend=legend),
        alt.Shape("place:N", scale=shapes, legend=legend),
    )
    tips = [level_tip(name, name, coding) for name, coding in factors.items()]
    tips += [alt.Tooltip("place:N"), *number_tips(**{name: titles[name] for name in pair})]
    best = nondominated(np.column_stack([towards(name) * shown[name] for name in pair]))
    front = alt.Chart(lean(shown[best][list(pair)].sort_values(list(pair)))).mark_line(color=INK, strokeWidth=1)
    x_mean, y_mean = alt.X(f"{x_name}:Q", **x), alt.Y(f"{y_name}:Q", **y)
    layers = [front.encode(x=x_mean, y=y_mean, order=alt.Order(f"{x_name}:Q"))]
    if shown[f"{x_name}_se"].notna().all():
        bars = base.mark_rule(strokeWidth=0.8, opacity=0.25)
        layers += [
            bars.encode(x=alt.X(f"{x_name}_low:Q", **x), x2=alt.X2(f"{x_name}_high:Q"), y=y_mean, color=colour),
            bars.encode(x=x_mean, y=alt.Y(f"{y_name}_low:Q", **y), y2=alt.Y2(f"{y_name}_high:Q"), color=colour),
        ]
    points = base.mark_point(filled=True, size=70, opacity=0.9)
    points = points.encode(x=x_mean, y=y_mean, color=colour, shape=shape, tooltip=tips)
    words = [layer for rows, side in halves(kept, x_name) for layer in labels(rows, side, x_mean, y_mean)]
    return layered(*layers, points, *words, width=width, height=290)


def halves(kept: pd.DataFrame, x_name: str) -> list[tuple[pd.DataFrame, int]]:
    """Return the settings that have names in two parts, each with the side of its marks that has room: 1 is right."""
    rows = kept.loc[kept["name"] != ""]
    is_far = towards(x_name) * (rows[x_name] - (kept[x_name].min() + kept[x_name].max()) / 2) > 0
    return [(part, side) for part, side in ((rows[is_far], -1), (rows[~is_far], 1)) if len(part)]


def labels(rows: pd.DataFrame, side: int, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Write settings' names beside their marks, a line each."""
    base = alt.Chart(lean(rows)).encode(x=x, y=y, text=alt.Text("name:N"))
    style = {"dx": 9 * side, "align": "left" if side > 0 else "right", "fontWeight": 600, "lineBreak": "\n"}
    halo = base.mark_text(**style, stroke=PAPER, strokeWidth=3, strokeJoin="round", aria=False)
    return [halo, base.mark_text(**style)]


def spans(shown: pd.DataFrame, name: str) -> list[tuple[str, pd.Series]]:
    """Return the ends of one standard error on either side of a metric's means; of seconds as a factor."""
    values, errors = shown[name], shown[f"{name}_se"]
    if name == SECONDS:
        factor = np.exp(errors / values)
        return [("low", values / factor), ("high", values * factor)]
    return [("low", values - errors), ("high", values + errors)]


def axis(shown: pd.DataFrame, name: str, title: str) -> dict[str, Any]:
    """Return scale and axis of a metric; seconds on a logarithmic one."""
    ends = pd.concat([shown[name], shown[f"{name}_low"], shown[f"{name}_high"]]).dropna()
    title = sentence_case(title) + response_unit(name)
    better = {"reverse": towards(name) < 0}  # right and up
    if name == SECONDS:
        room = max((ends.max() / ends.min()) ** 0.05, LEAST_ROOM)
        scale = alt.Scale(type="log", domain=[ends.min() / room, ends.max() * room], nice=False, **better)
    else:
        scale = alt.Scale(domain=list(padded(ends)), nice=False, zero=False, **better)
    return {"scale": scale, "axis": alt.Axis(title=title, tickCount=5, labelOverlap="greedy")}


def caption(pareto: pd.DataFrame, pareto_points: pd.DataFrame, confidence: float) -> str:
    """Say what the figure draws: what a mark is a mean of, what the bars and the line are, what is shown."""
    if pareto_points.empty:
        return "No trade-offs are drawn."
    dataset = drawn_dataset(pareto_points["dataset"])
    rows = pareto[pareto["dataset"] == dataset]
    names = list(dict.fromkeys(rows["response"]))
    each = counted_between(*rows["runs"].agg(["min", "max"]).astype(int), "run")
    bars = "Bars: one standard error of the mean. " if rows["std_error"].notna().all() else ""
    return (
        f"The {counted(rows['point_id'].nunique(), 'tried setting')} {where(dataset)}, each the mean of {each}. "
        f"{bars}Up and right is better. The line joins those that no other dominates in its panel; the marks count all "
        f"{len(names)} metrics that are traded off. Shown to be dominated: another setting is better in every metric, "
        f"at {percent(confidence)} confidence for all settings at once."
    )
