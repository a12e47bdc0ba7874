"""A few steps of a run, timed: what the pilot does in the fork of a job, with the functions that train the runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Generator

from finevar.data.encoding import load_encoded
from finevar.files import read_facts, write_facts
from finevar.models.machine import peak_memory_mb
from finevar.training.loop import Plan, train_model
from finevar.training.state import State

FEWEST, MOST, ENOUGH_SECONDS = 4, 13, 3.0  # steps, the first of them not counted, and when they are enough


class EnoughTimed(Exception):
    """The steps that were wanted are taken."""


def time_steps(*, start: str, train: str, facts: str, settings: Mapping[str, Any], threads: int, output: str) -> None:
    """Take the first steps of a run as its own job would; write what one takes: seconds, tokens, memory.

    The first step pays for what is set up once, so it counts towards the job's fixed part and not here. growth_mb: what
    the later half of the steps added to the largest memory, a doubling of their number.
    """
    rows: list[dict[str, Any]] = []
    peaks: list[float] = []

    def note(state: State, draws: Generator) -> None:
        rows.append(state.rows[-1])
        peaks.append(peak_memory_mb())
        if len(rows) == MOST or (len(rows) >= FEWEST and rows[-1]["seconds"] - rows[0]["seconds"] > ENOUGH_SECONDS):
            raise EnoughTimed

    plan = Plan(
        start=Path(start),
        examples=load_encoded(train),
        classes=read_facts(facts)["classes"],
        settings={**settings, "epochs": MOST},
        seed=0,
        threads=threads,
        name="pilot",
    )
    with contextlib.suppress(EnoughTimed):
        train_model(plan, after_step=note)
    counted = rows[1:]
    measured = {
        "batch_size": settings["batch_size"],
        "steps": len(counted),
        "seconds": (rows[-1]["seconds"] - rows[0]["seconds"]) / len(counted),
        "tokens": sum(row["tokens"] for row in counted) / len(counted),
        "peak_memory_mb": peaks[-1],
        "growth_mb": peaks[-1] - peaks[len(peaks) // 2 - 1],
    }
    write_facts(measured, output)
