"""The report's section on trade-offs: the front, where metrics pull apart, what they cost each other, a compromise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.analyses.pareto import ALL_DATASETS, SECONDS
from finevar.figures.tradeoffs import drawn_dataset, place_of
from finevar.report.groups import Group, group, sentence
from finevar.report.sections.conflicts import Levels, directions, pair_of, parted_by, prices
from finevar.report.sections.regressions import STOPPED, Labels, Section, Tables, rows_of
from finevar.report.tables import Table, cell, factor_columns, table
from finevar.words.formatting import (
    counted,
    is_missing,
    joined,
    level,
    number,
    percent,
    response_label,
    sentence_case,
    settings_text,
    significant,
)

TITLE = "Trade-offs"
PLACE = 10
FIGURE = "tradeoffs"
SECONDS_LABEL = "seconds of training"
MOST_COMPROMISES = 5


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return which settings no other one beats, where metrics pull apart, what that costs, and a compromise."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    names = dict(labels) | {SECONDS: SECONDS_LABEL}
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(factors)].to_dict("index")
    parts = [
        front(tables, names, levels, confidence),
        directions(tables, names, levels, confidence),
        prices(tables, names, levels, confidence),
        compromise(tables, names, levels, confidence),
    ]
    return {"finding": finding(tables, names), "groups": parts}


def finding(tables: Tables, names: Labels) -> str:
    """Say how many points are worth choosing from, and which metrics pull apart."""
    points, pairs = tables["pareto_points"], rows_of(tables["disagreements"], place="summary")
    told = ["With fewer than two metrics there is nothing to trade off."]
    if len(points):
        rows = rows_of(points, dataset=drawn_dataset(points["dataset"]))
        kept = sum(row["efficient"] for row in rows)
        told = [
            f"Of {counted(len(rows), 'tried point')}, {kept} are not beaten by another one in every metric at once."
        ]
    apart = [pair_of(row, names) for row in pairs if row["share_disagree"] > 0]
    parted = [f"{pair_of(row, names)} ({joined(parted_by(row))})" for row in pairs if row["factors"]]
    if apart:
        told.append(f"At some tried points the directions that improve them disagree: {'; '.join(apart)}.")
    if parted:
        told.append(f"On average a factor improves one metric and worsens the other: {'; '.join(parted)}.")
    if pairs and not apart and not parted:
        told.append("No two metrics are shown to pull in opposite directions.")
    return " ".join(told)


# The front ------------------------------------------------------------------------------------------------------------


def front(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return which points are on the front, by data set, with the figure and the tables."""
    title = "Points that no other one beats"
    points, pareto = tables["pareto_points"], tables["pareto"]
    left_out = pareto[pareto["point_id"].isna()].to_dict("records")
    sentences = [
        sentence(f"{sentence_case(names[row['response']])} is left out: {row['reason']}.")
        for row in left_out
        if row["response"] in names
    ]
    if points.empty:
        return group(title, [sentence("It takes two metrics that passed the gates."), *sentences])
    compared = list(dict.fromkeys(pareto.dropna(subset="point_id")["response"]))
    what = joined([names.get(name, response_label(name)) for name in compared])
    sentences.insert(0, sentence(f"Points are compared in {what}, each by its mean over seeds."))
    found = [(dataset, rows.to_dict("records")) for dataset, rows in points.groupby("dataset", sort=False)]
    sentences += [sentence(front_sentence(dataset, rows)) for dataset, rows in found]
    if points["verdict"].notna().any():
        sentences.append(
            sentence(
                "Beaten on the means alone, a point may belong to the front for all that seeds tell. In at least "
                f"{percent(confidence)} of studies no point of the true front is called dominated."
            )
        )
    drawn = drawn_dataset(points["dataset"])
    best = [row for row in rows_of(points, dataset=drawn) if row["efficient"]]
    main = points_table(f"Points on the observed front {where(drawn)}", best, pareto, levels, names)
    folded = [points_table(f"All points {where(dataset)}", rows, pareto, levels, names) for dataset, rows in found]
    return group(title, sentences, figures=[FIGURE], tables=[main], folded=folded)


def where(dataset: str) -> str:
    """Say which runs a mean is over."""
    return "over all data sets" if dataset == ALL_DATASETS else f"on {dataset}"


def front_sentence(dataset: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how many points are on the front, how many are shown not to be, and what is open."""
    kept = sum(row["efficient"] for row in rows)
    told = f"{sentence_case(where(dataset))} {kept} of {counted(len(rows), 'point')} are on the observed front"
    reasons = [row["reason"] for row in rows if not is_missing(row["reason"])]
    if reasons:
        return f"{told}; {reasons[0]}, so it is open whether the others belong to it."
    dominated = sum(row["verdict"] == "dominated" for row in rows)
    rest = len(rows) - kept - dominated
    return (
        f"{told}; of the rest, {dominated or 'none'} shown to be dominated by a point that is better in every metric, "
        f"and {rest or 'none'} beaten on the means alone."
    )


def points_table(
    title: str, rows: Sequence[Mapping[str, Any]], pareto: pd.DataFrame, levels: Levels, names: Labels
) -> Table:
    """Return one row a point: its levels, its means with their standard errors, and its place."""
    means = {
        (row["dataset"], row["point_id"], row["response"]): row
        for row in pareto.dropna(subset="point_id").to_dict("records")
    }
    responses = list(dict.fromkeys(key[2] for key in means))
    factors = list(next(iter(levels.values())))
    printed = []
    for row in rows:
        cells = [level(levels[row["point_id"]][name]) for name in factors]
        cells += [mean_cell(means[row["dataset"], row["point_id"], name]) for name in responses]
        by = row["dominated_by"]
        note = "" if is_missing(by) else f"by {settings_text(levels[by])}"
        printed.append([*cells, cell(place_of(row), note=note)])
    columns = factor_columns(factors)
    columns += [f"{sentence_case(names.get(name, response_label(name)))}#" for name in responses]
    geometric = f"; of {SECONDS_LABEL} the geometric mean" if SECONDS in responses else ""
    return table(f"{title}: mean over seeds{geometric}, standard error below.", [*columns, "Place"], printed)


def mean_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mean with its standard error."""
    error = row["std_error"]
    text = number(row["mean"], 1) if row["response"] == SECONDS else number(row["mean"])
    return cell(text, note="" if is_missing(error) else f"SE {significant(error)}")


# A compromise ---------------------------------------------------------------------------------------------------------


def compromise(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return which points are most desirable in all metrics together, with the weights that this rests on."""
    title = "One point for all metrics"
    rows = tables["desirability"]
    if rows.empty:
        return group(title, [sentence("It takes two metrics that passed the gates.")])
    single, whole_rows = rows[rows["response"] != ""], rows_of(rows, response="")
    weights = dict(zip(single["response"], single["weight"], strict=True))
    ranked = sorted(whole_rows, key=lambda row: -row["desirability"])
    likely = sorted(whole_rows, key=lambda row: -row["best_share"])[:2]
    best = ranked[0]
    used = joined([f"{weight:g} for {names.get(name, response_label(name))}" for name, weight in weights.items()])
    span = f"its own {percent(confidence)} interval {number(best['ci_low'], 2)} to {number(best['ci_high'], 2)}"
    shares = joined(
        [f"{settings_text(levels[row['point_id']])} in {percent(round(row['best_share'], 2))}" for row in likely]
    )
    sentences = [
        sentence(
            f"With weights of {used}, the most desirable tried point is {settings_text(levels[best['point_id']])}: "
            f"{number(best['desirability'], 2)} ({span})."
        ),
        sentence(f"Of the draws from the fits' uncertainty, the most desirable point is {shares}."),
        sentence(
            "Desirability (Derringer and Suich 1980) is 0 at a metric's worst predicted value over the tried points "
            "and 1 at its best (of seconds of training, the observed means), ends that intervals take as given; "
            "together it is the weighted geometric mean, so that a point worst in any metric has 0."
        ),
    ]
    top = desirability_table("The most desirable points", ranked[:MOST_COMPROMISES], single, names, levels)
    everything = desirability_table("Desirability of all points", ranked, single, names, levels)
    return group(title, sentences, tables=[top], folded=[everything])


def desirability_table(
    title: str, rows: Sequence[Mapping[str, Any]], single: pd.DataFrame, names: Labels, levels: Levels
) -> Table:
    """Return one row a point: its levels, its desirability for each metric and for all together."""
    factors = list(next(iter(levels.values())))
    parts = {(row["point_id"], row["response"]): row for row in single.to_dict("records")}
    responses = list(dict.fromkeys(single["response"]))
    printed = []
    for row in rows:
        own = [parts[row["point_id"], name] for name in responses]
        printed.append(
            [
                *(level(levels[row["point_id"]][name]) for name in factors),
                *(cell(number(part["desirability"], 2), note=predicted_note(part)) for part in own),
                cell(number(row["desirability"], 2), note=f"{number(row['ci_low'], 2)} to {number(row['ci_high'], 2)}"),
                percent(round(row["best_share"], 2)),
            ]
        )
    columns = factor_columns(factors)
    columns += [f"{sentence_case(names.get(name, response_label(name)))}#" for name in responses]
    caption = f"{title}: by metric, with its predicted value below, and together."
    return table(caption, [*columns, "Together#", "Share best#"], printed)


def predicted_note(row: Mapping[str, Any]) -> str:
    """Return the value that a desirability is of."""
    return number(row["value"], 1 if row["response"] == SECONDS else 4)
