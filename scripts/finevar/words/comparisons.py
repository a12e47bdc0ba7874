"""Sentences on the baselines: who is better, and what matching by data set and seed buys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from finevar.metrics import LOWER_IS_BETTER
from finevar.words.caveats import grouped_by_reason, plain_reason
from finevar.words.formatting import (
    counted,
    estimate,
    interval,
    is_missing,
    joined,
    p_equals,
    percent,
    sentence_case,
    significant,
)

MATCHINGS = {
    "absolute": "no matching",
    "minus_b0": "minus B0, matched by data set",
    "minus_b1": "minus B1, matched by data set and seed",
    "blocks": "seeds and data sets as blocks (used above)",
}
Row = Mapping[str, Any]


def matching_sentence(rows: pd.DataFrame, label: str) -> str:
    """Say what matching a response by data set and seed buys: the spread that is left unexplained."""
    known = rows.set_index("analysis")
    spread = known["residual_sd"]
    plain, blocks = spread.get("absolute"), spread.get("blocks")
    if is_missing(plain):
        return f"What matching gains for {label} is unknown: {known.at['absolute', 'reason']}."
    gains = [matching_gain(name, plain, spread.get(name)) for name in ("minus_b0", "minus_b1")]
    kept = joined([text for text in gains if text])
    opening = f"Without matching the surface of {label} leaves a residual SD of {significant(plain)}"
    used = "" if is_missing(blocks) else f" The seeds and data sets as blocks, used above, leave {significant(blocks)}."
    return f"{opening}{f'; {kept}' if kept else ''}.{used}"


def matching_gain(name: str, plain: float, left: float | None) -> str:
    """Say what subtracting one baseline does to the residual spread."""
    if is_missing(left):
        return ""
    what = f"subtracting {name[-2:].upper()}"
    share = left / plain - 1
    if abs(share) < 0.005:
        return f"{what} changes nothing"
    change = f"{100 * abs(share):.0f} % {'less' if share < 0 else 'more'}"
    noise = "" if share < 0 else ", for it adds the baseline's own noise"
    return f"{what} leaves {significant(left)}, {change}{noise}"


def ancova_sentences(
    matched: pd.DataFrame, labels: Mapping[str, str], *, alpha: float = 0.05, confidence: float = 0.95
) -> list[str]:
    """Return a sentence on each test that a metric moves one for one with its baseline, untested ones together."""
    lines = []
    for name in ("ancova_b0", "ancova_b1"):
        rows = matched[(matched["analysis"] == name) & matched["response"].isin(list(labels))].to_dict("records")
        tested = [row for row in rows if not is_missing(row["estimate"])]
        lines += [ancova_sentence(row, labels[row["response"]], alpha=alpha, confidence=confidence) for row in tested]
        untested = grouped_by_reason([row for row in rows if is_missing(row["estimate"])], labels)
        lines += [f"Whether {what} moves one for one with {name[-2:].upper()}: {why}." for what, why in untested]
    return lines


def ancova_sentence(row: Row, label: str, *, alpha: float = 0.05, confidence: float = 0.95) -> str:
    """Say whether a metric moves one for one with its baseline, as subtracting it supposes."""
    name = str(row["analysis"])[-2:].upper()
    slope = estimate(row["estimate"], (row["ci_high"] - row["ci_low"]) / 2, sign=False)
    span = f"{percent(confidence)} interval {interval(row['ci_low'], row['ci_high'])}"
    verdict = (
        "so subtracting it misses part of what it shares with the runs"
        if row["p_value"] < alpha
        else "so the data do not speak against subtracting it"
    )
    return (
        f"{sentence_case(label)} moves by {slope} per unit of {name} from block to block ({span}; "
        f"{p_equals(row['p_value'])} against a slope of 1), {verdict}."
    )


def against_baseline_sentence(rows: pd.DataFrame, label: str, confidence: float = 0.95) -> str:
    """Count the tried points that are better and worse than one baseline, its own variance counted."""
    name, response = rows.iloc[0]["baseline"], rows.iloc[0]["response"]
    if rows["estimate"].isna().all():
        return f"No comparison of {label} with {name}: {plain_reason(rows.iloc[0])}."
    above, below = int((rows["ci_low"] > 0).sum()), int((rows["ci_high"] < 0).sum())
    better, worse = (below, above) if response in LOWER_IS_BETTER else (above, below)
    caution = "" if is_missing(rows.iloc[0]["reason"]) else f" Caution: {plain_reason(rows.iloc[0])}."
    return (
        f"{sentence_case(label)} against {name}: {better:,} of {counted(len(rows), 'tried point')} better, {worse:,} "
        f"worse, and {len(rows) - better - worse:,} not significantly different, by {percent(confidence)} intervals "
        f"that carry {name}'s own variance.{caution}"
    )
