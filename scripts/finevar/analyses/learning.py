"""Which runs show nothing learnt of the classes: those that answer one class only, and those that guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.reasons import COLLAPSED, OK, Caution, Collapse
from finevar.results.collapse import SURE
from finevar.words.formatting import joined

NEARLY_ALL = 0.8  # of the runs: where nothing is recommended, the models are said to have learnt nothing

Shares = Mapping[str, Mapping[str, float]]  # of each class among the evaluation sentences, by data set


def one_class(metrics: pd.DataFrame, shares: Shares) -> pd.Series:
    """Say of each run whether it answers one class only [runs].

    Marked as collapsed for that, or, where one class holds nearly all sentences, of a class's share as accuracy and
    without a correlation between answers and labels, which takes two answers.
    """
    known = metrics.reindex(columns=["status", "ending", "mcc", "accuracy"])
    names = metrics["dataset"].map(lambda name: list(shares.get(name, {}).values()))
    alike = [any(np.isclose(found, accuracy)) for found, accuracy in zip(names, known["accuracy"], strict=True)]
    constant = (known["status"] == OK) & known["mcc"].isna() & np.array(alike, bool)
    return (known["ending"] == Collapse.ONE_CLASS) | constant


def guessing(metrics: pd.DataFrame) -> pd.Series:
    """Say of each run whether its answers do not follow the labels [runs].

    Marked as collapsed for that, or a Matthews correlation of less than two standard errors: of answers that do not
    depend on the labels its variance is 1 / n for two classes and less for more.
    """
    known = metrics.reindex(columns=["status", "ending", "mcc", "eval_examples"])
    chance = SURE / np.sqrt(known["eval_examples"].astype(float))
    return (known["ending"] == Collapse.NO_BETTER) | ((known["status"] == OK) & (known["mcc"] < chance))


def unlearnt(metrics: pd.DataFrame, shares: Shares) -> pd.Series:
    """Say of each run whether it shows nothing learnt [runs]."""
    return one_class(metrics, shares) | guessing(metrics)


def learning_rows(metrics: pd.DataFrame, shares: Shares, *, recommended: bool) -> Iterator[dict[str, Any]]:
    """Yield how many runs answer one class only, how many guess, and before them whether that is nearly all of them.

    With the accuracy of always answering the commonest class, mean over data sets. recommended: whether a setting is.
    """
    ended = metrics[metrics["status"].isin([OK, COLLAPSED])]
    counts = {Caution.ONE_CLASS: int(one_class(ended, shares).sum()), Caution.GUESSING: int(guessing(ended).sum())}
    if ended.empty or not shares:
        return
    if not recommended and sum(counts.values()) >= NEARLY_ALL * len(ended):
        counts = {Caution.LEARNT_NOTHING: sum(counts.values())} | counts
    commonest = {name: max(known, key=known.__getitem__) for name, known in shares.items()}
    always = {
        "value": float(np.mean([shares[name][label] for name, label in commonest.items()])),
        "detail": joined([f"{label} on {name}" if len(shares) > 1 else label for name, label in commonest.items()]),
        "runs": len(ended),
    }
    yield from ({"code": code, "count": count} | always for code, count in counts.items() if count)
