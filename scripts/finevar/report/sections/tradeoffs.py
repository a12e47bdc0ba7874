"""The report's section on trade-offs: the front, where metrics pull apart, what they cost each other, a compromise."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.analyses.pareto import ALL_DATASETS, SECONDS
from finevar.figures.tradeoffs import drawn_dataset, place_of
from finevar.report.cells import cell, columns, ends_text, level_columns, listed
from finevar.report.groups import group
from finevar.report.kinds import Cell, Column, Group, Labels, Row, Section, Table, Tables
from finevar.report.sections.conflicts import Levels, directions, pair_of, parted_by, prices
from finevar.report.sections.regressions import STOPPED, rows_of
from finevar.words.formatting import counted, joined, response_label, sentence_case, settings_text
from finevar.words.numbers import is_missing, number, percent, significant

SECONDS_LABEL = "seconds of training"
MOST_COMPROMISES = 5


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return which settings no other one beats, where metrics pull apart, what that costs, and a compromise."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    compared = {name: response_label(name) for name in tables["pareto"].dropna(subset="point_id")["response"]}
    names = compared | dict(labels) | {SECONDS: SECONDS_LABEL}
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(factors)].to_dict("index")
    parts = [part(tables, names, levels, confidence) for part in (front, directions, prices, compromise)]
    return {"finding": finding(tables, names), "groups": parts}


def finding(tables: Tables, names: Labels) -> str:
    """Say how many points are worth choosing from, and which metrics pull apart."""
    points, pairs = tables["pareto_points"], rows_of(tables["disagreements"], place="summary")
    sentences = ["With fewer than two metrics there is nothing to trade off."]
    if len(points):
        rows = rows_of(points, dataset=drawn_dataset(points["dataset"]))
        kept = sum(row["efficient"] for row in rows)
        sentences = [
            f"Of {counted(len(rows), 'tried point')}, {kept} are not beaten by another one in every metric at once."
        ]
    apart = [pair_of(row, names) for row in pairs if row["share_disagree"] > 0]
    parted = [f"{pair_of(row, names)} ({joined(parted_by(row))})" for row in pairs if row["factors"]]
    if apart:
        sentences.append(f"At some tried points the directions that improve them disagree: {'; '.join(apart)}.")
    if parted:
        sentences.append(f"On average a factor improves one metric and worsens the other: {'; '.join(parted)}.")
    if pairs and not apart and not parted:
        sentences.append("No two metrics are shown to pull in opposite directions.")
    return " ".join(sentences)


# The front ------------------------------------------------------------------------------------------------------------


def front(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return which points are on the front, by data set, with the figure and the tables."""
    title = "Points that no other one beats"
    points, pareto = tables["pareto_points"], tables["pareto"]
    left_out = pareto[pareto["point_id"].isna() & pareto["response"].isin(list(names))].to_dict("records")
    out = [f"{sentence_case(names[row['response']])} is left out: {row['reason']}." for row in left_out]
    if points.empty:
        return group(title, ["It takes two metrics that passed the gates.", *out])
    what = joined([names[name] for name in pareto.dropna(subset="point_id")["response"].unique()])
    found = [(dataset, rows.to_dict("records")) for dataset, rows in points.groupby("dataset", sort=False)]
    sentences = [f"Points are compared in {what}, each by its mean over seeds.", *out]
    sentences += [front_sentence(dataset, rows) for dataset, rows in found]
    if points["verdict"].notna().any():
        sentences.append(
            "Beaten on the means alone, a point may belong to the front for all that seeds tell. In at least "
            f"{percent(confidence)} of studies no point of the true front is called dominated."
        )
    drawn = drawn_dataset(points["dataset"])
    best = [row for row in rows_of(points, dataset=drawn) if row["efficient"]]
    main = points_table(f"Points on the observed front {where(drawn)}", best, pareto, levels, names)
    folded = [points_table(f"All points {where(dataset)}", rows, pareto, levels, names) for dataset, rows in found]
    return group(title, sentences, figures=["tradeoffs"], tables=[main], folded=folded)


def where(dataset: str) -> str:
    """Say which runs a mean is over."""
    return "over all data sets" if dataset == ALL_DATASETS else f"on {dataset}"


def front_sentence(dataset: str, rows: Sequence[Row]) -> str:
    """Say how many points are on the front, how many are shown not to be, and what is open."""
    kept = sum(row["efficient"] for row in rows)
    opening = f"{sentence_case(where(dataset))} {kept} of {counted(len(rows), 'point')} are on the observed front"
    reasons = [row["reason"] for row in rows if not is_missing(row["reason"])]
    if reasons:
        return f"{opening}; {reasons[0]}, so it is open whether the others belong to it."
    dominated = sum(row["verdict"] == "dominated" for row in rows)
    rest = len(rows) - kept - dominated
    return (
        f"{opening}; of the rest, {dominated or 'none'} shown to be dominated by a point that is better in every "
        f"metric, and {rest or 'none'} beaten on the means alone."
    )


def points_table(title: str, rows: Sequence[Row], pareto: pd.DataFrame, levels: Levels, names: Labels) -> Table:
    """Return one row a point: its levels, its means with their standard errors, and its place."""

    def mean(part: Row) -> Cell:
        error = part["std_error"]
        text = number(part["mean"], 1 if part["response"] == SECONDS else 4)
        return cell(text, note="" if is_missing(error) else f"SE {significant(error)}")

    def place(row: Row) -> Cell:
        by = row["dominated_by"]
        return cell(place_of(row), note="" if is_missing(by) else f"by {settings_text(levels[by])}")

    known = pareto.dropna(subset="point_id")
    parts = {(row["dataset"], row["point_id"], row["response"]): row for row in known.to_dict("records")}
    shown = level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]])
    shown += [
        (f"{sentence_case(names[name])}#", lambda row, name=name: mean(parts[row["dataset"], row["point_id"], name]))
        for name in known["response"].unique()
    ]
    geometric = f"; of {SECONDS_LABEL} the geometric mean" if SECONDS in set(known["response"]) else ""
    return listed(f"{title}: mean over seeds{geometric}, standard error below.", rows, [*shown, ("Place", place)])


# A compromise ---------------------------------------------------------------------------------------------------------


def compromise(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return which points are most desirable in all metrics together, with the weights that this rests on."""
    title, rows = "One point for all metrics", tables["desirability"]
    if rows.empty:
        return group(title, ["It takes two metrics that passed the gates."])
    single, together = rows[rows["response"] != ""], rows_of(rows, response="")
    weights = dict(zip(single["response"], single["weight"], strict=True))
    ranked = sorted(together, key=lambda row: -row["desirability"])
    likely = sorted(together, key=lambda row: -row["best_share"])[:2]
    best = ranked[0]
    used = joined([f"{weight:g} for {names[name]}" for name, weight in weights.items()])
    shares = joined(
        [f"{settings_text(levels[row['point_id']])} in {percent(round(row['best_share'], 2))}" for row in likely]
    )
    sentences = [
        f"With weights of {used}, the most desirable tried point is {settings_text(levels[best['point_id']])}: "
        f"{number(best['desirability'], 2)} (its own {percent(confidence)} interval {ends_text(best, 2)}).",
        f"Of the draws from the fits' uncertainty, the most desirable point is {shares}.",
        "Desirability (Derringer and Suich 1980) is 0 at a metric's worst predicted value over the tried points "
        "and 1 at its best (of seconds of training, the observed means), ends that intervals take as given; "
        "together it is the weighted geometric mean, so that a point worst in any metric has 0.",
    ]
    top = desirability_table("The most desirable points", ranked[:MOST_COMPROMISES], single, names, levels)
    everything = desirability_table("Desirability of all points", ranked, single, names, levels)
    return group(title, sentences, tables=[top], folded=[everything])


def desirability_table(title: str, rows: Sequence[Row], single: pd.DataFrame, names: Labels, levels: Levels) -> Table:
    """Return one row a point: its levels, its desirability for each metric and for all together."""
    parts = {(row["point_id"], row["response"]): row for row in single.to_dict("records")}

    def own(name: str) -> Column:
        decimals = 1 if name == SECONDS else 4

        def show(row: Row) -> Cell:
            part = parts[row["point_id"], name]
            return cell(number(part["desirability"], 2), note=number(part["value"], decimals))

        return f"{sentence_case(names[name])}#", show

    shown = level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]])
    shown += [own(name) for name in single["response"].unique()]
    shown += [("Together#", lambda row: cell(number(row["desirability"], 2), note=ends_text(row, 2)))]
    shown += columns(lambda share: percent(round(share, 2)), best_share="Share best#")
    return listed(f"{title}: by metric, with its predicted value below, and together.", rows, shown)
