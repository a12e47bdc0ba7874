"""A study with a nested factor, rates that slide with the optimizer, and a condition, from config to report."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import toy_study
from toy_study import planned, snakemake, write_config


def config() -> dict:
    study = copy.deepcopy(toy_study.STUDY)
    study["sweep"]["factors"] = {
        "learning_rate": {
            "levels": {"adamw": ["1e-3", "3e-3", "9e-3"], "adafactor": ["2e-3", "6e-3", "18e-3"]},
            "coding": "log10",
        },
        "optimizer": {"levels": ["adamw", "adafactor"]},
        "weight_decay": {"levels": [0.0, 0.1, 0.2], "when": {"optimizer": "adamw"}},
    }
    study["sweep"]["design"] = {"where": "not (weight_decay == 0.2 and learning_rate > 5e-3)"}
    study["sweep"]["seeds"] = [0, 1]
    study["training"]["batch_size"] = 8
    study["analysis"] = {"model": "quadratic", "claims": [{"response": "loss", "term": "weight_decay"}]}
    return study


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = toy_study.make_folder(tmp_path_factory.mktemp("nested") / "study")
    write_config(folder, config())
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


def test_tables_say_nothing_of_it_where_it_does_not_exist(finished):
    results = finished / "results" / "toy"
    design = pd.read_csv(results / "design.csv")
    assert len(design) == 2 * (3 * 3 - 1 + 3)
    metrics = pq.read_table(results / "metrics.parquet").to_pandas()
    rates = design.groupby("optimizer")["learning_rate"].agg(lambda own: sorted(set(own))).to_dict()
    assert rates == {"adamw": [1e-3, 3e-3, 9e-3], "adafactor": [2e-3, 6e-3, 18e-3]}
    for table in (design, metrics):
        assert (table["weight_decay"].isna() == (table["optimizer"] == "adafactor")).all()
    assert "missing" not in set(metrics["status"])


def test_slopes_and_optima_are_where_it_exists(finished):
    analysis = finished / "results" / "toy" / "analysis"
    slopes = pq.read_table(analysis / "slopes.parquet").to_pandas().query("factor == 'weight_decay'")
    assert slopes["estimate"].notna().all()
    optima = pq.read_table(analysis / "optimum_factors.parquet").to_pandas()
    there = optima[optima["stationary_coded"].notna()].groupby("at")["factor"].agg(set).to_dict()
    assert there == {
        "optimizer = adamw": {"learning_rate", "weight_decay"},
        "optimizer = adafactor": {"learning_rate"},
    }


def test_nothing_is_predicted_at_what_is_forbidden(finished):
    surface = pq.read_table(finished / "results" / "toy" / "analysis" / "surface.parquet").to_pandas()
    assert set(surface["held"]) == {"optimizer = adamw"}
    out = (surface["value_x"] > 5e-3) & np.isclose(surface["value_y"], 0.2, rtol=1e-9)
    assert out.any()
    assert (surface["predicted"].isna() == out).all()


def test_the_report_knows_where_it_exists_and_counts_what_is_left_out(finished):
    page = (finished / "results" / "toy" / "report.html").read_text(encoding="utf-8")
    assert '"when":[1,[0]]' in page
    assert "leaves out 1 of 12 settings" in page
    assert ">nan<" not in page.lower()


def test_another_condition_or_a_level_of_it_trains_only_what_is_new(finished):
    study = config()
    del study["sweep"]["design"]["where"]
    write_config(finished, study)
    jobs = planned(snakemake(finished, "--dry-run").stdout)
    assert jobs["finetune_run"] == 2  # the setting that was forbidden, at two seeds
    study["sweep"]["design"]["where"] = "weight_decay < 0.2"
    study["sweep"]["factors"]["weight_decay"]["levels"] = [0.0, 0.1, 0.15]
    write_config(finished, study | {"analysis": {"model": "interactions"}})
    assert planned(snakemake(finished, "--dry-run").stdout)["finetune_run"] == 6
