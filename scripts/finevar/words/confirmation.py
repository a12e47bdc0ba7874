"""Sentences on the confirmation: what fresh seeds give, how far from the study's own means, and against whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finevar.words.formatting import counted, joined, settings_list
from finevar.words.numbers import Row, estimate, interval, is_missing, number, percent, span

Levels = Mapping[str, Mapping[str, float]]  # by setting, of each factor
Labels = Mapping[str, str]

STALE = (
    "A confirmation is left out: since it was made, the study's runs or its recommended setting have changed. "
    "Run make confirm again."
)
OTHERS = {"rival": "rival", "baseline": "baseline's own settings"}


def headline(rows: Sequence[Row], levels: Levels, labels: Labels) -> str:
    """Say what the recommended setting reaches with fresh seeds; rows: of the table, for these labels."""
    own = [row for row in rows if row["role"] == "recommended"]
    means = [
        f"{labels[row['response']]} {number(row['mean'])} ({interval(row['ci_low'], row['ci_high'])})"
        for row in own
        if not is_missing(row["mean"])
    ]
    where = settings_list(levels[own[0]["point_id"]])
    if not means:
        return f"Not confirmed: no run of {where} finished with a fresh seed."
    return f"Confirmed with {basis(own[0])}: {where} gives {joined(means)}."


def basis(row: Row) -> str:
    """Say with how many fresh seeds, and on which sentences, a confirmation was made."""
    seeds = counted(len(row["fresh_seeds"].split()), "fresh seed")
    part = "held-back sentence" if row["part"] == "held_back" else "evaluation sentence"
    return f"{seeds} on {counted(int(row['sentences']), part)}"


def meaning_sentence(row: Row, confidence: float) -> str:
    """Say what the intervals hold for, and of what the figures are free."""
    chose = (
        "neither seeds nor sentences had a part in the choice"
        if row["part"] == "held_back"
        else "the seeds had no part in the choice, but the sentences had (confirm_examples holds some back)"
    )
    return f"In parentheses: {percent(confidence)} intervals for {row['population']}; {chose}."


def shrinkage_sentence(rows: Sequence[Row], labels: Labels) -> str:
    """Say how far the recommended setting's confirmed means are from those that it was chosen by."""
    parts = [
        f"{labels[row['response']]} {number(row['selected'])} (confirmed: {number(row['shrinkage'], sign=True)})"
        for row in rows
        if row["role"] == "recommended" and not is_missing(row["shrinkage"])
    ]
    return f"With the study's own seeds, by which it was chosen, it has {joined(parts)}." if parts else ""


def difference_sentences(rows: Sequence[Row], levels: Levels, labels: Labels) -> list[str]:
    """Say by how much the recommended setting differs from each other one that was confirmed."""
    said = []
    for name in dict.fromkeys(row["point_id"] for row in rows if row["role"] != "recommended"):
        own = [row for row in rows if row["point_id"] == name and not is_missing(row["difference"])]
        parts = [f"{labels[row['response']]} {difference_text(row)}" for row in own]
        if parts:
            said.append(
                f"Difference from the {OTHERS[own[0]['role']]}, {settings_list(levels[name])}: {joined(parts)}."
            )
    return said


def difference_text(row: Row) -> str:
    """Print a difference with its interval."""
    low, high = row["difference_low"], row["difference_high"]
    spread = None if is_missing(low) or is_missing(high) else (high - low) / 2
    return f"{estimate(row['difference'], spread)} ({span(row, 'difference')})"


def failed_sentence(rows: Sequence[Row], levels: Levels) -> str:
    """Say at which settings runs with fresh seeds diverged or collapsed; nothing where none did."""
    failed = {row["point_id"]: int(row["failed"]) for row in rows if row["failed"]}
    parts = [f"{count} at {settings_list(levels[name])}" for name, count in failed.items()]
    return f"Runs that diverged or collapsed, which no mean counts: {'; '.join(parts)}." if parts else ""
