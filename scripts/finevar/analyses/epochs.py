"""Evaluations after each epoch: means over seeds, and settings whose loss had been lower before the last epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from finevar.study.settings import trained_with


def whole_runs(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs with a loss after every epoch, so that each mean of a setting is of the same runs."""
    known = evaluations.dropna(subset="loss")
    trained = known["epochs"].map(partial(trained_with, "epochs"))
    return known[known.groupby("run_id")["epoch"].transform("size") == trained]


def epoch_means(evaluations: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Return the mean loss after each epoch at each setting, and a standard deviation between seeds to either side.

    evaluations: columns.EPOCH_EVALUATIONS. The ends are null of a single run.
    """
    by = ["dataset", *factors, "epoch"]
    found = whole_runs(evaluations).groupby(by, as_index=False, dropna=False)["loss"].agg(["mean", "std", "count"])
    return found.assign(low=found["mean"] - found["std"], high=found["mean"] + found["std"])


def lowest_early(means: pd.DataFrame, factors: Sequence[str]) -> tuple[int, int]:
    """Return at how many settings the mean loss is lowest before the last epoch, and how many have several epochs."""
    several = [own for _, own in means.groupby(["dataset", *factors], dropna=False) if len(own) > 1]
    return sum(own.loc[own["mean"].idxmin(), "epoch"] < own["epoch"].max() for own in several), len(several)
