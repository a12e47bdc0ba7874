"""What the next start will do about jobs that did not succeed, and what it will not fix by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from finevar.jobs.endings import ERROR, INPUT, MACHINE, Ending, endings_since
from finevar.words.formatting import counted

MOST_NAMED = 3  # causes that a sentence names
UNFIXED = {  # by how they ended: what is said of those that another start alone does not fix
    INPUT: "will fail again until the cause is fixed",
    MACHINE: "met a limit of this machine",
    ERROR: "ended with an unexpected error, see results/logs",
}


def next_sentences(endings: Iterable[Ending], noun: str) -> list[str]:
    """Say what to do about runs, or jobs, that ended so: start again, or first edit what another start will not fix.

    noun: what each of them is.
    """
    by_code: dict[str, list[str]] = {}
    for ending in endings:
        by_code.setdefault(ending.code, []).append(ending.sentence)
    unfixed = [(what, by_code.pop(code)) for code, what in UNFIXED.items() if code in by_code]
    sentences = [f"{counted(len(found), noun)} {what}: {causes(found)}" for what, found in unfixed]
    rest = sum(map(len, by_code.values()))
    if rest or not sentences:
        sentences.append(f"Start again to go on{f' with the other {counted(rest, noun)}' if sentences else ''}.")
    return sentences


def after_failure(done: int, planned: int, logs: Path, start: float) -> str:
    """Say what there is and what to do when jobs have failed since a time, after Snakemake has named each."""
    sentences = [f"{done} of {planned} runs are done and kept. The reasons are above and in {logs}."]
    sentences += next_sentences(endings_since(logs, start), "job")
    return " ".join([*sentences, "`make interim` makes a report of what there is."])


def causes(sentences: list[str]) -> str:
    """Return the different ones of some sentences, the first of many."""
    different = list(dict.fromkeys(sentence if sentence.endswith(".") else f"{sentence}." for sentence in sentences))
    more = [f"And {len(different) - MOST_NAMED} more causes."] if len(different) > MOST_NAMED else []
    return " ".join([*different[:MOST_NAMED], *more])
