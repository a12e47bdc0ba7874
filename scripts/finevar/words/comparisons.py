"""Sentences on the baselines: who is better, and what matching by data set and seed gains."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from finevar.metrics import LOWER_IS_BETTER
from finevar.words.caveats import grouped_by_reason
from finevar.words.formatting import counted, joined, plain_reason, sentence_case
from finevar.words.numbers import Row, estimated, is_missing, p_equals, percent, significant, span_at, whole_percent

MATCHINGS = {
    "absolute": "no matching",
    "minus_b0": "minus B0, matched by data set",
    "minus_b1": "minus B1, matched by data set and seed",
    "blocks": "seeds and data sets as blocks (used above)",
}


def matching_sentence(rows: pd.DataFrame, label: str) -> str:
    """Say what matching a response by data set and seed gains: the spread that is left unexplained."""
    known = rows.set_index("analysis")
    spread = known["residual_sd"]
    plain, blocks = spread.get("absolute"), spread.get("blocks")
    if is_missing(plain):
        return f"What matching gains for {label} is unknown: {known.at['absolute', 'reason']}."
    gains = [matching_gain(name, plain, spread[name]) for name in ("minus_b0", "minus_b1") if name in spread]
    kept = joined([text for text in gains if text])
    used = "" if is_missing(blocks) else f" The seeds and data sets as blocks, used above, leave {significant(blocks)}."
    opening = f"Without matching the surface of {label} leaves a residual SD of {significant(plain)}"
    return f"{opening}{f'; {kept}' if kept else ''}.{used}"


def matching_gain(name: str, plain: float, left: float) -> str:
    """Say what subtracting one baseline does to the residual spread; nothing where that is unknown."""
    if is_missing(left):
        return ""
    what, share = f"subtracting {name[-2:].upper()}", left / plain - 1
    if abs(share) < 0.005:
        return f"{what} changes nothing"
    change = "less" if share < 0 else "more, for it adds the baseline's own noise"
    return f"{what} leaves {significant(left)}, {whole_percent(abs(share))} {change}"


def ancova_sentences(matched: pd.DataFrame, labels: Mapping[str, str], confidence: float) -> list[str]:
    """Return a sentence on each test that a metric moves one for one with its baseline, untested ones together."""
    lines = []
    for name in ("ancova_b0", "ancova_b1"):
        rows = matched[(matched["analysis"] == name) & matched["response"].isin(list(labels))].to_dict("records")
        tested, untested = ([row for row in rows if is_missing(row["estimate"]) == open] for open in (False, True))
        lines += [ancova_sentence(row, labels[row["response"]], confidence) for row in tested]
        lines += [
            f"Whether {what} moves one for one with {name[-2:].upper()}: {why}."
            for what, why in grouped_by_reason(untested, labels)
        ]
    return lines


def ancova_sentence(row: Row, label: str, confidence: float) -> str:
    """Say whether a metric moves one for one with its baseline, as subtracting it supposes."""
    differs = row["p_value"] < 1 - confidence
    misses = "so subtracting it misses part of what it shares with the runs"
    verdict = misses if differs else "so the data do not speak against subtracting it"
    return (
        f"{sentence_case(label)} moves by {estimated(row, sign=False)} per unit of {row['analysis'][-2:].upper()} from "
        f"block to block ({span_at(row, confidence)}; {p_equals(row['p_value'])} against a slope of 1), {verdict}."
    )


def against_baseline_sentence(rows: pd.DataFrame, label: str, confidence: float = 0.95) -> str:
    """Count the settings that are better and worse than one baseline, its own variance counted."""
    first = rows.iloc[0]
    name = first["baseline"]
    if rows["estimate"].isna().all():
        return f"No comparison of {label} with {name}: {plain_reason(first)}."
    rows = rows.dropna(subset="estimate")
    first = rows.iloc[0]
    better, worse = sides(rows, "ci", first["response"])
    caution = "" if is_missing(first["reason"]) else f" Caution: {plain_reason(first)}."
    return (
        f"{sentence_case(label)} against {name}: {better:,} of {counted(len(rows), 'setting')} tried better, {worse:,} "
        f"worse, and {len(rows) - better - worse:,} not significantly different, by {percent(confidence)} intervals "
        f"that carry {name}'s own variance.{caution}"
    )


def sides(rows: pd.DataFrame, ends: str, response: str) -> tuple[int, int]:
    """Return how many intervals lie on the better and on the worse side of zero."""
    above, below = int((rows[f"{ends}_low"] > 0).sum()), int((rows[f"{ends}_high"] < 0).sum())
    return (below, above) if response in LOWER_IS_BETTER else (above, below)
