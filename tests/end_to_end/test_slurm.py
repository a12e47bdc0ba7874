"""Studies on a real SLURM of three nodes: whole, and with jobs, nodes and Snakemake itself lost on the way."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from test_workflow import METRICS, ROOT, STUDY, make_folder, snakemake, write_config
from tests.cluster import Cluster, Job, cluster, require

PATIENCE = 240  # seconds until something must have happened
OPTIONS = [
    "--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2", "--latency-wait", "5",
]  # fmt: skip


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require()
    with cluster(tmp_path_factory.mktemp("c")) as up:
        yield up


def small_study(*, epochs: int = 1) -> dict:
    """Return a study of four runs; with many epochs each takes long enough to be disturbed."""
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"] = {"learning_rate": {"levels": ["1e-3", "9e-3"], "coding": "log10"}}
    config["training"] |= {"batch_size": 16, "epochs": epochs}
    config["analysis"] = {"model": "first_order"}
    return config


def make_study(folder: Path, *, epochs: int) -> Path:
    make_folder(folder)
    write_config(folder, small_study(epochs=epochs))
    return folder


def environment(slurm: Cluster, **more: str) -> dict[str, str]:
    return slurm.environment | {"PATH": f"{Path(sys.executable).parent}:{slurm.environment['PATH']}"} | more


def start(slurm: Cluster, folder: Path, *options: str, launcher: bool = False, **more: str) -> subprocess.Popen[str]:
    """Start a study in its folder: Snakemake by itself, or as `make study PROFILE=slurm` does."""
    module = "finevar.commands.launch" if launcher else "snakemake"
    command = [sys.executable, "-m", module, "--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "slurm")]
    command += ["--configfile", "config.yaml", *OPTIONS, *options]
    variables = environment(slurm, PYTHONPATH=str(ROOT / "scripts"), **more)
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=500)
    assert process.returncode == 0, told
    return told


def wait_for(found, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


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


def assert_complete_and_alike(folder: Path, other: Path) -> None:
    """Check that a study has all of another's metrics, to the bit, and trained no run twice to its end."""
    table, expected = (pd.read_parquet(path / "results/toy/metrics.parquet") for path in (folder, other))
    assert set(table["status"]) == {"ok"}
    pd.testing.assert_frame_equal(table[["run_id", *METRICS]], expected[["run_id", *METRICS]], check_exact=True)
    assert (folder / "results/toy/report.html").exists()
    for run, lines in attempts(folder).items():
        assert sum(" finished at step " in line for line in lines) == 1, (run, lines)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the quick study, run on this machine without SLURM."""
    folder = make_study(tmp_path_factory.mktemp("local"), epochs=1)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def long_local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the long study, run on this machine without SLURM."""
    folder = make_study(tmp_path_factory.mktemp("long"), epochs=EPOCHS)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


EPOCHS = 300  # of three steps: some seconds of training, in which there is time to be disturbed


def test_a_study_runs_to_its_report_with_the_metrics_of_a_local_one(slurm, local, tmp_path):
    """From a clone, with the literal command; two runs in each submission, one at a time."""
    folder = make_study(tmp_path / "study", epochs=1)
    base = ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", *base, *OPTIONS, "--group-components", "run=2"],
        cwd=ROOT, env=environment(slurm), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_complete_and_alike(folder, local)
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


def test_gpus_are_asked_for_where_the_config_does(slurm, tmp_path):
    folder = make_study(tmp_path / "study", epochs=1)
    write_config(folder, small_study() | {"gpus_per_run": 1})
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


def test_whatever_is_lost_on_the_way_no_training_is_done_twice(slurm, long_local, tmp_path):
    """A job cancelled, a node lost, a job preempted, Snakemake killed; then the study is started again."""
    folder = make_study(tmp_path / "study", epochs=EPOCHS)
    partitions = ["--default-resources", "slurm_partition=scav", "mem_mb=2000", "runtime=30", "--jobs", "3"]
    process = start(slurm, folder, *partitions, FINEVAR_SAVE_SECONDS="1")

    # 1. scancel of a running fine-tune
    wait_for(lambda: training_jobs(slurm, folder), process)
    (run, number), *_ = training_jobs(slurm, folder).items()
    time.sleep(1)
    slurm.cancel(number)
    wait_for(lambda: any("ended by SIGTERM" in line for line in attempts(folder)[run]), process)

    # 2. preemption: a job of a better partition takes the nodes
    wait_for(lambda: training_jobs(slurm, folder), process)
    (run, number), *_ = training_jobs(slurm, folder).items()
    node = job_of(slurm, number).node
    time.sleep(1)
    slurm.run("sbatch", "--partition=cpu", f"--nodelist={node}", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    wait_for(lambda: any("ended by SIGTERM" in line for line in attempts(folder)[run]), process)
    wait_for(lambda: job_of(slurm, number).state == "PENDING", process)
    slurm.start_now(number)

    # 3. a node goes down
    wait_for(lambda: training_jobs(slurm, folder), process)
    (run, number), *_ = training_jobs(slurm, folder).items()
    node = job_of(slurm, number).node
    wait_for(lambda: any(" saved at step " in line for line in attempts(folder)[run]), process)
    slurm.down(node)
    slurm.up(node)

    # 4. kill -9 of Snakemake while a run is trained
    wait_for(lambda: training_jobs(slurm, folder), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [job for job in slurm.jobs() if job.workdir == folder and job.state == "RUNNING"], "jobs run on"

    told = finish(start(slurm, folder, *partitions, launcher=True, FINEVAR_SAVE_SECONDS="1"))
    assert "Cancelling the SLURM jobs of an interrupted run" in told
    assert_complete_and_alike(folder, long_local)
    lines = [line for run in attempts(folder).values() for line in run]
    assert sum("started at step" in line and "started at step 0 " not in line for line in lines) >= 3, lines


def test_what_a_killed_snakemakes_jobs_finish_is_not_done_again(slurm, local, tmp_path):
    folder = make_study(tmp_path / "study", epochs=1)
    process = start(slurm, folder)
    wait_for(lambda: list(folder.glob("results/runs/*/*/attempts.log")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    slurm.wait_for(
        lambda: not [job for job in slurm.jobs() if job.workdir == folder and job.state in ("RUNNING", "PENDING")],
        seconds=PATIENCE,
    )
    assert any(" finished at step " in line for lines in attempts(folder).values() for line in lines)
    finish(start(slurm, folder, launcher=True))
    assert_complete_and_alike(folder, local)


def test_a_failing_run_takes_no_other_with_it(slurm, tmp_path):
    """The others are done, those of its own submission before it given back, and an interim report says what lacks."""
    folder = make_study(tmp_path / "study", epochs=1)
    config = small_study()
    config["sweep"]["factors"]["train_examples"] = {"levels": [48, 121]}  # one more than there are
    config["sweep"]["seeds"] = [0]
    del config["training"]["train_examples"]
    write_config(folder, config)
    process = start(slurm, folder, "--retries", "1", launcher=True)
    told, _ = process.communicate(timeout=500)
    assert process.returncode == 1
    assert "Interim report: results/toy/interim/report.html" in told
    table = pd.read_parquet(folder / "results/toy/interim/metrics.parquet")
    assert table["status"].value_counts().to_dict() == {"missing": 2, "ok": 3}
    assert set(table.loc[table["status"] == "missing", "train_examples"]) == {121}
    page = (folder / "results/toy/interim/report.html").read_text()
    assert "Interim report." in page
    assert "found 121. Allowed: at most 120" in page
    assert all(sum(" finished at step " in line for line in lines) <= 1 for lines in attempts(folder).values())
