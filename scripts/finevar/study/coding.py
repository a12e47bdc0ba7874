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
FAR = 1e3  # between levels that are names, in coded units
INVERSES = {"identity": lambda z: z, "log2": np.exp2, "log10": lambda z: 10**z}

Codings = Mapping[str, "Coding | Category"]
# Of axes: () is the intercept, (a,) first order, (a, b) an interaction, (a, a) a square, (a, a, a) a cube
Term = tuple[str, ...]
Coded = dict[str, np.ndarray]  # coded values [places] by axis


@dataclass(frozen=True)
class Coding:
    """How a factor's natural levels become coded units: x = 2 (z - middle) / range with z on the factor's scale."""

    levels: tuple[float, ...]
    scale: str

    def axes(self, name: str) -> list[str]:
        """Return the names of the columns of coded values: of a number its own."""
        return [name]

    def columns(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return natural values as coded ones [places, axes]."""
        return self.coded(values)[:, None]

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


@dataclass(frozen=True)
class Category:
    """How a factor whose levels are names becomes columns that sum to zero over the levels, as blocks do.

    The mean over all levels is then zero in every column, so that each other estimate is one of the average surface.
    """

    levels: tuple[str, ...]
    scale = "names"  # as tables print it
    logarithmic = False
    step = 1.0

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


def codings_of(factors: Mapping[str, Mapping[str, Any]]) -> dict[str, Coding | Category]:
    """Return the coding of each factor from `sweep.factors` of a config."""
    return {name: coding_of(tuple(factor["levels"]), factor.get("coding")) for name, factor in factors.items()}


def coding_of(levels: tuple[Any, ...], scale: str | None) -> Coding | Category:
    """Return the coding of levels, which are names or numbers on a scale."""
    return Category(levels) if isinstance(levels[0], str) else Coding(levels, scale or "identity")


def as_level(value: Any) -> float | str:
    """Return a level as it is compared: a name, or a number without its type."""
    return value if isinstance(value, str) else float(value)


def numbers_of(codings: Codings) -> dict[str, Coding]:
    """Return the codings of the factors whose levels are numbers."""
    return {name: coding for name, coding in codings.items() if isinstance(coding, Coding)}


def categories_of(codings: Codings) -> dict[str, Category]:
    """Return the codings of the factors whose levels are names."""
    return {name: coding for name, coding in codings.items() if isinstance(coding, Category)}


def axes_of(codings: Codings) -> list[str]:
    """Return the names of all columns of coded values: of a number its own, of a category one a level but the last.

    The latter are the factor's name with the level, as those of blocks: schedule[cosine].
    """
    return [axis for name, coding in codings.items() for axis in coding.axes(name)]


def coded_of(codings: Codings, natural: Mapping[str, Any]) -> Coded:
    """Return the coded values [places] of each axis from the natural ones [places] of each factor."""
    return {
        axis: column
        for name, coding in codings.items()
        for axis, column in zip(coding.axes(name), coding.columns(natural[name]).T, strict=True)
    }


def natural_of(codings: Codings, coded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the natural values [places] of each factor from the coded ones of each axis."""
    return {name: coding.values(columns_of(coded, coding.axes(name))) for name, coding in codings.items()}


def positions_of(codings: Codings, coded: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return coordinates [places, dimensions] that distances between coded places are measured in."""
    parts = [coding.positions(columns_of(coded, coding.axes(name))) for name, coding in codings.items()]
    return np.hstack(parts)


def columns_of(coded: Mapping[str, np.ndarray], axes: Sequence[str]) -> np.ndarray:
    """Return the coded values of some axes side by side [places, axes]."""
    return np.column_stack([coded[axis] for axis in axes]).astype(float)


def factor_of(name: str) -> str:
    """Return the factor of an axis, or of a change of one: schedule, of schedule[cosine] or schedule[cosine-linear]."""
    return name.partition("[")[0]


def cuts(codings: Codings) -> dict[str, Coded]:
    """Return the coded columns [1] of each combination of levels that are names, by the levels as text, perhaps ""."""
    found = categories_of(codings)
    combinations = itertools.product(*(coding.levels for coding in found.values()))
    each = [dict(zip(found, levels, strict=True)) for levels in combinations]
    return {levels_text(levels): coded_of(found, {name: [level] for name, level in levels.items()}) for levels in each}


def levels_text(levels: Mapping[str, Any]) -> str:
    """Print levels for a table, as words.formatting.held_levels reads them: epochs = 3, schedule = cosine."""
    return ", ".join(f"{name} = {plain_level(level)}" for name, level in levels.items())


def plain_level(level: Any, form: str = ".4g") -> str:
    """Print a level for a table: a name, or a number in a format."""
    return level if isinstance(level, str) else format(level, form)


def level_of(name: str) -> str:
    """Return the level of an axis, or of a row on one level that is a name: cosine, of schedule[cosine]."""
    return name.partition("[")[2].removesuffix("]")


class Change(NamedTuple):
    """A change of one factor from a level to another, the lowest to the highest of a number."""

    factor: str
    start: Any
    end: Any


def changes_of(codings: Codings, *, both_ways: bool = False) -> dict[str, Change]:
    """Return the changes to judge, by name: of a number over its range, of a category between each two levels.

    The latter is named as schedule[cosine-linear]: what cosine has more than linear. both_ways: also linear-cosine.
    """
    pairs_of = itertools.permutations if both_ways else itertools.combinations
    found = {}
    for name, coding in codings.items():
        if isinstance(coding, Coding):
            found[name] = Change(name, min(coding.levels), max(coding.levels))
        else:
            pairs = pairs_of(coding.levels, 2)
            found |= {change_name(name, start, end): Change(name, start, end) for start, end in pairs}
    return found


def change_name(factor: str, start: str, end: str) -> str:
    """Return the name of a change between levels that are names: schedule[cosine-linear]."""
    return f"{factor}[{end}-{start}]"


def step_unit(name: str, scale: str) -> str:
    """Say what one natural step of a factor, or of a category's axis, is."""
    if name != factor_of(name):
        return f"{level_of(name)} less the mean over {factor_of(name)}"
    if scale != "identity":
        return f"per doubling of {name}"
    return f"per {setting(name).one or f'unit of {name}'}"


def terms(axes: Sequence[str], order: str) -> list[Term]:
    """Return the terms of a response surface, intercept first; each order holds those before it.

    axes: see axes_of(). Those of one category have no products with each other, nor with themselves.
    """
    rung = TERM_ORDER.index(order)
    kept: list[Term] = [(), *((name,) for name in axes)]
    if rung >= TERM_ORDER.index("interactions"):
        kept += [pair for pair in itertools.combinations(axes, 2) if factor_of(pair[0]) != factor_of(pair[1])]
    if rung >= TERM_ORDER.index("quadratic"):
        kept += [(name, name) for name in axes if name == factor_of(name)]
    if rung >= TERM_ORDER.index("cubic"):
        kept += [(name,) * 3 for name in axes if setting(name).cubic]
    return kept


def levels_needed(name: str, columns: Sequence[Term]) -> int:
    """Return how many levels a factor needs for a model: one more than its highest power, or than its columns."""
    return 1 + sum(max(term.count(axis) for term in columns) for axis in own_axes(name, columns))


def own_axes(name: str, columns: Sequence[Term]) -> set[str]:
    """Return the axes of a factor that a model's terms hold."""
    return {axis for term in columns for axis in term if factor_of(axis) == name}


class Shortfall(NamedTuple):
    """A factor with fewer levels than a model needs."""

    factor: str
    levels: int
    needed: int
    of_names: bool = False


def too_few_levels(levels: Mapping[str, int], columns: Sequence[Term]) -> Shortfall | None:
    """Return the first factor with fewer levels than a model's terms need, given how many each has."""
    for name, count in levels.items():
        if count < (needed := levels_needed(name, columns)):
            return Shortfall(name, count, needed, any(factor_of(axis) != axis for axis in own_axes(name, columns)))
    return None


def terms_like(name: str, columns: Sequence[Term]) -> list[Term]:
    """Return a model's terms of the same factors as a term's name, in which a category may stand as a whole."""
    wanted = sorted(map(factor_of, term_of(name)))
    return [term for term in columns if sorted(map(factor_of, term)) == wanted]


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
    """Return the axes that a term multiplies, of numbers the factors, by the term's name, see `term_name`."""
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
    coded = coded_of(codings, runs)
    if origin is not None:
        zero = coded_of(codings, {name: [origin[name]] for name in codings})
        coded = {axis: x - zero[axis] for axis, x in coded.items()}
    parts, names = [model_matrix(coded, columns)], [term_name(term) for term in columns]
    for block in ("seed", "dataset"):
        columns_of, levels = block_columns(runs[block])
        parts.append(columns_of)
        names += [f"{block}[{level}]" for level in levels]
    return np.column_stack(parts), names


def unblocked(names: Sequence[str]) -> np.ndarray:
    """Return which of a design matrix' parameters are no seed's block [parameters], by their names."""
    return np.array([not name.startswith("seed[") for name in names])


def range_weights(change: Change, codings: Codings, columns: Sequence[Term]) -> np.ndarray:
    """Return the weights [terms] of a factor's change, the other numbers mid-range and other categories averaged."""
    ends = {axis: np.zeros(2) for axis in axes_of(codings)} | ends_of(change, codings)
    low, high = model_matrix(ends, columns)
    return high - low


def ends_of(change: Change, codings: Codings) -> Coded:
    """Return the coded columns [2] of a change's factor at its start and its end."""
    own = codings[change.factor]
    ends = np.array([[-1.0], [1.0]]) if isinstance(own, Coding) else own.columns([change.start, change.end])
    return dict(zip(own.axes(change.factor), ends.T, strict=True))


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
