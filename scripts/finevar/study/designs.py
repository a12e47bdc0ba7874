"""The kinds of design: which settings a study tries, from its factors' levels."""

from __future__ import annotations

import csv
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finevar.errors import InputError
from finevar.study.coding import (
    Category,
    Coding,
    Codings,
    categories_of,
    coded_of,
    exists,
    model_matrix,
    numbers_of,
    terms,
)
from finevar.study.conditions import parted
from finevar.study.consistency import Config, cut, listed
from finevar.study.exchange import exchanged
from finevar.study.schemas import raise_problems
from finevar.study.settings import kind_of, rounded

Point = dict[str, Any]  # level of each factor


def full_factorial(design: Config, codings: Codings) -> list[Point]:
    """Return every combination of levels."""
    combinations = itertools.product(
        *(coding.template.levels if isinstance(coding, Coding) else coding.levels for coding in codings.values())
    )
    return existing([dict(zip(codings, levels, strict=True)) for levels in combinations], codings)


def existing(points: Iterable[Point], codings: Codings) -> list[Point]:
    """Return settings, each once, without a level of a nested factor where it does not exist.

    A level that slides with a category stands in the points as the first of its levels has it.
    """
    if not any(coding.when or coding.by for coding in numbers_of(codings).values()):
        return list(points)
    kept = ({name: own_level(name, codings[name], point) for name in point} for point in points)
    return [dict(pairs) for pairs in dict.fromkeys(tuple(point.items()) for point in kept)]


def own_level(name: str, coding: Coding | Category, point: Point) -> Any:
    """Return a factor's level at a setting."""
    level = point[name]
    if not exists(coding, point) or not coding.by:
        return level if exists(coding, point) else None
    own, template = coding.at(point[coding.by.category]), coding.template
    if level in template.levels:
        return own.levels[template.levels.index(level)]
    return rounded(name, float(own.natural(template.coded(level))), 4)


def crossed(points: Callable[[Config, Mapping[str, Coding]], list[Point]]) -> Callable[[Config, Codings], list[Point]]:
    """Return a design of numbers as one of all factors: tried whole at each combination of levels that are names."""

    @functools.wraps(points)
    def with_names(design: Config, codings: Codings) -> list[Point]:
        combinations = full_factorial(design, categories_of(codings))
        numbers = {name: coding.template for name, coding in numbers_of(codings).items()}
        both = itertools.product(points(design, numbers), combinations)
        return existing([{name: (numbers | names)[name] for name in codings} for numbers, names in both], codings)

    return with_names


@crossed
def central_composite(design: Config, codings: Mapping[str, Coding]) -> list[Point]:
    """Return the face-centred central composite design: corners, face centres and one centre.

    The centre is run once per seed like every other setting; replicates come from seeds.
    """
    factors = len(codings)
    corners = itertools.product((-1, 1), repeat=factors)
    faces = (sign * axis for axis in np.eye(factors) for sign in (-1, 1))
    return at_three_levels(np.array([*corners, *faces, np.zeros(factors)]), codings)


@crossed
def box_behnken(design: Config, codings: Mapping[str, Coding]) -> list[Point]:
    """Return the Box-Behnken design: edge midpoints and one centre."""
    from pydoe import bbdesign  # imported here: 1.4 s that most studies need not pay

    return at_three_levels(bbdesign(len(codings), center=1), codings)


@crossed
def definitive_screening(design: Config, codings: Mapping[str, Coding]) -> list[Point]:
    """Return the definitive screening design: a fold-over of three levels, in which no first-order term is aliased."""
    from pydoe import definitive_screening_design

    return at_three_levels(definitive_screening_design(len(codings)), codings)


def at_three_levels(coded: np.ndarray, codings: Mapping[str, Coding]) -> list[Point]:
    """Replace -1, 0 and 1 by each factor's low, centre and high level."""
    levels = [sorted(coding.levels) for coding in codings.values()]
    return [
        {name: levels[column][int(x) + 1] for column, (name, x) in enumerate(zip(codings, row, strict=True))}
        for row in coded
    ]


@crossed
def latin_hypercube(design: Config, codings: Mapping[str, Coding]) -> list[Point]:
    """Return a maximin Latin hypercube between the extreme levels, evenly spread in coded units, integers rounded."""
    from pydoe import lhs

    sample = lhs(len(codings), samples=design["points"], criterion="maximin", seed=design.get("seed", 0))
    points = []
    for row in 2 * sample - 1:
        point = {name: coding.natural(x) for (name, coding), x in zip(codings.items(), row, strict=True)}
        points.append({name: rounded(name, float(x), 4) for name, x in point.items()})
    return points


def optimal(design: Config, codings: Codings) -> list[Point]:
    """Return the combinations of levels from which the surface is known best, in the order of the full factorial."""
    how = design["model"], design["runs"], design.get("criterion", "I"), design.get("seed", 0)
    return list(optimal_points(tuple(codings.items()), design.get("where"), *how))


@functools.lru_cache
def optimal_points(
    codings: tuple[tuple[str, Any], ...], where: str | None, model: str, runs: int, criterion: str, seed: int
) -> tuple[Point, ...]:
    """Return the settings of an optimal design; kept, since a plan asks for them several times."""
    factors = dict(codings)
    candidates = parted(full_factorial({}, factors), where, factors)[0]
    coded = coded_of(factors, {name: [point[name] for point in candidates] for name in factors})
    rows = exchanged(model_matrix(coded, terms(factors, model)), runs, criterion=criterion, seed=seed)
    return tuple(candidates[row] for row in rows)


def table(design: Config, codings: Codings) -> list[Point]:
    """Return the settings that a CSV file lists, one column per factor."""
    path = Path(design["file"])
    try:
        if path.exists() and not path.is_file():
            raise ValueError("a directory or a device")
        reader = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(), restkey="")
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"config: sweep.design.file: {cut(str(path))}",
            found=cut(str(error), 200),
            allowed="a readable CSV file in UTF-8",
            remedy="Correct the file or its path, which is relative to the folder that Snakemake runs in.",
        ) from None
    raise_problems(table_problems(path, reader.fieldnames or [], rows, codings))
    return [{name: cell_level(row[name], own) for name, own in codings.items()} for _, row in rows]


def cell_level(text: str, coding: Coding | Category) -> float | str | None:
    """Return the level of a cell; None of an empty one, of a nested factor where it does not exist."""
    return (float(text) if text else None) if isinstance(coding, Coding) else text


def table_problems(
    path: Path, columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]], codings: Codings
) -> Iterator[InputError]:
    """Yield what is wrong with a design table, whose rows go by their line."""
    if sorted(columns) != sorted(codings):
        yield InputError(
            f"{path}",
            found=f"columns {listed(columns) or 'none'}",
            allowed=f"one for each factor: {', '.join(codings)}",
            remedy="Make the header name the factors.",
        )
        return
    for number, row in rows:
        if "" in row:
            yield InputError(
                f"{path}, line {number}",
                found=f"{len(columns) + len(row[''])} cells",
                allowed=f"{len(columns)}, one for each column",
                remedy="Correct the line.",
            )
        for name, coding in codings.items():
            if allowed := lacking(name, coding, row):
                yield InputError(
                    f"{path}, line {number}, column {name}",
                    found=cut(repr(row[name])),
                    allowed=allowed,
                    remedy="Correct the cell, or change sweep.factors.",
                )


def lacking(name: str, coding: Coding | Category, row: Mapping[str, str]) -> str | None:
    """Say what a cell may hold where it holds something else, or None."""
    if isinstance(coding, Category):
        return None if row[name] in coding.levels else f"one of its levels, {listed(coding.levels)}"
    if not exists(coding, row):
        return f"nothing where {coding.when.category} is {cut(row[coding.when.category])}" if row[name] else None
    if coding.by and row[coding.by.category] in dict(coding.by.levels):
        coding = coding.at(row[coding.by.category])
    try:
        legal = min(coding.levels) <= float(row[name]) <= max(coding.levels)
        legal = legal and (kind_of(name) is float or float(row[name]).is_integer())
    except (TypeError, ValueError):
        legal = False
    kind = "a number" if kind_of(name) is float else "a whole number"
    extremes = f"{min(coding.levels):g} to {max(coding.levels):g}, the extremes of its levels"
    return None if legal else f"{kind} from {extremes}"


# Kinds ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Design:
    """A kind of design: its name and meaning in words, its settings, and what it asks of a study's config."""

    name: str
    meaning: str
    points: Callable[[Config, Codings], list[Point]]
    needs: Sequence[str] = ()  # keys of sweep.design that it must have
    takes: Sequence[str] = ()  # and that it may have
    fewest_numbers: int = 0  # factors whose levels are numbers
    three_levels: bool = False  # of each of these


# A further kind is one more entry here; a key of its own goes into the config's schema, too.
DESIGNS = {
    "full_factorial": Design("full factorial", "every combination of levels", full_factorial),
    "central_composite": Design(
        "face-centred central composite",
        "corners, face centres and the centre",
        central_composite,
        fewest_numbers=2,
        three_levels=True,
    ),
    "box_behnken": Design(
        "Box-Behnken", "midpoints of edges and the centre", box_behnken, fewest_numbers=3, three_levels=True
    ),
    "definitive": Design(
        "definitive screening",
        "pairs of opposite settings and the centre",
        definitive_screening,
        fewest_numbers=3,
        three_levels=True,
    ),
    "latin_hypercube": Design(
        "Latin hypercube",
        "points between the extreme levels",
        latin_hypercube,
        needs=["points"],
        takes=["seed"],
        fewest_numbers=1,
    ),
    "optimal": Design(
        "optimal",
        "the combinations of levels from which the surface is known best",
        optimal,
        needs=["runs"],
        takes=["criterion", "seed"],
    ),
    "table": Design("tabulated", "points read from a file", table, needs=["file"]),
}
