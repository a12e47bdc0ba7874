"""A job's log and what reaches the user; folders that cannot be written to."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest
from snakemake.iocontainers import Namedlist

from finevar import PACKAGE
from finevar.errors import InputError
from finevar.jobs.endings import read_ending, run_ending
from finevar.jobs.log import LOGGER, Job, JobLog, arguments, check_writable, describe

SCRIPTS = PACKAGE.parent
MISTAKE = InputError("data.csv, line 3", found="'x'", allowed="a number", remedy="Correct it.")


def run_python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_logged_is_in_the_file(tmp_path, capsys):
    with JobLog(tmp_path / "deep" / "job.log") as log:
        log.info("54 runs")
        log.warning("slow")
    text = (tmp_path / "deep" / "job.log").read_text()
    assert "INFO 54 runs" in text
    assert "WARNING slow" in text
    assert "54 runs" not in capsys.readouterr().err


def test_warnings_of_libraries_are_in_the_file_only(tmp_path, capsys):
    with JobLog(tmp_path / "job.log"), warnings.catch_warnings():
        logging.captureWarnings(True)
        warnings.simplefilter("always")
        warnings.warn("deprecated thing", UserWarning, stacklevel=1)
    assert "deprecated thing" in (tmp_path / "job.log").read_text()
    assert "deprecated thing" not in capsys.readouterr().err


def test_a_users_mistake_is_told_in_its_own_words(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped, JobLog(tmp_path / "job.log"):
        raise MISTAKE
    assert stopped.value.code == 1
    sentence = "data.csv, line 3: found 'x'. Allowed: a number. Correct it."
    for told in ((tmp_path / "job.log").read_text(), capsys.readouterr().err):
        assert sentence in told
        assert "Traceback" not in told


def test_an_unexpected_error_leaves_its_traceback_and_goes_on_up(tmp_path):
    with pytest.raises(ZeroDivisionError), JobLog(tmp_path / "job.log"):
        1 / 0  # noqa: B018
    text = (tmp_path / "job.log").read_text()
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "test_log.py" in text


def test_a_log_begins_anew(tmp_path):
    for word in ("first", "second"):
        with JobLog(tmp_path / "job.log") as log:
            log.info(word)
    assert "first" not in (tmp_path / "job.log").read_text()


def test_a_job_leaves_no_open_file_behind(tmp_path):
    with JobLog(tmp_path / "job.log"):
        handler = LOGGER.handlers[0]
    assert handler.stream is None
    assert LOGGER.handlers == logging.getLogger("py.warnings").handlers == []


@pytest.mark.parametrize(
    ("mistake", "code"), [("InputError('a', found='b', allowed='c', remedy='d')", 1), ("OSError", 1)]
)
def test_a_failed_script_ends_with_an_error_code(tmp_path, mistake, code):
    script = f"""
        from finevar.errors import InputError
        from finevar.jobs.log import JobLog
        with JobLog("job.log"):
            raise {mistake}
    """
    done = run_python(script, tmp_path)
    assert done.returncode == code
    assert ("Traceback" in done.stderr) == (mistake == "OSError")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "OSError(28, 'No space left on device', 'results/a.parquet')",
            "a.parquet: No space left on device. The disk is",
        ),
        (
            "OSError(30, 'Read-only file system', 'results/a')",
            "results/a: Read-only file system. The disk is read-only",
        ),
        (
            "OSError(13, 'Permission denied', 'results/a')",
            "results/a: Permission denied. Permission was refused: change",
        ),
    ],
)
def test_what_a_machine_lacks_is_told_in_a_sentence(tmp_path, error, told):
    script = f"""
        from finevar.jobs.log import JobLog
        with JobLog("job.log"):
            raise {error}
    """
    done = run_python(script, tmp_path)
    assert done.returncode == 1
    assert told in done.stderr
    assert "start Snakemake again; nothing done is lost" in done.stderr
    assert "Traceback" not in done.stderr + (tmp_path / "job.log").read_text()


def test_a_job_that_was_asked_to_end_is_to_be_tried_again(tmp_path):
    script = """
        from finevar.errors import Interruption
        from finevar.jobs.log import JobLog
        with JobLog("job.log"):
            raise Interruption("asked to end")
    """
    done = run_python(script, tmp_path)
    assert done.returncode == 75
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("Interruption('Interrupted by SIGTERM; goes on from step 3.')", "interrupted"),
        ("KeyboardInterrupt()", "interrupted"),
        ("missing('a.parquet', what='a table')", "damaged"),
        ("InputError('a.csv', found='x', allowed='y', remedy='z.')", "input error"),
        ("OSError(28, 'No space left on device', 'a')", "machine error"),
        ("ValueError('of two\\nlines')", "error"),
    ],
)
def test_a_log_tells_by_its_last_level_how_the_job_ended(tmp_path, error, code):
    script = f"""
        from finevar.errors import InputError, Interruption
        from finevar.files import missing
        from finevar.jobs.log import JobLog
        with JobLog("job.log") as log:
            log.info("no ERROR yet")
            raise {error}
    """
    done = run_python(script, tmp_path)
    assert done.returncode == (75 if code == "interrupted" else 1)
    ending = read_ending(tmp_path / "job.log")
    assert ending.code == code
    assert len(ending.sentence) > 10


def test_a_log_without_an_end_is_of_a_job_that_was_begun(tmp_path):
    (tmp_path / "job.log").write_text("12:00:00 INFO step 3\n12:00:01 ERRO")
    assert read_ending(tmp_path / "job.log").code == "begun"


# Folders


def test_a_folder_or_one_to_be_made_is_fine(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "results" / "deep")


def test_a_relative_folder_is_looked_for_where_the_job_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_writable(Path("results"))
    Path("results").touch()
    with pytest.raises(InputError, match="is not a folder"):
        check_writable(Path("results"))


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "results").touch()
    for folder in (tmp_path / "results", tmp_path / "results" / "deep"):
        with pytest.raises(InputError) as caught:
            check_writable(folder)
        assert str(caught.value).startswith(f"{folder}: found {tmp_path / 'results'} is not a folder")


def test_a_folder_without_permission_is_named(tmp_path):
    """Ask as a user without rights where this one may write everywhere."""
    tmp_path.chmod(0o755)
    (tmp_path / "results").mkdir(mode=0o555)
    script = """
        import os
        from pathlib import Path
        from finevar.errors import InputError
        from finevar.jobs.log import check_writable
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            check_writable(Path("results"))
        except InputError as error:
            print(error)
    """
    done = run_python(script, tmp_path)
    assert done.stderr == ""
    assert done.stdout.startswith(f"results: found {tmp_path / 'results'} is not writable. Allowed: a folder")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_that_does_not_fit_on_the_disk_is_told_on_the_terminal(tmp_path):
    script = """
        from finevar.errors import InputError
        from finevar.jobs.log import JobLog
        with JobLog("/dev/full") as log:
            log.info("something")
            raise InputError("data.csv", found="x", allowed="y", remedy="Correct it.")
    """
    done = run_python(script, tmp_path)
    assert done.returncode == 1
    assert "data.csv: found x. Allowed: y. Correct it." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Logging error" not in done.stderr


class Snakemake:
    """What Snakemake gives to a rule's script, as far as the work of a rule asks for it."""

    input = Namedlist(["m.parquet", "a.parquet", "b.parquet"])
    input._set_name("metrics", 0)
    input._set_name("runs", 1, end=3)
    output = Namedlist(["t.csv"])
    output._set_name("csv", 0, end=1)
    params = Namedlist(fromdict={"factors": {"epochs": {"levels": [1, 2]}}, "engine": "3"})
    threads = 2
    wildcards = Namedlist(fromdict={"study": "toy"})


def test_a_rules_job_is_the_same_after_a_journey_as_json():
    job = Job.of(json.loads(json.dumps(describe(Snakemake))))
    assert job.input.metrics == job.input["metrics"] == "m.parquet"
    assert job.input.runs == ["a.parquet", "b.parquet"]
    assert list(job.output) == ["t.csv"] == job.output.csv
    assert job.params.factors["epochs"]["levels"] == [1, 2]
    assert job.wildcards.study == "toy"
    with pytest.raises(AttributeError, match="no file is named metric; there are metrics, runs"):
        _ = job.input.metric


def test_a_rules_named_files_and_params_are_a_functions_arguments():
    given = arguments(Snakemake)
    assert given["metrics"] == "m.parquet"
    assert list(given["runs"]) == ["a.parquet", "b.parquet"]
    assert (given["csv"], given["threads"]) == (["t.csv"], 2)
    assert given["factors"] == {"epochs": {"levels": [1, 2]}}
    assert "engine" not in given


def test_a_log_that_is_removed_while_it_is_read_is_that_of_a_job_that_begins(tmp_path):
    """Snakemake removes the log of a job that begins again, while its logger reads how the attempt before ended."""
    log = tmp_path / "finetune_run" / "amazon" / "lr1.log"
    log.parent.mkdir(parents=True)
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            log.write_text("12:00:00 INTERRUPTED ended\n")
            log.unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        found = {run_ending("amazon", "lr1", tmp_path).code for _ in range(3000)}
    finally:
        done.set()
        thread.join()
    assert "interrupted" in found
    assert found <= {"not begun", "begun", "interrupted"}
