"""The throw-away SLURM that other tests use: it does what a cluster does, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import Cluster, Job, cluster, missing, require


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Cluster]:
    require()
    with cluster(tmp_path_factory.mktemp("c")) as made:
        yield made


def submit(site: Cluster, command: str, *options: str) -> str:
    """Submit a shell command; return the job's id."""
    return site.run("sbatch", "--parsable", f"--output={site.folder}/job-%j", *options, "--wrap", command).strip()


def job(site: Cluster, wanted: str) -> Job:
    return next(each for each in site.jobs() if each.id == wanted)


def wait_for_state(site: Cluster, wanted: str, state: str) -> Job:
    site.wait_for(lambda: job(site, wanted).state == state)
    return job(site, wanted)


def processes_that_name(text: Path | str) -> list[str]:
    """Return where ps finds a text in commands and environments, zombies left out."""
    told = subprocess.run(["ps", "axwwe", "-o", "stat,pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if str(text) in line and not line.startswith("Z")]


def test_a_job_runs_with_the_gpu_that_it_asks_for(site):
    name = submit(
        site, "echo $CUDA_VISIBLE_DEVICES", "--job-name=one", "--partition=gpu", "--gpus=1", f"--chdir={site.folder}"
    )
    done = wait_for_state(site, name, "COMPLETED")
    assert done == Job(name, "one", "COMPLETED", "g1", "gpu", site.folder)
    assert (site.folder / f"job-{name}").read_text() == "0\n"


def test_a_job_finds_the_cluster_without_its_slurm_variables(site):
    name = submit(site, "bash -c 'unset ${!SLURM_*}; sinfo --noheader --format=%P'")
    wait_for_state(site, name, "COMPLETED")
    assert (site.folder / f"job-{name}").read_text().split() == ["cpu*", "gpu", "scav"]


def test_a_job_is_cancelled(site):
    name = submit(site, "sleep 1000")
    wait_for_state(site, name, "RUNNING")
    site.cancel(name)
    wait_for_state(site, name, "CANCELLED")


def test_a_higher_partition_pushes_a_job_out(site):
    low = submit(site, "sleep 1000", "--partition=scav", "--nodes=2", "--exclusive")
    wait_for_state(site, low, "RUNNING")
    high = submit(site, "true", "--partition=cpu")
    wait_for_state(site, high, "COMPLETED")
    wait_for_state(site, low, "PENDING")
    site.start_now(low)
    wait_for_state(site, low, "RUNNING")
    site.cancel(low)


def test_a_job_of_a_lost_node_is_requeued(site):
    name = submit(site, "sleep 1000")
    node = wait_for_state(site, name, "RUNNING").node
    site.down(node)
    assert site.nodes()[node] == "down"
    assert not [line for line in processes_that_name(site.folder / node) if "sleep 1000" in line]
    wait_for_state(site, name, "PENDING")
    site.up(node)
    assert site.nodes()[node] == "idle"
    site.start_now(name)
    wait_for_state(site, name, "RUNNING")
    site.cancel(name)


def test_a_controller_comes_back(site):
    name = submit(site, "sleep 1000")
    wait_for_state(site, name, "RUNNING")
    site.run("scontrol", "update", f"jobid={name}", "comment=remembered")  # so what is saved after it says RUNNING
    site.wait_for(lambda: "remembered" in (site.folder / "state" / "job_state").read_text(errors="replace"))
    site.kill_controller()
    assert not site.answers("scontrol", "ping")
    site.start_controller()
    assert job(site, name).state == "RUNNING"
    site.cancel(name)


def test_nothing_is_left_though_the_test_fails(tmp_path_factory):
    require()
    folder = tmp_path_factory.mktemp("c")
    seconds = f"1000.{os.getpid()}"  # tells these processes from all others where there is no environment
    with pytest.raises(ZeroDivisionError), cluster(folder) as made:  # noqa: PT012 - the whole body is a test that fails
        submit(made, f"trap '' TERM; env --ignore-environment sleep {seconds} & sleep {seconds}")
        made.wait_for(lambda: len(processes_that_name(seconds)) == 2)
        assert len(processes_that_name(folder)) > 6
        raise ZeroDivisionError
    assert processes_that_name(folder) + processes_that_name(seconds) == []


def test_a_daemon_that_ends_is_told_of_at_once(tmp_path_factory, monkeypatch):
    require()
    monkeypatch.setattr("tests.cluster.SLURM_CONF", "ClusterName=x\nNoSuchKey=1\n")
    with pytest.raises(RuntimeError, match=r"slurmctld ended(?s:.*)NoSuchKey"), cluster(tmp_path_factory.mktemp("c")):
        pass


def test_a_folder_that_is_too_deep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="too deep"), cluster(tmp_path / ("x" * 80)):
        pass


def test_where_there_is_no_slurm_tests_are_skipped_or_fail(monkeypatch):
    monkeypatch.setattr("tests.cluster.FOUND", {})  # as where none of its programs is there
    monkeypatch.delenv("FINEVAR_REQUIRE_SLURM", raising=False)
    assert "slurmctld" in missing()
    with pytest.raises(pytest.skip.Exception):
        require()
    monkeypatch.setenv("FINEVAR_REQUIRE_SLURM", "1")
    with pytest.raises(pytest.fail.Exception):
        require()
