"""The report's part on conflicts between metrics: where their gradients part, and what they cost each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finevar.report.cells import VERDICT, cell, columns, ends_text, level_columns, listed, ranged, whole
from finevar.report.groups import group, sentence
from finevar.report.kinds import Cell, Group, Labels, Row, Table, Tables
from finevar.report.sections.regressions import rows_of
from finevar.words.formatting import counted, factor_label, joined, sentence_case, settings_text
from finevar.words.numbers import MINUS, NOTHING, estimated, is_missing, number, percent, significant, span

MOST_PAIRS = 6  # with sentences and tables point by point of their own; beyond, one table holds the rest
WAYS = ("agree", "disagree", "open")

Levels = Mapping[str, Mapping[str, float]]  # by point, of each factor


# Directions -----------------------------------------------------------------------------------------------------------


def directions(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return for each pair of fitted metrics where the direction that improves one worsens the other."""
    title, rows = "Where metrics pull apart", tables["disagreements"]
    if rows.empty:
        return group(title, ["It takes two fitted metrics."])
    found = [part for _, part in rows.groupby(["response_a", "response_b"], sort=False)]
    found.sort(key=lambda part: pair_verdict(rows_of(part, place="summary")[0]) != "effect")
    totals = [rows_of(part, place="summary")[0] for part in found]
    sentences = [sentence(pair_sentence(row, names), pair_verdict(row)) for row in totals[:MOST_PAIRS]]
    how = (
        "The cosine of two fitted gradients, in coded units and turned so that up is better, is 1 where one "
        f"direction is the best for both metrics and {MINUS}1 where it is the best for one and the worst for the "
        f"other. A point counts where its own {percent(confidence)} interval excludes zero; where a gradient "
        "is not significantly different from zero it is open."
    )
    centres = [rows_of(part, place="centre")[0] for part in found]
    shown = [
        ("Metrics", lambda pair: sentence_case(pair_of(pair[0], names))),
        ("Cosine at the centre#", lambda pair: cosine_cell(pair[1])),
        *((f"{way.capitalize()}#", lambda pair, way=way: whole(counts(pair[0])[way])) for way in WAYS),
        ("Parted by", lambda pair: joined(parted_by(pair[0])) or NOTHING),
    ]
    caption = "Tried points where the fitted gradients of two metrics agree, disagree or leave it open."
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
    """Say at how many points two metrics agree, and which factors part them."""
    seen, apart = counts(row), parted_by(row)
    text = (
        f"{sentence_case(pair_of(row, names))}: at {seen['agree']} of {counted(int(row['cells']), 'tried point')} the "
        f"directions of steepest improvement agree, at {seen['disagree']} they disagree, at {seen['open']} it is open."
    )
    if apart:
        text += f" Averaged over the runs, raising {joined(apart, 'or')} improves one and worsens the other."
    return text


def cosine_cell(row: Row) -> Cell:
    """Return a cosine with its interval."""
    if is_missing(row["cosine"]):
        return cell(NOTHING, note=row["reason"])
    return cell(number(row["cosine"], 2), note=ends_text(row, 2))


def cosines_table(rows: Sequence[Row], names: Labels, levels: Levels) -> Table:
    """Return the cosine of a pair's gradients at every tried point."""
    shown = level_columns(next(iter(levels.values())), lambda row: levels[row["point_id"]])
    shown += [
        ("Cosine#", cosine_cell),
        ("Verdict", lambda row: cell(row["verdict"] or NOTHING, note=row["reason"])),
    ]
    return listed(f"Cosine of the gradients of {pair_of(rows[0], names)} at every tried point", rows, shown)


# Prices ---------------------------------------------------------------------------------------------------------------


def prices(tables: Tables, names: Labels, levels: Levels, confidence: float) -> Group:
    """Return what the best setting of each metric costs in every other one."""
    title = "What the best setting of one metric costs in another"
    rows = tables["prices"].to_dict("records")
    if not rows:
        return group(title, ["It takes two fitted metrics."])
    known = [row for row in rows if not is_missing(row["verdict"])]
    known.sort(key=lambda row: ("effect", "negligible", "undecided").index(row["verdict"]))
    sentences = [sentence(price_sentence(row, names, levels, confidence), row["verdict"]) for row in known[:MOST_PAIRS]]
    same = [row for row in rows if row["point_id"] == row["own_best"]]
    if same:
        pairs = {frozenset((row["best_for"], row["response"])): row for row in same}.values()
        shared = joined([f"{names[row['best_for']]} and {names[row['response']]}" for row in pairs])
        sentences.append(f"One tried point is predicted best for both, and costs nothing: {shared}.")
    how = (
        f"Prices are differences of the fitted surface between two tried points; the {percent(confidence)} intervals "
        "hold for all pairs of tried points at once, so that having chosen the best does not flatter them."
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
    compared = {
        "effect": "",
        "negligible": f", within the smallest effect of interest, {significant(row['smallest_effect'])}",
        "undecided": "; it is undecided whether it costs anything",
    }[row["verdict"]]
    return (
        f"The point predicted best for {names[row['best_for']]} ({settings_text(levels[row['point_id']])}) costs "
        f"{estimated(row, 'price', sign=False)} in {names[row['response']]} against that metric's own "
        f"best ({settings_text(levels[row['own_best']])}), {percent(confidence)} interval {span(row)}{compared}."
    )
