"""A small study on a throw-away SLURM: made, started, watched and compared with one without SLURM."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from tests.cluster import Cluster, Job

from finevar import ROOT
from toy_study import METRICS, STUDY, snakemake

TABLE = "results/toy/metrics.parquet"
EAGER = str(ROOT / "tests" / "eager")
PATIENCE = 240  # seconds until something must have happened
OPTIONS = [
    "--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1", "--latency-wait", "5",
]  # fmt: skip


def small_study(*, epochs: int = 1) -> dict:
    """Return a study of four runs, of the toy study's own; with many epochs each takes long enough to be disturbed."""
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"] = {"learning_rate": {"levels": ["1e-3", "9e-3"], "coding": "log10"}}
    config["training"] |= {"batch_size": 16, "epochs": epochs}
    config["analysis"] = {"model": "first_order"}
    return config


def environment(slurm: Cluster, **more: str) -> dict[str, str]:
    """Return a start's variables: this environment's programs, the cluster's clients, a Snakemake that asks often."""
    own = {"PATH": f"{Path(sys.executable).parent}:{slurm.environment['PATH']}", "PYTHONPATH": EAGER}
    return slurm.environment | own | more


def start(slurm: Cluster, folder: Path, *options: str, launcher: bool = False, **more: str) -> subprocess.Popen[str]:
    """Start a study in its folder: Snakemake by itself, or as `make study PROFILE=slurm` does."""
    module = "finevar.commands.launch" if launcher else "snakemake"
    command = [sys.executable, "-m", module, "--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "slurm")]
    command += ["--configfile", "config.yaml", *OPTIONS, *options]
    variables = environment(slurm, PYTHONPATH=f"{EAGER}:{ROOT / 'scripts'}", **more)
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=500)
    assert process.returncode == 0, told
    return told


def wait_for(found, process: subprocess.Popen[str]) -> Any:
    """Return what is found as soon as something is: it may be gone when it is looked for again."""
    deadline = time.monotonic() + PATIENCE
    while not (there := found()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return there


def training_jobs(slurm: Cluster, folder: Path) -> dict[str, str]:
    """Return the SLURM job that trains each run of a folder just now, as its attempts tell."""
    found = {}
    for log in folder.glob("results/runs/*/*/attempts.log"):
        lines = log.read_text().splitlines()  # none in the moment between its opening and its first line
        if lines and " started at step " in lines[-1]:
            found[log.parent.name] = re.search(r"SLURM job (\d+)", lines[-1])[1]
    running = {job.id for job in slurm.jobs() if job.state == "RUNNING"}
    return {run: job for run, job in found.items() if job in running}


def job_of(slurm: Cluster, number: str) -> Job:
    return next(job for job in slurm.jobs() if job.id == number)


def attempts(folder: Path) -> dict[str, list[str]]:
    return {path.parent.name: path.read_text().splitlines() for path in folder.glob("results/runs/*/*/attempts.log")}


def assert_alike(folder: Path, other: Path, *, runs: int) -> None:
    """Check that so many runs have the metrics that they have in another study, to the bit, and none ended twice."""
    table, expected = (pd.read_parquet(path / TABLE).set_index("run_id")[METRICS] for path in (folder, other))
    assert len(table) == runs
    pd.testing.assert_frame_equal(table, expected.loc[table.index], check_exact=True)
    for run, lines in attempts(folder).items():
        assert sum(" finished at step " in line for line in lines) == 1, (run, lines)


def run_locally(study: Path) -> Path:
    """Run a study on this machine without SLURM, as far as its metrics; return its folder."""
    done = snakemake(study, "--cores", "2", TABLE)
    assert done.returncode == 0, done.stdout
    return study
