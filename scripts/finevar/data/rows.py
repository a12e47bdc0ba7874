"""Account for every row that is read: kept, dropped for a reason that is counted, or refused by its line."""

from __future__ import annotations

import html
import json
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.errors import InputError
from finevar.study.classes import with_point
from finevar.study.consistency import as_list, cut

Facts = dict[str, Any]


def usable(table: pd.DataFrame, spec: Mapping[str, Any], facts: Facts) -> pd.DataFrame:
    """Return the rows with a label and all texts; count the others in facts, or raise InputError for the first of them.

    table: its index has the rows' numbers, attrs their place, what they are (line or example) and their config key.
    """
    facts["read"] += len(table)
    unlabelled = table[spec["label"]].map(is_blank).astype(bool)
    if len(table) and unlabelled.all():
        raise no_label_error(table, spec)
    count(facts, "dropped_unlabelled", unlabelled)
    table = table[~unlabelled]
    labels, empty = without_lists(table[spec["label"]]), pd.Series(False, table.index)
    if "decimal" in spec:
        labels = labels.mask(labels.map(is_text).astype(bool), labels.astype("str").map(with_point))
    table = table.assign(**{spec["label"]: labels})
    for column in as_list(spec["text"]):  # two of a pair
        texts = table[column]
        blank = texts.map(is_blank).astype(bool)
        if not spec.get("drop_empty"):
            remedy = "Correct it, or give `drop_empty: true` to leave such examples out."
            refuse(texts, blank, table.attrs, "a text, not empty", remedy)
        remedy = "Write it as one text; JSON has texts in quotation marks."
        refuse(texts, ~blank & ~texts.map(is_text).astype(bool), table.attrs, "a text", remedy)
        empty |= blank
    refuse(labels, ~labels.map(is_label).astype(bool), table.attrs, "one class name or number", "Correct it.")
    if "threshold" in spec:
        wrong = ~np.isfinite(pd.to_numeric(labels.astype("str").str.strip(), errors="coerce").astype(float))
        commas = labels[wrong].map(lambda cell: is_text(cell) and with_point(cell) != cell.strip()).any()
        remedy = "Remove `threshold` for class names, or correct the rating."
        if commas:
            remedy = 'Give `decimal: ","` if such a comma stands before decimals, or correct the rating.'
        refuse(labels, wrong, table.attrs, "a number, since `threshold` makes it a rating", remedy)
    count(facts, "dropped_empty", empty)
    return table[~empty]


def count(facts: Facts, reason: str, dropped: pd.Series) -> None:
    """Add to the count of a reason; a reason that no row has is not named."""
    if dropped.any():
        facts[reason] += int(dropped.sum())


def is_blank(cell: Any) -> bool:
    """Return whether a cell holds nothing: a missing value or, entities decoded, spaces alone."""
    if isinstance(cell, str):
        return not fold(cell)
    return cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell)


def is_text(cell: Any) -> bool:
    """Return whether a cell is a text."""
    return isinstance(cell, str)


def without_lists(cells: pd.Series) -> pd.Series:
    """Return cells, lists as JSON and Parquet have them as text, or as what is in them if that is one thing in each."""
    lists = cells[cells.map(lambda cell: isinstance(cell, list | tuple | np.ndarray)).astype(bool)]
    single = lists.map(len).eq(1).all()
    return cells.mask(
        cells.index.isin(lists.index), lists.map(lambda cell: cell[0] if single else json.dumps([*cell], default=str))
    )


def is_label(cell: Any) -> bool:
    """Return whether a cell that is not blank holds a class's name or number."""
    return isinstance(cell, str | numbers.Number) and not pd.isna(cell)


def fold(text: str) -> str:
    """Return a text with its HTML entities decoded and every stretch of spaces as one."""
    return " ".join(html.unescape(text).split())


def refuse(cells: pd.Series, bad: pd.Series, place: Mapping[str, Any], allowed: str, remedy: str) -> None:
    """Raise InputError for the first bad cell, by its row's number, if there is one."""
    if not bad.any():
        return
    number, cell, count = bad.idxmax(), cells[bad].iloc[0], int(bad.sum())
    raise InputError(
        f"{place['where']}, {place['unit']} {number}, column {cut(str(cells.name))}",
        found=f"{'nothing' if is_blank(cell) else cut(repr(cell))} ({count} such {place['unit']}{'s' * (count > 1)})",
        allowed=allowed,
        remedy=remedy,
    )


def no_label_error(table: pd.DataFrame, spec: Mapping[str, Any]) -> InputError:
    """Return the error of a part that has no labels at all, as the test parts of many public data sets."""
    return InputError(
        f"{table.attrs['where']}, column {cut(str(spec['label']))}",
        found=f"no label in any of its {len(table)} examples (empty, or -1 as the Hub marks them)",
        allowed="examples with labels",
        remedy=f"Choose another `{table.attrs['key']}`, or correct `label`.",
    )


def require_accounted(facts: Mapping[str, Any], kept: int) -> None:
    """Raise ArithmeticError unless the rows kept and those dropped for each reason add up to those read."""
    dropped = {reason: number for reason, number in facts.items() if reason.startswith("dropped_")}
    if facts["read"] != kept + sum(dropped.values()):
        raise ArithmeticError(f"{facts['read']} rows were read, {kept} are kept, and dropped are {dropped}")
