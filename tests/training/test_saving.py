"""Trainings that are cut short: by signals, kills and want of memory, in real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import tiny
from finevar import PACKAGE, files
from finevar.data.encoding import encode, save_encoded
from finevar.errors import InputError, Interruption
from finevar.jobs import memory
from finevar.models.distilbert import family
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import job as training_job
from finevar.training import saving
from finevar.training.job import train_files

SCRIPTS = PACKAGE.parent
CLASSES = ["negative", "positive"]
SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 3e-3, "batch_size": 8, "epochs": 3, "dropout": 0.1, "max_length": 16}
GROUPS = Path("/sys/fs/cgroup/memory")  # control groups of version 1, where a limit needs no other group's leave


def make_job(folder: Path, settings: dict, *, sentences: int = 45, **shape: int) -> dict:
    """Return the arguments of a job on a tiny model and 45 sentences, six steps an epoch."""
    tiny.make_model(folder / "start", **shape)
    texts, labels = zip(*tiny.make_sentences(sentences), strict=True)
    encoded = encode(texts, [CLASSES.index(label) for label in labels], folder / "start")
    save_encoded(encoded, folder / "train.safetensors")
    files.write_facts({"classes": CLASSES, "data_sha256": "d"}, folder / "dataset.json")
    return {
        "start": str(folder / "start"),
        "train": str(folder / "train.safetensors"),
        "evaluation": str(folder / "train.safetensors"),
        "facts": str(folder / "dataset.json"),
        "settings": settings,
        "seed": 0,
        "threads": 1,
        "name": "run",
    }


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def job(request, tmp_path_factory) -> dict:
    return make_job(tmp_path_factory.mktemp("job"), SETTINGS | {"dtype": request.param})


def to(folder: Path) -> dict[str, str]:
    """Return a job's outputs in a folder."""
    return {
        "model": str(folder / "model"),
        "training": str(folder / "training.parquet"),
        "summary": str(folder / "training.json"),
    }


def results(folder: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Return all of a finished training that no clock decides."""
    return files.check_sums(folder / "model"), pd.read_parquet(folder / "training.parquet").drop(columns="seconds")


def same(one: Path, other: Path) -> bool:
    (sums, steps), (other_sums, other_steps) = results(one), results(other)
    return sums == other_sums and steps.equals(other_steps)


def attempts(folder: Path) -> list[str]:
    """Return what the lines of a folder's attempts say, without time and place."""
    lines = (folder / "attempts.log").read_text().splitlines()
    return [line.split(" ", 1)[1].split(" (")[0] for line in lines]


@pytest.fixture(scope="module")
def undisturbed(job, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train_files(**job, **to(folder))
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
@pytest.mark.parametrize("step", [1, 6, 10, 18])
def test_a_training_that_is_asked_to_end_goes_on_to_the_same_bytes(
    job, undisturbed, tmp_path, monkeypatch, number, step
):
    save = saving.StateSaver.save_if_due

    def signal_and_save(saver, state, draws):
        if len(state.rows) == step:
            os.kill(os.getpid(), number)
        save(saver, state, draws)

    with monkeypatch.context() as patch:
        patch.setattr(saving.StateSaver, "save_if_due", signal_and_save)
        with pytest.raises(Interruption, match=rf"Interrupted by {number.name}; goes on from step {step} at"):
            train_files(**job, **to(tmp_path))
    assert not (tmp_path / "model").exists()
    train_files(**job, **to(tmp_path))
    assert same(tmp_path, undisturbed)
    assert attempts(tmp_path) == [
        "started at step 0",
        f"ended by {number.name} with its state saved at step {step}",
        f"started at step {step}",
        "finished at step 18, ok",
    ]
    assert not (tmp_path / "resume.safetensors").exists()


def test_signals_mean_again_what_they_did_before(job, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    train_files(**job, **to(tmp_path))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)] == before


def spawn(job: dict, folder: Path, **environment: str) -> subprocess.Popen:
    """Start a training in a process of its own."""
    script = f"from finevar.training.job import train_files; train_files(**{job | to(folder)!r})"
    variables = os.environ | {"PYTHONPATH": str(SCRIPTS)} | environment
    return subprocess.Popen([sys.executable, "-c", script], env=variables, stderr=subprocess.PIPE, text=True)


def test_kills_between_and_within_writes_change_no_byte(tmp_path):
    job = make_job(tmp_path, SETTINGS | {"epochs": 100, "dtype": "float32"})
    train_files(**job, **to(tmp_path / "undisturbed"))
    for kill in range(3):
        process = spawn(job, tmp_path, FINEVAR_SAVE_SECONDS="0")  # so that it writes most of the time
        deadline = time.monotonic() + 60
        while sum(line.startswith("saved") for line in attempts_of(tmp_path)) < 20 * (kill + 1):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
        process.communicate()
    train_files(**job, **to(tmp_path))
    assert same(tmp_path, tmp_path / "undisturbed")
    starts = [line for line in attempts(tmp_path) if line.startswith("started")]
    assert starts[0] == "started at step 0"
    assert starts[-1] != "started at step 0"


def attempts_of(folder: Path) -> list[str]:
    return attempts(folder) if (folder / "attempts.log").exists() else []


def test_a_state_is_saved_as_time_passes_but_not_so_often_that_it_costs(job, tmp_path, monkeypatch):
    monkeypatch.setenv("FINEVAR_SAVE_SECONDS", "0")
    train_files(**job, **to(tmp_path / "often"))
    assert [line for line in attempts(tmp_path / "often") if line.startswith("saved")] == [
        f"saved at step {step}" for step in range(1, 19)
    ]
    monkeypatch.delenv("FINEVAR_SAVE_SECONDS")
    train_files(**job, **to(tmp_path / "seldom"))
    assert attempts(tmp_path / "seldom") == ["started at step 0", "finished at step 18, ok"]
    monkeypatch.setattr(saving, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(saving, "SAVE_SHARE", 1e-6)
    train_files(**job, **to(tmp_path / "dear"))  # a save costs a million times itself: the first is the last
    assert attempts(tmp_path / "dear") == ["started at step 0", "saved at step 1", "finished at step 18, ok"]


@pytest.mark.parametrize("other", ["seed", "epochs", "machine"])
def test_a_state_of_another_training_is_not_taken_up(job, tmp_path, monkeypatch, other):
    def stop(saver, state, draws):
        saver.asked.append("SIGTERM")
        save(saver, state, draws)

    save = saving.StateSaver.save_if_due
    with monkeypatch.context() as patch:
        patch.setattr(saving.StateSaver, "save_if_due", stop)
        with pytest.raises(Interruption):
            train_files(**job, **to(tmp_path))
    changed = job | {"seed": 1 if other == "seed" else 0}
    changed["settings"] = job["settings"] | {"epochs": 4 if other == "epochs" else 3}
    if other == "machine":
        facts = training_job.machine_facts
        monkeypatch.setattr(training_job, "machine_facts", lambda *of: facts(*of) | {"device": "another processor"})
    train_files(**changed, **to(tmp_path))
    assert attempts(tmp_path)[2] == "started at step 0"


def test_two_processes_never_train_one_run_at_once(tmp_path):
    job = make_job(tmp_path, SETTINGS)
    with saving.saving_states(tmp_path, {}):
        process = spawn(job, tmp_path)
        watch = threading.Timer(60, process.kill)  # so that a process that says nothing is not waited for
        watch.start()
        assert any("waiting until it has ended" in line for line in process.stderr)
        watch.cancel()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        assert not (tmp_path / "model").exists()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert attempts(tmp_path) == ["started at step 0", "finished at step 18, ok"]


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_a_batch_that_needs_too_much_memory_is_worked_in_parts(tmp_path, monkeypatch, caplog, error):
    job = make_job(tmp_path, SETTINGS | {"dropout": 0.0, "dtype": "float32"})
    train_files(**job, **to(tmp_path / "whole"))
    classify, calls = family.classify, []

    def scarce(weights, architecture, batch, masks):
        calls.append(len(batch.first))
        if len(calls) > 4 and len(batch.first) > 3:
            raise error
        return classify(weights, architecture, batch, masks)

    monkeypatch.setattr(family, "classify", scarce)
    summary = train_files(**job, **to(tmp_path / "parts"))
    assert summary["micro_batches"] == 4  # of 8 sentences: 4 at a time are still too many
    assert "each batch is now split into 4 parts" in caplog.text
    (_, whole), (_, parts) = results(tmp_path / "whole"), results(tmp_path / "parts")
    assert parts["micro_batches"].tolist() == [1] * 4 + [4] * 14
    assert whole["tokens"].tolist() == parts["tokens"].tolist()
    for column in ("loss", "grad_norm"):  # the same gradients but for the order of their sums
        assert parts[column].tolist() == pytest.approx(whole[column].tolist(), rel=2e-3)


def test_dropout_draws_begin_anew_where_memory_ran_out(tmp_path, monkeypatch):
    job = make_job(tmp_path, SETTINGS | {"dtype": "float32"})
    classify, failed = family.classify, []

    def scarce(weights, architecture, batch, masks):
        result = classify(weights, architecture, batch, masks)
        if len(batch.first) == 8 and not failed:
            failed.append(True)
            raise MemoryError
        return result

    with monkeypatch.context() as patch:
        patch.setattr(family, "classify", scarce)
        train_files(**job, **to(tmp_path / "ran out"))
    train_files(**job, **to(tmp_path / "at once"), micro_batches=2)
    assert same(tmp_path / "ran out", tmp_path / "at once")


def test_too_little_memory_for_one_sentence_is_told(tmp_path, monkeypatch):
    job = make_job(tmp_path, SETTINGS)
    monkeypatch.setattr(family, "classify", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(InputError, match="memory: found too little for a single sentence at a time"):
        train_files(**job, **to(tmp_path))


def test_another_error_of_the_loop_is_not_taken_for_want_of_memory(tmp_path, monkeypatch):
    job = make_job(tmp_path, SETTINGS)
    monkeypatch.setattr(family, "classify", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        train_files(**job, **to(tmp_path))


@contextlib.contextmanager
def limited(megabytes: int) -> Iterator[Path]:
    """Give a control group whose processes the kernel kills when they need more memory than that."""
    group = GROUPS / f"finevar-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(megabytes << 20))
    except OSError as error:
        pytest.skip(f"no control group with a memory limit can be made here: {error}")
    try:
        yield group
    finally:
        deadline = time.monotonic() + 60
        while (group / "cgroup.procs").read_text().split() and time.monotonic() < deadline:
            for process in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            time.sleep(0.1)
        group.rmdir()


def test_a_run_that_the_kernel_kills_for_memory_is_repeated_in_smaller_parts(tmp_path):
    settings = SETTINGS | {"batch_size": 4000, "epochs": 1, "max_length": 64, "dtype": "float32"}
    job = make_job(tmp_path, settings, layers=2, dim=256, sentences=4000) | to(tmp_path) | {"micro_batches": 1}
    with limited(750) as group, tempfile.TemporaryDirectory(prefix="fv") as place:
        script = f"""
import os, pathlib
pathlib.Path({str(group)!r}, "cgroup.procs").write_text(str(os.getpid()))
from finevar.jobs.worker import run_job
run_job("finevar.training.job.train_files", log={str(tmp_path / "job.log")!r}, **{job!r})
"""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("FINEVAR", "SLURM"))}
        variables |= {"PYTHONPATH": str(SCRIPTS), "TMPDIR": place}
        done = subprocess.run(
            [sys.executable, "-c", script], env=variables, capture_output=True, text=True, timeout=300
        )
        kills = int((group / "memory.oom_control").read_text().split("oom_kill ")[1])
    assert kills >= 1
    assert done.returncode == 0, done.stderr
    assert "Memory ran out: each batch is now split into 2 parts" in done.stderr
    assert json.loads((tmp_path / "training.json").read_text())["micro_batches"] >= 2


def test_kills_for_memory_are_counted_from_either_kind_of_control_group(tmp_path, monkeypatch):
    (tmp_path / "cgroup").write_text("4:memory:/one/two\n0::/three\n")
    for folder, name, text in (
        ("groups/memory/one/two", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ("groups/three", "memory.events", "low 0\noom 7\noom_kill 3\noom_group_kill 9\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text(text)
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 10\n")
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "vmstat")
    assert memory.memory_kills() == 15
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "none")
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "none")
    assert memory.memory_kills() == 0
