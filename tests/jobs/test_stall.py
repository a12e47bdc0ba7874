"""Jobs that no longer make progress: real processes that hang in C, with Python's lock held."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_saving import SETTINGS, attempts, make_job, same, to
from test_worker import SCRIPTS, folder, pytestmark  # noqa: F401 - a fixture, and Linux only

import tiny
from finevar.data.encoding import encode
from finevar.errors import InputError
from finevar.evaluation import evaluation
from finevar.jobs import stall
from finevar.jobs.endings import BEGUN, ERROR, read_ending
from finevar.training.job import train_files

WORK = """
import ctypes, time
from finevar.jobs.stall import ending_if_stalled
def hang():
    ctypes.PyDLL(None).sleep(60)  # keeps Python's lock: no other thread of Python runs meanwhile
def work():
    with ending_if_stalled("step") as progressed:
        progressed()
        hang()
"""


def start(script: str, place: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a script to its end; return it and the seconds that it took."""
    (place / "hanging.py").write_text(WORK)
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(place)])} | environment
    begun = time.monotonic()
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=variables, cwd=place, capture_output=True, text=True, timeout=60)
    return done, time.monotonic() - begun


def assert_says_where(log: str) -> None:
    """Check that a log says what happened and what to do, then where the process was."""
    sentence, _, stacks = log.partition("Timeout (0:00:02)!\n")
    assert "step ends within 1 seconds" in sentence
    assert stall.REMEDY in sentence
    assert "in hang" in stacks
    assert "in work" in stacks


def test_a_job_that_hangs_in_c_ends_with_its_stacks_in_its_log(tmp_path):
    script = "from finevar.jobs.worker import perform; perform('hanging.work', {}, 'job.log')"
    done, seconds = start(script, tmp_path, FINEVAR_STALL_SECONDS="1")
    assert done.returncode == 1
    assert seconds < 20
    assert_says_where((tmp_path / "job.log").read_text())


def test_a_fork_of_the_warm_process_that_hangs_ends_and_its_job_says_so(folder, tmp_path):  # noqa: F811
    script = "from finevar.jobs.worker import run_job; run_job('hanging.work', log='job.log', kind='analysis')"
    done, seconds = start(script, tmp_path, FINEVAR_STALL_SECONDS="1")
    assert done.returncode == 1
    assert seconds < 40  # of which most goes to starting the warm process
    assert stall.stall_sentence(tmp_path / "job.log").partition("; ")[0] in done.stderr
    assert_says_where((tmp_path / "job.log").read_text())


def test_a_job_that_fails_otherwise_is_not_taken_for_one_that_hangs(folder, tmp_path):  # noqa: F811
    script = "from finevar.jobs.worker import run_job; run_job('hanging.absent', log='job.log', kind='analysis')"
    done, _ = start(script, tmp_path)
    assert done.returncode == 1
    assert stall.stall_sentence(tmp_path / "job.log") is None
    assert stall.REMEDY not in done.stderr
    assert "AttributeError" in (tmp_path / "job.log").read_text()


def test_a_training_that_hung_goes_on_to_the_same_bytes(tmp_path):
    job = make_job(tmp_path, SETTINGS | {"dtype": "float32"})
    train_files(**job, **to(tmp_path / "undisturbed"))
    script = f"""
import hanging
from finevar.models.distilbert import family
from finevar.jobs.worker import perform
classify, calls = family.classify, []
def hang_at_the_fifth(*arguments):
    calls.append(1)
    if len(calls) == 5:
        hanging.hang()
    return classify(*arguments)
family.classify = hang_at_the_fifth
perform("finevar.training.job.train_files", {job | to(tmp_path)!r}, "job.log")
"""
    done, _ = start(script, tmp_path, FINEVAR_STALL_SECONDS="1", FINEVAR_SAVE_SECONDS="0")
    assert done.returncode == 1
    log = (tmp_path / "job.log").read_text()
    assert "If no training step ends within 1 seconds" in log
    assert "in backpropagate" in log.partition("Timeout (0:00:02)!\n")[2]
    train_files(**job, **to(tmp_path))
    assert same(tmp_path, tmp_path / "undisturbed")
    assert "started at step 4" in attempts(tmp_path)


def test_progress_keeps_a_job_alive_and_its_end_ends_the_watch(tmp_path):
    script = """
import time
from finevar.jobs import stall
stall.ARMED_SECONDS = 0.05
with stall.ending_if_stalled("step") as progressed:
    for _ in range(20):
        time.sleep(0.1)
        progressed()
time.sleep(1)
print("done")
"""
    done, _ = start(script, tmp_path, FINEVAR_STALL_SECONDS="0.5")
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_without_a_log_file_the_stacks_go_to_standard_error(tmp_path):
    done, _ = start("import hanging; hanging.work()", tmp_path, FINEVAR_STALL_SECONDS="0.1")
    assert done.returncode == 1
    assert "in hang" in done.stderr


def test_each_batch_of_an_evaluation_is_progress(tmp_path, monkeypatch):
    calls = []

    @contextlib.contextmanager
    def counting(unit: str):
        calls.append(unit)
        yield lambda: calls.append(1)

    monkeypatch.setattr(evaluation, "ending_if_stalled", counting)
    tiny.make_model(tmp_path)
    texts, labels = zip(*tiny.make_sentences(150), strict=True)
    encoded = encode(texts, [int(label == "positive") for label in labels], tmp_path)
    options = {"max_length": 16, "device": "cpu"}
    evaluation.evaluate_model(tmp_path, encoded, ["negative", "positive"], torch.float32, **options)
    assert calls == ["batch", 1, 1]


def test_the_limit_is_half_an_hour_or_what_is_asked_for(monkeypatch):
    monkeypatch.delenv(stall.VARIABLE, raising=False)
    assert stall.stall_seconds() == 1800
    monkeypatch.setenv(stall.VARIABLE, "7200.5")
    assert stall.stall_seconds() == 7200.5


def test_zero_is_no_limit(monkeypatch):
    monkeypatch.setenv(stall.VARIABLE, "0")
    monkeypatch.setattr("faulthandler.dump_traceback_later", lambda *_, **__: pytest.fail("a timer was set"))
    with stall.ending_if_stalled("step") as progressed:
        progressed()


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", "1e300"])
def test_what_is_no_number_of_seconds_is_said(monkeypatch, value):
    monkeypatch.setenv(stall.VARIABLE, value)
    with pytest.raises(InputError, match=rf"FINEVAR_STALL_SECONDS: found {value}\. Allowed: the seconds without"):
        stall.stall_seconds()


def test_a_job_that_stalled_is_one_that_failed(tmp_path):
    log = tmp_path / "run.log"
    log.write_text("12:00:00 INFO step 3\n")
    assert read_ending(log).code == BEGUN
    log.write_text("12:00:00 INFO step 3\nTimeout (0:30:01)!\nThread 0x1 (most recent call first):\n")
    assert read_ending(log).code == ERROR
    assert str(log) in read_ending(log).sentence
