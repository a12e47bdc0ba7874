"""Verdicts on effects, and p-values adjusted by family (STATISTICS: effect, small, negligible, undecided)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from finevar.statistics.regression import Surface

METHODS = {"fdr_bh": "Benjamini-Hochberg", "holm": "Holm"}
EFFECT, SMALL, NEGLIGIBLE, UNDECIDED = "effect", "small", "negligible", "undecided"
VERDICTS = (EFFECT, SMALL, UNDECIDED, NEGLIGIBLE)  # small: an effect too small to matter

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Reading:
    """One question to a surface: a contrast, or the largest of a family of contrasts."""

    estimate: float  # of the largest contrast of those that differ from zero, else of the most significant one
    std_error: float
    df: float
    p_value: float  # that none differs from zero
    ci_low: float  # of this contrast, simultaneous with the others
    ci_high: float
    number: int  # of this contrast within the family
    least: float  # the lowest end of all intervals
    most: float  # the highest
    seed_share: float  # of the variance of the widest interval that comes from seeds, not sentences

    def columns(self) -> dict[str, float]:
        """Return the columns of a table."""
        names = ("estimate", "std_error", "ci_low", "ci_high", "p_value")
        return {name: getattr(self, name) for name in names}


def read_contrast(surface: Surface, weights: np.ndarray) -> Reading:
    """Return what a surface says on one linear combination [parameters] of its parameters."""
    found = surface.read(weights[None])
    (low,), (high,) = found.interval(surface.confidence)
    numbers = (found.estimate[0], found.std_error[0], found.df[0], found.p_value[0], low, high)
    share = float(found.seed[0] / (found.seed[0] + found.sentence[0])) if found.seed[0] else 0.0
    return Reading(*map(float, numbers), number=0, least=float(low), most=float(high), seed_share=share)


def read_family(surface: Surface, weights: np.ndarray) -> Reading:
    """Return what a surface says on linear combinations [rows, parameters] that are judged together."""
    judged = surface.family(weights)
    found = judged.found
    low, high = judged.interval(surface.confidence)
    p_values = judged.p_value
    clear = np.nan_to_num(np.maximum(low, -high)) > 0
    best = int(np.argmax(np.abs(found.estimate) * clear) if clear.any() else np.nanargmin(p_values))
    widest = int(np.nanargmax(high - low))
    total = found.seed[widest] + found.sentence[widest]
    numbers = (found.estimate[best], found.std_error[best], found.df[best], np.nanmin(p_values), low[best], high[best])
    return Reading(
        *map(float, numbers),
        number=best,
        least=float(np.nanmin(low)),
        most=float(np.nanmax(high)),
        seed_share=float(found.seed[widest] / total) if total else 0.0,
    )


def verdict(surface: Surface, p_adjusted: float, least: float, most: float) -> str | None:
    """Return the verdict on a question from its adjusted p and the ends of all its intervals."""
    if math.isnan(p_adjusted):
        return None
    small = is_small(surface, least, most)
    if p_adjusted < surface.alpha:
        return SMALL if small else EFFECT
    return NEGLIGIBLE if small else UNDECIDED


def is_small(surface: Surface, least: float, most: float) -> bool:
    """Say whether every interval, of these ends, is shown to lie within the smallest effect of interest.

    With few seeds never, as these cannot show that a seed does not change slopes.
    """
    bound = surface.smallest_effect
    return bound is not None and surface.shows_absence and -bound < least and most < bound


def adjust_families(rows: Rows, family_of: Callable[[dict[str, Any]], tuple], method: str, noun: str) -> None:
    """Add, in place, p-values adjusted within each family, and the family's name: size, what it counts, method.

    A row without a p-value is in no family, and its adjusted one is NaN.
    """
    known = [row for row in rows if not math.isnan(row["p_value"])]
    for row in rows:
        row["p_adjusted"] = math.nan
    for _, members in itertools.groupby(sorted(known, key=family_of), key=family_of):
        family = list(members)
        adjusted = multipletests([row["p_value"] for row in family], method=method)[1]
        name = f"{len(family)} {noun}{'' if len(family) == 1 else 's'}, {METHODS[method]}"
        for row, p in zip(family, adjusted, strict=True):
            row |= {"p_adjusted": float(p), "family": name}


def columns_key(columns: Sequence[str]) -> Callable[[dict[str, Any]], tuple]:
    """Return a function that gives a row's family from some of its columns."""
    return lambda row: tuple(row[column] for column in columns)
