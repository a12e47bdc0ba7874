"""From cells to labels: what counts as one, lists refused, ratings made classes, the order of names."""

from __future__ import annotations

import html
import json
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.data.mistaken import refuse_lists
from finevar.errors import InputError
from finevar.study.consistency import cut

Facts = dict[str, Any]


def label_examples(table: pd.DataFrame, spec: Mapping[str, Any], facts: Facts) -> pd.DataFrame:
    """Return columns text and name (the class's name); ratings become negative and positive."""
    where, classes = table.attrs["where"], table.attrs.get("classes")
    labels = table[spec["label"]].map(as_text)
    named = pd.DataFrame({"text": table[spec["text"]], "name": labels}).reset_index(drop=True)
    texts = named["text"].map(lambda text: isinstance(text, str) and bool(fold(text)))  # once decoded and folded
    bad = ~texts.astype(bool) | ~named["name"].map(is_label).astype(bool)
    if bad.any():
        row = int(bad.idxmax())
        raise InputError(
            f"{where}, example {row + 1}",
            found=f"no text or no label ({int(bad.sum())} such examples)",
            allowed="a text, not empty, and a label in every example",
            remedy="Remove or correct those examples.",
        )
    named = named.astype("str")  # so that 1 in one file and "1" in another are one class
    named["name"] = named["name"].str.strip()
    if not classes and "threshold" not in spec:
        refuse_lists(named["name"], f"{where}, column {cut(spec['label'])}")
    if "threshold" in spec:
        named = rate(named, spec, facts, where)
        classes = ["negative", "positive"]
    named.attrs = {"where": where, "classes": classes}
    return named


def as_text(label: Any) -> Any:
    """Return a cell that is a list, as JSON and Parquet have them, as text; any other as it is."""
    return json.dumps(list(label), default=str) if isinstance(label, list | tuple | np.ndarray) else label


def is_label(label: Any) -> bool:
    """Return whether a cell holds a class's name or number."""
    return isinstance(label, str | numbers.Number) and not pd.isna(label) and bool(str(label).strip())


def fold(text: str) -> str:
    """Return a text with its HTML entities decoded and every stretch of spaces as one."""
    return " ".join(html.unescape(text).split())


def rate(named: pd.DataFrame, spec: Mapping[str, Any], facts: Facts, where: str) -> pd.DataFrame:
    """Return examples with a rating as negative or positive ones, without those within the margin."""
    ratings = pd.to_numeric(named["name"], errors="coerce")
    if ratings.isna().any():
        row = int(ratings.isna().idxmax())
        raise InputError(
            f"{where}, example {row + 1}, column {cut(spec['label'])}",
            found=cut(repr(named["name"].iloc[row])),
            allowed="a number, since `threshold` makes it a rating",
            remedy="Remove `threshold` for class names, or correct the rating.",
        )
    with np.errstate(over="ignore"):  # of a rating next to the largest number
        distance = (ratings - spec["threshold"]).abs().round(9)  # 0.3 - 0.1 is 0.2 here, as on paper
    clear = (distance >= spec["margin"]) & (distance > 0)
    facts["dropped_within_margin"] += int((~clear).sum())
    positive = ratings > spec["threshold"]
    return named.assign(name=positive.map({False: "negative", True: "positive"}))[clear].reset_index(drop=True)


def class_order(name: Any) -> tuple[bool, float, str]:
    """Return a sort key: class names that are numbers first, by value, then the others by letter."""
    number = pd.to_numeric(str(name), errors="coerce")
    return bool(pd.isna(number)), 0.0 if pd.isna(number) else float(number), str(name)
