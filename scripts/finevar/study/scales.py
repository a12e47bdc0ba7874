"""How one factor's levels become columns of coded values: of numbers on a scale, and of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

SCALES = {"identity": lambda x: x, "log2": np.log2, "log10": np.log10}
INVERSES = {"identity": lambda z: z, "log2": np.exp2, "log10": lambda z: 10**z}
FAR = 1e3  # between levels that are names, in coded units


class When(NamedTuple):
    """Where a nested factor exists: at some levels of a category."""

    category: str
    levels: tuple[str, ...]


class By(NamedTuple):
    """Which levels a factor has at each level of a category."""

    category: str
    levels: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Coding:
    """How a factor's natural levels become coded units: x = 2 (z - middle) / range with z on the factor's scale.

    A nested factor has no level where it does not exist, and is 0 there in coded units. One whose levels slide with a
    category is coded within those of the category's level, see at(); only coded_of() and natural_of() know which.
    """

    levels: tuple[float, ...]  # where they slide, all of them
    scale: str
    when: When | None = None  # of a nested factor
    by: By | None = None  # of one whose levels slide

    def at(self, level: str) -> Coding:
        """Return the coding within a level of the category that the levels slide with, else itself."""
        return replace(self, levels=dict(self.by.levels)[level], by=None) if self.by else self

    @property
    def template(self) -> Coding:
        """Return the coding within the first level of the category that the levels slide with, else itself."""
        return self.at(self.by.levels[0][0]) if self.by else self

    @property
    def count(self) -> int:
        """Return how many levels a setting chooses from."""
        return len(self.template.levels)

    def axes(self, name: str) -> list[str]:
        """Return the names of the columns of coded values: of a number its own."""
        return [name]

    def columns(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return natural values as coded ones [places, axes]."""
        coded = self.coded(values)[:, None]
        return np.nan_to_num(coded) if self.when else coded

    def values(self, columns: np.ndarray) -> np.ndarray:
        """Return coded values [places, axes] as natural ones [places]."""
        return self.natural(columns[:, 0])

    def positions(self, columns: np.ndarray) -> np.ndarray:
        """Return coded values [places, axes] as coordinates [places, dimensions] that distances are measured in."""
        return columns

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
        self._must_not_slide()
        return (SCALES[self.scale](np.asarray(natural, dtype=float)) - self.middle) / self.half_range

    def natural(self, coded: Sequence[float] | np.ndarray | float) -> np.ndarray:
        """Return coded values in natural units."""
        self._must_not_slide()
        return INVERSES[self.scale](np.asarray(coded, dtype=float) * self.half_range + self.middle)

    @property
    def step(self) -> float:
        """Return the coded units in one natural step: a doubling on a logarithmic scale, else one unit."""
        scaled = np.log10(2) if self.scale == "log10" else 1.0
        return float(scaled / self.half_range)

    def _ends(self) -> tuple[float, float]:
        scale, levels = SCALES[self.scale], self.template.levels
        return float(scale(min(levels))), float(scale(max(levels)))

    def _must_not_slide(self) -> None:
        if self.by:
            raise ValueError(f"levels that slide with {self.by.category} mean nothing without its level")


@dataclass(frozen=True)
class Category:
    """How a factor whose levels are names becomes columns that sum to zero over the levels, as blocks do.

    The mean over all levels is then zero in every column, so that each other estimate is one of the average surface.
    """

    levels: tuple[str, ...]
    scale = "names"  # as tables print it
    by = None
    logarithmic = False
    step = 1.0

    @property
    def count(self) -> int:
        """Return how many levels a setting chooses from."""
        return len(self.levels)

    def axes(self, name: str) -> list[str]:
        """Return the names of the columns: of every level but the last, which has what the others leave."""
        return [f"{name}[{level}]" for level in self.levels[:-1]]

    def columns(self, values: Sequence[str] | np.ndarray) -> np.ndarray:
        """Return levels as columns [places, levels - 1]: 1 at the column's own level, -1 at the last one."""
        own = (np.asarray(values, dtype=object)[:, None] == np.array(self.levels, dtype=object)).astype(float)
        if not own.any(axis=1).all():
            raise ValueError(f"levels other than {', '.join(self.levels)}")
        return own[:, :-1] - own[:, -1:]

    def values(self, columns: np.ndarray) -> np.ndarray:
        """Return the levels [places] that columns stand for."""
        return np.array(self.levels, dtype=object)[self.shares(columns).argmax(1)]

    def shares(self, columns: np.ndarray) -> np.ndarray:
        """Return the weight of each level [places, levels], which sum to 1: all alike where the levels are averaged."""
        last = (1 - columns.sum(1, keepdims=True)) / len(self.levels)
        return np.hstack([columns + last, last]).round(12)  # so that levels that weigh the same tie exactly

    def positions(self, columns: np.ndarray) -> np.ndarray:
        """Return columns as coordinates in which a place is nearer to any of its own level than to other levels."""
        return FAR * self.shares(columns)
