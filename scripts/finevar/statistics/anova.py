"""Exact functional analysis of variance of runs on a complete balanced grid.

Along every axis of the grid (data set, each factor, seed) runs are written in orthonormal Helmert contrasts, the first
of which is the mean. A squared contrast coefficient belongs to the set of axes along which its contrast varies, and the
mean square of the runs is the sum over those sets (Hoeffding 1948; Sobol' 1993), so nothing is fitted and nothing is
left over. Sets are counted to sources: each factor, each pair of factors, higher orders, data set, seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import helmert

DATASET, DATASET_SETTINGS = "dataset", "dataset:settings"
HIGHER_ORDER, SEED, SEED_POINT = "higher_order", "seed", "seed:point"
POOLED = (HIGHER_ORDER, DATASET, DATASET_SETTINGS, SEED, SEED_POINT)  # in this order after factors and pairs

Axes = frozenset[str]


@dataclass(frozen=True)
class Grid:
    """Where each run of a complete balanced grid belongs, and which contrast belongs to which source of variance."""

    factors: tuple[str, ...]
    shape: tuple[int, ...]  # data sets, levels of each factor, seeds
    runs: np.ndarray  # numbers of the runs, in the order of the axes
    order: np.ndarray  # contrasts sorted by the set of axes along which they vary
    sets: tuple[Axes, ...]  # those sets; the first is empty: the mean
    starts: np.ndarray  # first contrast of each set
    sizes: np.ndarray  # contrasts in each set
    sources: tuple[str, ...]  # seed:point last, where seeds replicate
    membership: np.ndarray  # which source a set is counted to, as zeros and ones [sets, sources]

    @classmethod
    def of(cls, runs: pd.DataFrame, factors: Sequence[str]) -> Grid | None:
        """Return the grid that runs fill: every combination of data set, levels and seed once; None if they do not."""
        names = (DATASET, *factors, SEED)
        codes = [pd.factorize(runs[name], sort=True)[0] for name in names]
        shape = tuple(int(code.max()) + 1 for code in codes)
        if any((code < 0).any() for code in codes):  # a factor that does not exist everywhere
            return None
        if math.prod(shape) != len(runs) or len(np.unique(places := np.ravel_multi_index(codes, shape))) < len(runs):
            return None
        varies = (np.indices(shape) > 0).reshape(len(shape), -1)
        number = (1 << np.arange(len(shape))) @ varies
        order = np.argsort(number, kind="stable")
        starts = np.flatnonzero(np.diff(number[order], prepend=-1))
        sets = tuple(frozenset(itertools.compress(names, varies[:, order[start]])) for start in starts)
        origins = [source_of(axes, factors) for axes in sets]
        sources = tuple(sorted(set(origins) - {""}, key=lambda name: source_rank(name, factors)))
        membership = np.array([[float(name == source) for source in sources] for name in origins])
        sizes = np.diff(starts, append=len(runs))
        return cls(tuple(factors), shape, np.argsort(places), order, sets, starts, sizes, sources, membership)

    @property
    def replicated(self) -> bool:
        """Say whether there are seeds to measure noise by."""
        return self.shape[-1] > 1

    @property
    def df(self) -> np.ndarray:
        """Return the degrees of freedom of each source [sources]."""
        return self.sizes @ self.membership

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """Return the contrast coefficients [..., contrasts] of values [..., runs], both in the grid's own order.

        Scaled so that their squares sum to the mean square of the values.
        """
        values = values.reshape(*values.shape[:-1], *self.shape)
        for axis, size in enumerate(self.shape, start=-len(self.shape)):
            values = np.moveaxis(np.tensordot(values, helmert(size, full=True) / math.sqrt(size), (axis, 1)), -1, axis)
        return values.reshape(*values.shape[: -len(self.shape)], -1)[..., self.order]

    def by_set(self, products: np.ndarray) -> np.ndarray:
        """Return the sums [..., sets] of products or squares of coefficients [..., contrasts]."""
        return np.add.reduceat(products, self.starts, axis=-1)

    def by_source(self, products: np.ndarray) -> np.ndarray:
        """Return the sums [..., sources] of products or squares of coefficients [..., contrasts]."""
        return self.by_set(products) @ self.membership


def source_of(axes: Axes, factors: Sequence[str]) -> str:
    """Return the name of the source that a set of axes is counted to; "" for the mean."""
    settings = [name for name in factors if name in axes]
    if SEED in axes:
        return SEED_POINT if settings else SEED
    if DATASET in axes:
        return DATASET_SETTINGS if settings else DATASET
    return ":".join(settings) if len(settings) < 3 else HIGHER_ORDER


def source_rank(name: str, factors: Sequence[str]) -> tuple[int, list[int]]:
    """Return what sorts sources: factors, their pairs, then what is pooled."""
    if name in POOLED:
        return 3 + POOLED.index(name), []
    settings = name.split(":")
    return len(settings), [factors.index(setting) for setting in settings]


def factor_shares(parts: np.ndarray, holds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each factor's first-order, total and Shapley share [..., factors] of the variance between settings.

    parts: variances by set of factors [..., sets]. holds: which factors a set holds, as zeros and ones [sets, factors].
    First order counts the factor alone, total every set with it, Shapley an equal part of each, so that only the last
    sums to 1 (Sobol' 1993; Homma & Saltelli 1996; Owen 2014). Not a number where settings make no variance.
    """
    size = holds.sum(1, keepdims=True)
    whole = parts.sum(-1, keepdims=True)
    whole = np.where(whole > 0, whole, np.nan)
    first_order, total, shapley = (parts @ weight / whole for weight in (holds * (size == 1), holds, holds / size))
    return first_order, total, shapley
