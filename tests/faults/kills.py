"""Studies whose processes are killed at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.processes import VICTIMS, end_all, left, processes, rules_under_way, send, strike
from tests.faults.study import (
    STUDIES,
    Place,
    Told,
    differences,
    measure,
    run,
    settle,
    start,
    trainings,
    wrong_ending,
)

FORKS = 0.5  # share of a study in which there are forks: trainings and evaluations
STARTS = {"fresh": 4, "baseline": 5, "runs": 2}  # stages that a study is in before, and how often
INTERRUPTING = ("job", "fork", "all", "terminal")  # victims whose end is that of a training under way
BASELINE = 0.4  # share of the kills of a fresh study that fall into its baseline's training
TRAINED = "results/baselines/*/training.json"
BASELINE_SECONDS = 1.0  # between that training's first save and the latest kill
SHOWN = 6  # of all that is wrong with a study
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class Blow:
    """A kill: at which share of the undisturbed study's duration, whom, with what.

    baseline: it falls into the baseline's training once that has saved a state, and the moment is a share of
    BASELINE_SECONDS.
    """

    moment: float
    victim: str
    number: signal.Signals
    baseline: bool = False

    @property
    def name(self) -> str:
        """Return victim and signal, as the summary has them."""
        return f"{self.victim} {self.number.name}"


@dataclass
class Outcome:
    """How a trial ended: what was done to the study, and what was wrong afterwards, which should be nothing."""

    name: str
    wrong: list[str]
    seconds: float = 0.0
    resumed: int = 0
    repeated: int = 0
    notes: list[str] = field(default_factory=list)
    told: str = ""
    during: list[str] = field(default_factory=list)  # what was under way when it was done

    def line(self, label: str) -> str:
        """Return the trial's line."""
        more = [f"and {len(self.wrong) - SHOWN} more"] if len(self.wrong) > SHOWN else []
        ending = ["FAILED:", *self.wrong[:SHOWN], *more] if self.wrong else ["ok"]
        told = [f"{self.seconds:5.1f} s", *self.notes, *ending]
        return f"{label:<8} {self.name:<28} {', '.join(told)}"


def draw_blows(draw: random.Random) -> list[Blow]:
    """Draw one kill, or several in a row."""
    count = draw.choices([1, 2, 3], [12, 2, 1])[0]
    return [draw_blow(draw) for _ in range(count)]


def draw_blow(draw: random.Random, victims: Sequence[str] = VICTIMS) -> Blow:
    """Draw a kill."""
    victim = draw.choice(victims)
    number = signal.SIGINT if victim == "terminal" else draw.choice(SIGNALS)
    return Blow(draw.random() * (FORKS if victim == "fork" else 1), victim, number)


def trials(place: Place, count: int, seed: int) -> Iterator[tuple[str, Outcome]]:
    """Yield each trial's number and outcome; all that is random comes from the seed and the number."""
    for number in range(1, count + 1):
        draw = random.Random(f"{seed} {number}")
        kind, blows = draw.choice(sorted(STUDIES)), draw_blows(draw)
        stages = [stage for stage in STARTS if stage != "runs" or all(blow.victim != "fork" for blow in blows)]
        stage = draw.choices(stages, [STARTS[stage] for stage in stages])[0]
        if stage == "fresh" and draw.random() < BASELINE:
            blows = [replace(draw_blow(draw, INTERRUPTING), baseline=True) for _ in blows]
        yield str(number), trial(place, f"kill-{number}", kind, stage, blows, draw)


def trial(place: Place, name: str, kind: str, stage: str, blows: list[Blow], draw: random.Random) -> Outcome:
    """Kill a study, once or several times, start it once more and compare; keep the folder where something is wrong."""
    whole, folder = measure(place, kind, stage), place.copy(kind, stage, name)
    notes, during = [f"{kind} from {stage}"], []
    title = blows[0].name if len(blows) == 1 else "several in a row"
    for number, blow in enumerate(blows):
        process, told = start(place, folder)
        after, met = hit(place, folder, process, blow, whole / 2 if number else whole, draw)
        ended = has_ended(place, folder, process)
        hung = " (Snakemake hung)" if "Snakemake hangs" in told.read_text(errors="replace") else ""
        notes.append(f"{blow.name} after {after:.1f} s in {' and '.join(met)}{hung}")
        during += met
        if not ended:
            return Outcome(title, [f"hung after the kill, for {place.limit:g} s"], notes=notes, during=during)
    outcome = start_once_more(place, folder, kind, title, notes)
    outcome.during = during
    return outcome


def hit(
    place: Place, folder: Path, process: subprocess.Popen, blow: Blow, whole: float, draw: random.Random
) -> tuple[float, list[str]]:
    """Kill at the moment, or as soon after it as there is such a victim; return when, and what was under way."""
    begun, moment, since = time.monotonic(), blow.moment * (BASELINE_SECONDS if blow.baseline else whole), time.time()
    while process.poll() is None and time.monotonic() - begun < place.limit:
        if blow.baseline and not saved(folder, since):
            moment = time.monotonic() - begun + blow.moment * BASELINE_SECONDS
        elif time.monotonic() - begun >= moment:
            met = rules_under_way(folder) or ["no job"]
            if strike(folder, place.temporary, blow.victim, blow.number, process.pid, draw):
                return time.monotonic() - begun, [*met, *(["a write"] if half_written(folder) else [])]
        time.sleep(0.003)
    return time.monotonic() - begun, ["the end: no such victim"]


def saved(folder: Path, since: float) -> bool:
    """Tell whether the baseline's training has saved a state since then, or is done."""
    states = list(folder.glob("results/baselines/*/resume.safetensors"))
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_mtime > since for path in states) or any(folder.glob(TRAINED))
    return True


def has_ended(place: Place, folder: Path, process: subprocess.Popen) -> bool:
    """Wait for the end of a start that was hit and of its Snakemake; kill all of it where that takes too long."""
    try:
        process.wait(timeout=place.limit)
        settle(folder, place.limit)
    except (subprocess.TimeoutExpired, TimeoutError):
        end_all(folder, place.temporary, signal.SIGKILL)
        process.wait()
        return False
    return True


def half_written(folder: Path) -> bool:
    """Tell whether a file is being written just now."""
    names = (name for _, _, files in os.walk(folder / "results") for name in files)
    return any(name.startswith(".") and name.rpartition(".")[2].isdigit() for name in names)


def start_once_more(
    place: Place,
    folder: Path,
    kind: str,
    name: str,
    notes: list[str],
    *,
    temporary: Path | None = None,
    remove_ok: bool = True,
) -> Outcome:
    """Start a study once more and compare it with the undisturbed one."""
    told = run(place, folder, temporary=temporary)
    resumed, repeated = trainings(folder)
    wrong = judge(told, folder, place.reference(kind))
    outcome = Outcome(name, wrong, told.seconds, resumed, repeated, notes, told.text)
    if wrong:
        (folder / "told.txt").write_text(told.text, encoding="utf-8")
    elif remove_ok:
        remove(place, folder)
    return outcome


def judge(told: Told, folder: Path, reference: Path) -> list[str]:
    """Return all that is wrong with a study that has been started once more."""
    wrong = wrong_ending(told) + differences(folder, reference)
    wrong += [f"still runs: {words}" for words in left(folder, within=5)]
    for number in processes(folder):  # a fault found and told: the next trial is not to suffer from it
        send(number, signal.SIGKILL)
    return wrong


def remove(place: Place, folder: Path) -> None:
    """Remove a trial's folder and what its starts said."""
    shutil.rmtree(folder)
    shutil.rmtree(place.root / "told" / folder.name, ignore_errors=True)
