"""A data set's parts: every class in each by its share, chosen by content alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.data.classes import Parts, require_each
from finevar.data.rows import Facts
from finevar.errors import InputError
from finevar.study.consistency import as_list, listed

ADD = "Add examples there, or remove the class from every file."
ADD_OR_DROP = "No number held out helps: add examples, or leave out such classes with drop_rare_classes: {least}."


def divide(parts: Parts, classes: Sequence[str], spec: Mapping[str, Any], facts: Facts) -> Parts:
    """Return the training, the evaluation and the held-back part, each with every class, but for a part without any.

    parts: all examples, or those of the two files or splits, sorted by content hash. Raises InputError where a class
    has too few examples.
    """
    where = f"data set {listed(as_list(spec.get('file') or spec['train_split']), 3)}"
    if len(parts) == 1:
        train, *others = split_off(
            parts[0], classes, spec, ("eval_examples", "confirm_examples"), where, remedy=ADD_OR_DROP
        )
    else:
        train, evaluation = parts
        leaked = train["example_id"].isin(evaluation["example_id"])
        facts["dropped_in_eval"] = int(leaked.sum())
        train = train[~leaked].reset_index(drop=True)
        also = (
            f"{leaked.sum():,} examples of it went, since they stand in the evaluation part, too. "
            if any(leaked)
            else ""
        )
        require_each(train, classes, 1, f"the training part of {where}", also + ADD)
        # What is held back is of the same origin as the evaluation part.
        others = split_off(
            evaluation, classes, spec, ("confirm_examples",), f"the evaluation part of {where}", remedy=ADD
        )
    # So that the first training examples, however many, are a fair sample of all.
    return [train.iloc[by_share(train["label"])].reset_index(drop=True), *others]


def split_off(
    examples: pd.DataFrame,
    classes: Sequence[str],
    spec: Mapping[str, Any],
    keys: Sequence[str],
    where: str,
    *,
    remedy: str,
) -> Parts:
    """Return what is left of examples, and as many as each key asks for, which are none without it."""
    asked, parts = [key for key in keys if spec.get(key)], {}
    require_each(examples, classes, len(asked) + 1, where, remedy)
    for number, key in enumerate(asked):
        examples, parts[key] = split(examples, spec[key], f"config: {key} of {where}", left=len(asked) - number)
    return [examples, *(parts.get(key, examples.iloc[:0]) for key in keys)]


def split(examples: pd.DataFrame, wanted: float, where: str, *, left: int) -> Parts:
    """Split examples, sorted by content hash, into the rest and as many as are wanted, each class by its share.

    wanted: how many or, below 1, which share of them. left: how many of each class stay in the rest, at least. Ours,
    since scikit-learn's train_test_split draws by position. Here the hash decides, so rows in another order split the
    same, and a new row moves at most one other per class.
    """
    labels, wanted = examples["label"], round(wanted * len(examples)) if wanted < 1 else int(wanted)
    order, to_come = by_share(labels), labels.groupby(labels).cumcount(ascending=False).to_numpy()
    free, least = order[to_come[order] >= left], labels.nunique()
    if not least <= wanted <= len(free):
        raise InputError(
            where,
            found=f"{wanted} of {len(examples)} examples",
            allowed=f"{least} to {len(free)}, so that each part has every one of the {least} classes",
            remedy=f"Raise it to {least} or more." if wanted < least else "Lower it.",
        )
    held_out = np.isin(np.arange(len(examples)), free[:wanted])
    return [examples[~held_out].reset_index(drop=True), examples[held_out].reset_index(drop=True)]


def by_share(labels: pd.Series) -> np.ndarray:
    """Return the order in which examples are taken so that any number of the first ones holds each class by its share.

    First one of each class; then, of the classes, by Webster's divisors (Balinski and Young 1982): what a class has
    never falls as more are taken. Within a class the order stays. [examples]
    """
    groups = labels.reset_index(drop=True).groupby(labels.to_numpy())
    rank, size = groups.cumcount(), groups.transform("size")
    return np.lexsort((labels, ((rank + 0.5) / size).where(rank > 0, 0.0)))
