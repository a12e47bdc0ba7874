"""Runs under a constant schedule begin with shorter ones: what is shared is trained once, and changes nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pandas as pd
import pytest

from toy_study import METRICS, STUDY, copy_of, planned, prepared, snakemake

TABLE = "results/toy/metrics.parquet"  # the analyses are not at stake


def constant_study(epochs: list[int], share: float = 0) -> dict:
    """Return a study under a constant schedule whose runs of more epochs begin with the shorter ones."""
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"] = {"learning_rate": {"levels": ["1e-3", "3e-3"]}, "epochs": {"levels": epochs}}
    config["sweep"]["design"] = {"kind": "full_factorial", "include_baseline": False}  # it has other epochs
    del config["training"]["epochs"]
    config["training"] |= {"batch_size": 16, "schedule": "constant", "warmup": share}
    return config


@pytest.fixture(scope="module")
def shared(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a study of runs that share their beginnings has been run, but not analysed."""
    folder = prepared(toy, tmp_path_factory.mktemp("made") / "shared", constant_study([1, 2, 4]))
    done = snakemake(folder, "--cores", "2", TABLE)
    assert done.returncode == 0, done.stdout
    return folder


def test_longer_runs_go_on_from_shorter_ones(shared):
    summaries = [json.loads(path.read_text()) for path in shared.glob("results/runs/second/*/training.json")]
    steps = sorted((summary["steps"], summary["steps_of_shorter_run"]) for summary in summaries)
    assert steps == [*4 * [(3, 0)], *4 * [(6, 3)], *4 * [(12, 6)]]
    table = pd.read_parquet(shared / "results/toy/metrics.parquet")
    assert table.groupby("trajectory_id")["epochs"].apply(sorted).tolist() == 4 * [[1, 2, 4]]
    assert not list((shared / "results/runs").rglob("*.safetensors"))
    assert "Nothing to be done" in snakemake(shared, "--cores", "2", TABLE).stdout


def test_a_shared_beginning_changes_no_metric(shared, tmp_path):
    table = pd.read_parquet(shared / "results/toy/metrics.parquet")
    run = table.loc[table["epochs"] == 4, "run_id"].iloc[1]
    config = constant_study([4])
    config["sweep"]["factors"]["batch_size"] = {"levels": [8, 16]}
    del config["sweep"]["factors"]["epochs"], config["training"]["batch_size"]
    config["training"]["epochs"] = 4
    folder = prepared(shared, tmp_path / "alone", config)
    path = f"results/runs/second/{run}/metrics.parquet"
    told = snakemake(folder, "--cores", "2", path)
    assert told.returncode == 0, told.stdout
    alone = pd.read_parquet(folder / path).set_index("run_id")
    assert json.loads((folder / path).with_name("training.json").read_text())["steps_of_shorter_run"] == 0
    pd.testing.assert_frame_equal(alone[METRICS], table.set_index("run_id").loc[[run], METRICS], check_exact=True)


def test_other_numbers_of_epochs_rerun_no_run(shared, tmp_path):
    """One between those that there are, and one beyond them."""
    folder = copy_of(shared, tmp_path / "copy", constant_study([1, 2, 3, 4, 8]))
    counts = planned(snakemake(folder, "--dry-run", TABLE).stdout)
    assert (counts["finetune_run"], counts["evaluate_run"]) == (8, 8)
    done = snakemake(folder, "--cores", "2", TABLE)
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in snakemake(folder, "--cores", "2", TABLE).stdout


def test_a_warm_up_that_depends_on_the_number_of_steps_shares_nothing(shared, tmp_path):
    folder = copy_of(shared, tmp_path / "copy", constant_study([1, 2], share=0.1))
    assert snakemake(folder, "--cores", "2", TABLE).returncode == 0
    summaries = [json.loads(path.read_text()) for path in folder.glob("results/runs/second/*/training.json")]
    assert sorted(summary["steps_of_shorter_run"] for summary in summaries) == [
        *12 * [0],
        *4 * [3],
        *4 * [6],
    ]  # the first study's 12 and 8 new
