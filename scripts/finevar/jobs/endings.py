"""How a job's last attempt ended, as the last line of its log says by its level, and what that asks for next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finevar.jobs.log import ENDINGS
from finevar.jobs.stall import has_stalled

NOT_BEGUN, BEGUN = "not begun", "begun"  # beside those of ENDINGS, without a line of their own
LEVELS = (*ENDINGS.values(), "ERROR")
INTERRUPTED, DAMAGED, MACHINE, INPUT, ERROR = (level.lower() for level in LEVELS)
LAST = re.compile(rf"^\d\d:\d\d:\d\d ({'|'.join(LEVELS)}) (.*)$", re.MULTILINE)
RULES = ("finetune_run", "evaluate_run")  # of a run, in the order of its jobs
MOST_NAMED = 3  # causes that a sentence names


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: one of the codes above, and a sentence."""

    code: str
    sentence: str


def read_ending(log: Path) -> Ending:
    """Return how the attempt that wrote a log ended; one that was killed wrote no end, nor did one under way."""
    found = LAST.findall(log.read_text(encoding="utf-8", errors="replace"))
    if not found and has_stalled(log):
        return Ending(ERROR, f"It made no progress and ended itself; {log} has the stacks of its threads")
    if not found:
        return Ending(BEGUN, f"begun, not finished; see {log}")
    level, sentence = found[-1]
    return Ending(level.lower(), sentence)


def run_ending(dataset: str, run_id: str, logs: Path | None) -> Ending:
    """Return how a run's last attempt ended, by the newest of its jobs' logs below a folder."""
    names = [logs / rule / dataset / f"{run_id}.log" for rule in RULES] if logs else []
    dated = [(name.stat().st_mtime_ns, number, name) for number, name in enumerate(names) if name.exists()]
    return read_ending(max(dated)[-1]) if dated else Ending(NOT_BEGUN, NOT_BEGUN)


def endings_since(logs: Path, start: float) -> Iterator[Ending]:
    """Yield how the jobs ended that have written a log since a time and did not succeed."""
    for log in sorted(logs.rglob("*.log")):
        if log.stat().st_mtime >= start and (ending := read_ending(log)).code != BEGUN:
            yield ending


def next_sentences(endings: Iterable[Ending], noun: str) -> list[str]:
    """Say what to do about runs, or jobs, that ended so: start again, or first edit what another start will not mend.

    noun: what each of them is.
    """
    by_code: dict[str, list[str]] = {}
    for ending in endings:
        by_code.setdefault(ending.code, []).append(ending.sentence)
    sentences = []
    if found := by_code.pop(INPUT, []):
        sentences.append(f"{counted(found, noun)} will fail again until the cause is mended: {causes(found)}")
    if found := by_code.pop(MACHINE, []):
        sentences.append(f"{counted(found, noun)} met a limit of this machine: {causes(found)}")
    if found := by_code.pop(ERROR, []):
        sentences.append(f"{counted(found, noun)} ended with an unexpected error, see results/logs: {causes(found)}")
    rest = [sentence for found in by_code.values() for sentence in found]
    if rest or not sentences:
        sentences.append(f"Start again to go on{f' with the other {counted(rest, noun)}' if sentences else ''}.")
    return sentences


def after_failure(done: int, planned: int, logs: Path, start: float) -> str:
    """Say what there is and what to do when jobs have failed since a time, after Snakemake has named each."""
    sentences = [f"{done} of {planned} runs are done and kept. The reasons are above and in {logs}."]
    sentences += next_sentences(endings_since(logs, start), "job")
    return " ".join([*sentences, "`snakemake interim --cores 1` makes a report of what there is."])


def counted(found: list[str], noun: str) -> str:
    """Return how many there are."""
    return f"{len(found):,} {noun}{'' if len(found) == 1 else 's'}"


def causes(sentences: list[str]) -> str:
    """Return the different ones of some sentences, the first of many."""
    different = list(dict.fromkeys(sentence if sentence.endswith(".") else f"{sentence}." for sentence in sentences))
    more = [f"And {len(different) - MOST_NAMED} more causes."] if len(different) > MOST_NAMED else []
    return " ".join([*different[:MOST_NAMED], *more])
