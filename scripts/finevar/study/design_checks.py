"""What keeps a design from being planned: keys, levels, sizes, and terms that its settings would not separate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finevar.errors import InputError
from finevar.study.coding import (
    TERM_ORDER,
    Term,
    categories_of,
    codings_of,
    numbers_of,
    terms,
    too_few_levels,
)
from finevar.study.conditions import WHERE, Point, parted
from finevar.study.consistency import Config, cut, listed
from finevar.study.designs import DESIGNS, full_factorial
from finevar.study.seed_parts import combination_count, varied

MOST_RUNS = 100_000  # that Snakemake and the tables still hold
MOST_SAMPLES = 5_000  # of a Latin hypercube, whose distances are compared in pairs: a second and 300 MB
MOST_CANDIDATES = 10_000  # that an optimal design chooses from
SETTINGS_PER_TERM = 1.5  # of an optimal design at least, so that a fit to it can be tested


def design_problems(sweep: Config) -> Iterator[InputError]:
    """Yield what a kind of design needs and lacks."""
    design, kind = sweep["design"], sweep["design"]["kind"]
    chosen, codings = DESIGNS[kind], codings_of(sweep["factors"])
    numbers = numbers_of(codings)
    for key in chosen.needs:
        if key not in design:
            found, allowed = f"no key {key!r}", f"it for {kind}"
            yield InputError("config: sweep.design", found=found, allowed=allowed, remedy="Add it.")
    for key in set(design) - {"kind", "where", "include_baseline", *chosen.needs, *chosen.takes}:
        owners = [name for name, other in DESIGNS.items() if key in (*other.needs, *other.takes)]
        where, allowed = f"config: sweep.design.{key}", f"kind {listed(owners)}"
        yield InputError(where, found=f"kind {kind}", allowed=allowed, remedy="Remove the key.")
    if chosen.three_levels:
        for name, factor in numbers.items():
            if factor.count != 3:
                yield InputError(
                    f"config: sweep.factors.{name}.levels",
                    found=f"{factor.count} levels",
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
    levels = {name: coding.count for name, coding in codings_of(sweep["factors"]).items()}
    if sweep["design"]["kind"] != "optimal" or "runs" not in sweep["design"]:
        return
    columns = terms(codings_of(sweep["factors"]), order)
    runs, allowed = sweep["design"]["runs"], allowed_combinations(sweep)
    most = math.prod(levels.values()) if allowed is None else len(allowed)
    least = math.ceil(SETTINGS_PER_TERM * len(columns))
    if too_few_levels(levels, columns):
        yield from level_problems(levels, columns, order, sweep)
    elif most < least or runs > most:
        yield InputError(
            "config: sweep.design.runs",
            found=f"{runs} settings, of {most} combinations of levels{that_are_allowed(sweep)}",
            allowed=f"{least} or more (1.5 for each of {len(columns)} terms of analysis.model: {order}), and no more "
            "than there are combinations",
            remedy=f"Use full_factorial, or {adding(sweep).lower()} levels."
            if most < least
            else "Lower runs, or use full_factorial.",
        )
    elif runs < least:
        yield InputError(
            "config: sweep.design.runs",
            found=f"{runs} settings for {len(columns)} terms of analysis.model: {order}",
            allowed=f"{least} or more, 1.5 for each term",
            remedy=f"Raise runs to {least}{smaller_model(order)}.",
        )


def level_problems(
    levels: Mapping[str, int], columns: Sequence[Term], order: str, sweep: Config
) -> Iterator[InputError]:
    """Yield that a factor has fewer levels in the design than the terms of the model need."""
    if short := too_few_levels(levels, columns):
        yield InputError(
            "config: sweep.factors",
            found=f"{short.factor} has {short.levels} levels in the design, and the terms of model {order} need "
            f"{short.needed}",
            allowed=f"{short.needed} levels or more of {short.factor}",
            remedy=f"{adding(sweep)} a level{smaller_model(order)}.",
        )


def allowed_combinations(sweep: Config) -> Sequence[Point] | None:
    """Return the combinations of levels that there are and that `where` allows; None where they are too many to try."""
    codings = codings_of(sweep["factors"])
    if math.prod(coding.count for coding in codings.values()) > MOST_RUNS:
        return None
    return parted(full_factorial({}, codings), sweep["design"].get("where"), codings)[0]


def unused_level_problems(sweep: Config) -> Iterator[InputError]:
    """Yield levels that `where` forbids together with all levels of the others: the coded range would be too wide."""
    allowed = allowed_combinations(sweep) if "where" in sweep["design"] else None
    if allowed == []:
        yield InputError(
            WHERE,
            found=f"{cut(sweep['design']['where'])}, which no combination of levels fulfils",
            allowed="a condition that some settings fulfil",
            remedy="Correct the condition, which says what is allowed rather than what is not.",
        )
    elif allowed is not None:
        for name, coding in codings_of(sweep["factors"]).items():
            tried = {point[name] for point in allowed}
            if unused := [level for level in coding.levels if level not in tried]:
                yield InputError(
                    f"config: sweep.factors.{name}.levels",
                    found=f"{listed(unused)}, which sweep.design.where forbids at all levels of the other factors",
                    allowed="levels that some setting has",
                    remedy="Take them away, or loosen the condition.",
                )


def that_are_allowed(sweep: Config) -> str:
    """Return the end of a phrase on settings, where a condition forbids some."""
    return " that sweep.design.where allows" if "where" in sweep["design"] else ""


def adding(sweep: Config) -> str:
    """Return the start of a remedy which adds settings or levels."""
    return "Loosen sweep.design.where, or add" if "where" in sweep["design"] else "Add"


def smaller_model(order: str) -> str:
    """Return the end of a remedy which names the model with fewer terms, where there is one."""
    rung = TERM_ORDER.index(order)
    return f", or set analysis.model to {TERM_ORDER[rung - 1]}" if rung else ""


def seed_problems(sweep: Config, training: Mapping[str, Any]) -> Iterator[InputError]:
    """Yield that what seeds change is said twice, and seeds of a sample where every run learns from all examples."""
    crossed = isinstance(sweep["seeds"], Mapping)
    if crossed and "vary" in sweep:
        yield InputError(
            "config: sweep.vary",
            found=f"{listed(sweep['vary'])}, beside seeds of {listed(sweep['seeds'])}",
            allowed="no such key where `seeds` names the parts that vary",
            remedy="Remove it.",
        )
        return
    parts = [part for part, seeds in varied(sweep).items() if len(seeds) > 1]
    draws_samples = training["train_examples"] is not None or "train_examples" in sweep["factors"]
    if "sample" in parts and not draws_samples and (crossed or parts == ["sample"]):
        yield InputError(
            f"config: sweep.{'seeds' if crossed else 'vary'}",
            found="sample, of which training.train_examples: null leaves nothing to draw: runs would be the same",
            allowed="parts that are drawn in some run",
            remedy="Change training.train_examples, or take sample away.",
        )


def size_problems(sweep: Config, points: int | None = None) -> Iterator[InputError]:
    """Yield that a design is too large to be planned; points: how many it has, where that is known already."""
    levels = [coding.count for coding in codings_of(sweep["factors"]).values()]
    if points is None:  # then of the kinds that can be large, before they are made
        names = math.prod(len(own.levels) for own in categories_of(codings_of(sweep["factors"])).values())
        large = {"full_factorial": math.prod(levels), "latin_hypercube": int(sweep["design"].get("points", 0)) * names}
        points = large.get(sweep["design"]["kind"], 0)
    runs = points * combination_count(sweep) * len(sweep["datasets"])
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
