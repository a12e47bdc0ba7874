"""From cells to labels: lists refused, ratings made classes, the order of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.data.mistaken import refuse_lists
from finevar.data.rows import Facts
from finevar.study.consistency import as_list, cut


def label_examples(table: pd.DataFrame, spec: Mapping[str, Any], facts: Facts) -> pd.DataFrame:
    """Return columns text, of pairs also second, and name (the class's name); ratings become negative and positive."""
    where, classes = table.attrs["where"], table.attrs.get("classes")
    columns = dict(zip(("text", "second"), as_list(spec["text"]), strict=False)) | {"name": spec["label"]}
    named = pd.DataFrame({name: table[column] for name, column in columns.items()}).reset_index(drop=True)
    named = named.astype("str")  # so that 1 in one file and "1" in another are one class
    named["name"] = named["name"].str.strip()
    if not classes and "threshold" not in spec:
        refuse_lists(named["name"], f"{where}, column {cut(spec['label'])}")
    if "threshold" in spec:
        named = rate(named, spec, facts)
        classes = ["negative", "positive"]
    named.attrs = {"where": where, "classes": classes}
    return named


def rate(named: pd.DataFrame, spec: Mapping[str, Any], facts: Facts) -> pd.DataFrame:
    """Return examples with a rating as negative or positive ones, without those within the margin."""
    ratings = pd.to_numeric(named["name"])
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
