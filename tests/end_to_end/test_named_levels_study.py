"""A study of the schedule and the learning rate, from its config to the report, and one more optimizer afterwards.

Its model is an ELECTRA, so that a whole study of one has been run.
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import encoders
import pandas as pd
import pyarrow.parquet as pq
import pytest

import toy_study
from toy_study import planned, snakemake, write_config

SCHEDULES = ["linear", "cosine", "constant"]
CLAIMS = [
    {"response": "loss", "term": "schedule[cosine-linear]", "sign": "negative"},
    {"response": "loss", "term": "schedule"},
]


def config() -> dict:
    study = copy.deepcopy(toy_study.STUDY)
    study["sweep"]["factors"] = {
        "learning_rate": {"levels": ["1e-3", "3e-3"], "coding": "log10"},
        "schedule": {"levels": SCHEDULES},
    }
    study["training"]["batch_size"] = 8
    study["analysis"]["claims"] = CLAIMS
    return study


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = toy_study.make_folder(tmp_path_factory.mktemp("named") / "study")
    shutil.rmtree(folder / "mine" / "model")
    wider = {"hidden_size": 64, "embedding_size": 64, "intermediate_size": 128}  # which learns the words in time
    encoders.make("electra", folder / "mine" / "model", **wider)
    write_config(folder, config())
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


def test_every_run_and_every_level_is_in_the_tables(finished):
    results = finished / "results" / "toy"
    assert pd.read_csv(results / "design.csv")["schedule"].value_counts().to_dict() == dict.fromkeys(SCHEDULES, 4)
    metrics = pq.read_table(results / "metrics.parquet")
    assert str(metrics.schema.field("schedule").type) == "string"
    assert metrics["status"].to_pylist().count("missing") == 0
    assert set(metrics["architecture"].to_pylist()) == {"ElectraForSequenceClassification"}
    assert set(metrics["layout"].to_pylist()) == {"flat"}
    effects = pq.read_table(results / "analysis" / "effects.parquet").to_pandas()
    assert {"schedule", "schedule[cosine-linear]", "schedule[constant-cosine]"} <= set(effects["factor"])
    claims = pq.read_table(results / "analysis" / "claims.parquet").to_pandas()
    assert list(claims["term"]) == [claim["term"] for claim in CLAIMS]
    assert claims["estimate"].notna().all()


def test_its_report_names_the_levels(finished):
    page = (finished / "results" / "toy" / "report.html").read_text(encoding="utf-8")
    assert all(
        name in page for name in ("schedule cosine instead of linear", '"levels":["linear","cosine","constant"]')
    )


def test_one_more_name_trains_its_own_runs_alone(finished, tmp_path):
    study = config()
    study["sweep"]["factors"]["optimizer"] = {"levels": ["adamw", "sgd"]}
    folder = toy_study.copy_of(finished, tmp_path / "study", study)
    assert planned(snakemake(folder, "-n").stdout)["finetune_run"] == 12
