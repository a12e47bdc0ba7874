"""Studies one file of which is damaged before the next start, such that this start has to read it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.kills import Outcome, start_once_more
from tests.faults.processes import end_all
from tests.faults.study import Place, settle, start

NOTICED = re.compile(r"Damaged, quarantined|is damaged: training starts from the beginning")
RESULTS = ("encoded", "baselines", "runs", "toy")


@dataclass(frozen=True)
class Target:
    """A file to be damaged: in a study at a stage, after removing what lies downstream of it, so that it is read."""

    stage: str
    pattern: str
    removed: tuple[str, ...] = ()


TARGETS = {
    "model cache": Target("finished", "models/*/model.safetensors", RESULTS),
    "baseline model": Target("finished", "baselines/*/model/model.safetensors", ("runs", "toy")),
    "train.parquet": Target("finished", "data/*/train.parquet", RESULTS),
    "eval.parquet": Target("finished", "data/*/eval.parquet", ("runs", "toy")),
    "dataset.json": Target("finished", "data/*/dataset.json", ("runs", "toy")),
    "encoded train": Target("finished", "encoded/*/train.safetensors", ("runs", "toy")),
    "encoded eval": Target("finished", "encoded/*/eval.safetensors", ("runs", "toy")),
    "resume.safetensors": Target("interrupted", "runs/*/*/resume.safetensors"),
    "training.json": Target("trained", "runs/*/*/training.json"),
    "training.parquet": Target("finished", "runs/*/*/training.parquet", ("toy",)),
    "run metrics": Target("runs", "runs/*/*/metrics.parquet"),
    "aggregated metrics": Target("finished", "runs/*/*/metrics.parquet", ("toy",)),
    "predictions": Target("runs", "runs/*/*/predictions.parquet", ("runs/*/*/metrics.parquet",)),
    "study metrics": Target("finished", "toy/metrics.parquet", ("toy/analysis", "toy/figures", "toy/report.html")),
    "learning curves": Target("finished", "toy/learning_curves.parquet", ("toy/figures", "toy/report.html")),
    "analysis": Target("finished", "toy/analysis/*.parquet", ("toy/figures", "toy/report.html")),
}


def flip(data: bytes, draw: random.Random) -> bytes:
    """Flip one bit."""
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


DAMAGES = {
    "bit flipped": flip,
    "cut short": lambda data, draw: data[: draw.randrange(1, len(data))],
    "emptied": lambda data, _: b"",
    "tail of zeros": lambda data, draw: data[: (place := draw.randrange(len(data) // 2))] + bytes(len(data) - place),
}


def trials(place: Place, seed: int, only: list[str]) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcome of every damage to every target; every other one leaves its file's time as it was (bit rot)."""
    for name, target in TARGETS.items():
        if only and name not in only:
            continue
        for number, kind in enumerate(DAMAGES, 1):
            draw = random.Random(f"{seed} {name} {number}")
            yield f"{number}/{len(DAMAGES)}", trial(place, name, target, kind, bool(number % 2), draw)


def trial(place: Place, name: str, target: Target, kind: str, hidden: bool, draw: random.Random) -> Outcome:
    """Damage a file, start once and compare."""
    folder = prepare(place, target, f"damage-{name}-{kind}".replace(" ", "-"))
    spoilt = draw.choice(sorted((folder / "results").glob(target.pattern)))
    spoil(spoilt, kind, hidden, draw)
    notes = [kind, "time restored" if hidden else "time changed", str(spoilt.relative_to(folder / "results"))]
    outcome = start_once_more(place, folder, "plain", name, notes)
    outcome.notes.append("told" if NOTICED.search(outcome.told) else "not told")
    return outcome


def prepare(place: Place, target: Target, name: str) -> Path:
    """Return a study in which a target will be read by the next start."""
    if target.stage == "interrupted":
        return interrupted(place, name)
    folder = place.copy("plain", target.stage, name)
    for pattern in target.removed:
        for path in (folder / "results").glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


def interrupted(place: Place, name: str) -> Path:
    """Return a study that was cut short, as by a power cut, in trainings that had saved their states."""
    folder = place.copy("plain", "baseline", name)
    process, _ = start(place, folder)
    while process.poll() is None and not list(folder.glob("results/runs/*/*/resume.safetensors")):
        time.sleep(0.003)
    end_all(folder, place.temporary, signal.SIGKILL)
    process.wait()
    settle(folder)
    return folder


def spoil(path: Path, kind: str, hidden: bool, draw: random.Random) -> None:
    """Damage a file in place."""
    before = path.stat()
    path.write_bytes(DAMAGES[kind](path.read_bytes(), draw))
    if hidden:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
