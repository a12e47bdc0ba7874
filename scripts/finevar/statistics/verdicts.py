"""Effect, negligible or undecided: equivalence tests against measured noise, and p-values adjusted by family."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scipy import stats
from statsmodels.stats.multitest import multipletests

from finevar.statistics.regression import Surface

METHODS = {"fdr_bh": "Benjamini-Hochberg", "holm": "Holm"}

Rows = list[dict[str, Any]]


def equivalence(surface: Surface, change: float, error: float) -> dict[str, Any]:
    """Return the p-value of the hypothesis that a change is at least the smallest effect of interest.

    Two one-sided tests (Schuirmann 1987). Where the smallest effect is measured from seeds, its own standard error
    counts.
    """
    if surface.smallest_effect is None:
        return {"p_equivalence": None, "reason": "no noise floor: give two seeds or more"}
    room = (surface.smallest_effect - abs(change)) / math.hypot(error, surface.smallest_effect_se)
    return {"p_equivalence": float(stats.t.sf(room, surface.fit.df))}


def adjust_families(rows: Rows, family_of: Callable[[dict[str, Any]], tuple], method: str, noun: str) -> None:
    """Add, in place, p-values adjusted within each family, and the family's name: size, what it counts, method."""
    for _, members in itertools.groupby(sorted(rows, key=family_of), key=family_of):
        family = list(members)
        adjusted = multipletests([row["p_value"] for row in family], method=method)[1]
        name = f"{len(family)} {noun}{'' if len(family) == 1 else 's'}, {METHODS[method]}"
        for row, p in zip(family, adjusted, strict=True):
            row |= {"p_adjusted": float(p), "family": name}


def judge(rows: Iterable[dict[str, Any]], alpha: float) -> None:
    """Add, in place, the verdict of each row: negligible by equivalence, else effect by adjusted p, else undecided."""
    for row in rows:
        equivalent = row.get("p_equivalence") is not None and row["p_equivalence"] < alpha
        row["verdict"] = "negligible" if equivalent else "effect" if row["p_adjusted"] < alpha else "undecided"


def columns_key(columns: Sequence[str]) -> Callable[[dict[str, Any]], tuple]:
    """Return a function that gives a row's family from some of its columns."""
    return lambda row: tuple(row[column] for column in columns)
