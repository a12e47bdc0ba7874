"""Class names as people type them: which are one class, and which of two is the positive one."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from finevar.errors import InputError
from finevar.metrics import Positive
from finevar.study.consistency import cut, listed

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)

SHORT = ("yes y true t 1", "no n false f 0", "positive pos +", "negative neg -", "neutral neu")  # for one class each


def visible(name: Any) -> str:
    """Return what is seen of a class's name: HTML entities decoded, blanks as one, letters in Unicode's form NFKC."""
    letters = unicodedata.normalize("NFKC", html.unescape(str(name)))
    return " ".join("".join(letter for letter in letters if unicodedata.category(letter) != "Cf").split())


def label_key(name: Any) -> Decimal | str:
    """Return what all spellings of a class share: the number that is seen, else the text without case."""
    text = visible(name)
    return Decimal(text) if NUMBER.fullmatch(text) else text.casefold()


def written_twice(classes: Sequence[str]) -> list[str]:
    """Return the classes that may be one: in full and in short, as yes and Y, or not-spam, not_spam and not spam."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        text = visible(name).casefold()
        joined = text if NUMBER.fullmatch(text) else re.sub(r"[-_\s]", "", text)
        groups[next((words for words in SHORT if text in words.split()), joined)].append(name)
    return [name for group in groups.values() if len(group) > 1 for name in group]


def with_point(text: str) -> str:
    """Return a text without blanks around it, a number that has a decimal comma with a point."""
    return re.sub(r"^([+-]?\d+),(\d+(?:[eE][+-]?\d+)?%?)$", r"\1.\2", text.strip())


def positives_of(prepared: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Any]) -> dict[str, Positive | None]:
    """Return positive_of() each data set; prepared: the facts, wanted: the key `positive`, both by name."""
    return {name: positive_of(facts, wanted[name], name) for name, facts in prepared.items()}


def positive_of(facts: Mapping[str, Any], wanted: Any, dataset: str) -> Positive | None:
    """Return the class that binary F1, precision and recall are of; None of a data set of other than two classes.

    facts: what a data set's preparation found. wanted: its key `positive`, or None for the class that is rarer in
    training. Raises InputError where that names no class of two.
    """
    classes = facts["classes"]
    if wanted is None:
        name = facts.get("positive")
        return Positive(classes.index(name), name) if name is not None else None
    places = [place for place, name in enumerate(classes) if label_key(name) == label_key(wanted)]
    exact = [place for place in places if classes[place] == str(wanted)] or places
    if len(classes) != 2 or len(exact) != 1:
        count = len(classes)
        raise InputError(
            f"config: datasets.{cut(dataset)}.positive",
            found=cut(repr(wanted)),
            allowed=f"one of {listed(classes)}" if count == 2 else f"no such key for a data set of {count} classes",
            remedy="Correct `positive`." if count == 2 else "Remove `positive`: F1 is the mean over all classes.",
        )
    return Positive(exact[0], classes[exact[0]])
