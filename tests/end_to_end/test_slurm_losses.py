"""A study on a real SLURM that loses a job, a node and Snakemake itself on the way."""

from __future__ import annotations

import os
import signal
import time

from slurm_study import (
    assert_alike,
    attempts,
    finish,
    job_of,
    run_locally,
    small_study,
    start,
    training_jobs,
    wait_for,
)
from toy_study import prepared

EPOCHS = 300  # of three steps: some seconds of training, in which there is time to be disturbed


def test_whatever_is_lost_on_the_way_no_training_is_done_twice(slurm, toy, tmp_path):
    """A job cancelled, a node lost, a job preempted, Snakemake killed; then the study is started again."""
    folder = prepared(toy, tmp_path / "study", small_study(epochs=EPOCHS))
    partitions = ["--default-resources", "slurm_partition=scav", "mem_mb=2000", "runtime=30", "--jobs", "3"]
    process = start(slurm, folder, *partitions, FINEVAR_SAVE_SECONDS="1")

    # 1. scancel of a running fine-tune
    (run, number), *_ = wait_for(lambda: training_jobs(slurm, folder), process).items()
    time.sleep(1)
    slurm.cancel(number)
    wait_for(lambda: any("ended by SIGTERM" in line for line in attempts(folder)[run]), process)

    # 2. preemption: a job of a better partition takes the nodes
    (run, number), *_ = wait_for(lambda: training_jobs(slurm, folder), process).items()
    node = job_of(slurm, number).node
    time.sleep(1)
    slurm.run("sbatch", "--partition=cpu", f"--nodelist={node}", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    wait_for(lambda: any("ended by SIGTERM" in line for line in attempts(folder)[run]), process)
    wait_for(lambda: job_of(slurm, number).state == "PENDING", process)
    slurm.start_now(number)

    # 3. a node goes down
    (run, number), *_ = wait_for(lambda: training_jobs(slurm, folder), process).items()
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
    local = run_locally(prepared(toy, tmp_path / "local", small_study(epochs=EPOCHS)))
    assert_alike(folder, local, runs=4)
    lines = [line for run in attempts(folder).values() for line in run]
    assert sum("started at step" in line and "started at step 0 " not in line for line in lines) >= 3, lines
