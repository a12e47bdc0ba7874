"""Whole trainings in slots: several processes and the one that takes their steps, on a processor in place of a GPU."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
from test_saving import SETTINGS, make_job
from test_slots import case, shape_of

from finevar.errors import Interruption
from finevar.jobs import worker
from finevar.jobs.log import JobLog
from finevar.training import job as training_job
from finevar.training import slot_steps
from finevar.training.job import train_files
from finevar.training.messages import joined
from finevar.training.slot_shapes import run_of
from finevar.training.slot_steps import Slot, slot_of_a_gpu

FORK = get_context("fork")
SETTINGS = SETTINGS | {"dtype": "float32"}
LONG = SETTINGS | {"epochs": 25}  # of six steps


@pytest.fixture(scope="module", autouse=True)
def shared(tmp_path_factory) -> Iterator[None]:
    """Have trainings share the processor as they would a GPU, by a process of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_job, "pads", lambda _: True)
        patch.setattr(slot_steps, "gpus", lambda: ["cpu"])
        patch.setattr(tempfile, "tempdir", tempfile.mkdtemp(prefix="fv"))  # a socket's path is short
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as jobs set it: part of what a process is found by
        yield
        with contextlib.suppress(ProcessLookupError):
            os.kill(server(), signal.SIGTERM)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> dict:
    return make_job(tmp_path_factory.mktemp("job"), SETTINGS)


def server() -> int:
    """Return the process that takes the steps; one is started where there is none."""
    with worker.connect("slots cpu") as found:
        return process_of(found)


def process_of(found: socket.socket) -> int:
    """Return the process at the other end of a connection."""
    return struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def begun(job: dict, folder: Path, **changes):
    """Return a process that trains into a folder, beside whoever else does."""
    outputs = {name: str(folder / place) for name, place in PLACES.items()}
    arguments = job | {"slots": 2, "name": folder.name} | outputs | changes
    process = FORK.Process(target=logged, args=(str(folder / "log.txt"), arguments))
    process.start()
    return process


PLACES = {"model": "model", "training": "training.parquet", "summary": "training.json", "state": "state.safetensors"}


def logged(log: str, arguments: dict) -> None:
    with JobLog(log):
        train_files(**arguments)


def ended(*processes) -> list[int]:
    for process in processes:
        process.join(240)
    return [process.exitcode for process in processes]


def steps(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "training.parquet").drop(columns="seconds")


def assert_same(first: Path, second: Path) -> None:
    assert (first / "model/model.safetensors").read_bytes() == (second / "model/model.safetensors").read_bytes()
    pd.testing.assert_frame_equal(steps(first), steps(second), check_exact=True)


def until(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def saving_often() -> Iterator[None]:
    """Have the trainings that begin here save their states after every look at their losses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINEVAR_SAVE_SECONDS", "0")
        yield


def test_runs_that_share_slots_end_as_each_would_alone(job, tmp_path):
    """Three runs for two slots, and one of another batch size beside them."""
    changes = [{"seed": 0}, {"seed": 1}, {"seed": 2}, {"settings": SETTINGS | {"batch_size": 16}}]
    folders = [tmp_path / f"run{number}" for number in range(4)]
    assert ended(*(begun(job, folder, **change) for folder, change in zip(folders, changes, strict=True))) == [0] * 4
    for number in (0, 3):
        assert ended(begun(job, tmp_path / f"alone{number}", **changes[number])) == [0]
        assert_same(folders[number], tmp_path / f"alone{number}")
    assert ended(begun(job, tmp_path / "itself", seed=1, slots=0, settings=SETTINGS | {"dropout": 0.0})) == [0]
    assert ended(begun(job, tmp_path / "slotted", seed=1, settings=SETTINGS | {"dropout": 0.0})) == [0]
    pd.testing.assert_frame_equal(steps(tmp_path / "itself"), steps(tmp_path / "slotted"), rtol=1e-3)


def test_a_run_goes_on_from_a_shorter_ones_state(job, tmp_path):
    constant = SETTINGS | {"schedule": "constant"}
    assert ended(begun(job, tmp_path / "short", settings=constant)) == [0]
    begin = str(tmp_path / "short/state.safetensors")
    longer = constant | {"epochs": 5}
    assert ended(begun(job, tmp_path / "long", settings=longer, begin=begin)) == [0]
    assert ended(begun(job, tmp_path / "whole", settings=longer)) == [0]
    assert json.loads((tmp_path / "long/training.json").read_text())["steps_of_shorter_run"] == 18
    assert_same(tmp_path / "long", tmp_path / "whole")


def test_a_diverging_run_is_cut_back_to_its_first_bad_step(job, tmp_path):
    wild = {"settings": SETTINGS | {"learning_rate": 1e30, "dropout": 0.0, "schedule": "constant"}}
    folders = [tmp_path / "shared", tmp_path / "itself"]
    pair = (begun(job, folder, **wild, slots=slots) for folder, slots in zip(folders, (2, 0), strict=True))
    assert ended(*pair) == [0, 0]
    facts = [json.loads((folder / "training.json").read_text()) for folder in folders]
    assert [fact["status"] for fact in facts] == ["diverged"] * 2
    assert facts[0]["steps"] == facts[1]["steps"] < 6  # of which the shared run took all six before it looked
    assert ended(begun(job, folders[0], **wild)) == [0]


def test_a_run_that_is_asked_to_end_goes_on_where_it_was(job, tmp_path):
    assert ended(begun(job, tmp_path / "whole", settings=LONG)) == [0]
    with saving_often():
        cut = begun(job, tmp_path / "cut", settings=LONG)
    until(lambda: (tmp_path / "cut/resume.safetensors").exists())
    cut.terminate()
    assert ended(cut) == [75]
    assert ended(begun(job, tmp_path / "cut", settings=LONG)) == [0]
    notes = (tmp_path / "cut/attempts.log").read_text()
    assert notes.count("started at step 0 ") == 1
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_a_run_outlives_the_death_of_the_process_of_its_slot(job, tmp_path):
    assert ended(begun(job, tmp_path / "whole", settings=LONG)) == [0]
    with saving_often():
        process, cut = server(), begun(job, tmp_path / "cut", settings=LONG)
    until(lambda: (tmp_path / "cut/resume.safetensors").exists())
    os.kill(process, signal.SIGKILL)
    assert ended(cut) == [75]
    assert ended(begun(job, tmp_path / "cut", settings=LONG)) == [0]
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_the_slot_of_a_run_that_was_killed_is_free(job, tmp_path):
    with saving_often():
        killed = [begun(job, tmp_path / f"killed{number}", settings=LONG) for number in range(2)]
    until(lambda: all((tmp_path / f"killed{number}/resume.safetensors").exists() for number in range(2)))
    for process in killed:
        process.kill()
    ended(*killed)
    assert ended(begun(job, tmp_path / "after")) == [0]


def request(job: dict, **changes) -> tuple[dict, dict]:
    """Return the message of a run that asks for a slot."""
    one = case(Path(job["start"]))
    facts = {"do": "join", "shape": asdict(replace(shape_of(one), **changes)), "run": run_of(one.course)._asdict()}
    moments = one.state.moments
    return facts, joined(weight=one.state.model, first=moments.first, second=moments.second) | {"steps": moments.steps}


def test_a_run_that_does_not_fit_is_sent_away_alone(job, tmp_path):
    beside = begun(job, tmp_path / "beside")
    with worker.connect("slots cpu") as found, pytest.raises(Interruption):
        Slot(found).ask(*request(job, classes=3))
    assert ended(beside) == [0]


def test_of_several_gpus_the_one_with_the_fewest_runs_is_chosen(job, monkeypatch):
    monkeypatch.setattr(slot_steps, "gpus", lambda: ["cpu", "cpu:0"])
    with slot_of_a_gpu(2) as first:
        first.ask(*request(job))
        with slot_of_a_gpu(2) as second:
            assert second.server.getpeername() != first.server.getpeername()
            os.kill(process_of(second.server), signal.SIGTERM)
