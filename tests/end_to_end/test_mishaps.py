"""What goes wrong on the way: a mistake in the config, damaged files, runs that fail, a study that is killed."""

from __future__ import annotations

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from finevar import ROOT
from prose import Page, numbers
from toy_study import METRICS, STUDY, command, prepared, snakemake, write_config

TABLE = "results/toy/metrics.parquet"  # where the analyses are not at stake


def test_a_bad_config_stops_before_any_job_with_all_its_problems(tmp_path):
    config = copy.deepcopy(STUDY)
    config["trainning"] = {}
    config["sweep"]["seeds"] = []
    write_config(tmp_path, config)
    told = snakemake(tmp_path, "--cores", "1")
    assert told.returncode == 1
    assert len(re.findall(r"^ +\d\. config: ", told.stdout, re.MULTILINE)) == 2
    assert all(word in told.stdout for word in ("'trainning'", "'training'", "sweep.seeds:"))
    assert "Traceback" not in told.stdout
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_is_not_one_is_named(fresh):
    (fresh / "results").write_text("in the way")
    told = snakemake(fresh, "--cores", "1")
    assert told.returncode == 1
    assert "results: found" in told.stdout


def test_a_truncated_metrics_file_is_named_and_the_other_runs_stay(copied):
    table = pd.read_csv(copied / "results/toy/design.csv")
    spoilt, *others = [copied / path / "metrics.parquet" for path in table["path"]]
    before = {path: path.stat().st_mtime_ns for path in others}
    spoilt.write_bytes(spoilt.read_bytes()[:100])
    told = snakemake(copied, "--cores", "2", TABLE)
    assert told.returncode == 1
    message = " ".join((copied / "results/logs/aggregate_metrics/toy.log").read_text().split())
    assert f"{spoilt.relative_to(copied)}: found " in message
    assert spoilt.with_name("metrics.parquet.damaged").exists()
    assert {path: path.stat().st_mtime_ns for path in others} == before
    assert snakemake(copied, "--cores", "2", TABLE).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in others} == before


def launch(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Start a folder's study as `make study` does."""
    base = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml", "--cores", "2"]
    profile = ["--profile", str(ROOT / "workflow/profiles/local")]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "finevar.commands.launch", *base, *profile, *options],
        cwd=folder, env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "scripts")}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
    )  # fmt: skip


def test_where_runs_fail_the_others_are_finished_and_a_report_says_what_is_missing(copied):
    for run in pd.read_csv(copied / "results/toy/design.csv")["path"][:2]:
        shutil.rmtree(copied / run)  # to be made beside those that fail
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"]["train_examples"] = {"levels": [48, 121]}  # one more than there are
    del config["training"]["train_examples"]
    write_config(copied, config)
    told = launch(copied)
    assert told.returncode == 1
    assert "results/toy/interim/report.html" in told.stdout
    table = pd.read_parquet(copied / "results/toy/interim/metrics.parquet")
    missing = table[table["status"] == "missing"]
    assert set(missing["train_examples"]) == {121}
    assert len(missing) == 12
    assert set(table.loc[table["status"] == "ok", "train_examples"]) == {48, 64}
    cause = "setting train_examples: found 121."
    assert missing["reason"].str.startswith(cause).all()
    logs = [path.read_text() for path in (copied / "results/logs/finetune_run/second").glob("*.log")]
    assert sum(cause in log for log in logs) == 12
    page = Page((copied / "results/toy/interim/report.html").read_text(encoding="utf-8"))
    (note,) = [element.text for element in page.all("p", "note") if cause in element.text]
    assert {12, 26, 6, 13} <= set(numbers(note)), "runs without metrics of all, points without a run of all"
    assert cause in " ".join(told.stdout.split())


def test_a_damaged_file_is_made_anew_in_one_start(copied):
    before = pd.read_parquet(copied / "results/toy/metrics.parquet")
    run = pd.read_csv(copied / "results/toy/design.csv")["path"][3]
    for path in (copied / run / "metrics.parquet", *copied.glob("results/baselines/*/model/model.safetensors")):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    told = launch(copied)
    assert told.returncode == 0, told.stdout
    assert f"{run}/metrics.parquet" in told.stdout
    after = pd.read_parquet(copied / "results/toy/metrics.parquet")
    pd.testing.assert_frame_equal(after[["run_id", *METRICS]], before[["run_id", *METRICS]], check_exact=True)


def test_a_killed_study_goes_on_where_it_was(finished, tmp_path):
    folder = prepared(finished, tmp_path / "killed")
    process = subprocess.Popen(
        command(folder, "--cores", "2", TABLE), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        start_new_session=True, env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while len(done := list(folder.glob("results/runs/second/*/metrics.parquet"))) < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None, "the study ended before it could be killed"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    written = {path: path.stat().st_mtime_ns for path in done}

    # What was under way is done again; so is an evaluation that had written its file, but not yet told Snakemake.
    assert snakemake(folder, "--unlock").returncode == 0
    resumed = snakemake(folder, "--cores", "2", "--rerun-incomplete", TABLE)
    assert resumed.returncode == 0, resumed.stdout
    kept = [path for path, written_at in written.items() if path.stat().st_mtime_ns == written_at]
    assert len(kept) >= len(written) - 2
    table, whole = (pd.read_parquet(path / TABLE) for path in (folder, finished))
    pd.testing.assert_frame_equal(table[["run_id", *METRICS]], whole[["run_id", *METRICS]], check_exact=True)
