"""Runs that were added to a finished study, as the config's sweep.additions lists them: seeds, or settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finevar.errors import InputError
from finevar.study.coding import Codings, codings_of, levels_text
from finevar.study.conditions import parted
from finevar.study.consistency import Config, listed
from finevar.study.designs import Point, lacking
from finevar.study.goals import read_goal
from finevar.study.identity import digest

if TYPE_CHECKING:
    from finevar.study.design import Run

SEEDS = 2**32  # that there are


def following_seeds(used: Sequence[int], count: int) -> list[int]:
    """Return so many seeds that are not used: those after the largest."""
    following = (seed % SEEDS for seed in itertools.count(max(used) + 1))
    return list(itertools.islice((seed for seed in following if seed not in used), count))


def additions_of(sweep: Mapping[str, Any]) -> list[Config]:
    """Return the entries of sweep.additions; none where there is no such key, as in most studies."""
    return sweep.get("additions", [])


def added_seeds(sweep: Mapping[str, Any]) -> list[int]:
    """Return the seeds that were added, oldest first."""
    return [seed for each in additions_of(sweep) for seed in each.get("seeds", ())]


def added_points(sweep: Mapping[str, Any]) -> list[Point]:
    """Return the settings that were added, oldest first; None is the level of a nested factor that is not there."""
    points = [point for each in additions_of(sweep) for point in each.get("points", ())]
    return [{name: point.get(name) for name in sweep["factors"]} for point in points]


def as_written(config: Config) -> Config:
    """Return a checked config with the seeds that were added in their entries alone, so that it can be read again."""
    sweep, added = config["sweep"], added_seeds(config["sweep"])
    return {**config, "sweep": {**sweep, "seeds": [*sweep["seeds"]][: -len(added)]}} if added else config


def addition_problems(sweep: Config) -> Iterator[InputError]:
    """Yield what is wrong with the additions beyond the schema's reach."""
    codings, seen = codings_of(sweep["factors"]), {*sweep["seeds"]}
    for number, each in enumerate(additions_of(sweep)):
        where = f"config: sweep.additions.{number}"
        if ("seeds" in each) == ("points" in each):
            found = "seeds and points" if "seeds" in each else "neither seeds nor points"
            yield InputError(where, found=found, allowed="one of them", remedy="Give each an entry of its own.")
        if "seeds" in each and isinstance(sweep["seeds"], Mapping):
            allowed, remedy = "settings, where seeds are given part by part", "Write them into sweep.seeds, as its own."
            yield InputError(f"{where}.seeds", found=listed(each["seeds"]), allowed=allowed, remedy=remedy)
        if repeated := [seed for seed in each.get("seeds", ()) if seed in seen]:
            allowed, remedy = "seeds that the study does not have yet", "Take them away in one of the two places."
            yield InputError(f"{where}.seeds", found=listed(repeated), allowed=allowed, remedy=remedy)
        seen |= {*each.get("seeds", ())}
        if "first_stage" in each and not {"seeds", "goal"} <= {*each}:
            allowed, remedy = "first_stage beside seeds and the goal that they were added for", "Remove first_stage."
            yield InputError(where, found="first_stage alone", allowed=allowed, remedy=remedy)
        if "goal" in each:
            yield from goal_problems(f"{where}.goal", each["goal"])
        for row, point in enumerate(each.get("points", ())):
            problems = [*point_problems(f"{where}.points.{row}", point, codings)]
            yield from problems or forbidden_problems(f"{where}.points.{row}", point, sweep)


def point_problems(where: str, point: Config, codings: Codings) -> Iterator[InputError]:
    """Yield levels of a setting that its factors cannot have, and those of no factor."""
    if foreign := [name for name in point if name not in codings]:
        yield InputError(where, found=listed(foreign), allowed=f"factors: {listed(codings)}", remedy="Take it away.")
    levels = {name: point.get(name) for name in codings}
    for name, coding in codings.items():
        if allowed := lacking(name, coding, levels):
            found, remedy = str(levels[name]), "Correct the level, or take the setting away."
            yield InputError(f"{where}.{name}", found=found, allowed=allowed, remedy=remedy)


def forbidden_problems(where: str, point: Config, sweep: Config) -> Iterator[InputError]:
    """Yield that the design's condition forbids a setting, which then would not be run."""
    levels = {name: point.get(name) for name in sweep["factors"]}
    if parted([levels], sweep["design"].get("where"), codings_of(sweep["factors"]))[1]:
        allowed, remedy = "a setting that sweep.design.where allows", "Take it away, or loosen the condition."
        yield InputError(where, found=levels_text(levels), allowed=allowed, remedy=remedy)


def goal_problems(where: str, text: str) -> Iterator[InputError]:
    """Yield that a text states no goal."""
    try:
        read_goal(text)
    except InputError as error:
        yield InputError(where, found=error.found, allowed=error.allowed, remedy="Correct it.")


def design_digest(config: Config, runs: Iterable[Run], seeds: Sequence[int]) -> str:
    """Return a digest of all that makes a contrast of the runs with these seeds what it is: runs, scales and model."""
    own = sorted(run.run_id for run in runs if run.seed in seeds)
    return digest([own, config["sweep"]["factors"], config["analysis"]["model"]])


def judged_additions(config: Config, runs: Sequence[Run]) -> list[Config]:
    """Return the additions, each with whether it `holds`: whether its first stage was of these very runs and model.

    Settings, levels, data or a model that changed since make another contrast of it, of which s is not known.
    """
    return [
        each | {"holds": (stage := each.get("first_stage")) is not None and is_same(config, runs, stage)}
        for each in additions_of(config["sweep"])
    ]


def is_same(config: Config, runs: Sequence[Run], stage: Mapping[str, Any]) -> bool:
    """Say whether a first stage was of these runs and this model."""
    return stage["design"] == design_digest(config, runs, stage["seeds"])
