"""Coded units and model terms: the columns of the response surface, for the design's checks and for the fits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from finevar.study.factors import setting

if TYPE_CHECKING:
    import pandas as pd

TERM_ORDER = ("first_order", "interactions", "quadratic", "cubic")  # the model ladder; each rung holds those before
SCALES = {"identity": lambda x: x, "log2": np.log2, "log10": np.log10}
INVERSES = {"identity": lambda z: z, "log2": np.exp2, "log10": lambda z: 10**z}

Codings = Mapping[str, "Coding"]
# () is the intercept, (a,) first order, (a, b) an interaction, (a, a) a square, (a, a, a) a cube
Term = tuple[str, ...]


@dataclass(frozen=True)
class Coding:
    """How a factor's natural levels become coded units: x = 2 (z - middle) / range with z on the factor's scale."""

    levels: tuple[float, ...]
    scale: str

    @classmethod
    def of(cls, factor: Mapping[str, Any]) -> Coding:
        """Read a factor's levels and scale from its part of the config."""
        return cls(tuple(factor["levels"]), factor["coding"])

    @property
    def logarithmic(self) -> bool:
        """Say whether the scale is a logarithm."""
        return self.scale != "identity"

    @property
    def middle(self) -> float:
        """Return the middle of the levels, on the factor's scale."""
        return float(np.mean(self._ends()))

    @property
    def half_range(self) -> float:
        """Return half the range of the levels, on the factor's scale: one coded unit."""
        low, high = self._ends()
        return float(high - low) / 2

    def coded(self, natural: Sequence[float] | np.ndarray | float) -> np.ndarray:
        """Return natural values in coded units, -1 at the lowest level and 1 at the highest."""
        return (SCALES[self.scale](np.asarray(natural, dtype=float)) - self.middle) / self.half_range

    def natural(self, coded: Sequence[float] | np.ndarray | float) -> np.ndarray:
        """Return coded values in natural units."""
        return INVERSES[self.scale](np.asarray(coded, dtype=float) * self.half_range + self.middle)

    @property
    def step(self) -> float:
        """Return the coded units in one natural step: a doubling on a logarithmic scale, else one unit."""
        scaled = np.log10(2) if self.scale == "log10" else 1.0
        return float(scaled / self.half_range)

    def _ends(self) -> tuple[float, float]:
        scale = SCALES[self.scale]
        return float(scale(min(self.levels))), float(scale(max(self.levels)))


def codings_of(factors: Mapping[str, Mapping[str, Any]]) -> dict[str, Coding]:
    """Return the coding of each factor from `sweep.factors` of a config."""
    return {name: Coding.of(factor) for name, factor in factors.items()}


def step_unit(name: str, scale: str) -> str:
    """Say what one natural step of a factor is."""
    if scale != "identity":
        return f"per doubling of {name}"
    return f"per {setting(name).one or f'unit of {name}'}"


def terms(factors: Sequence[str], order: str) -> list[Term]:
    """Return the terms of a response surface, intercept first; each order holds those before it."""
    rung = TERM_ORDER.index(order)
    kept: list[Term] = [(), *((name,) for name in factors)]
    if rung >= TERM_ORDER.index("interactions"):
        kept += itertools.combinations(factors, 2)
    if rung >= TERM_ORDER.index("quadratic"):
        kept += [(name, name) for name in factors]
    if rung >= TERM_ORDER.index("cubic"):
        kept += [(name,) * 3 for name in factors if setting(name).cubic]
    return kept


def levels_needed(name: str, columns: Sequence[Term]) -> int:
    """Return how many levels a factor needs for the terms of a model: one more than its highest power."""
    return 1 + max(term.count(name) for term in columns)


class Shortfall(NamedTuple):
    """A factor with fewer levels than a model needs."""

    factor: str
    levels: int
    needed: int


def too_few_levels(levels: Mapping[str, int], columns: Sequence[Term]) -> Shortfall | None:
    """Return the first factor with fewer levels than a model's terms need, given how many each has."""
    for name, count in levels.items():
        if count < (needed := levels_needed(name, columns)):
            return Shortfall(name, count, needed)
    return None


def term_name(term: Term) -> str:
    """Print a term: intercept, a, a:b, a^2 or a^3."""
    if len(term) > 1 and len(set(term)) == 1:
        return f"{term[0]}^{len(term)}"
    return ":".join(term) or "intercept"


def term_of(name: str) -> Term:
    """Return the term of a name, see `term_name`."""
    power = int(name.partition("^")[2] or 1)
    return () if name == "intercept" else tuple(factors_of(name)) * power


def factors_of(name: str) -> list[str]:
    """Return the factors of a term by its name, see `term_name`."""
    return name.partition("^")[0].split(":")


def term_group(term: Term) -> str:
    """Return the group of a term in the model ladder."""
    if len(term) > 1 and len(set(term)) == 1:
        return "quadratic" if len(term) == 2 else "cubic"
    return ("intercept", "first_order", "two_way")[len(term)]


def model_matrix(coded: Mapping[str, np.ndarray], columns: Sequence[Term]) -> np.ndarray:
    """Return the model matrix [settings, terms] of coded levels [settings] per factor."""
    rows = len(next(iter(coded.values())))
    ones = np.ones(rows)
    return np.column_stack([np.prod([coded[name] for name in term], axis=0) * ones for term in columns])


def design_matrix(
    runs: pd.DataFrame, codings: Codings, columns: Sequence[Term], origin: Mapping[str, float] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Return the matrix [runs, parameters] and the parameters' names.

    origin: natural levels that become zero; the design's centre without it.
    """
    coded = {name: coding.coded(runs[name]) for name, coding in codings.items()}
    if origin is not None:
        coded = {name: x - codings[name].coded(origin[name]) for name, x in coded.items()}
    parts, names = [model_matrix(coded, columns)], [term_name(term) for term in columns]
    for block in ("seed", "dataset"):
        columns_of, levels = block_columns(runs[block])
        parts.append(columns_of)
        names += [f"{block}[{level}]" for level in levels]
    return np.column_stack(parts), names


def unblocked(names: Sequence[str]) -> np.ndarray:
    """Return which of a design matrix' parameters are no seed's block [parameters], by their names."""
    return np.array([not name.startswith("seed[") for name in names])


def range_weights(factor: str, factors: Sequence[str], columns: Sequence[Term]) -> np.ndarray:
    """Return the weights [terms] of the change over a factor's range, lowest to highest, the others mid-range."""
    ends = {name: np.array([-1.0, 1.0]) * (name == factor) for name in factors}
    low, high = model_matrix(ends, columns)
    return high - low


def block_columns(labels: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Return columns [runs, blocks - 1] of the blocks' effects, coded to sum to zero, and which block each is of."""
    levels, own = sorted(labels.unique()), labels.to_numpy()
    columns = np.column_stack([own == level for level in levels]).astype(float)
    return columns[:, :-1] - columns[:, -1:], levels[:-1]


def aliased_terms(matrix: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the columns that are linear combinations of those before them."""
    basis, aliased = np.empty((len(matrix), 0)), []
    for column, name in zip(matrix.T, names, strict=True):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if np.linalg.norm(rest) <= 1e-9 * max(np.linalg.norm(column), 1e-300):
            aliased.append(name)
        else:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return aliased


def leverages(matrix: np.ndarray) -> np.ndarray:
    """Return the diagonal of the hat matrix of a full-rank matrix [runs, parameters]."""
    q, _ = np.linalg.qr(matrix)
    return (q**2).sum(1)
