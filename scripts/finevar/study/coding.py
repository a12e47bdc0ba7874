"""Coded units and model terms: the columns of the response surface, for the design's checks and for the fits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from finevar.study.factors import setting
from finevar.study.scales import By, Category, Coding, When

if TYPE_CHECKING:
    import pandas as pd

TERM_ORDER = ("first_order", "interactions", "quadratic", "cubic")  # the model ladder; each rung holds those before

Codings = Mapping[str, Coding | Category]
# Of axes: () is the intercept, (a,) first order, (a, b) an interaction, (a, a) a square, (a, a, a) a cube
Term = tuple[str, ...]
Coded = dict[str, np.ndarray]  # coded values [places] by axis


def codings_of(factors: Mapping[str, Mapping[str, Any]]) -> dict[str, Coding | Category]:
    """Return the coding of each factor from `sweep.factors` of a config."""
    return {
        name: sliding_of(factor, factors)
        if isinstance(factor["levels"], Mapping)
        else coding_of(tuple(factor["levels"]), factor.get("coding"), factor.get("when"))
        for name, factor in factors.items()
    }


def sliding_of(factor: Mapping[str, Any], factors: Mapping[str, Mapping[str, Any]]) -> Coding:
    """Return the coding of levels that slide with a category: the factor whose levels they are of, "" unless one is."""
    parts = tuple((level, tuple(sorted(own))) for level, own in factor["levels"].items())
    fixed = {name: other["levels"] for name, other in factors.items() if not isinstance(other["levels"], Mapping)}
    owners = [name for name, levels in fixed.items() if set(levels) == set(factor["levels"]) != set()]
    every = tuple(sorted({level for _, own in parts for level in own}))
    return Coding(every, factor.get("coding") or "identity", by=By(owners[0] if len(owners) == 1 else "", parts))


def coding_of(levels: tuple[Any, ...], scale: str | None, when: Mapping[str, Any] | None = None) -> Coding | Category:
    """Return the coding of levels, which are names or numbers on a scale; when: a category's level or levels."""
    if isinstance(levels[0], str):
        return Category(levels)
    parts = [When(name, (own,) if isinstance(own, str) else tuple(own)) for name, own in (when or {}).items()]
    return Coding(levels, scale or "identity", *parts)


def as_level(value: Any) -> float | str | None:
    """Return a level as it is compared: a name, a number without its type, or None of a factor that is not there."""
    return value if isinstance(value, str) else None if value is None or math.isnan(value) else float(value)


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
        for axis, column in zip(coding.axes(name), columns_at(coding, natural[name], natural).T, strict=True)
    }


def columns_at(coding: Coding | Category, values: Any, natural: Mapping[str, Any]) -> np.ndarray:
    """Return a factor's natural values as coded ones [places, axes]; natural: the values of all factors."""
    if not coding.by:
        return coding.columns(values)
    own, values = np.asarray(natural[coding.by.category], dtype=object), np.asarray(values, dtype=float)
    column = np.full((len(values), 1), np.nan)
    for level, _ in coding.by.levels:
        column[own == level] = coding.at(level).columns(values[own == level])
    return column


def natural_of(codings: Codings, coded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the natural values [places] of each factor from the coded ones of each axis.

    Not a number where a factor does not exist, or slides with a category that is averaged.
    """
    values = {
        name: coding.values(columns_of(coded, coding.axes(name))) for name, coding in codings.items() if not coding.by
    }
    values = {name: values_at(name, codings, coded) if coding.by else values[name] for name, coding in codings.items()}
    absent = {name: ~there for name, there in present(codings, coded).items()}
    return values | {name: np.where(gone, np.nan, values[name]) for name, gone in absent.items()}


def values_at(name: str, codings: Codings, coded: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the natural values [places] of a factor whose levels slide with a category."""
    category, parts = codings[name].by
    shares = codings[category].shares(columns_of(coded, codings[category].axes(category)))
    values = np.full(len(coded[name]), np.nan)
    for level, _ in parts:
        there = shares[:, codings[category].levels.index(level)] > 1 - 1e-9
        values[there] = codings[name].at(level).natural(coded[name][there])
    return values


def nested_of(codings: Codings) -> dict[str, Coding]:
    """Return the codings of the factors that exist at some levels of a category alone."""
    return {name: coding for name, coding in numbers_of(codings).items() if coding.when}


def exists(coding: Coding | Category, levels: Mapping[str, Any]) -> bool:
    """Say whether a setting has a level of a factor: of a nested one, where its category has one of its levels."""
    when = coding.when if isinstance(coding, Coding) else None
    return when is None or levels.get(when.category, when.levels[0]) in when.levels


def present(codings: Codings, coded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Say of each nested factor at which coded places [places] it exists: also where its category is averaged.

    Everywhere where its category is none of the factors that are given.
    """
    found = {}
    for name, coding in nested_of(codings).items():
        if isinstance(own := codings.get(coding.when.category), Category):
            shares = own.shares(columns_of(coded, own.axes(coding.when.category)))
            found[name] = shares[:, np.isin(own.levels, coding.when.levels)].max(1, initial=0) > 0
        else:
            found[name] = np.ones(len(coded[name]), bool)
    return found


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
    there = {name: level for name, level in levels.items() if as_level(level) is not None}
    return ", ".join(f"{name} = {plain_level(level)}" for name, level in there.items())


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


def terms(factors: Codings | Sequence[str], order: str) -> list[Term]:
    """Return the terms of a response surface, intercept first; each order holds those before it.

    factors: codings, or the names of numbers. Axes of one category have no products with each other, nor with
    themselves, and a nested factor none with its own category, nor with a factor that exists elsewhere.
    """
    rung = TERM_ORDER.index(order)
    axes = axes_of(factors) if isinstance(factors, Mapping) else list(factors)
    whens = {name: coding.when for name, coding in nested_of(factors).items()} if isinstance(factors, Mapping) else {}
    kept: list[Term] = [(), *((name,) for name in axes)]
    if rung >= TERM_ORDER.index("interactions"):
        kept += [pair for pair in itertools.combinations(axes, 2) if have_product(*map(factor_of, pair), whens)]
    if rung >= TERM_ORDER.index("quadratic"):
        kept += [(name, name) for name in axes if name == factor_of(name)]
    if rung >= TERM_ORDER.index("cubic"):
        kept += [(name,) * 3 for name in axes if setting(name).cubic]
    return kept


def have_product(one: str, other: str, whens: Mapping[str, When]) -> bool:
    """Say whether two factors have a product that is no other term, and not 0 everywhere."""
    first, second = whens.get(one), whens.get(other)
    if one == other or (first and first.category == other) or (second and second.category == one):
        return False
    apart = first and second and first.category == second.category and not set(first.levels) & set(second.levels)
    return not apart


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
