"""How a job's last attempt ended, as the last line of its log says by its level."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finevar.jobs.log import END_LEVELS, END_LINE
from finevar.jobs.stall import stall_sentence

NOT_BEGUN, BEGUN = "not begun", "begun"  # which leave no line at a level of their own
INTERRUPTED, DAMAGED, MACHINE, INPUT, ERROR = (level.lower() for level in END_LEVELS)
RULES = ("finetune_run", "evaluate_run")  # of a run, in the order of its jobs


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: one of the codes above, and a sentence."""

    code: str
    sentence: str


def read_ending(log: Path) -> Ending:
    """Return how the attempt that wrote a log ended; one that was killed wrote no end, nor did one under way.

    Snakemake removes a log where its job begins again, which may be while this is read.
    """
    text = ""
    with contextlib.suppress(FileNotFoundError):
        text = log.read_text(encoding="utf-8", errors="replace")
    if found := END_LINE.findall(text):
        level, sentence = found[-1]
        return Ending(level.lower(), sentence)
    if stalled := stall_sentence(log):
        return Ending(ERROR, stalled)
    return Ending(BEGUN, f"begun, not finished; see {log}")


def run_ending(dataset: str, run_id: str, logs: Path | None) -> Ending:
    """Return how a run's last attempt ended, by the newest of its jobs' logs below a folder."""
    names = [logs / rule / dataset / f"{run_id}.log" for rule in RULES] if logs else []
    dated = []
    for number, name in enumerate(names):
        with contextlib.suppress(FileNotFoundError):
            dated.append((name.stat().st_mtime_ns, number, name))
    return read_ending(max(dated)[-1]) if dated else Ending(NOT_BEGUN, NOT_BEGUN)


def endings_since(logs: Path, start: float) -> Iterator[Ending]:
    """Yield how the jobs ended that have written a log since a time and did not succeed."""
    for log in sorted(logs.rglob("*.log")):
        if log.stat().st_mtime >= start and (ending := read_ending(log)).code != BEGUN:
            yield ending
