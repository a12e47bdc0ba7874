"""A data set's rows in words: how many were read, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.words.formatting import counted

KEPT = {"train": "to train on", "eval": "to evaluate on", "held_back": "held back for confirmation"}
DROPPED = {  # by the preparation's own counts
    "dropped_unlabelled": "without a label",
    "dropped_empty": "without a text",
    "dropped_within_margin": "rated near the threshold",
    "dropped_contradictory": "with two labels",
    "dropped_repeats": "repeated",
    "dropped_rare": "of rare classes",
    "dropped_in_eval": "in both parts",
}


def account_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts that account for every row of a data set: read, kept in each part, dropped for each reason."""
    return {key: value for key, value in facts.items() if key in ("read", *KEPT) or key.startswith("dropped_")}


def account_sentence(facts: Mapping[str, Any]) -> str:
    """Say how many rows of a data set were read, kept and dropped, and why."""
    kept = {words: facts[part] for part, words in KEPT.items() if facts.get(part)}
    parts = ", ".join(f"{count:,} {words}" for words, count in kept.items())
    dropped = dropped_text(facts) or "none"
    return f"Of {counted(facts['read'], 'row')} read, {sum(kept.values()):,} kept ({parts}); dropped: {dropped}."


def dropped_text(facts: Mapping[str, Any]) -> str:
    """List how many rows of a data set were dropped for each reason; nothing where none was."""
    reasons = {key: DROPPED.get(key, key.removeprefix("dropped_").replace("_", " ")) for key in account_of(facts)}
    counts = [(facts[key], reasons[key]) for key in reasons if key.startswith("dropped_") and facts[key]]
    return ", ".join(f"{count:,} {words}" for count, words in counts)
