"""The kinds of design: which settings a study tries, from its factors' levels."""

from __future__ import annotations

import csv
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finevar.errors import InputError
from finevar.study.coding import (
    TERM_ORDER,
    Coding,
    Codings,
    Term,
    axes_of,
    categories_of,
    coded_of,
    codings_of,
    model_matrix,
    numbers_of,
    terms,
    too_few_levels,
)
from finevar.study.consistency import Config, cut, listed
from finevar.study.exchange import exchanged
from finevar.study.schemas import raise_problems
from finevar.study.settings import kind_of, rounded

Point = dict[str, Any]  # level of each factor

MOST_RUNS = 100_000  # that Snakemake and the tables still hold
MOST_SAMPLES = 5_000  # of a Latin hypercube, whose distances are compared in pairs: a second and 300 MB
MOST_CANDIDATES = 10_000  # that an optimal design chooses from
SETTINGS_PER_TERM = 1.5  # of an optimal design at least, so that a fit to it can be tested


def full_factorial(design: Config, codings: Codings) -> list[Point]:
    """Return every combination of levels."""
    combinations = itertools.product(*(coding.levels for coding in codings.values()))
    return [dict(zip(codings, levels, strict=True)) for levels in combinations]


def crossed(points: Callable[[Config, Mapping[str, Coding]], list[Point]]) -> Callable[[Config, Codings], list[Point]]:
    """Return a design of numbers as one of all factors: tried whole at each combination of levels that are names."""

    @functools.wraps(points)
    def with_names(design: Config, codings: Codings) -> list[Point]:
        combinations = full_factorial(design, categories_of(codings))
        both = itertools.product(points(design, numbers_of(codings)), combinations)
        return [{name: (numbers | names)[name] for name in codings} for numbers, names in both]

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
    candidates = full_factorial(design, codings)
    how = design["model"], design["runs"], design.get("criterion", "I"), design.get("seed", 0)
    return [candidates[row] for row in optimal_rows(tuple(codings.items()), *how)]


@functools.lru_cache
def optimal_rows(codings: tuple[tuple[str, Any], ...], model: str, runs: int, criterion: str, seed: int) -> list[int]:
    """Return which combinations of levels an optimal design has; kept, since a plan asks for it several times."""
    factors = dict(codings)
    candidates = full_factorial({}, factors)
    coded = coded_of(factors, {name: [point[name] for point in candidates] for name in factors})
    return exchanged(model_matrix(coded, terms(axes_of(factors), model)), runs, criterion=criterion, seed=seed)


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
    return [
        {name: float(row[name]) if isinstance(own, Coding) else row[name] for name, own in codings.items()}
        for _, row in rows
    ]


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
        for name, coding in categories_of(codings).items():
            if row[name] not in coding.levels:
                yield InputError(
                    f"{path}, line {number}, column {name}",
                    found=cut(repr(row[name])),
                    allowed=f"one of its levels, {listed(coding.levels)}",
                    remedy="Correct the cell, or add it to sweep.factors.",
                )
        for name, coding in numbers_of(codings).items():
            try:
                legal = min(coding.levels) <= float(row[name]) <= max(coding.levels)
                legal = legal and (kind_of(name) is float or float(row[name]).is_integer())
            except (TypeError, ValueError):
                legal = False
            if not legal:
                kind = "a number" if kind_of(name) is float else "a whole number"
                yield InputError(
                    f"{path}, line {number}, column {name}",
                    found=cut(repr(row[name])),
                    allowed=f"{kind} from {min(coding.levels):g} to {max(coding.levels):g}, the extremes of its levels",
                    remedy="Correct the cell, or widen sweep.factors.",
                )


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


def design_problems(sweep: Config) -> Iterator[InputError]:
    """Yield what a kind of design needs and lacks."""
    design, kind = sweep["design"], sweep["design"]["kind"]
    chosen, codings = DESIGNS[kind], codings_of(sweep["factors"])
    numbers = numbers_of(codings)
    for key in chosen.needs:
        if key not in design:
            found, allowed = f"no key {key!r}", f"it for {kind}"
            yield InputError("config: sweep.design", found=found, allowed=allowed, remedy="Add it.")
    for key in set(design) - {"kind", "include_baseline", *chosen.needs, *chosen.takes}:
        owners = [name for name, other in DESIGNS.items() if key in (*other.needs, *other.takes)]
        where, allowed = f"config: sweep.design.{key}", f"kind {listed(owners)}"
        yield InputError(where, found=f"kind {kind}", allowed=allowed, remedy="Remove the key.")
    if chosen.three_levels:
        for name, factor in numbers.items():
            if len(factor.levels) != 3:
                yield InputError(
                    f"config: sweep.factors.{name}.levels",
                    found=f"{len(factor.levels)} levels",
                    allowed=f"three (low, centre, high) for {kind}",
                    remedy="Give three levels, or use full_factorial.",
                )
    if len(numbers) < chosen.fewest_numbers:
        named = f", {len(codings) - len(numbers)} with levels that are names" if len(numbers) < len(codings) else ""
        yield InputError(
            "config: sweep.factors",
            found=f"{len(codings)} factors{named}",
            allowed=f"{chosen.fewest_numbers} or more{' whose levels are numbers' if named else ''} for {kind}",
            remedy="Add a factor, or use full_factorial.",
        )


def optimal_problems(sweep: Config, order: str) -> Iterator[InputError]:
    """Yield that an optimal design has too few or too many settings for its levels and the terms of the model."""
    levels = {name: len(factor["levels"]) for name, factor in sweep["factors"].items()}
    if sweep["design"]["kind"] != "optimal" or "runs" not in sweep["design"]:
        return
    columns = terms(axes_of(codings_of(sweep["factors"])), order)
    runs, most = sweep["design"]["runs"], math.prod(levels.values())
    least = math.ceil(SETTINGS_PER_TERM * len(columns))
    if too_few_levels(levels, columns):
        yield from level_problems(levels, columns, order)
    elif most < least or runs > most:
        yield InputError(
            "config: sweep.design.runs",
            found=f"{runs} settings, of {most} combinations of levels",
            allowed=f"{least} or more (1.5 for each of {len(columns)} terms of analysis.model: {order}), and no more "
            "than there are combinations",
            remedy="Use full_factorial, or add levels." if most < least else "Lower runs, or use full_factorial.",
        )
    elif runs < least:
        yield InputError(
            "config: sweep.design.runs",
            found=f"{runs} settings for {len(columns)} terms of analysis.model: {order}",
            allowed=f"{least} or more, 1.5 for each term",
            remedy=f"Raise runs to {least}{smaller_model(order)}.",
        )


def level_problems(levels: Mapping[str, int], columns: Sequence[Term], order: str) -> Iterator[InputError]:
    """Yield that a factor has fewer levels in the design than the terms of the model need."""
    if short := too_few_levels(levels, columns):
        yield InputError(
            "config: sweep.factors",
            found=f"{short.factor} has {short.levels} levels in the design, and the terms of model {order} need "
            f"{short.needed}",
            allowed=f"{short.needed} levels or more of {short.factor}",
            remedy=f"Add a level{smaller_model(order)}.",
        )


def smaller_model(order: str) -> str:
    """Return the end of a remedy which names the model with fewer terms, where there is one."""
    rung = TERM_ORDER.index(order)
    return f", or set analysis.model to {TERM_ORDER[rung - 1]}" if rung else ""


def size_problems(sweep: Config, points: int | None = None) -> Iterator[InputError]:
    """Yield that a design is too large to be planned; points: how many it has, where that is known already."""
    levels = [len(factor["levels"]) for factor in sweep["factors"].values()]
    if points is None:  # then of the kinds that can be large, before they are made
        names = math.prod(len(own.levels) for own in categories_of(codings_of(sweep["factors"])).values())
        large = {"full_factorial": math.prod(levels), "latin_hypercube": int(sweep["design"].get("points", 0)) * names}
        points = large.get(sweep["design"]["kind"], 0)
    runs = points * len(sweep["seeds"]) * len(sweep["datasets"])
    if runs > MOST_RUNS:
        yield InputError(
            "config: sweep",
            found=f"{runs:.4g} runs, of {points:.4g} settings at every seed and on every data set",
            allowed=f"{MOST_RUNS:,} at most",
            remedy="Give fewer levels or seeds, or use a design with fewer settings than all combinations.",
        )
    elif sweep["design"]["kind"] == "optimal" and math.prod(levels) > MOST_CANDIDATES:
        yield InputError(
            "config: sweep.factors",
            found=f"{math.prod(levels):.4g} combinations of levels",
            allowed=f"{MOST_CANDIDATES:,} at most for optimal",
            remedy="Give fewer levels, or use latin_hypercube.",
        )
    elif sweep["design"]["kind"] == "latin_hypercube" and sweep["design"].get("points", 0) > MOST_SAMPLES:
        found, allowed = str(sweep["design"]["points"]), f"{MOST_SAMPLES:,} at most"
        yield InputError("config: sweep.design.points", found=found, allowed=allowed, remedy="Lower it.")
