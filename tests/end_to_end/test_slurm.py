"""Studies on a real SLURM of three nodes: whole, on GPUs, with Snakemake killed, with runs that fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pandas as pd

from finevar import ROOT
from slurm_study import (
    OPTIONS,
    PATIENCE,
    TABLE,
    assert_alike,
    attempts,
    environment,
    finish,
    small_study,
    start,
    wait_for,
)
from toy_study import make_folder, prepared, write_config


def test_a_study_runs_to_its_report_with_the_metrics_of_a_local_one(slurm, toy, tmp_path):
    """From a clone, with the literal command; two runs in each submission, one at a time."""
    folder = make_folder(tmp_path / "study")
    write_config(folder, small_study())
    base = ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", *base, *OPTIONS, "--group-components", "run=2"],
        cwd=ROOT, env=environment(slurm), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_alike(folder, toy, runs=4)
    assert (folder / "results/toy/report.html").exists()
    jobs = [job for job in slurm.jobs() if job.workdir == folder]
    assert len(jobs) == 2 + 1 + 2, "the data sets, the baseline, and four runs in two submissions"
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.partition for job in jobs} == {"cpu"}
    assert all(job.name.startswith("finevar_") for job in jobs)
    runs = [slurm.run("scontrol", "show", "job", job.id) for job in jobs[-2:]]
    for told in runs:
        assert "NumCPUs=1 " in told
        assert re.search(r"mem=4000M|mem=3.9\d*G", told)
        assert "TimeLimit=04:30:00" in told, "twice the 120 + 15 minutes of a run and its evaluation"


def test_gpus_are_asked_for_where_the_config_does(slurm, toy, tmp_path):
    folder = prepared(toy, tmp_path / "study", small_study() | {"gpus_per_run": 1})
    gpu = ["--set-resources", *(f"{rule}:slurm_partition=gpu" for rule in (
        "train_baseline", "evaluate_baseline", "finetune_run", "evaluate_run"))]  # fmt: skip
    process = start(slurm, folder, *gpu, "--set-threads", "train_baseline=1")

    def on_gpu() -> bool:
        jobs = [job for job in slurm.jobs() if job.workdir == folder and job.partition == "gpu"]
        return any(re.search(r"gres[:/]gpu[:=]1", slurm.run("scontrol", "show", "job", job.id)) for job in jobs)

    wait_for(on_gpu, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    slurm.wait_for(lambda: not [j for j in slurm.jobs() if j.workdir == folder and j.state in ("RUNNING", "PENDING")])


def test_what_a_killed_snakemakes_jobs_finish_is_not_done_again(slurm, toy, tmp_path):
    folder = prepared(toy, tmp_path / "study", small_study())
    process = start(slurm, folder, "--", TABLE)
    wait_for(lambda: list(folder.glob("results/runs/*/*/attempts.log")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    slurm.wait_for(
        lambda: not [job for job in slurm.jobs() if job.workdir == folder and job.state in ("RUNNING", "PENDING")],
        seconds=PATIENCE,
    )
    assert any(" finished at step " in line for lines in attempts(folder).values() for line in lines)
    finish(start(slurm, folder, "--", TABLE, launcher=True))
    assert_alike(folder, toy, runs=4)


def test_a_failing_run_takes_no_other_with_it(slurm, toy, tmp_path):
    """The others are done, those of its own submission before it given back, and an interim report says what lacks."""
    config = small_study()
    config["sweep"]["factors"]["train_examples"] = {"levels": [48, 121]}  # one more than there are
    config["sweep"]["seeds"] = [0]
    del config["training"]["train_examples"]
    folder = prepared(toy, tmp_path / "study", config)
    process = start(slurm, folder, "--retries", "1", launcher=True)
    told, _ = process.communicate(timeout=500)
    assert process.returncode == 1
    assert "results/toy/interim/report.html" in told
    table = pd.read_parquet(folder / "results/toy/interim/metrics.parquet")
    assert table["status"].value_counts().to_dict() == {"missing": 2, "ok": 3}
    assert set(table.loc[table["status"] == "missing", "train_examples"]) == {121}
    page = (folder / "results/toy/interim/report.html").read_text()
    assert "setting train_examples: found 121." in page
    assert all(sum(" finished at step " in line for line in lines) <= 1 for lines in attempts(folder).values())
