"""Sentences on slopes and optima: how factors interact, where a slope holds, which setting to take.

Every sentence names the place or the range that it holds for, and says undecided where the data leave it open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.metrics import LOWER_IS_BETTER
from finevar.study.coding import factors_of
from finevar.words.effects import VERDICTS, interactions_sentence
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    plain_reason,
    sentence_case,
    together,
    unit_label,
)
from finevar.words.numbers import (
    Row,
    between_levels,
    estimated,
    f_text,
    is_missing,
    level,
    p_equals,
    percent,
    significant,
    span,
    span_at,
)

FIRST_PAIR = ("epochs", "batch_size")  # the slope of the first, read over the second, wherever both are factors
SIGN_WORDS = {"positive": "above zero", "negative": "below zero"}
KINDS = {
    "maximum": "a maximum",
    "minimum": "a minimum",
    "saddle": "a saddle, rising in some directions and falling in others",
    "ridge": "a ridge, nearly flat in some direction",
}
LEAST_REGRET = 1e-4  # less is printed as less than this

Pair = tuple[str, str]


# Interplay ------------------------------------------------------------------------------------------------------------


def interactions(coefficients: pd.DataFrame, units: str = "coded") -> pd.DataFrame:
    """Return the absolute fits' two-way rows of two numbers."""
    rows = coefficients[(coefficients["framework"] == "absolute") & (coefficients["units"] == units)]
    return rows[(rows["group"] == "two_way") & ~rows["term"].str.contains("[", regex=False)]


def notable_pairs(coefficients: pd.DataFrame, lines: pd.DataFrame) -> list[Pair]:
    """Return the pairs of factors worth a sentence, (slope, moderator), the one that is drawn first.

    lines: rows of interplay or johnson_neyman: a slope is read over a factor along which it has a line.

    That is epochs over batch size where the model has their interaction, else the pair with the smallest p; then every
    other pair that interacts on some response.
    """
    rows = interactions(coefficients)
    if rows.empty:
        return []
    ways = set(zip(lines["factor"], lines["moderator"], strict=True))
    pairs = {term: as_pair(term) for term in rows["term"]}
    pairs = {term: pair if pair in ways else pair[::-1] for term, pair in pairs.items()}
    known = {term: pair for term, pair in pairs.items() if pair in ways}
    rows = rows[rows["term"].isin(known.keys())]
    if rows.empty:
        return []
    first = FIRST_PAIR if FIRST_PAIR in known.values() else known[rows.sort_values("p_value")["term"].iloc[0]]
    found = [known[term] for term in rows.loc[rows["verdict"] == "effect", "term"]]
    return list(dict.fromkeys([first, *found]))


def as_pair(term: str) -> Pair:
    """Return an interaction's factors: the one whose slope is read, and the one that it is read over."""
    first, second = factors_of(term)
    return FIRST_PAIR if {first, second} == set(FIRST_PAIR) else (first, second)


def pair_row(rows: pd.DataFrame, response: str, pair: Pair) -> dict[str, Any] | None:
    """Return the row of a pair's interaction on a response, or None."""
    found = rows[(rows["response"] == response) & rows["term"].isin([":".join(pair), ":".join(reversed(pair))])]
    return found.iloc[0].to_dict() if len(found) else None


def interplay_finding(coefficients: pd.DataFrame, lines: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Say for the drawn pair on which responses it interacts, and name the other pairs that do."""
    rows = interactions(coefficients)
    pairs = notable_pairs(coefficients, lines)
    if not pairs:
        return (
            "The model has no interactions: it takes each slope to be the same at all levels of the other "
            "hyperparameters."
        )
    found = {response: pair_row(rows, response, pairs[0]) for response in labels}
    verdicts = [(response, row["verdict"]) for response, row in found.items() if row]
    alike = together((kind if kind in VERDICTS else "none", labels[response]) for response, kind in verdicts)
    names = " and ".join(factor_label(name) for name in pairs[0])
    sentences = [pair_verdict(names, joined(alike[kind]), kind) for kind in (*VERDICTS, "none") if kind in alike]
    others = rows[(rows["verdict"] == "effect") & (rows["term"].map(as_pair) != pairs[0])]
    return " ".join([*sentences, interactions_sentence(others.to_dict("records"), labels)]).strip()


def joint_test_sentence(rows: Sequence[Row], names: Sequence[str], labels: Mapping[str, str]) -> str:
    """Say what the Wald tests of an interaction with levels that are names give; rows: of checks, one a response."""
    what = " and ".join(map(factor_label, names))
    parts = [
        f"{labels[row['response']]} {f_text(row['statistic'], row['df_numerator'], row['df_denominator'])}, "
        f"{p_equals(row['p_value'])}"
        for row in rows
        if row["response"] in labels
    ]
    return f"Joint tests of whether {what} interact, each by itself: {'; '.join(parts)}."


def pair_verdict(names: str, where: str, kind: str) -> str:
    """Say what is known of two factors' interaction on some responses."""
    return {
        "effect": f"{sentence_case(names)} interact on {where}.",
        "small": f"On {where} the interaction of {names} is too small to matter.",
        "undecided": f"Whether {names} interact on {where} is undecided.",
        "negligible": f"On {where} the interaction of {names} is negligible.",
        "none": f"There is no verdict on whether {names} interact on {where}.",
    }[kind]


def slope_line_sentence(simple: Sequence[Row], ranges: Sequence[Row], label: str, confidence: float = 0.95) -> str:
    """Say what a slope is at the ends of its moderator's levels, and where it differs from zero.

    simple: simple slopes in natural units, by level. ranges: the Johnson-Neyman ranges of the same pair, in order.
    """
    first, last = simple[0], simple[-1]
    return (
        f"{sentence_case(unit_label(first['unit']))}, {label} changes by {estimated(first)} "
        f"({span_at(first, confidence)}) at {factor_label(first['moderator'])} {level(first['moderator_level'])} and "
        f"by {estimated(last)} ({span(last)}) at {level(last['moderator_level'])}; {where_nonzero(ranges)}."
    )


def where_nonzero(ranges: Sequence[Row]) -> str:
    """Say where along its moderator a slope differs from zero, and on which side where both occur."""
    low, high = ranges[0]["value_low"], ranges[-1]["value_high"]
    ends = f"the whole range of {factor_label(ranges[0]['moderator'])}, {between_levels(low)} to {between_levels(high)}"
    apart = [row for row in ranges if row["sign"] in SIGN_WORDS]
    if not apart:
        return f"over {ends}, the slope is not significantly different from zero"
    if len(ranges) == 1:
        return f"the slope is significantly different from zero over {ends}"
    if len({row["sign"] for row in apart}) > 1:
        return f"the slope is {signs_text(ranges)}"
    return f"the slope is significantly different from zero {joined([part_of_range(row, ranges) for row in apart])}"


def signs_text(ranges: Sequence[Row]) -> str:
    """Say on which side of zero a slope is in which parts of its moderator's range, where that is shown."""
    shown = [row for row in ranges if row["sign"] in SIGN_WORDS]
    return joined([f"{SIGN_WORDS[row['sign']]} {part_of_range(row, ranges)}" for row in shown])


def part_of_range(row: Row, ranges: Sequence[Row]) -> str:
    """Print one part of a moderator's range."""
    moderator, low, high = factor_label(row["moderator"]), ranges[0]["value_low"], ranges[-1]["value_high"]
    if row["value_low"] == low:
        return f"below {moderator} {between_levels(row['value_high'])}"
    if row["value_high"] == high:
        return f"above {moderator} {between_levels(row['value_low'])}"
    return f"between {moderator} {between_levels(row['value_low'])} and {between_levels(row['value_high'])}"


def slope_change_sentence(row: Row, moderator: str, confidence: float = 0.95) -> str:
    """Say by how much a slope changes along its moderator, with the verdict.

    row: the interaction's row in natural units, whose unit lists the steps in the term's order.
    """
    steps = dict(zip(factors_of(row["term"]), str(row["unit"]).split(", "), strict=True))
    adjusted = p_equals(row["p_adjusted"], "adjusted p")
    words = {
        "effect": f"an effect ({adjusted})",
        "small": f"an effect too small to matter ({adjusted})",
        "negligible": "negligible, within the smallest effect of interest over the levels tried",
        "undecided": f"undecided ({adjusted}), for neither a change of the slope nor its absence is shown",
    }
    verdict = words.get(row["verdict"], f"no verdict, as {plain_reason(row)}")
    change = f"{estimated(row)} {unit_label(steps[moderator])}"
    return f"The slope changes by {change} ({span_at(row, confidence)}): {verdict}."


# Slopes ---------------------------------------------------------------------------------------------------------------


def baseline_slopes_sentence(slopes: pd.DataFrame, labels: Mapping[str, str], alpha: float = 0.05) -> str:
    """Say which metrics rise or fall with which factors at the baseline's own settings, all comparisons counted."""
    rows = slopes[(slopes["place"] == "baseline") & (slopes["units"] == "coded")]
    parts = [rise_and_fall(found, labels[name], alpha) for name, found in rows.groupby("response", sort=False)]
    return f"At the baseline's own settings {'; '.join(parts)}." if parts else ""


def rise_and_fall(rows: pd.DataFrame, label: str, alpha: float) -> str:
    """Say along which factors a metric rises and falls at one place."""
    shown = rows[rows["p_adjusted"] < alpha]
    if shown.empty:
        return f"no slope of {label} is significantly different from zero"
    up, names = shown["estimate"] > 0, shown["factor"].map(factor_label)
    moves = {"rises": [*names[up]], "falls": [*names[shown["estimate"] < 0]]}
    return f"{label} " + " and ".join(f"{verb} with {joined(found)}" for verb, found in moves.items() if found)


def sign_changes_sentence(johnson_neyman: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Say which slopes are shown to change their sign along another factor, the rest mid-range."""
    parts = []
    for (response, factor, _), ranges in johnson_neyman.groupby(["response", "factor", "moderator"], sort=False):
        if {"positive", "negative"} <= set(ranges["sign"]):
            where = signs_text(ranges.to_dict("records"))
            parts.append(f"the slope of {labels[response]} along {factor_label(factor)} is {where}")
    if parts:
        return f"Within the levels tried {'; '.join(parts)}."
    return "" if johnson_neyman.empty else "No slope is shown to change its sign along another hyperparameter."


# Optimum --------------------------------------------------------------------------------------------------------------


def regret_text(value: float) -> str:
    """Print a regret; one that no metric would show as less than a bound."""
    return significant(value) if not value or value >= LEAST_REGRET else f"less than {LEAST_REGRET:.4f}"


def stationary_sentence(row: Row, places: Iterable[Row], label: str, confidence: float = 0.95) -> str:
    """Say what the surface's stationary point is, and whether the data enclose an optimum.

    row: of optima. places: rows of optimum_factors, one a factor.
    """
    if is_missing(row["kind"]):
        return f"No stationary point of {label}: {plain_reason(row)}."
    where = joined([f"{factor_label(place['factor'])} {between_levels(place['stationary'])}" for place in places])
    if row["inside"] and is_missing(row["stationary_predicted"]):
        found = f"at {where}, next to a setting at which all runs failed, so that nothing is predicted there"
    elif row["inside"]:
        predicted = f"{estimated(row, 'stationary_predicted', sign=False)} ({span_at(row, confidence)})"
        found = f"inside the settings tried, at {where}, where {label} is predicted to be {predicted}"
    else:
        found = "outside the settings tried, where the surface is only extrapolated"
    caveat = "" if is_missing(row["reason"]) else f" Caution: {plain_reason(row)}."
    return f"The stationary point of {label} is {KINDS[row['kind']]}; it lies {found}. {region_sentence(row)}{caveat}"


def epochs_sentence(early: int, settings: int) -> str:
    """Say at how many settings the mean loss had been lower before the last epoch; settings: of several epochs."""
    if not settings:
        return "Evaluation loss by epoch."
    where = f"{counted(settings, 'setting')} of two epochs or more"
    if not early:
        return f"At none of {where} was the evaluation loss lowest before the last epoch."
    return f"At {early} of {where} the evaluation loss was lowest before the last epoch."


def region_sentence(row: Row) -> str:
    """Say whether the data enclose an optimum: a closed region around a point of the right kind."""
    part = percent(row["region_share"], 2) if row["region_share"] >= 0.01 else "less than 1%"
    share = f"{part} of the range of the levels"
    wanted = "minimum" if row["response"] in LOWER_IS_BETTER else "maximum"
    if row["region_closed"] and row["inside"] and row["kind"] == wanted:
        return f"The data enclose an optimum: its confidence region is closed and covers {share}."
    opening = "The data do not enclose an optimum"
    if not row["region_share"]:
        return f"{opening}: the stationary point's confidence region has no part within the levels."
    if not row["region_closed"]:
        return f"{opening}: the stationary point's confidence region, {share}, is open, for it reaches their edge."
    return f"{opening}: what they enclose is {KINDS[row['kind']].partition(',')[0]}."
