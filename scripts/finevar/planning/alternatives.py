"""What more seeds or one more level would add: the study a little larger, what it costs and what it would detect."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
import numpy as np

from finevar.planning.forecast import forecast_study
from finevar.planning.power import Noise, found_changes, planned_design, planned_gate
from finevar.study.coding import Coding, codings_of, numbers_of
from finevar.study.seed_parts import combination_count, is_crossed, varied
from finevar.study.settings import level_schema, rounded

MORE_SEEDS = 2

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """A study and what is known of it beforehand."""

    factor: str | None  # the one with a level more
    level: float | None  # that level
    seeds: int  # or combinations of them
    are_crossed: bool
    runs: int
    seconds: float  # from now to its report
    slopes: dict[str, float] | None  # found, by factor, per natural step; None where a gate would stop it


def variants(config: Config, pilot: Mapping[str, Any], finished: Collection[str], noise: Noise) -> Iterator[Variant]:
    """Yield the study as planned, with more seeds, and, of a full factorial, with one more level of each factor."""
    yield variant_of(config, pilot, finished, noise)
    yield variant_of(with_seeds(config, MORE_SEEDS), pilot, finished, noise)
    if config["sweep"]["design"]["kind"] == "full_factorial":
        for name, coding in numbers_of(codings_of(config["sweep"]["factors"])).items():
            level = None if coding.by else next_level(name, coding)
            if level is not None:
                yield variant_of(with_level(config, name, level), pilot, finished, noise, factor=name, level=level)


def variant_of(
    config: Config,
    pilot: Mapping[str, Any],
    finished: Collection[str],
    noise: Noise,
    *,
    factor: str | None = None,
    level: float | None = None,
) -> Variant:
    """Return what is known of a study beforehand."""
    design, forecast, sweep = planned_design(config), forecast_study(config, pilot, finished), config["sweep"]
    slopes = None
    if planned_gate(design) is None:
        changes = found_changes(design, noise, 1 - config["analysis"]["confidence"])
        slopes = {found.factor: found.slope for found in changes}
    return Variant(factor, level, combination_count(sweep), is_crossed(sweep), forecast.runs, forecast.seconds, slopes)


def with_seeds(config: Config, count: int) -> Config:
    """Return a config with more seeds; where parts have their own, of each that has fewest."""
    larger = copy.deepcopy(dict(config))
    sweep = larger["sweep"]
    if isinstance(sweep["seeds"], Mapping):
        parts = varied(sweep)
        fewest = min(map(len, parts.values()))
        sweep["seeds"] = {part: more_seeds(own, count) if len(own) == fewest else own for part, own in parts.items()}
    else:
        sweep["seeds"] = more_seeds(sweep["seeds"], count)
    return larger


def more_seeds(used: Sequence[int], count: int) -> list[int]:
    """Return seeds and so many more: the smallest numbers that are not among them."""
    return [*used, *[seed for seed in range(len(used) + count) if seed not in used][:count]]


def with_level(config: Config, name: str, level: float) -> Config:
    """Return a config with one more level of a factor."""
    larger = copy.deepcopy(dict(config))
    factor = larger["sweep"]["factors"][name]
    factor["levels"] = sorted([*factor["levels"], level])
    return larger


def next_level(name: str, coding: Coding) -> float | None:
    """Return the level to add: the middle of the widest gap on the factor's scale, so that the range stays.

    Where no whole number lies there, one step beyond the highest level or below the lowest, as far as the config's
    schema allows; None where nothing is left.
    """
    levels = sorted(coding.levels)
    coded = coding.coded(levels)
    widest = int(np.diff(coded).argmax())
    tried = ((coded[widest] + coded[widest + 1]) / 2, 2 * coded[-1] - coded[-2], 2 * coded[0] - coded[1])
    allowed = jsonschema.Draft202012Validator(level_schema(name))
    found = (rounded(name, float(coding.natural(place))) for place in tried)
    return next((level for level in found if level not in levels and allowed.is_valid(level)), None)
