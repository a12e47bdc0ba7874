"""The classes of a data set: spellings folded, rare ones left out, each in every part, numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from finevar.data.labels import class_order
from finevar.data.mistaken import refuse_scores
from finevar.data.rows import Facts
from finevar.errors import InputError
from finevar.study.classes import label_key, visible
from finevar.study.consistency import cut, listed

Parts = list[pd.DataFrame]


def name_classes(parts: Parts, spec: Mapping[str, Any], facts: Facts) -> list[str]:
    """Return the class names in label order: the data set's own order, else sorted; parts get them in place.

    Spellings of a class become its name, where the data set does not name its classes itself.
    """
    declared = parts[0].attrs.get("classes")
    if declared:
        return list(declared)
    if spec.get("fold_labels", True):
        fold_labels(parts, facts)
    names = pd.concat([part["name"] for part in parts])
    refuse_scores(names, f"{parts[0].attrs['where']}, column {cut(spec['label'])}")
    return sorted(pd.unique(names), key=class_order)


def fold_labels(parts: Parts, facts: Facts) -> None:
    """Give all spellings of a class one name, in place, and note how many examples had another spelling.

    The name is the most frequent spelling, of a number the shortest, if there is one without odd characters.
    """
    counts = pd.concat([part["name"] for part in parts]).value_counts()

    def rank(name: str) -> tuple[bool, int, int, str]:
        return visible(name) != name, len(name) if isinstance(label_key(name), Decimal) else 0, -counts[name], name

    chosen: dict[Decimal | str, str] = {}
    for name in sorted(counts.index, key=rank):
        chosen.setdefault(label_key(name), name)
    others = {name: chosen[label_key(name)] for name in counts.index if chosen[label_key(name)] != name}
    if others:
        facts["folded_labels"] = {name: int(counts[name]) for name in sorted(others)}
    for part in parts:
        part["name"] = part["name"].replace(others)


def drop_rare(parts: Parts, classes: list[str], spec: Mapping[str, Any], facts: Facts) -> tuple[Parts, list[str]]:
    """Leave out the classes with fewer examples than the key `drop_rare_classes` says, and count them."""
    counts = count_names(parts).reindex(classes, fill_value=0)
    rare = counts[counts < spec.get("drop_rare_classes", 0)]
    if len(rare):
        facts["rare_classes"], facts["dropped_rare"] = rare.to_dict(), int(rare.sum())
    kept = [part[~part["name"].isin(rare.index)].reset_index(drop=True) for part in parts]
    return kept, [name for name in classes if name not in rare.index]


def count_names(parts: Parts) -> pd.Series:
    """Return how many examples of all parts each class has."""
    return pd.concat([part["name"] for part in parts]).value_counts()


def number_classes(parts: Parts, classes: list[str], spec: Mapping[str, Any], where: str) -> Parts:
    """Return parts with classes as numbers, columns example_id, text and label; raise InputError of fewer than two."""
    found = count_names(parts).index
    if len(found) < 2:
        lower = "lower drop_rare_classes, " if "drop_rare_classes" in spec else ""
        lower += "change threshold or margin, " if "threshold" in spec else ""
        key = "file" if "label_from" in spec else "label"
        raise InputError(
            f"{where}, column {cut(spec['label'])}",
            found=f"no other class than {cut(found[0])}" if len(found) else "no example",
            allowed="two classes or more",
            remedy=f"Correct `{key}`, {lower}or add examples of another class.",
        )
    numbers = {name: number for number, name in enumerate(classes)}
    return [
        part.assign(label=part["name"].map(numbers).astype("int64"))[["example_id", "text", "label"]] for part in parts
    ]


def require_each(part: pd.DataFrame, classes: Sequence[str], shared: int, where: str, remedy: str) -> None:
    """Raise InputError, with the counts, unless each class has as many examples as there are parts to share them.

    remedy: what to do, with a place {least} for a number that all these classes have fewer examples than.
    """
    counts = part["label"].value_counts().reindex(range(len(classes)), fill_value=0)
    few = {name: int(size) for name, size in zip(classes, counts, strict=True) if size < shared}
    if few:
        parts = f", one for each of {shared} parts" if shared > 1 else ""
        raise InputError(
            where,
            found=f"too few examples of class {listed(f'{cut(name)} ({size})' for name, size in few.items())}",
            allowed=f"{shared} or more of each class{parts}",
            remedy=remedy.format(least=max(few.values()) + 1),
        )
