"""What the launcher clears before and after Snakemake runs; tests/faults has it do so for real."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from finevar.commands import launch
from finevar.files import name_beside
from prose import numbers

HOUR = 3600


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "results/runs/data/run"
    run.mkdir(parents=True)
    return run


@pytest.fixture(params=["reaped", "zombie"])
def gone(request) -> Iterator[str]:
    """Return the number of a process that has ended, with or without its parent's notice."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    if request.param == "reaped":
        process.wait()
    yield str(process.pid)
    process.wait()


def test_what_killed_jobs_had_half_written_is_removed(run, gone):
    mine, whole = name_beside(run / "metrics.parquet"), run / "metrics.parquet"
    killed = mine.with_name(mine.name.replace(str(os.getpid()), gone))
    elsewhere = run / f".metrics.parquet.another-machine.{gone}"
    hidden = run / ".snakemake_timestamp"
    for path in (mine, whole, killed, elsewhere, hidden):
        path.touch()
    (run / f"finished/{killed.name}").mkdir(parents=True)
    Path("results/models/.model-0123abcd-x_1y2z34/output").mkdir(parents=True)
    launch.remove_half_written()
    assert {path.name for path in run.iterdir()} == {mine.name, whole.name, elsewhere.name, hidden.name, "finished"}
    assert list((run / "finished").iterdir()) == []
    assert list(Path("results/models").iterdir()) == []


def test_what_a_wrong_clock_has_dated_in_the_future_is_dated_back(run, capsys):
    early, late, link = run / "training.json", run / "metrics.parquet", run / "link"
    for path, hours in ((early, -1), (late, 1)):
        path.touch()
        os.utime(path, (time.time() + hours * HOUR,) * 2)
    link.symlink_to("nowhere")
    before = early.stat().st_mtime
    assert launch.date_back()
    assert early.stat().st_mtime == before
    assert abs(late.stat().st_mtime - time.time()) < 60
    assert numbers(capsys.readouterr().err)[0] == 1
    assert not launch.date_back()


def test_snakemake_runs_again_where_files_were_dated_in_the_future_meanwhile(run, monkeypatch):
    starts = []

    def fail_at_first(*_: object) -> int:
        starts.append(1)
        if len(starts) == 1:
            (run / "training.json").touch()
            os.utime(run / "training.json", (time.time() + HOUR,) * 2)
        return len(starts) == 1

    monkeypatch.setattr(launch, "snakemake", fail_at_first)
    Path(".snakemake").mkdir()
    assert launch.run([], 0) == 0
    assert len(starts) == 2


def test_targets_stand_behind_the_options_of_the_launcher_itself(run, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(launch, "cancel_jobs", lambda: None)
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.input.lock").touch()
    (run / "metrics.parquet").touch()
    monkeypatch.setattr(launch, "FAILED", run / "metrics.parquet.failed")
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    (run / "metrics.parquet.failed").write_text("results/mine/interim/report.html")
    other = Path("results/other/interim/report.html")  # newer, of another study
    other.parent.mkdir(parents=True)
    other.touch()
    monkeypatch.setattr(
        launch, "snakemake", lambda options, _: calls.append(options) or int(options[-1] not in ("--unlock", "interim"))
    )
    assert launch.main(["--cores", "1", "--", "target"]) == 1
    assert "results/mine/interim/report.html" in capsys.readouterr().out
    assert calls == [
        ["--cores", "1", "--unlock"],
        ["--cores", "1", "--", "target"],
        ["--cores", "1", "--quiet", "all", "--", "interim"],
    ]


HANGING = """
import os, signal, sys, threading
lock = threading.Lock()
lock.acquire()
signal.signal(signal.SIGTERM, lambda *_: lock.acquire())
open('begun', 'w').write(str(os.getpid()))
os.rename('begun', 'ready')
lock.acquire()
"""


@pytest.mark.parametrize("asked", ["ENDING", "HANG"])
def test_a_snakemake_that_hangs_after_sigterm_is_interrupted(run, monkeypatch, capfd, asked):
    """Whether the launcher was asked to end, and passes it on, or Snakemake itself."""
    Path("snakemake.py").write_text(HANGING)
    monkeypatch.setattr(launch, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(launch, f"{asked}_SECONDS", 0.5)

    def end() -> None:
        while not Path("ready").exists():
            time.sleep(0.01)
        os.kill(int(Path("ready").read_text()) if asked == "HANG" else os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end)
    ending.start()
    with Path("lock").open("w") as lock:
        assert launch.snakemake([], lock.fileno()) < 0
    ending.join()
    assert "Snakemake hangs" in capfd.readouterr().err


def test_a_snakemake_that_waits_for_its_jobs_does_not_hang(run):
    script = run / ".snakemake/scripts/tmp0.finetune_run.py"
    job = subprocess.Popen([sys.executable, "-c", "input()", str(script)], stdin=subprocess.PIPE, text=True)
    assert launch.activity(os.getpid()) is None
    job.communicate("\n")
    assert launch.activity(os.getpid()) > 0


def test_a_read_only_disk_is_told_in_a_sentence(run, monkeypatch, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), ".snakemake/launch.lock")

    monkeypatch.setattr(Path, "open", refuse)
    assert launch.main([]) == 1
    assert capsys.readouterr().err.startswith(".snakemake/launch.lock: Read-only file system. The disk is read-only:")


def test_another_error_of_the_system_is_not_hidden(monkeypatch):
    monkeypatch.setattr(launch, "start", lambda _: (_ for _ in ()).throw(OSError("unheard of")))
    with pytest.raises(OSError, match="unheard of"):
        launch.main([])
