"""Variance components of crossed parts of the seed: what each part makes of the variance between a setting's runs.

At each setting runs cross all parts, so E MS_S is the sum over sets T that hold S of K variance_T / n_T (see crossed),
which is solved for the variances: the classical unbiased estimates, equal to REML's on balanced data where none is
negative (Searle, Casella & McCulloch 1992). They are averaged over settings. Test sentences: a component of a metric's
mean over n sentences holds that of their sampling, which is taken out by the same unbiased form of each sentence's
column about the mean column, over n (n - 1), as in the ledger.

Intervals are generalised confidence intervals (Weerahandi 1993): each mean square's expectation is drawn as its sum of
squares over a chi-square. What a part does at all settings alike and what it does otherwise at each have a mean square
of their own, as a part's few seeds tell little of the former. Sentences are resampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finevar.statistics.crossed import Set, deviation, part_sets, set_df
from finevar.statistics.ledger import limits

DRAWS = 9999
DRAWS_SEED = 20200215


@dataclass(frozen=True)
class Components:
    """One metric of the runs of several settings, each with every combination of the parts' seeds."""

    values: np.ndarray  # [settings, seeds of each part]
    sentences: Sequence[np.ndarray] = ()  # by data set, zero elsewhere [settings, seeds of each part, sentences]

    @property
    def levels(self) -> tuple[int, ...]:
        """Return the seeds of each part."""
        return self.values.shape[1:]

    @property
    def settings(self) -> int:
        """Return the number of settings."""
        return len(self.values)

    @cached_property
    def sets(self) -> list[Set]:
        """Return the sources: single parts, then their interactions."""
        return part_sets(len(self.levels))

    @cached_property
    def df(self) -> np.ndarray:
        """Return the degrees of freedom of each source at one setting [sets]."""
        return np.array([set_df(self.levels, each) for each in self.sets])

    @cached_property
    def solution(self) -> np.ndarray:
        """Return what turns expected mean squares into variances [sets, sets]."""
        signs = [
            [(-1) ** (len(other) - len(each)) * (set(each) <= set(other)) for other in self.sets] for each in self.sets
        ]
        held = [math.prod(self.levels[part] for part in each) for each in self.sets]
        return np.array(signs) * np.array(held)[:, None] / math.prod(self.levels)

    @cached_property
    def squares(self) -> tuple[np.ndarray, np.ndarray]:
        """Return sums of squares of what is alike at all settings, and of what is not [sets]."""
        alike, total = self.squared(self.values.mean(0, keepdims=True)), self.squared(self.values)
        return self.settings * alike, np.maximum(total - self.settings * alike, 0)

    def squared(self, values: np.ndarray) -> np.ndarray:
        """Return sums of squares of values [settings, seeds of each part, ...] by source [sets, ...]."""
        first, axes = np.moveaxis(values, 0, len(self.levels)), tuple(range(len(self.levels) + 1))
        held = [math.prod(self.levels) / math.prod(self.levels[part] for part in each) for each in self.sets]
        found = [(deviation(first, len(self.levels), each) ** 2).sum(axes) for each in self.sets]
        return np.stack([times * each for times, each in zip(held, found, strict=True)])

    @cached_property
    def of_sentences(self) -> list[np.ndarray]:
        """Return what each sentence of a data set adds to the variances by its sampling [sentences, sets]."""
        out = []
        for columns in self.sentences:
            count = columns.shape[-1]
            squares = self.squared(columns - columns.mean(-1, keepdims=True)) / (self.df[:, None] * self.settings)
            out.append((self.solution @ squares).T / (count * (count - 1)))
        return out

    @cached_property
    def found(self) -> np.ndarray:
        """Return the unbiased estimates, test-set sampling's taken out and last [sets + 1]; they may be negative."""
        total = self.solution @ (sum(self.squares) / (self.df * self.settings))
        taken = sum((each.sum(0) for each in self.of_sentences), start=np.zeros(len(self.sets)))
        return np.append(total - taken, taken.sum())

    @property
    def variances(self) -> np.ndarray:
        """Return the variances [sets + 1], an estimate below zero as zero."""
        return np.maximum(self.found, 0)

    @property
    def shares(self) -> np.ndarray:
        """Return the shares of the variance between a setting's runs [sets + 1]."""
        return self.variances / self.variances.sum()

    @cached_property
    def drawn(self) -> np.ndarray:
        """Return draws of the variances' confidence distributions [draws, sets + 1]; they may be negative."""
        rng, shape = np.random.default_rng(DRAWS_SEED), (DRAWS, len(self.sets))
        alike, others = self.squares
        expected = alike / rng.chisquare(self.df, shape)
        if self.settings > 1:
            df = self.df * (self.settings - 1)
            expected = expected + (self.settings - 1) * others / rng.chisquare(df, shape)
        taken = np.zeros(shape)
        for each in self.of_sentences:
            count = len(each)
            taken += rng.multinomial(count, np.full(count, 1 / count), size=DRAWS) @ each
        return np.column_stack([expected / self.settings @ self.solution.T - taken, taken.sum(1)])

    def share_limits(self, confidence: float) -> np.ndarray:
        """Return lower and upper limits of the shares [2, sets + 1]."""
        return limits(self.drawn / self.drawn.sum(1, keepdims=True), confidence)

    def ratio(self, one: Set, other: Set, confidence: float) -> tuple[float, float, float]:
        """Return one source's variance over another's, with its limits; NaN where both are estimated as zero.

        A draw in which both are negative counts to both sides.
        """
        first, second = self.sets.index(one), self.sets.index(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.variances[first] / self.variances[second]
            drawn = np.maximum(self.drawn[:, first], 0) / np.maximum(self.drawn[:, second], 0)
        tail = (1 - confidence) / 2
        low = np.quantile(np.nan_to_num(drawn, nan=0.0, posinf=np.inf), tail, method="lower")
        high = np.quantile(np.nan_to_num(drawn, nan=np.inf, posinf=np.inf), 1 - tail, method="higher")
        return float(value), float(low), float(high)
