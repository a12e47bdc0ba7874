"""The report's part on conflicts between metrics: where their gradients part, and what they cost each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finevar.report.groups import Group, group, sentence
from finevar.report.sections.regressions import Labels, Tables, rows_of
from finevar.report.tables import Table, cell, factor_columns, ranged, table, verdict_cell, whole
from finevar.words.formatting import (
    MINUS,
    NOTHING,
    counted,
    estimate,
    factor_label,
    interval,
    is_missing,
    joined,
    level,
    number,
    percent,
    sentence_case,
    settings_text,
    significant,
)

MOST_PAIRS = 6  # told in sentences and in tables point by point; beyond, one table tells the rest
WAYS = ("agree", "disagree", "open")

Levels = Mapping[str, Mapping[str, float]]  # by point, of each factor


# Directions -----------------------------------------------------------------------------------------------------------


def directions(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return for each pair of fitted metrics where the direction that improves one worsens the other."""
    title = "Where metrics pull apart"
    rows = tables["disagreements"]
    if rows.empty:
        return group(title, [sentence("It takes two fitted metrics.")])
    found = [part for _, part in rows.groupby(["response_a", "response_b"], sort=False)]
    found.sort(key=lambda part: pair_verdict(rows_of(part, place="summary")[0]) != "effect")
    totals = [rows_of(part, place="summary")[0] for part in found]
    sentences = [sentence(pair_sentence(row, names), pair_verdict(row)) for row in totals[:MOST_PAIRS]]
    sentences.append(
        sentence(
            "The cosine of two fitted gradients, in coded units and turned so that up is better, is 1 where one "
            f"direction is the best for both metrics and {MINUS}1 where it is the best for one and the worst for the "
            f"other. A point counts where its own {percent(confidence)} interval excludes zero; where a gradient "
            "cannot be told from zero it is open."
        )
    )
    printed = [
        pair_cells(row, rows_of(part, place="centre")[0], names) for row, part in zip(totals, found, strict=True)
    ]
    columns = ["Metrics", "Cosine at the centre#", "Agree#", "Disagree#", "Open#", "Parted by"]
    caption = "Tried points where the fitted gradients of two metrics agree, disagree or leave it open."
    folded = [cosines_table(rows_of(part, place="cell"), names, levels) for part in found[:MOST_PAIRS]]
    return group(title, sentences, tables=[table(caption, columns, printed)], folded=folded)


def pair_of(row: Mapping[str, Any], names: Labels) -> str:
    """Return the names of a pair of metrics."""
    return f"{names[row['response_a']]} and {names[row['response_b']]}"


def parted_by(row: Mapping[str, Any]) -> list[str]:
    """Return the factors that are better for one metric of a pair and worse for the other."""
    return [factor_label(name) for name in row["factors"].split(", ") if name]


def pair_verdict(row: Mapping[str, Any]) -> str | None:
    """Say whether two metrics are shown to pull apart anywhere, or whether that is open."""
    if row["share_disagree"] > 0 or row["factors"]:
        return "effect"
    return "undecided" if row["share_open"] > 0 else None


def counts(row: Mapping[str, Any]) -> dict[str, int]:
    """Return how many tried points agree, disagree and leave it open."""
    return {name: round(row[f"share_{name}"] * row["cells"]) for name in WAYS}


def pair_sentence(row: Mapping[str, Any], names: Labels) -> str:
    """Say at how many points two metrics agree, and which factors part them."""
    seen, apart = counts(row), parted_by(row)
    told = (
        f"{sentence_case(pair_of(row, names))}: at {seen['agree']} of {counted(int(row['cells']), 'tried point')} the "
        f"directions of steepest improvement agree, at {seen['disagree']} they disagree, at {seen['open']} it is open."
    )
    if apart:
        told += f" Averaged over the runs, raising {joined(apart, 'or')} improves one and worsens the other."
    return told


def pair_cells(total: Mapping[str, Any], centre: Mapping[str, Any], names: Labels) -> list[Any]:
    """Return the cells of one pair of metrics."""
    seen = counts(total)
    shares = [whole(seen[name]) for name in WAYS]
    return [sentence_case(pair_of(total, names)), cosine_cell(centre), *shares, joined(parted_by(total)) or NOTHING]


def cosine_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cosine with its interval."""
    if is_missing(row["cosine"]):
        return cell(NOTHING, note=str(row["reason"]))
    return cell(number(row["cosine"], 2), note=f"{number(row['ci_low'], 2)} to {number(row['ci_high'], 2)}")


def cosines_table(rows: Sequence[Mapping[str, Any]], names: Labels, levels: Levels) -> Table:
    """Return the cosine of a pair's gradients at every tried point."""
    factors = list(next(iter(levels.values())))
    printed = [
        [
            *(level(levels[row["point_id"]][name]) for name in factors),
            cosine_cell(row),
            cell(row["verdict"] or NOTHING, note="" if is_missing(row["reason"]) else row["reason"]),
        ]
        for row in rows
    ]
    columns = factor_columns(factors)
    caption = f"Cosine of the gradients of {pair_of(rows[0], names)} at every tried point"
    return table(caption, [*columns, "Cosine#", "Verdict"], printed)


# Prices ---------------------------------------------------------------------------------------------------------------


def prices(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return what the best setting of each metric costs in every other one."""
    title = "What the best setting of one metric costs in another"
    rows = tables["prices"].to_dict("records")
    if not rows:
        return group(title, [sentence("It takes two fitted metrics.")])
    told = [row for row in rows if not is_missing(row["verdict"])]
    told.sort(key=lambda row: ("effect", "negligible", "undecided").index(row["verdict"]))
    sentences = [sentence(price_sentence(row, names, levels, confidence), row["verdict"]) for row in told[:MOST_PAIRS]]
    same = [row for row in rows if row["point_id"] == row["own_best"]]
    if same:
        pairs = {frozenset((row["best_for"], row["response"])): row for row in same}.values()
        shared = joined([f"{names[row['best_for']]} and {names[row['response']]}" for row in pairs])
        sentences.append(sentence(f"One tried point is predicted best for both, and costs nothing: {shared}."))
    how = (
        f"Prices are differences of the fitted surface between two tried points; the {percent(confidence)} intervals "
        "hold for all pairs of tried points at once, so that having chosen the best does not flatter them."
    )
    printed = [
        [
            sentence_case(names[row["best_for"]]),
            cell(sentence_case(names[row["response"]])),
            ranged(row["price"], row["ci_low"], row["ci_high"]) if row["std_error"] else cell("0"),
            significant(row["smallest_effect"]),
            verdict_cell(row),
        ]
        for row in rows
    ]
    columns = ["Best setting for", "Costs in", "Price#", "Smallest effect#", "Verdict"]
    caption = "Prices: positive is worse than that metric's own best setting, in its units."
    return group(title, [*sentences, sentence(how)], tables=[table(caption, columns, printed)])


def price_sentence(row: Mapping[str, Any], names: Labels, levels: Levels, confidence: float) -> str:
    """Say what following one metric costs in another."""
    low, high = row["ci_low"], row["ci_high"]
    told = {
        "effect": "",
        "negligible": f", within the smallest effect of interest, {significant(row['smallest_effect'])}",
        "undecided": "; it is undecided whether it costs anything",
    }[row["verdict"]]
    return (
        f"The point predicted best for {names[row['best_for']]} ({settings_text(levels[row['point_id']])}) costs "
        f"{estimate(row['price'], (high - low) / 2, sign=False)} in {names[row['response']]} against that metric's own "
        f"best ({settings_text(levels[row['own_best']])}), {percent(confidence)} interval {interval(low, high)}{told}."
    )
