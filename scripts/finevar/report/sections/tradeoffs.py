"""The report's section on trade-offs: the front, where metrics pull apart, what they cost each other, a compromise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from finevar.analyses.pareto import SECONDS
from finevar.analyses.recommended import recommended_point
from finevar.figures.tradeoffs import drawn_dataset, place_of, where
from finevar.reasons import Untraded
from finevar.report.cells import VERDICT, cell, columns, level_columns, listed, ranged, rounded_span, whole
from finevar.report.parts import (
    STOPPED,
    Cell,
    Column,
    Group,
    Labels,
    Row,
    Section,
    Table,
    Tables,
    group,
    rows_of,
    sentence,
)
from finevar.words.formatting import counted, factor_label, joined, response_label, sentence_case, settings_text
from finevar.words.numbers import (
    MINUS,
    NOTHING,
    estimated,
    is_missing,
    number,
    percent,
    significant,
    span,
    whole_percent,
)

PART, PLACE, TITLE = "tradeoffs", 10, "The Pareto front"
FIGURE = "tradeoffs"
SECONDS_LABEL = "seconds of training"
MOST_COMPROMISES = 5
MOST_PAIRS = 6  # with sentences and tables point by point of their own; beyond, one table holds the rest
PRICED = ("effect", "small", "negligible", "undecided")  # verdicts on prices, in the order of their sentences
WAYS = ("agree", "disagree", "open")

Levels = Mapping[str, Mapping[str, float]]  # by point, of each factor


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return which settings are on the Pareto front, and where metrics pull apart."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    names, levels = known_of(tables, labels, factors)
    drawn = [group("", [], figures=["tradeoffs"])] if len(tables["pareto_points"]) else []
    return {"finding": finding(tables, names), "groups": [*drawn, front(tables, names, levels, confidence)]}


def known_of(tables: Tables, labels: Labels, factors: Sequence[str]) -> tuple[dict[str, str], Levels]:
    """Return the names in words of all that is traded off, and the levels of each setting."""
    compared = {name: response_label(name) for name in tables["pareto"].dropna(subset="point_id")["response"]}
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(factors)].to_dict("index")
    return compared | dict(labels) | {SECONDS: SECONDS_LABEL}, levels


def finding(tables: Tables, names: Labels) -> str:
    """Say how many settings are worth choosing from, and which metrics pull apart."""
    points = tables["pareto_points"]
    if points.empty:
        return "With fewer than two metrics there is nothing to trade off."
    rows = rows_of(points, dataset=drawn_dataset(points["dataset"]))
    kept = sum(row["efficient"] for row in rows)
    first = f"Of {counted(len(rows), 'setting')} tried, {kept} are on the Pareto front: no other one is better in all."
    return " ".join([first, *apart_sentences(tables, names)])


def apart_sentences(tables: Tables, names: Labels) -> list[str]:
    """Say which metrics pull apart: at some settings, and on average along a factor."""
    pairs = rows_of(tables["disagreements"], place="summary")
    apart = [pair_of(row, names) for row in pairs if row["share_disagree"] > 0]
    parted = [f"{pair_of(row, names)} ({joined(parted_by(row))})" for row in pairs if row["factors"]]
    sentences = []
    if apart:
        sentences.append(f"At some settings the directions that improve them disagree: {'; '.join(apart)}.")
    if parted:
        sentences.append(f"On average a factor improves one metric and worsens the other: {'; '.join(parted)}.")
    if pairs and not sentences:
        sentences.append("No two metrics are shown to pull in opposite directions.")
    return sentences


def front(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return which settings are on the front, by data set, with the figure and the tables."""
    title = "Settings on the front"
    points, pareto = tables["pareto_points"], tables["pareto"]
    left_out = pareto[pareto["point_id"].isna() & pareto["response"].isin(list(names))].to_dict("records")
    out = [
        f"{sentence_case(names[row['response']])} is left out: {row['reason']}." for row in left_out if is_whole(row)
    ]
    out += [f"{sentence_case(names[row['response']])}: {row['reason']}." for row in left_out if not is_whole(row)]
    if points.empty:
        return group(title, ["It takes two metrics that passed the gates.", *out])
    what = joined([names[name] for name in pareto.dropna(subset="point_id")["response"].unique()])
    found = [(dataset, rows.to_dict("records")) for dataset, rows in points.groupby("dataset", sort=False)]
    sentences = [f"Settings are compared in {what}, each by its mean over seeds.", *out]
    sentences += [front_sentence(dataset, rows) for dataset, rows in found]
    if points["verdict"].notna().any():
        sentences.append(
            "Dominated on the means alone, a setting may still belong to the front, as far as seeds show. In at least "
            f"{percent(confidence)} of studies no setting of the true front is called dominated."
        )
    drawn = drawn_dataset(points["dataset"])
    best = [row for row in rows_of(points, dataset=drawn) if row["efficient"]]
    known = (pareto, levels, names, recommended_point(tables))
    main = points_table(f"Settings on the observed front {where(drawn)}", best, *known)
    folded = [points_table(f"All settings {where(dataset)}", rows, *known) for dataset, rows in found]
    return group(title, sentences, tables=[main], folded=folded, fold=True)


def is_whole(row: Row) -> bool:
    """Say whether a metric is left out as a whole, and not for some settings."""
    return row["reason_code"] == Untraded.SECONDS


def front_sentence(dataset: str, rows: Sequence[Row]) -> str:
    """Say how many settings are on the front, how many are shown not to be, and what is open."""
    kept = sum(row["efficient"] for row in rows)
    opening = f"{sentence_case(where(dataset))} {kept} of {counted(len(rows), 'setting')} are on the observed front"
    reasons = [row["reason"] for row in rows if not is_missing(row["reason"])]
    if reasons:
        return f"{opening}; {reasons[0]}, so it is open whether the others belong to it."
    dominated = sum(row["verdict"] == "dominated" for row in rows)
    rest = len(rows) - kept - dominated
    return (
        f"{opening}; of the rest, {dominated or 'none'} shown to be dominated by a setting that is better in every "
        f"metric, and {rest or 'none'} dominated on the means alone."
    )


def points_table(
    title: str, rows: Sequence[Row], pareto: pd.DataFrame, levels: Levels, names: Labels, recommended: str | None
) -> Table:
    """Return one row a setting: its levels, its means with their standard errors, its place, and which is recommended.

    recommended: that setting's id.
    """

    def mean(part: Row) -> Cell:
        error = part["std_error"]
        text = number(part["mean"], 1 if part["response"] == SECONDS else 4)
        return cell(text, note="" if is_missing(error) else f"SE {significant(error)}")

    def place(row: Row) -> Cell:
        by = row["dominated_by"]
        notes = ["recommended"] if row["point_id"] == recommended else []
        notes += [] if is_missing(by) else [f"by {settings_text(levels[by])}"]
        return cell(place_of(row), note=", ".join(notes))

    known = pareto.dropna(subset="point_id")
    parts = {(row["dataset"], row["point_id"], row["response"]): row for row in known.to_dict("records")}
    shown = level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]])
    shown += [
        (f"{sentence_case(names[name])}#", lambda row, name=name: mean(parts[row["dataset"], row["point_id"], name]))
        for name in known["response"].unique()
    ]
    geometric = f"; of {SECONDS_LABEL} the geometric mean" if SECONDS in set(known["response"]) else ""
    return listed(f"{title}: mean over seeds{geometric}, standard error below.", rows, [*shown, ("Place", place)])


def compromise(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return which settings are most desirable in all metrics together, with the weights that this rests on."""
    title, rows = "One setting for all metrics", tables["desirability"]
    if rows.empty:
        return group(title, ["It takes two metrics that passed the gates."])
    single, together = rows[rows["response"] != ""], rows_of(rows, response="")
    weights = dict(zip(single["response"], single["weight"], strict=True))
    ranked = sorted(together, key=lambda row: -row["desirability"])
    likely = sorted(together, key=lambda row: -row["best_share"])[:2]
    best = ranked[0]
    used = joined([f"{weight:g} for {names[name]}" for name, weight in weights.items()])
    shares = joined(
        [f"{settings_text(levels[row['point_id']])} in {whole_percent(row['best_share'])}" for row in likely]
    )
    sentences = [
        f"With weights of {used}, the most desirable setting tried is {settings_text(levels[best['point_id']])}: "
        f"{number(best['desirability'], 2)} (its own {percent(confidence)} interval {rounded_span(best, 2)}).",
        f"Of the draws from the fits' uncertainty, the most desirable setting is {shares}.",
        "Desirability (Derringer and Suich 1980) is 0 at a metric's worst predicted value over the settings tried "
        "and 1 at its best (of seconds of training, the observed means), ends that intervals take as given; "
        "together it is the weighted geometric mean, so that a setting worst in any metric has 0.",
    ]
    top = desirability_table("The most desirable settings", ranked[:MOST_COMPROMISES], single, names, levels)
    everything = desirability_table("Desirability of all settings", ranked, single, names, levels)
    return group(title, sentences, tables=[top], folded=[everything])


def desirability_table(title: str, rows: Sequence[Row], single: pd.DataFrame, names: Labels, levels: Levels) -> Table:
    """Return one row a setting: its levels, its desirability for each metric and for all together."""
    parts = {(row["point_id"], row["response"]): row for row in single.to_dict("records")}

    def own(name: str) -> Column:
        decimals = 1 if name == SECONDS else 4

        def show(row: Row) -> Cell:
            part = parts[row["point_id"], name]
            return cell(number(part["desirability"], 2), note=number(part["value"], decimals))

        return f"{sentence_case(names[name])}#", show

    shown = level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]])
    shown += [own(name) for name in single["response"].unique()]
    shown += [("Together#", lambda row: cell(number(row["desirability"], 2), note=rounded_span(row, 2)))]
    shown += columns(whole_percent, best_share="Share best#")
    return listed(f"{title}: by metric, with its predicted value below, and together.", rows, shown)


def directions(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return for each pair of fitted metrics where the direction that improves one worsens the other."""
    title, rows = "Where metrics pull apart", tables["disagreements"]
    if rows.empty:
        return group(title, ["It takes two fitted metrics with settings in common."])
    found = [part for _, part in rows.groupby(["response_a", "response_b"], sort=False)]
    found.sort(key=lambda part: pair_verdict(rows_of(part, place="summary")[0]) != "effect")
    totals = [rows_of(part, place="summary")[0] for part in found]
    sentences = [sentence(pair_sentence(row, names), pair_verdict(row)) for row in totals[:MOST_PAIRS]]
    how = (
        "The cosine of two fitted gradients, in coded units and turned so that up is better, is 1 where one "
        f"direction is the best for both metrics and {MINUS}1 where it is the best for one and the worst for the "
        f"other. A setting counts where its own {percent(confidence)} interval excludes zero; where a gradient "
        "may be zero it is open."
    )
    centres = [rows_of(part, place="centre")[0] for part in found]
    shown = [
        ("Metrics", lambda pair: sentence_case(pair_of(pair[0], names))),
        ("Cosine mid-range#", lambda pair: cosine_cell(pair[1])),
        *((f"{way.capitalize()}#", lambda pair, way=way: whole(counts(pair[0])[way])) for way in WAYS),
        ("Parted by", lambda pair: joined(parted_by(pair[0])) or NOTHING),
    ]
    caption = "Settings where the fitted gradients of two metrics agree, disagree or leave it open."
    grid = listed(caption, list(zip(totals, centres, strict=True)), shown)
    folded = [cosines_table(rows_of(part, place="cell"), names, levels) for part in found[:MOST_PAIRS]]
    return group(title, [*sentences, how], tables=[grid], folded=folded)


def pair_of(row: Row, names: Labels) -> str:
    """Return the names of a pair of metrics."""
    return f"{names[row['response_a']]} and {names[row['response_b']]}"


def parted_by(row: Row) -> list[str]:
    """Return the factors that are better for one metric of a pair and worse for the other."""
    return [factor_label(name) for name in row["factors"].split(", ") if name]


def pair_verdict(row: Row) -> str | None:
    """Say whether two metrics are shown to pull apart anywhere, or whether that is open."""
    if row["share_disagree"] > 0 or row["factors"]:
        return "effect"
    return "undecided" if row["share_open"] > 0 else None


def counts(row: Row) -> dict[str, int]:
    """Return how many tried points agree, disagree and leave it open."""
    return {name: round(row[f"share_{name}"] * row["cells"]) for name in WAYS}


def pair_sentence(row: Row, names: Labels) -> str:
    """Say at how many settings two metrics agree, and which factors part them."""
    seen, apart = counts(row), parted_by(row)
    text = (
        f"{sentence_case(pair_of(row, names))}: at {seen['agree']} of {counted(int(row['cells']), 'setting')} the "
        f"directions of steepest improvement agree, at {seen['disagree']} they disagree, at {seen['open']} it is open."
    )
    if apart:
        text += f" Averaged over the runs, raising {joined(apart, 'or')} improves one and worsens the other."
    return text


def cosine_cell(row: Row) -> Cell:
    """Return a cosine with its interval."""
    if is_missing(row["cosine"]):
        return cell(NOTHING, note=row["reason"])
    return cell(number(row["cosine"], 2), note=rounded_span(row, 2))


def cosines_table(rows: Sequence[Row], names: Labels, levels: Levels) -> Table:
    """Return the cosine of a pair's gradients at every setting tried."""
    shown = level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]])
    shown += [
        ("Cosine#", cosine_cell),
        ("Verdict", lambda row: cell(row["verdict"] or NOTHING, note=row["reason"])),
    ]
    return listed(f"Cosine of the gradients of {pair_of(rows[0], names)} at every setting tried", rows, shown)


def prices(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return what the best setting of each metric costs in every other one."""
    title = "What the best setting of one metric costs in another"
    rows = tables["prices"].to_dict("records")
    if not rows:
        return group(title, ["It takes two fitted metrics with settings in common."])
    known = [row for row in rows if not is_missing(row["verdict"])]
    known.sort(key=lambda row: PRICED.index(row["verdict"]))
    sentences = [sentence(price_sentence(row, names, levels, confidence), row["verdict"]) for row in known[:MOST_PAIRS]]
    same = [row for row in rows if row["point_id"] == row["own_best"]]
    if same:
        pairs = {frozenset((row["best_for"], row["response"])): row for row in same}.values()
        shared = joined([f"{names[row['best_for']]} and {names[row['response']]}" for row in pairs])
        sentences.append(f"One setting is predicted best for both, and costs nothing: {shared}.")
    how = (
        f"Prices are differences of the fitted surface between two settings tried; the {percent(confidence)} intervals "
        "hold for all pairs of settings at once, so that having chosen the best does not flatter them."
    )
    shown = [
        *columns(lambda name: sentence_case(names[name]), best_for="Best setting for", response="Costs in"),
        ("Price#", lambda row: ranged(row, "price") if row["std_error"] else "0"),
        *columns(significant, smallest_effect="Smallest effect#"),
        VERDICT,
    ]
    caption = "Prices: positive is worse than that metric's own best setting, in its units."
    return group(title, [*sentences, how], tables=[listed(caption, rows, shown)])


def price_sentence(row: Row, names: Labels, levels: Levels, confidence: float) -> str:
    """Say what following one metric costs in another."""
    within = f", within the smallest effect of interest, {significant(row['smallest_effect'])}"
    compared = {
        "effect": "",
        "small": within,
        "negligible": within,
        "undecided": "; it is undecided whether it costs anything",
    }[row["verdict"]]
    return (
        f"The setting predicted best for {names[row['best_for']]} ({settings_text(levels[row['point_id']])}) costs "
        f"{estimated(row, 'price', sign=False)} in {names[row['response']]} against that metric's own "
        f"best ({settings_text(levels[row['own_best']])}), {percent(confidence)} interval {span(row)}{compared}."
    )
