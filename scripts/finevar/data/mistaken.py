"""Columns that are no classes and texts without their other half, refused before anything is trained on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from statistics import median
from typing import Any

import pandas as pd

from finevar.errors import InputError
from finevar.study.classes import label_key, with_point
from finevar.study.consistency import as_list, cut, listed

DECIMAL = '`decimal: ","`'
MARKS = ",;|"  # that stand between the labels of a list
# A list as Python, JSON or numpy prints it; "[OTHER]" is a name.
BRACKETED = re.compile(r"[\[({].*['\",;|].*[\])}]|\[[-\d\s.]*\]", re.DOTALL)
MOST_NUMBERS = 20  # different ones that may be classes, such as half stars
FEWEST_EACH = 5.0  # examples a number, on average, where whole numbers are to be classes


def refuse_lists(names: pd.Series, where: str) -> None:
    """Raise InputError where some labels look like lists of labels."""
    lists = list_labels(names)
    if not lists:
        return
    found = names[names.isin(lists)]
    first = found.value_counts().index[0]
    point = f"Where that is {with_point(first)}, give {DECIMAL}. " if with_point(first) != first else ""
    raise InputError(
        where,
        found=f"labels that look like lists in {len(found):,} of {len(names):,} examples "
        f"({len(found) / len(names):.1%}), such as {cut(repr(first))}",
        allowed="one class for each text; several labels to one text are not supported",
        remedy=f"{point}Keep one label of each text, or take one label at a time: a column that says whether a text "
        "has it. "
        f"Where such a label is one class, write its name without any of {' '.join(MARKS)} and without brackets.",
    )


def list_labels(names: Iterable[str]) -> set[str]:
    """Return the labels that are lists: in brackets, or marks between parts each of which is in another label, too.

    So "insult,toxic" is one beside "insult" and "toxic", or beside "insult,threat" and "threat,toxic", and "Science,
    Technology" is a name as long as no other label has both of its parts.
    """
    between = {name: re.split(f"[{MARKS}]", name) for name in set(names)}
    parts = {name: frozenset(label_key(part) for part in found if part.strip()) for name, found in between.items()}
    seen = Counter(part for different in set(parts.values()) for part in different)
    return {
        name
        for name, own in parts.items()
        if BRACKETED.fullmatch(name) or (len(own) > 1 and all(seen[part] > 1 for part in own))
    }


def refuse_scores(names: pd.Series, where: str) -> None:
    """Raise InputError where the labels are numbers of so many values that they are scores."""
    keys = {name: label_key(with_point(name)) for name in pd.unique(names)}
    values = set(keys.values())
    if len(values) <= MOST_NUMBERS or not all(isinstance(value, Decimal) for value in values):
        return
    if all(value == value.to_integral_value() for value in values) and len(names) >= FEWEST_EACH * len(values):
        return
    middle = float(median(keys[name] for name in names))
    comma = f"Give {DECIMAL}. " if any(with_point(name) != name for name in keys) else ""
    raise InputError(
        where,
        found=f"{len(values):,} different numbers in {len(names):,} examples, from {cut(str(min(values)))} to "
        f"{cut(str(max(values)))}",
        allowed="classes; scores as such are not supported (no regression)",
        remedy=f"{comma}Make two classes of them with `threshold`, such as {middle:g}: numbers above it become "
        "positive, those below negative. Where each number is a class, put a letter before it.",
    )


def refuse_contradictions(dropped: int, examples: int, spec: Mapping[str, Any], where: str) -> None:
    """Raise InputError where most examples went since their text stands there with different labels."""
    if 2 * dropped > examples:
        columns, pair = spec.get("join") or as_list(spec["text"]), ""
        if len(columns) == 1:
            pair = (
                "Where an example is two texts (a premise and a hypothesis, a question and an answer), give both, as "
                f"`text: [{cut(columns[0])}, ...]` or, to `make new`, --text ONE,OTHER. "
            )
        raise InputError(
            f"{where}, column{'s' * (len(columns) > 1)} {listed(columns)}",
            found=f"{dropped:,} of {examples:,} examples whose text stands there with different labels",
            allowed="one label for each text, and the whole of it under the key `text`",
            remedy=f"{pair}Where several people labelled each text, keep one row of it, with the label that most of "
            "them gave. Else correct the labels.",
        )
