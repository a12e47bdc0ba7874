"""A predicted change between two settings, divided among the factors that differ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from finevar.study.coding import Term


def shapley_weights(start: Mapping[str, float], end: Mapping[str, float], columns: Sequence[Term]) -> np.ndarray:
    """Return the weights [axes, terms] of each axis's share in a surface's change from start to end, both coded.

    A share is the average, over all orders of changing one factor at a time, of what the factor's own change adds
    (Shapley 1953; of a function and a baseline: Sundararajan & Najmi 2020). The weights add up to Q(end) - Q(start);
    those of an axis that does not change are 0. No term
    holds two axes of one factor, so that the share of a factor is the sum of those of its axes.
    """
    return np.array([[share_of(factor, term, start, end) for term in columns] for factor in start])


def share_of(factor: str, term: Term, start: Mapping[str, float], end: Mapping[str, float]) -> float:
    """Return a factor's share in the change of one term; only the order of the term's own factors matters."""
    if factor not in term:
        return 0.0
    power = end[factor] ** term.count(factor) - start[factor] ** term.count(factor)
    orders = list(itertools.permutations(dict.fromkeys(term)))
    others = (
        math.prod((end if order.index(name) < order.index(factor) else start)[name] for name in term if name != factor)
        for order in orders
    )
    return power * sum(others) / len(orders)
