"""The pilot: the parts of a run, timed on this machine with as many at once as the study will run.

Each part is done by the function, and in the kind of process, that does it in the study: the first steps at the
design's batch sizes, a whole training of one step, an evaluation. What Snakemake itself takes for a job is timed on a
workflow of trivial jobs. What follows for the study, `forecast` works out.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finevar import PACKAGE
from finevar.columns import METRICS
from finevar.data.encoding import load_encoded
from finevar.errors import InputError
from finevar.files import name_beside, read_facts
from finevar.jobs.worker import run_job
from finevar.parquet import read_table
from finevar.study.coding import codings_of
from finevar.study.factors import setting
from finevar.words.data import account_of

# A study waits once, and not in each job, for the process to come up from which jobs are forked.
WARM_UP = "finevar.models.machine.provenance"
MOST_SIZES = 4  # batch sizes that are timed; of more, the smallest and the largest, between which time is linear
TRIVIAL_JOBS = 10  # at least, and three for each that runs at once
TRIVIAL_WORKFLOW = """
rule all:
    input: expand("{{number}}.txt", number=range({jobs})),
rule note_time:
    output: "{{number}}.txt",
    log: "{{number}}.log",
    benchmark: "{{number}}.tsv"
    script: "note_time.py"
"""
TRIVIAL_SCRIPT = """
import time
from pathlib import Path
Path(snakemake.output[0]).write_text(str(time.time()))
"""

Settings = Mapping[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """The files of one data set of the sweep: encoded parts, evaluation examples as text, facts."""

    train: str
    evaluation: str
    examples: str
    facts: str


# What is timed --------------------------------------------------------------------------------------------------------


def pilot_settings(training: Settings, factors: Mapping[str, Mapping[str, Any]]) -> list[Facts]:
    """Return the settings to time: one of each batch size, every other factor at its costliest level.

    Steps of a run that freezes more layers, drops out nothing or has LoRA take less: its forecast is too long.
    """
    levels = {name: coding.levels for name, coding in codings_of(factors).items()}
    costliest = {name: setting(name).costliest(values) for name, values in levels.items()}
    sizes = sorted(levels.get("batch_size", [training["batch_size"]]))
    timed = sizes if len(sizes) <= MOST_SIZES else [sizes[0], sizes[-1]]
    return [{**training, **costliest, "batch_size": size} for size in timed]


def time_pilot(
    *, start: str, data: Mapping[str, Data], settings: Sequence[Settings], concurrent: int, threads: int, beside: str
) -> Facts:
    """Return what the parts of a run take, `concurrent` of them at once with `threads` each, on the first data set.

    beside: the file that the result will have; the parts' files lie next to it while they are needed.
    """
    begun = time.monotonic()
    folder = name_beside(Path(beside))
    folder.mkdir(parents=True)
    try:
        bench = Bench(folder, start, next(iter(data.values())), concurrent, threads)
        overhead = job_overhead(folder / "trivial", concurrent)
        bench.timed(WARM_UP, lambda slot: {})
        steps = [bench.steps(chosen) for chosen in settings]
        training = bench.training(settings[0])
        return {
            "concurrent": concurrent,
            "threads": threads,
            "dataset": next(iter(data)),
            "overhead_seconds": overhead,
            "steps": steps,
            "training": training,
            "evaluation": bench.evaluation(settings[0]),
            "bytes": bench.sizes(),
            "data": {name: data_facts(files) for name, files in data.items()},
            "machine": training.pop("machine"),
            "pilot_seconds": time.monotonic() - begun,
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Bench:
    """Where parts are timed: a folder for their files, what they read, and how many run at once."""

    folder: Path
    start: str
    data: Data
    concurrent: int
    threads: int

    @property
    def read(self) -> Facts:
        """Return the arguments that all trainings share."""
        files = {"start": self.start, "train": self.data.train, "facts": self.data.facts}
        return files | {"threads": self.threads}

    def own(self, slot: int) -> Path:
        """Return the folder of one of the runs that go on at once."""
        return self.folder / f"run{slot}"

    def steps(self, settings: Settings) -> Facts:
        """Return what one step takes at a batch size: means over the runs that go on at once, largest memory."""
        outputs = [self.folder / f"steps-{settings['batch_size']}-{slot}.json" for slot in range(self.concurrent)]
        chosen = self.read | {"settings": dict(settings)}
        self.timed("finevar.training.timing.time_steps", lambda slot: chosen | {"output": str(outputs[slot])})
        found = [read_facts(output) for output in outputs]
        means = {name: statistics.fmean(row[name] for row in found) for name in ("seconds", "tokens", "steps")}
        largest = {name: max(row[name] for row in found) for name in ("peak_memory_mb", "growth_mb")}
        return {"batch_size": settings["batch_size"], **means, **largest}

    def training(self, settings: Settings) -> Facts:
        """Return what a whole training of one step takes, from the job's request to its last file, and on what."""
        chosen = {**settings, "epochs": 1, "train_examples": settings["batch_size"]}
        seconds = self.timed("finevar.training.job.train_files", lambda slot: self.training_files(slot, chosen))
        facts = read_facts(self.own(0) / "training.json")
        machine = {name: facts[name] for name in ("device", "dtype_used")}
        return {"seconds": seconds, "tokens": facts["tokens"], "machine": machine}

    def training_files(self, slot: int, settings: Settings) -> Facts:
        """Return the arguments of one run's training."""
        own = self.own(slot)
        shared = str(own / "state.safetensors") if settings["schedule"] == "constant" else None
        outputs = {"training": own / "training.parquet", "summary": own / "training.json", "model": own / "model"}
        chosen = {"settings": settings, "seed": 0, "name": "pilot", "state": shared}
        return self.read | chosen | {name: str(path) for name, path in outputs.items()}

    def evaluation(self, settings: Settings) -> Facts:
        """Return what evaluating that training takes: the whole job, and the part that grows with the sentences."""
        seconds = self.timed(
            "finevar.evaluation.evaluation.evaluate_files", lambda slot: self.evaluation_files(slot, settings)
        )
        files = [self.own(slot) / "metrics.parquet" for slot in range(self.concurrent)]
        rows = [read_table(file, METRICS).to_pylist()[0] for file in files]
        inside = statistics.fmean(row["eval_seconds"] or 0.0 for row in rows)  # none where the training diverged
        return {"seconds": seconds, "inside": inside, "max_length": settings["max_length"]}

    def evaluation_files(self, slot: int, settings: Settings) -> Facts:
        """Return the arguments of one run's evaluation."""
        own = self.own(slot)
        read = {"model": own / "model", "summary": own / "training.json", "examples": self.data.examples}
        read |= {"encoded": self.data.evaluation, "facts": self.data.facts}
        read |= {"predictions": own / "predictions.parquet", "metrics": own / "metrics.parquet"}
        files = {name: str(path) for name, path in read.items()}
        return files | {"record": {"dataset": "pilot", **settings}, "threads": self.threads}

    def sizes(self) -> Facts:
        """Return the bytes on disk of one run's lasting files, of its weights, and of the state for longer runs."""
        own, last = self.own(0), ("predictions.parquet", "metrics.parquet", "training.parquet", "training.json")
        lasting = [own / name for name in (*last, "attempts.log")]
        weights = [path for path in (own / "model").rglob("*") if path.is_file()]
        return {
            "run": sum(map(on_disk, lasting)),
            "model": sum(map(on_disk, weights)),
            "state": sum(map(on_disk, own.glob("state.safetensors"))),
        }

    def timed(self, function: str, arguments: Callable[[int], Facts]) -> float:
        """Have as many processes as run at once each do a job; return the mean seconds from request to end.

        arguments: those of a slot, by its number. Raises InputError where a job failed.
        """
        jobs = []
        for slot in range(self.concurrent):
            request = {"function": function, "arguments": arguments(slot), "log": str(self.own(slot) / "pilot.log")}
            command = [sys.executable, "-m", "finevar.planning.pilot", json.dumps(request)]
            jobs.append(subprocess.Popen(command, env=with_packages(), stdout=subprocess.PIPE, text=True))
        printed = [job.communicate()[0] for job in jobs]
        failed = [job.returncode for job in jobs if job.returncode]
        if failed:
            raise InputError(
                f"pilot, {function}",
                found=f"exit status {failed[0]}",
                allowed="jobs that succeed",
                remedy="See the reason above; the study's runs would fail in the same way.",
            )
        return statistics.fmean(float(seconds.splitlines()[-1]) for seconds in printed)


def with_packages() -> dict[str, str]:
    """Return the environment in which Python finds this package and Snakemake, without this job's own profile."""
    plain = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    return plain | {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path[1:]])}


def on_disk(path: Path) -> int:
    """Return the bytes that a file takes in blocks of 4 KiB."""
    return math.ceil(path.stat().st_size / 4096) * 4096


def data_facts(files: Data) -> Facts:
    """Return what became of a data set's rows, and how many of each part have 0, 1, 2, ... tokens before a cut."""
    parts = {"train": load_encoded(files.train), "eval": load_encoded(files.evaluation)}
    facts: Facts = {"account": account_of(read_facts(files.facts))}
    facts |= {f"{name}_examples": len(part) for name, part in parts.items()}
    return facts | {f"{name}_lengths": np.bincount(np.diff(part.offsets)).tolist() for name, part in parts.items()}


# Snakemake ------------------------------------------------------------------------------------------------------------


def job_overhead(folder: Path, concurrent: int) -> float:
    """Return the seconds for which Snakemake keeps one of the places for a job that does nothing.

    From the end of the first jobs at once to the end of the last one, so that neither start nor planning count.
    """
    jobs = max(TRIVIAL_JOBS, 3 * concurrent)
    folder.mkdir(parents=True)
    (folder / "Snakefile").write_text(TRIVIAL_WORKFLOW.format(jobs=jobs), encoding="utf-8")
    (folder / "note_time.py").write_text(TRIVIAL_SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", str(concurrent), "--scheduler", "greedy", "--quiet", "all"]
    subprocess.run(command, cwd=folder, env=with_packages(), check=True, stdout=subprocess.DEVNULL)
    ends = sorted(float(path.read_text(encoding="utf-8")) for path in folder.glob("*.txt"))
    return (ends[-1] - ends[concurrent - 1]) / (jobs - concurrent) * concurrent


def main(request: str) -> None:
    """Do one job as a rule's script does, and print how long it took."""
    asked = json.loads(request)
    begun = time.monotonic()
    run_job(asked["function"], log=asked["log"], **asked["arguments"])
    print(time.monotonic() - begun)


if __name__ == "__main__":
    main(sys.argv[1])
