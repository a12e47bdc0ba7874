"""The parts of a training that are drawn at random, and which of them a study's seeds change.

They are the weights that no checkpoint gives (init: a new head, LoRA's factors, layers drawn again), the order of the
examples in each epoch (order), dropout's masks (dropout) and, of the training examples, those learnt from (sample).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

PARTS = ("init", "order", "dropout", "sample")
COLUMNS = {part: f"seed_{part}" for part in PARTS}  # of tables, in which `dropout` is a setting
VARIED = ("init", "order", "dropout")  # that a seed changes where `sweep.vary` does not say
FIRST = -1  # the sample that is not drawn: the data set's first examples, the same at every seed
HELD = {"init": 0, "order": 0, "dropout": 0, "sample": FIRST}  # what does not vary is the same in all studies

Parts = dict[str, int]
Seed = int | Mapping[str, int]  # of a run: one for all parts but the sample, which is not drawn; or each part's own


def varied(sweep: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    """Return the seeds of each part that a study varies, in the order of PARTS."""
    seeds = sweep["seeds"]
    if isinstance(seeds, Mapping):
        return {part: numbers(seeds[part]) for part in PARTS if part in seeds}
    return {part: list(seeds) for part in PARTS if part in sweep.get("vary", VARIED)}


def numbers(seeds: int | list[int]) -> Sequence[int]:
    """Return a part's seeds, of which a config may give the count alone."""
    return range(seeds) if isinstance(seeds, int) else list(seeds)


def is_crossed(sweep: Mapping[str, Any]) -> bool:
    """Say whether runs of a setting share the seeds of some parts and differ in others: they are not independent."""
    several = [seeds for seeds in varied(sweep).values() if len(seeds) > 1]
    return isinstance(sweep["seeds"], Mapping) and len(several) > 1


def numbered(sweep: Mapping[str, Any]) -> dict[int, Parts]:
    """Return the parts of each run of a setting, by its number in the column `seed`.

    That is its seed or, of seeds that are given part by part, the place of its combination, the last part changing
    fastest.
    """
    parts = varied(sweep)
    if isinstance(sweep["seeds"], Mapping):
        each = itertools.product(*parts.values())
        return {place: HELD | dict(zip(parts, values, strict=True)) for place, values in enumerate(each)}
    return {seed: HELD | dict.fromkeys(parts, seed) for seed in sweep["seeds"]}


def combination_count(sweep: Mapping[str, Any]) -> int:
    """Return how many runs a setting has on a data set; of seeds by parts they may be more than memory holds."""
    seeds = sweep["seeds"]
    return math.prod(map(len, varied(sweep).values())) if isinstance(seeds, Mapping) else len(seeds)


def effective(parts: Parts, settings: Mapping[str, Any]) -> Parts:
    """Return the parts that a run with these settings has: one that learns from all examples draws no sample."""
    return parts if settings["train_examples"] else parts | {"sample": FIRST}


def parts_of(seed: Seed) -> Parts:
    """Return the parts of a run's seed."""
    return dict(seed) if isinstance(seed, Mapping) else HELD | dict.fromkeys(("init", "order", "dropout"), seed)


def seed_of(parts: Parts) -> Seed:
    """Return the seed that a run's parts are, which says what it trains: one number where one gives them all."""
    return parts["init"] if parts == parts_of(parts["init"]) else parts


def seed_in(row: Mapping[str, Any]) -> Seed:
    """Return the seed of a run from its row in a study's table."""
    return seed_of({part: int(row[column]) for part, column in COLUMNS.items()})


def drawn_parts(seed: Parts) -> Parts:
    """Return a seed's parts without a sample that is not drawn."""
    return {part: seed[part] for part in PARTS if seed[part] != FIRST}


def seed_tag(seed: Seed) -> str:
    """Return a seed as names of runs have it: seed3, or each part's, seed0_2_0, a sample last where one is drawn."""
    parts = [seed] if isinstance(seed, int) else drawn_parts(seed).values()
    return f"seed{'_'.join(map(str, parts))}"
