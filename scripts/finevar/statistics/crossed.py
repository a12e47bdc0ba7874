"""Seeds whose parts are crossed: every seed of a part (initialisation, order, ...) with every one of the others.

Runs that share a part's seed are not independent. On the grid of K combinations an array divides exactly into its mean
and a deviation for each set S of parts, with the product of (seeds - 1) over S as degrees of freedom df_S, as in the
analysis of variance of crossed random effects (Searle, Casella & McCulloch 1992). Let MS_S be the mean square of that
deviation of a contrast's own estimates by combination. Then E MS_S / K is the sum over all T that hold S of
variance_T / n_T, n_T the combinations of T's seeds; so the variance of the contrast's mean for new seeds of all parts
is the sum of MS_S / K, sets of an even number of parts subtracted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from finevar.study.seed_parts import COLUMNS

DEPENDENT = "runs that share the seed of a part are not independent, and this takes them for that"

Set = tuple[int, ...]  # of parts, by their place


def crossed_parts(runs: pd.DataFrame) -> list[str]:
    """Return the parts of the seed that runs cross: of several seeds each, but fewer than there are combinations."""
    known = {part: runs[name].nunique() for part, name in COLUMNS.items() if name in runs}
    return [part for part, seeds in known.items() if 1 < seeds < runs["seed"].nunique()]


def part_numbers(runs: pd.DataFrame) -> np.ndarray | None:
    """Return the number of each run's seed of each crossed part [runs, parts], from 0; None where none are crossed."""
    numbers = [pd.factorize(runs[COLUMNS[part]], sort=True)[0] for part in crossed_parts(runs)]
    return np.column_stack(numbers) if numbers else None


def independent_seeds(runs: pd.DataFrame) -> int:
    """Return how many seeds are independent of each other: of crossed parts, those of the one that has fewest."""
    return min((runs[COLUMNS[part]].nunique() for part in crossed_parts(runs)), default=runs["seed"].nunique())


def part_sets(parts: int, least: int = 1) -> list[Set]:
    """Return all sets of at least so many parts, the smaller first."""
    return [each for size in range(least, parts + 1) for each in itertools.combinations(range(parts), size)]


def set_df(levels: Sequence[int], parts: Set) -> int:
    """Return the degrees of freedom of a set of parts; levels: seeds of every part."""
    return math.prod(levels[part] - 1 for part in parts)


def deviation(values: np.ndarray, count: int, parts: Set) -> np.ndarray:
    """Return the deviation that is a set's own of values [seeds of each of `count` parts, ...], other parts averaged.

    The axes of the others have length 1.
    """
    for part in range(count):
        mean = values.mean(part, keepdims=True)
        values = values - mean if part in parts else mean
    return values


def shared_cov(scores: np.ndarray, parts: Set, levels: Sequence[int]) -> np.ndarray:
    """Return MS_S / K [coordinates, coordinates] from combinations' scores [seeds of each part, coordinates, columns].

    A combination's score is what its runs add to the estimate's error, K times which is its own estimate's deviation;
    products are summed over columns.
    """
    own = deviation(scores, len(levels), parts)
    held = math.prod(levels) / math.prod(levels[part] for part in parts)
    flat = np.moveaxis(own, -2, 0).reshape(own.shape[-2], -1)
    return math.prod(levels) * held / set_df(levels, parts) * (flat @ flat.T)
