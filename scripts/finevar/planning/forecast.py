"""From the pilot to the study: how much time, memory and disk the runs that are left take."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from finevar.study.design import Run, design_points, plan_runs, shorter_runs
from finevar.study.settings import MODEL
from finevar.words.numbers import duration

ANALYSIS_SECONDS = 20.0  # starting Snakemake, analysis, figures and report, of three metrics on two cores
BOOKS_BYTES = 10 * 4096  # of a run besides its own files: two logs, two benchmarks, Snakemake's record of six outputs
SNAKEMAKE_MB = 300.0  # of Snakemake itself and of the process that jobs are forked from

Config = Mapping[str, Any]
Pilot = Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """Seconds of one slot among the runs that go on at once, by what they are for."""

    steps: float
    starting: float  # starting and ending the training's and the evaluation's processes: imports, weights, files
    evaluation: float
    snakemake: float

    @property
    def training_ends(self) -> float:
        """Return the seconds until a longer run may go on from this one's state."""
        return self.snakemake / 2 + self.starting + self.steps

    @property
    def seconds(self) -> float:
        """Return all of it."""
        return self.steps + self.starting + self.evaluation + self.snakemake


@dataclass(frozen=True)
class Forecast:
    """What is still to come of a study."""

    runs: int
    left: int
    seconds: float  # of wall clock, from the trained baseline to the report
    total: Cost  # of all runs that are left
    concurrent: int
    disk: int  # bytes that stay
    transient: int  # bytes at most, for a while: weights before their evaluation, states for longer runs
    memory_mb: float  # at most, at once


def forecast_study(config: Config, pilot: Pilot, finished: Collection[str]) -> Forecast:
    """Forecast a checked config on the machine of the pilot; finished: ids of the runs that are done."""
    runs = plan_runs(config, design_points(config))
    left = {run_id: run for run_id, run in runs.items() if run_id not in finished}
    begins = {run_id: begin for run_id, begin in shorter_runs(runs.values()).items() if begin in left}
    costs = {run_id: run_cost(run, pilot, left.get(begins.get(run_id))) for run_id, run in left.items()}
    pilots, length = [pilot, *pilot.get("models", {}).values()], config["training"]["max_length"]
    evaluations = [evaluation_seconds(own, name, length) for own in pilots for name in own["data"]]
    sizes = {kind: max(own["bytes"][kind] for own in pilots) for kind in pilot["bytes"]}
    concurrent = pilot["concurrent"]
    kept = config["keep_weights"] == "all"
    waiting = 0 if kept else min(2 * concurrent, len(left)) * sizes["model"]
    return Forecast(
        runs=len(runs),
        left=len(left),
        seconds=ANALYSIS_SECONDS + makespan(left, begins, costs, evaluations if left else [], concurrent),
        total=Cost(*(math.fsum(getattr(cost, part) for cost in costs.values()) for part in Cost.__dataclass_fields__)),
        concurrent=concurrent,
        disk=len(left) * (sizes["run"] + BOOKS_BYTES + kept * sizes["model"]),
        transient=waiting + len(set(begins.values())) * sizes["state"],
        memory_mb=SNAKEMAKE_MB
        + min(concurrent, len(left)) * max((peak_mb(run, pilot) for run in left.values()), default=0),
    )


def run_cost(run: Run, pilot: Pilot, begin: Run | None = None) -> Cost:
    """Return what a run takes that begins with another one's state, or from the start."""
    pilot = pilot_of(run, pilot)
    count = steps_of(run, pilot) - (steps_of(begin, pilot) if begin else 0)
    return Cost(
        steps=count * step_seconds(pilot, tokens_of(run, pilot)),
        starting=max(pilot["training"]["seconds"] - step_seconds(pilot, pilot["training"]["tokens"]), 0.0),
        evaluation=evaluation_seconds(pilot, run.dataset, run.settings["max_length"]),
        snakemake=2 * pilot["overhead_seconds"],
    )


def pilot_of(run: Run, pilot: Pilot) -> Pilot:
    """Return the pilot of a run's own model, where there are several; that of the baseline's holds the others'."""
    return pilot.get("models", {}).get(run.settings.get(MODEL), pilot)


def examples_of(run: Run, pilot: Pilot) -> int:
    """Return the training examples that a run uses."""
    return run.settings["train_examples"] or pilot["data"][run.dataset]["train_examples"]


def steps_of(run: Run, pilot: Pilot) -> int:
    """Return the optimiser steps of a run from its start."""
    return math.ceil(examples_of(run, pilot) / run.settings["batch_size"]) * run.settings["epochs"]


def tokens_of(run: Run, pilot: Pilot) -> float:
    """Return the tokens that a step of a run reads on average."""
    lengths = pilot["data"][run.dataset]["train_lengths"]
    mean = cut_tokens(lengths, run.settings["max_length"]) / sum(lengths)
    used = examples_of(run, pilot)
    return mean * used / math.ceil(used / run.settings["batch_size"])


def cut_tokens(lengths: Sequence[int], max_length: int) -> int:
    """Return the tokens of sentences no longer than a maximum; lengths: how many have 0, 1, 2, ... tokens."""
    return sum(count * min(length, max_length) for length, count in enumerate(lengths))


def step_seconds(pilot: Pilot, tokens: float) -> float:
    """Return the seconds of a step that reads so many tokens: a fixed part and one for each token.

    Both by least squares of relative errors over the batch sizes timed, and neither below 0 (Lawson & Hanson 1974).
    """
    timed = np.array([[1.0, row["tokens"]] for row in pilot["steps"]])
    seconds = np.array([row["seconds"] for row in pilot["steps"]])
    fixed, each = nnls(timed / seconds[:, None], np.ones(len(seconds)))[0]
    return float(fixed + each * tokens)


def evaluation_seconds(pilot: Pilot, dataset: str, max_length: int) -> float:
    """Return the seconds of an evaluation job: what was timed, the part inside it in proportion to the tokens read."""
    timed = pilot["evaluation"]
    read = cut_tokens(pilot["data"][pilot["dataset"]]["eval_lengths"], timed["max_length"])
    share = cut_tokens(pilot["data"][dataset]["eval_lengths"], max_length) / read
    return timed["seconds"] - timed["inside"] + timed["inside"] * share


def peak_mb(run: Run, pilot: Pilot) -> float:
    """Return the largest memory of a run's process: that of the nearest batch size timed, and what it grows by.

    The process keeps the programs made for each shape of a batch that it has met, and meets new ones ever more rarely:
    its memory grows about equally with each doubling of the steps (seen from 5 to 400 steps of 16 sentences).
    """
    pilot = pilot_of(run, pilot)
    nearest = min(pilot["steps"], key=lambda row: abs(row["batch_size"] - run.settings["batch_size"]))
    doublings = max(math.log2(steps_of(run, pilot) / (nearest["steps"] + 1)), 0.0)
    return nearest["peak_memory_mb"] + doublings * nearest["growth_mb"]


def makespan(
    runs: Mapping[str, Run],
    begins: Mapping[str, str],
    costs: Mapping[str, Cost],
    evaluations: Sequence[float],
    concurrent: int,
) -> float:
    """Return the seconds until all runs are done, each started as soon as a slot is free (list scheduling).

    begins: for a run that goes on from another one's state, that one, whose training must have ended. evaluations: of
    the baseline, which come first. Runs are taken by epochs, so the longest come last, as in the worst order.
    """
    free = [0.0] * concurrent
    for seconds in evaluations:
        heapq.heapreplace(free, free[0] + seconds)
    trained: dict[str, float] = {}
    for run_id in sorted(runs, key=lambda run_id: runs[run_id].settings["epochs"]):
        start = max(free[0], trained.get(begins.get(run_id, ""), 0.0))
        trained[run_id] = start + costs[run_id].training_ends
        heapq.heapreplace(free, start + costs[run_id].seconds)
    return max(free)


# Words ----------------------------------------------------------------------------------------------------------------


def time_sentence(forecast: Forecast) -> str:
    """Say how long the study takes from here."""
    if not forecast.left:
        return f"All runs are done; analysis and report take about {about(forecast.seconds)}."
    those = f"The {forecast.left:,} runs {'that are left ' if forecast.left < forecast.runs else ''}take"
    runs = "The run that is left takes" if forecast.left == 1 else those
    at_once = f", {forecast.concurrent} at a time" if forecast.concurrent > 1 else ""
    return (
        f"{runs} about {about(forecast.seconds)} on the machine of the pilot{at_once}, from the trained baseline to "
        "the report."
    )


def room_sentence(forecast: Forecast) -> str:
    """Say how much memory and disk the study takes from here."""
    if not forecast.left:
        return "Analysis and report take less than 1 GB of memory and a few MB of disk."
    brief = f", and for a while up to {size_text(forecast.transient)} more" if forecast.transient else ""
    memory, disk = size_text(forecast.memory_mb * 2**20), size_text(forecast.disk)
    return f"They take about {memory} of memory at most, {disk} of disk{brief}."


def about(seconds: float) -> str:
    """Print a forecast duration, which two digits suffice for."""
    return duration(float(f"{seconds:.2g}")).replace(".0 ", " ")


def size_text(size: float) -> str:
    """Print bytes as MB or GB."""
    value, unit = (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB")
    return f"{value:,.{0 if value >= 10 else 1}f} {unit}"
