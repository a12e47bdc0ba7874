"""A confirmation from end to end: what is trained, on which sentences it is judged, and when it is stale."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from finevar import ROOT
from finevar.words.confirmation import STALE
from toy_study import STUDY, copy_of, make_folder, planned, snakemake, write_config

FRESH = [2, 3, 4]  # of a study with the seeds 0 and 1
HELD_BACK = 40


def said_by(command: str, folder: Path) -> str:
    """Return what a command says of a folder's study."""
    call = [sys.executable, "-m", f"finevar.commands.{command}", "--configfile", "config.yaml"]
    path = {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(call, cwd=folder, env=os.environ | path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(folder: Path) -> dict[str, int]:
    """Run what is planned; return how many jobs of each rule that was."""
    jobs = planned(snakemake(folder, "--dry-run").stdout)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return jobs


def report(folder: Path) -> str:
    return (folder / "results/toy/report.html").read_text(encoding="utf-8")


def check_means(folder: Path, metrics: Path) -> pd.DataFrame:
    """Compare the table with pandas' means of the runs' own files; return the table."""
    plan = pd.read_csv(folder / "results/toy/confirm.csv")
    table = pd.read_parquet(folder / "results/toy/analysis/confirmation.parquet")
    own = pd.concat([pd.read_parquet(metrics / name / "metrics.parquet") for name in plan["run_id"]])
    for row in table.to_dict("records"):
        of_setting = own[own["point_id"] == row["point_id"]]
        assert row["runs"] + row["failed"] == len(of_setting) == len(FRESH)
        if not row["failed"]:
            assert row["mean"] == pytest.approx(of_setting[row["response"]].mean())
    assert sorted(plan["seed"].unique()) == FRESH
    assert table.loc[table["role"] == "recommended", "point_id"].nunique() == 1
    return table


@pytest.fixture(scope="module")
def confirmed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished study whose settings have been confirmed; not to be spoilt."""
    folder = copy_of(finished, tmp_path_factory.mktemp("confirmed") / "toy")
    said = said_by("confirm", folder)
    settings = said.count("\n") - 1
    assert "3 fresh seeds (2, 3 and 4)" in said
    jobs = run(folder)
    assert jobs["finetune_run"] == jobs["evaluate_run"] == len(FRESH) * settings
    assert (jobs["analyse_confirmation"], jobs["render_report"]) == (1, 1)
    assert not {"confirm_run", "analyse_study", "fit_regressions", "aggregate_metrics"} & set(jobs)
    return folder


def test_settings_are_confirmed_on_the_evaluation_sentences(confirmed):
    table = check_means(confirmed, confirmed / "results/runs/second")
    assert (table["part"] == "eval").all()
    assert "Confirmed with 3 fresh seeds on 120 evaluation sentences" in report(confirmed)
    runs = len(table) // table["response"].nunique() * len(FRESH)
    table_file = "results/toy/analysis/confirmation.csv"
    assert f"Confirmation: {runs} of {runs} runs done; {table_file}" in said_by("status", confirmed)
    said_by("confirm", confirmed)
    assert "Nothing to be done" in snakemake(confirmed, "--cores", "1").stdout, "the same plan is the same file"


def test_a_further_seed_makes_a_confirmation_stale_and_its_runs_count(confirmed, tmp_path):
    config = copy.deepcopy(STUDY)
    config["sweep"]["seeds"] = [0, 1, 2]
    folder = copy_of(confirmed, tmp_path / "more", config)
    points = pd.read_csv(folder / "results/toy/confirm.csv")["point_id"].nunique()
    jobs = run(folder)
    assert jobs["finetune_run"] == 6 - points, "runs with seed 2 that confirmed a setting are done"
    assert "analyse_confirmation" not in jobs
    assert STALE.replace("'", "&#39;") in report(folder)
    assert "Confirmed with" not in report(folder)
    assert "Confirmation: stale" in said_by("status", folder)
    said_by("confirm", folder)
    assert sorted(pd.read_csv(folder / "results/toy/confirm.csv")["seed"].unique()) == [3, 4, 5]


def test_settings_are_confirmed_on_sentences_that_had_no_part_in_the_study(tmp_path):
    config = copy.deepcopy(STUDY)
    config["datasets"]["second"]["confirm_examples"] = HELD_BACK
    folder = make_folder(tmp_path / "held")
    write_config(folder, config)
    assert snakemake(folder, "--cores", "2").returncode == 0
    (data,) = (folder / "results/data").glob("second-*")
    parts = {
        name: set(pd.read_parquet(data / f"{name}.parquet")["example_id"]) for name in ("train", "eval", "held_back")
    }
    assert len(parts["held_back"]) == HELD_BACK
    assert not parts["held_back"] & (parts["train"] | parts["eval"])
    said_by("confirm", folder)
    jobs = run(folder)
    assert jobs["finetune_run"] == jobs["confirm_run"]
    assert not {"evaluate_run", "prepare_dataset", "encode_dataset"} & set(jobs)
    table = check_means(folder, folder / "results/confirmations/second")
    assert set(zip(table["part"], table["sentences"], strict=True)) == {("held_back", HELD_BACK)}
    predicted = next((folder / "results/confirmations").rglob("predictions.parquet"))
    assert set(pd.read_parquet(predicted)["example_id"]) == parts["held_back"]
    assert not list((folder / "results/runs").rglob("*.safetensors")), "weights go once they are evaluated"
    assert f"on {HELD_BACK} held-back sentences" in report(folder)
