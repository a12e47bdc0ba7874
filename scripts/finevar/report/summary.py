"""The report's first screen: which setting to use, what it buys over the baseline, how sure that is, what is open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from finevar.report.sections.regressions import chosen, recommended, rows_of
from finevar.words.findings import regret_text
from finevar.words.formatting import (
    estimate,
    factor_label,
    interval,
    is_missing,
    joined,
    percent,
    sentence_case,
    settings_text,
    significant,
)

OPENINGS = {"B0": "over the baseline as it is", "B1": "over the baseline fine-tuned at its own settings"}

Tables = Mapping[str, pd.DataFrame]
Labels = Mapping[str, str]
Line = dict[str, str]  # title and text


def summary(tables: Tables, labels: Labels, confidence: float) -> list[Line]:
    """Return the first screen's lines; none where every response was stopped by a gate.

    labels: names in words of the responses that no gate stopped.
    """
    if not labels:
        return []
    lines = {
        "Use": use(tables, labels),
        "It buys": buys(tables, labels, confidence),
        "How sure": how_sure(tables, labels, confidence),
        "Undecided": undecided(tables, labels),
    }
    return [{"title": title, "text": text} for title, text in lines.items() if text]


def use(tables: Tables, labels: Labels) -> str:
    """Name the recommended setting of each response, those that share one together."""
    together: dict[str, list[str]] = {}
    for response, levels in recommended(tables, labels).items():
        together.setdefault(settings_text(levels), []).append(labels[response])
    parts = [f"{setting} for {joined(names)}" for setting, names in together.items()]
    return f"{sentence_case('; '.join(parts))}." if parts else ""


def buys(tables: Tables, labels: Labels, confidence: float) -> str:
    """Say what the recommended setting of each response gains over the baselines, with an interval."""
    points = tables["recommendations"].set_index("response")["point_id"]
    sentences = []
    for baseline, opening in OPENINGS.items():
        rows = chosen(tables["against_baseline"], baseline=baseline).dropna(subset="estimate")
        gains = [
            gain_text(row, labels[row["response"]])
            for row in rows.to_dict("records")
            if row["response"] in labels and row["point_id"] == points.get(row["response"])
        ]
        if gains:
            sentences.append(f"{sentence_case(opening)}: {', '.join(gains)}.")
    told = f"In parentheses: {percent(confidence)} intervals, which hold at all settings tried at once."
    return " ".join([*sentences, told]) if sentences else ""


def gain_text(row: Mapping[str, Any], label: str) -> str:
    """Print a difference from a baseline with its interval; one that holds over all points where there is one."""
    low, high = row["simultaneous_low"], row["simultaneous_high"]
    if is_missing(low) or is_missing(high):
        low, high = row["ci_low"], row["ci_high"]
    return f"{label} {estimate(row['estimate'], (high - low) / 2)} ({interval(low, high)})"


def how_sure(tables: Tables, labels: Labels, confidence: float) -> str:
    """Say for each response how many settings cannot be told from the recommended one, and what it may cost."""
    parts = []
    for response, label in labels.items():
        for row in rows_of(tables["recommendations"], response=response):
            bound = regret_text(row["regret_bound"])
            small = not is_missing(row["smallest_effect"]) and row["regret_bound"] <= row["smallest_effect"]
            against = f", within what counts as negligible ({significant(row['smallest_effect'])})" if small else ""
            parts.append(
                f"{label}: {row['rivals']} of {row['candidates'] - 1} other settings cannot be told from it, and it is "
                f"at most {bound} worse than the best{against}"
            )
    return f"{sentence_case('; '.join(parts))} (at {percent(confidence)})." if parts else ""


def undecided(tables: Tables, labels: Labels) -> str:
    """Name the effects that are undecided."""
    rows = chosen(tables["effects"], verdict="undecided")
    if rows.empty:
        return "No factor's effect: each is shown, or shown to be negligible. Interactions are told below."
    together: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        together.setdefault(factor_label(row["factor"]), []).append(labels.get(row["response"], row["response"]))
    parts = [f"{factor} on {joined(responses)}" for factor, responses in together.items()]
    return f"{sentence_case('; '.join(parts))}: neither an effect nor its absence is shown."
