"""Tiny studies to be disturbed, started as `make study` starts them, and what an undisturbed one gives."""

from __future__ import annotations

import copy
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tests import tiny
from tests.faults.processes import candidates, end_all, left, processes, rules_under_way, send

from finevar import ROOT

LIMIT = 400.0  # seconds that a start may take: more than the launcher gives a Snakemake that hangs
HUNG = 124  # the status of a start that took longer, as timeout(1) has it
GOAL = "results/toy/metrics.parquet"  # of short campaigns: the analyses take twice as long
SAVE_SECONDS = "0.05"  # between saves of a training's state, so that kills meet them
HISTORY = re.compile(r"seconds|memory_mb|tokens_per_second|steps_of_shorter_run|^seal$")  # how it came about
HALF_WRITTEN = re.compile(r"\.tmp$|^\..+\.\d+$|^\..+-\w{8}$|^resume\.safetensors$|^state\.safetensors$")
PLAIN: dict[str, Any] = {
    "study": "toy",
    "sources": {"model": {"kind": "local", "path": "mine/model"}, "texts": {"kind": "local", "path": "mine/texts"}},
    "model": "model",
    "datasets": {
        "texts": {"source": "texts", "file": "texts.csv", "text": "sentence", "label": "label", "eval_examples": 40}
    },
    "baseline": {
        "dataset": "texts",
        "settings": {"learning_rate": 1e-3, "batch_size": 8, "epochs": 4, "train_examples": 64},
    },
    "sweep": {
        "datasets": ["texts"],
        "factors": {"learning_rate": {"levels": ["1e-3", "3e-3", "9e-3"], "coding": "log10"}},
        "seeds": [0, 1],
    },
    "training": {"max_length": 32, "batch_size": 8, "train_examples": 48, "epochs": 12},
    # Seconds, which no two studies have in common, are no part of what is compared.
    "analysis": {
        "responses": ["loss", "accuracy"],
        "model": "first_order",
        "tradeoffs": {"responses": ["loss", "accuracy"]},
    },
}
SHARED = copy.deepcopy(PLAIN)  # longer runs go on from the states of shorter ones
SHARED["sweep"] |= {
    "factors": {"learning_rate": {"levels": ["1e-3", "3e-3"]}, "epochs": {"levels": [4, 12, 24]}},
    "seeds": [0],
}
SHARED["training"] = {"max_length": 32, "batch_size": 8, "train_examples": 48, "schedule": "constant"}
LONG = copy.deepcopy(PLAIN)  # a baseline that is long enough to be interrupted between two saves
LONG["baseline"]["settings"]["epochs"] = 30
LONG["training"]["epochs"] = 6
LONG["sweep"]["seeds"] = [0]


@dataclass(frozen=True)
class Kind:
    """A kind of study: its config, and what writes the model that it starts from."""

    config: dict[str, Any]
    make_model: Callable[[Path], object] = tiny.make_model


STUDIES = {
    "plain": Kind(PLAIN),
    "shared": Kind(SHARED),
    "headless": Kind(LONG, tiny.make_headless),
    "reheaded": Kind(LONG, functools.partial(tiny.make_model, classes=3)),
    "converted": Kind(LONG, tiny.make_bert),
}
STAGES = {  # of an undisturbed study: what is asked for, from the stage before
    "fresh": (),
    "baseline": ("results/baselines/*/texts/metrics.parquet",),
    "trained": ("results/runs/*/*/training.json", "results/runs/*/*/training.parquet"),
    "runs": ("results/runs/*/*/metrics.parquet",),
    "finished": (),
}


@dataclass(frozen=True)
class Told:
    """How a start ended: its exit status, what it said, and how long it took."""

    status: int
    text: str
    seconds: float


@dataclass
class Place:
    """Where a campaign works: studies below `root`, warm processes below `temporary`."""

    root: Path
    goals: tuple[str, ...] = ()  # what every start is asked for; by default the whole study
    limit: float = LIMIT  # seconds that a start may take
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)  # that each stage took to make

    @property
    def temporary(self) -> Path:
        """Return the folder for temporary files; a short name, since a socket's is limited."""
        return self.root / "t"

    def environment(self, temporary: Path | None = None, project: Path = ROOT) -> dict[str, str]:
        """Return the variables of a start: this environment's programs, no cluster, a warm process of its own."""
        strange = ("FINEVAR", "SLURM", "SNAKEMAKE", "PYTEST")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        path = os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent), kept["PATH"]])
        own = {"TMPDIR": str(temporary or self.temporary), "PYTHONPATH": str(project / "scripts")}
        calm = {"OMP_WAIT_POLICY": "passive"}  # threads that wait in a loop take a busy machine's processors
        return kept | own | calm | {"PATH": path, "FINEVAR_SAVE_SECONDS": SAVE_SECONDS}

    def reference(self, kind: str) -> Path:
        """Return the folder of a kind's undisturbed study."""
        return self.stage(kind, "finished")

    def stage(self, kind: str, stage: str) -> Path:
        """Return the folder of a study that was led to a stage and left alone there, made when first asked for."""
        folder = self.root / "stages" / f"{kind}-{stage}"
        if not folder.exists():
            make_stage(self, kind, stage, folder)
        return folder

    def copy(self, kind: str, stage: str, name: str) -> Path:
        """Return a copy of a stage, to be spoilt; times and hard links stay."""
        folder = self.root / name
        subprocess.run(["cp", "-a", str(self.stage(kind, stage)), str(folder)], check=True)
        return folder


def make_place(root: Path, *goals: str) -> Place:
    """Set up a folder for a campaign, with stand-ins for SLURM's clients, which would wait for a controller."""
    for name in ("bin", "t", "stages"):
        (root / name).mkdir(parents=True)
    for name in ("scontrol", "squeue"):
        (root / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (root / "bin" / name).chmod(0o755)
    return Place(root, goals)


def clear(place: Place) -> None:
    """End what is left of a campaign and remove its folder."""
    for number in {**processes(place.root)}:
        send(number, 9)
    left(place.root, within=5)
    shutil.rmtree(place.root, ignore_errors=True)


def make_stage(place: Place, kind: str, stage: str, folder: Path) -> None:
    """Lead a study to a stage from the one before, undisturbed."""
    if stage == "fresh":
        return make_fresh(folder, STUDIES[kind].config, STUDIES[kind].make_model)
    before = {"baseline": "fresh", "trained": "baseline", "runs": "baseline", "finished": "fresh"}[stage]
    beside = Path(shutil.copytree(place.stage(kind, before), folder.with_suffix(".made"), symlinks=True))
    wanted = [path for pattern in STAGES[stage] for path in targets(place.reference(kind), pattern)]
    told = run(place, beside, *(["--notemp"] if stage == "trained" else []), *(["--", *wanted] if wanted else []))
    if told.status:
        raise RuntimeError(f"the undisturbed study failed at {stage}:\n{told.text}")
    beside.rename(folder)
    place.seconds[kind, stage] = told.seconds
    return None


def make_fresh(folder: Path, config: dict[str, Any], make_model: Callable[[Path], object] = tiny.make_model) -> None:
    """Fill a folder with a tiny model, a tiny data set and a study's config."""
    (folder / "mine" / "texts").mkdir(parents=True)
    make_model(folder / "mine" / "model")
    tiny.write_csv(folder / "mine" / "texts" / "texts.csv", tiny.make_sentences(120))
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def targets(reference: Path, pattern: str) -> list[str]:
    """Return the files of an undisturbed study that match, relative to its folder."""
    return sorted(str(path.relative_to(reference)) for path in reference.glob(pattern))


def measure(place: Place, kind: str, stage: str) -> float:
    """Return about how long an undisturbed study takes from a stage to its end."""
    for made in ("finished", stage):
        place.stage(kind, made)
    before = {"fresh": (), "baseline": ("baseline",), "runs": ("baseline", "runs")}[stage]
    return max(4.0, place.seconds[kind, "finished"] - sum(place.seconds[kind, made] for made in before))


# Starts ---------------------------------------------------------------------------------------------------------------


def options(project: Path = ROOT) -> list[str]:
    """Return the options of Snakemake that `make study` gives; project: the clone that it is called in."""
    profile = project / "workflow" / "profiles" / "local"
    return [
        "--snakefile",
        str(project / "Snakefile"),
        "--cores",
        "2",
        "--profile",
        str(profile),
        "--configfile",
        "config.yaml",
    ]


def start(
    place: Place,
    folder: Path,
    *more: str,
    module: str = "finevar.commands.launch",
    temporary: Path | None = None,
    project: Path = ROOT,
) -> tuple[subprocess.Popen, Path]:
    """Start a study in a process group of its own; return the process and the file that holds what it says."""
    goals = ["--", *place.goals] if place.goals and "--" not in more else []
    told = place.root / "told" / folder.name / f"{time.monotonic_ns()}.txt"  # not in the study, which may be read-only
    told.parent.mkdir(parents=True, exist_ok=True)
    with told.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *options(project), *more, *goals],
            cwd=folder,
            env=place.environment(temporary, project),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        )
    return process, told


def run(place: Place, folder: Path, *more: str, **how: Any) -> Told:
    """Start a study and wait for its end; all of one that takes too long is killed."""
    begun = time.monotonic()
    process, told = start(place, folder, *more, **how)
    done = finish(process, told, begun, place.limit)
    if done.status == HUNG:
        text = f"{done.text}\nhung in {' and '.join(rules_under_way(folder)) or 'no job'}\n"
        end_all(folder, how.get("temporary") or place.temporary, signal.SIGKILL)
        return Told(HUNG, text, done.seconds)
    return done


def finish(process: subprocess.Popen, told: Path, begun: float, limit: float = LIMIT) -> Told:
    """Wait for a start's end; one that takes too long is ended."""
    try:
        status = process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        status = HUNG
    return Told(status, told.read_text(errors="replace"), time.monotonic() - begun)


def wrong_ending(told: Told) -> list[str]:
    """Return what is wrong with how a start ended, and with what it said."""
    if told.status == HUNG:
        wrong = [told.text.rstrip().rpartition("\n")[2]]
    else:
        wrong = [f"exit status {told.status}"] if told.status else []
    return wrong + (["traceback"] if "Traceback (most recent call last)" in told.text else [])


def settle(folder: Path, limit: float = LIMIT) -> None:
    """Wait until no launcher and no Snakemake of a study is left; jobs that lost theirs are the next start's affair.

    Raises TimeoutError where that takes too long.
    """
    deadline = time.monotonic() + limit
    while any(candidates(folder, folder, part) for part in ("launcher", "Snakemake")):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{folder}: what was left alone does not end")
        time.sleep(0.05)


# Comparison -----------------------------------------------------------------------------------------------------------


def differences(folder: Path, reference: Path, study: str = "toy") -> list[str]:
    """Return the files of a study that are not as in the undisturbed one, and what is left that should not be."""
    folders = ("runs/*/*", "baselines/*", "baselines/*/*", study, f"{study}/analysis", f"{study}/figures")
    patterns = [f"results/{name}/*.{suffix}" for name in folders for suffix in ("parquet", "csv", "json", "html")]
    names = [name for pattern in patterns for name in targets(reference, pattern)]
    compared = [(name, difference(folder / name, reference / name)) for name in names]
    return [f"{name} {wrong}" for name, wrong in compared if wrong] + leftovers(folder)


def difference(path: Path, other: Path) -> str | None:
    """Say in what a file differs from the undisturbed study's, but for the time and the memory that it took."""
    if not path.exists():
        return "is not there"
    if path.suffix == ".parquet" and path.name != "predictions.parquet":
        one, two = pd.read_parquet(path), pd.read_parquet(other)
        return unlike({name: one.get(name) for name in two}, dict(two.items()))
    if path.name == "training.json":
        return unlike(*(json.loads(name.read_text(encoding="utf-8")) for name in (path, other)))
    if path.name in ("learning_curves.json", "report.html"):  # hold speeds
        return None if path.stat().st_size > 0.9 * other.stat().st_size else "is short"
    return None if path.read_bytes() == other.read_bytes() else "has other bytes"


def unlike(one: Mapping[str, Any], two: Mapping[str, Any]) -> str | None:
    """Name the columns or keys in which two differ."""
    other = [name for name in two if not HISTORY.search(name) and not same(one.get(name), two[name])]
    return f"differs in {', '.join(other)}" if other else None


def same(one: Any, two: Any) -> bool:
    """Tell whether two values are the same, or two columns, in which a missing number equals another."""
    return two.equals(one) if isinstance(two, pd.Series) else one == two


def leftovers(folder: Path) -> list[str]:
    """Return what a study leaves that is half-written or was meant to go: partial files, states, weights of runs."""
    results = folder / "results"
    found = [path for path in results.rglob("*") if HALF_WRITTEN.search(path.name)]
    found += [path for place in ("*/*/model", "*/*/finished/training/model") for path in (results / "runs").glob(place)]
    return [f"left: {path.relative_to(folder)}" for path in found]


def trainings(folder: Path) -> tuple[int, int]:
    """Return how many trainings went on from a saved state, and how many ended once more than needed."""
    resumed = repeated = 0
    for path in (folder / "results").rglob("attempts.log"):
        lines = path.read_text(encoding="utf-8")
        resumed += len(re.findall(r" started at step [1-9]", lines))
        repeated += max(0, len(re.findall(r" finished at step ", lines)) - 1)
    return resumed, repeated
