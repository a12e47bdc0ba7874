"""Sentences on what each factor does to each metric: the verdict, the largest change and where, what would decide it.

A verdict comes from the tables and is never made here. It is about all settings tried, so that a sentence gives the
largest change over them, with the interval that holds for all at once, and the change mid-range beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from finevar.reasons import Undecided
from finevar.study.coding import factor_of, factors_of
from finevar.words.formatting import (
    counted,
    factor_label,
    held_levels,
    joined,
    plain_reason,
    sentence_case,
    settings_text,
    together,
)
from finevar.words.numbers import (
    ANYTHING,
    PLUS_MINUS,
    Row,
    estimated,
    is_missing,
    level,
    p_equals,
    percent,
    significant,
    span,
)
from finevar.words.wording import gated

VERDICTS = {  # in words, in the order in which pages name them
    "effect": "effect",
    "small": "too small to matter",
    "undecided": "undecided",
    "negligible": "negligible",
}
VERDICT_WORDS = {  # of one term, and of several
    "effect": ("has an effect", "have an effect"),
    "small": ("has an effect too small to matter", "have effects too small to matter"),
    "undecided": ("is undecided", "are undecided"),
    "negligible": ("is negligible", "are negligible"),
}
WOULD_DECIDE = {  # what is open, by the reason's code
    Undecided.NO_BOUND: "a smallest effect of interest (analysis.smallest_effect)",
    Undecided.FEW_SEEDS: "4 seeds or more",
    Undecided.MORE_SEEDS: "more seeds",
    Undecided.MORE_SENTENCES: "more test sentences",
}
UNANIMOUS = {  # the answer where all effects have the same verdict
    "negligible": (
        "Every hyperparameter's effect on every metric is negligible: at every setting tried it is smaller than the "
        "smallest effect of interest."
    ),
    "undecided": "Nothing is decided: no effect is shown, and none is shown to be negligible.",
}


# One effect -----------------------------------------------------------------------------------------------------------


def effect_sentence(row: Row, label: str, confidence: float = 0.95) -> str:
    """Say what one factor does to one response; row: of the table of effects, label: the response in words."""
    what, verdict = f"{factor_label(row['factor'])} on {label}", row["verdict"]
    if row["dataset"]:
        what += f", on {row['dataset']}"
    if verdict == "effect":
        where = f"On {row['dataset']}, " if row["dataset"] else ""
        raising = "raising " if not is_named(row) else "between any two levels, " if is_missing(row["change"]) else ""
        return f"{sentence_case(where + raising + largest_text(row, label))}{mid_range(row, '; ')}."
    if verdict in ("small", "negligible"):
        kind = "An effect too small to matter" if verdict == "small" else "Negligible"
        bound = f"{PLUS_MINUS}{significant(row['smallest_effect'])}"
        return f"{kind}: {what}. At every setting tried the change is within {bound} ({all_intervals(row)})."
    if verdict == "undecided":
        spans = all_intervals(row)
        found = f"Intervals are {spans}" if spans == ANYTHING else f"Changes from {spans} are not excluded"
        return (
            f"Undecided: {what}. {found} at the settings tried"
            f"{mid_range(row, '; ')}. {deciding_sentence([row])}".rstrip()
        )
    return f"No verdict: {what}, as {plain_reason(row, 'its effect could not be computed')}{difference(row)}."


def largest_text(row: Row, label: str) -> str:
    """Say between which levels a factor moves a response most, by how much, and at which levels of the others."""
    value, low, high = (row[f"largest{end}"] for end in ("", "_low", "_high"))
    change = {"estimate": abs(value), "ci_low": low if value > 0 else -high, "ci_high": high if value > 0 else -low}
    change |= {name: row.get(name) for name in ("least", "most")}  # which are the same on both sides of zero
    moves = f"{'raises' if value > 0 else 'lowers'} {label} by up to {estimated(change, sign=False)} ({span(change)})"
    factor = factor_label(factor_of(row["factor"]))
    return f"{factor} {largest_ends(row)} {moves}{largest_place(row)}"


def is_named(row: Row) -> bool:
    """Say whether an effect is of levels that are names."""
    return is_missing(row["largest_from"])


def largest_ends(row: Row) -> str:
    """Print the levels between which the largest change is."""
    if is_named(row):
        return factor_label(row["largest_change"]).removeprefix(f"{factor_label(factor_of(row['factor']))} ")
    return f"from {level(row['largest_from'])} to {level(row['largest_to'])}"


def largest_place(row: Row) -> str:
    """Print the levels of the other factors at which the largest change is; nothing where there are none."""
    at = settings_text(held_levels(row["largest_at"]))
    return f", at {at}" if at else ""


def mid_range(row: Row, before: str = "") -> str:
    """Give the change over a factor's range with the others mid-range; nothing of a category as a whole."""
    if is_missing(row["change"]):
        return ""
    others = "with the others mid-range" if row["largest_at"] else "in all"
    ends = "" if is_named(row) else f" {range_words(row)}"
    return f"{before}{others}, {estimated(row, 'change')} ({span(row)}){ends}"


def range_words(row: Row) -> str:
    """Say between which levels a number's change is; those that slide with a category have no one lowest."""
    if is_missing(row["from_level"]):
        return "from lowest to highest"
    return f"from {level(row['from_level'])} to {level(row['to_level'])}"


def all_intervals(row: Row) -> str:
    """Print what the intervals at all settings tried reach over together."""
    return span(row, "simple")


def difference(row: Row) -> str:
    """Give the p-value of the difference between data sets, where a verdict is withheld for that."""
    return f" ({p_equals(row['p_datasets'])})" if row["reason_code"] == Undecided.DATASETS_DIFFER else ""


def deciding_sentence(rows: Sequence[Row]) -> str:
    """Say what would decide effects that are undecided, nothing where that is not known.

    Of models that were found, which have no population, the spread between seeds is that between models.
    """
    open_ones = [row for row in rows if row["reason_code"] in WOULD_DECIDE]
    found = [WOULD_DECIDE[row["reason_code"]] for row in open_ones]
    if any(is_missing(row["population"]) for row in open_ones):
        found = [words.replace("seeds", "models") for words in found]
    what = joined(list(dict.fromkeys(found)))
    return f"What would decide {'it' if len(rows) == 1 else 'them'}: {what}." if what else ""


def population_text(rows: pd.DataFrame) -> str:
    """Name whom the intervals of rows hold for; nothing of models that were found."""
    known = rows["population"].dropna()
    if known.empty:
        return ""
    return (
        "new seeds and new test sentences" if known.iloc[0].startswith("new") else "new seeds on these test sentences"
    )


def population_sentence(rows: pd.DataFrame, seeds: int) -> str:
    """Say for whom intervals hold, and what they suppose of few seeds; nothing of models that were found.

    rows: with `population`, of effects also with `supposes_slopes`.
    """
    population = population_text(rows)
    if not population:
        return ""
    supposed = "supposes_slopes" in rows and rows["supposes_slopes"].fillna(False).any()
    few = f" With {counted(seeds, 'seed')} this supposes that a seed does not change slopes." if supposed else ""
    return f"These intervals hold for {population}.{few}"


def simultaneous_sentence(confidence: float) -> str:
    """Say how sure the intervals of the largest changes are."""
    return (
        f"Intervals are {percent(confidence)}; those of a hyperparameter's largest change hold at all settings at once."
    )


# All effects ----------------------------------------------------------------------------------------------------------


def separate(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects that have verdicts of their own: by data set where these differ, else over all of them."""
    return effects[~(effects["datasets_differ"].fillna(False).astype(bool) & (effects["dataset"] == ""))]


def whole(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of factors: of a category that has a verdict as a whole, without those of its changes."""
    known = set(effects["factor"])
    kept = [name == factor_of(name) or factor_of(name) not in known for name in effects["factor"]]
    return effects[np.array(kept, dtype=bool)]


def effect_label(row: Row) -> str:
    """Name a factor, with the data set where the effect is on that one."""
    return factor_label(row["factor"]) + (f" (on {row['dataset']})" if row["dataset"] else "")


def headline(effects: pd.DataFrame, fits: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Return the study's answer in a few sentences: what moved, what is undecided, negligible or without a verdict."""
    names = joined([labels[name] for name in gated(fits)])
    if effects.empty:
        return f"No verdict: {names} could not be analysed; the reasons stand below, and no p-value is given."
    own = whole(separate(effects))
    kinds = own["verdict"].fillna("none")
    if kinds.nunique() == 1 and kinds.iloc[0] in UNANIMOUS:
        sentences = [UNANIMOUS[kinds.iloc[0]]]
    else:
        sentences = [verdict_sentence(own[kinds == kind], kind, labels) for kind in (*VERDICTS, "none")]
    return " ".join(filter(None, [*sentences, f"No verdict on {names}." if names else ""]))


def verdict_sentence(rows: pd.DataFrame, kind: str, labels: Mapping[str, str]) -> str:
    """Name the pairs of factor and response that share a verdict, factors with the same responses together."""
    if rows.empty:
        return "No hyperparameter is shown to move a metric." if kind == "effect" else ""
    named = together((effect_label(row), row["response"]) for row in rows.to_dict("records"))
    alike = together((tuple(found), name) for name, found in named.items())
    verb = " moved " if kind == "effect" else " on "
    parts = [joined(names) + verb + joined([labels[name] for name in found]) for found, names in alike.items()]
    opening = {"effect": "", "none": "Without a verdict: "}.get(kind, f"{sentence_case(VERDICTS.get(kind, ''))}: ")
    return f"{sentence_case(opening + '; '.join(parts))}."


def largest_sentence(effects: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Say along which factor each response moves most, of those that are shown to move it."""
    shown = whole(separate(effects)).query("verdict == 'effect'")
    parts, still = [], []
    for response, label in labels.items():
        rows = shown[shown["response"] == response]
        if rows.empty:
            still.append(label)
            continue
        most = rows.loc[rows["largest"].abs().idxmax()].to_dict()
        change = f"{estimated(most, 'largest', 'largest')} ({span(most, 'largest')}) {largest_ends(most)}"
        parts.append(f"{label} moves most along {effect_label(most)}, {change}{largest_place(most)}")
    moves = f"{sentence_case('; '.join(parts))}." if parts else ""
    return f"{moves} No hyperparameter is shown to move {joined(still, 'or')}.".strip() if still else moves


def interactions_sentence(interactions: Sequence[Row], labels: Mapping[str, str]) -> str:
    """Say which factors interact; interactions: two-way rows of the coefficients with verdict effect."""
    pairs = together(
        (joined([factor_label(name) for name in factors_of(row["term"])]), labels[row["response"]])
        for row in interactions
    )
    parts = [f"{names} interact on {joined(responses)}" for names, responses in pairs.items()]
    return f"{sentence_case('; '.join(parts))}." if parts else ""


def joint_sentence(row: Row, label: str) -> str:
    """Say that two factors interact, or that a response curves along one.

    row: a second-order row of the coefficients, in coded units, with verdict effect.
    """
    value, reach = estimated(row), span(row)
    names = [factor_label(name) for name in factors_of(row["term"])]
    if row["group"] == "quadratic":
        return f"{sentence_case(label)} curves along {names[0]}: from mid-range to the ends {value} ({reach})."
    return (
        f"On {label}, {names[0]} and {names[1]} interact: the slope along one changes by {value} per coded unit of "
        f"the other ({reach})."
    )


def terms_sentence(coefficients: pd.DataFrame) -> str:
    """Count the second-order terms of the absolute fits by verdict; first-order terms are part of their factor's."""
    rows = coefficients[(coefficients["framework"] == "absolute") & (coefficients["units"] == "coded")]
    counts = rows["verdict"].value_counts()
    parts = [
        f"{counts[kind]} {words[int(counts[kind] > 1)]}" for kind, words in VERDICT_WORDS.items() if kind in counts
    ]
    total = int(counts.sum())
    return f"Of {counted(total, 'term')} beyond the first order, over all metrics, {joined(parts)}." if total else ""


def smallest_sentence(fits: pd.DataFrame, labels: Mapping[str, str], chosen: Mapping[str, float]) -> str:
    """Say what the smallest effect of interest on each response is; chosen: those that the config sets."""
    parts, default = [], []
    for response, bound in zip(fits["response"], fits["smallest_effect"], strict=True):
        parts.append(f"{'not known' if is_missing(bound) else significant(bound)} of {labels[response]}")
        default += [] if response in chosen or is_missing(bound) else [labels[response]]
    which = "" if len(default) == len(parts) else f" for {joined(default)}"
    note = f" (default{which}; set your own in analysis.smallest_effect)" if default else ""
    return f"Smallest effect of interest: {joined(parts)}{note}." if parts else ""
