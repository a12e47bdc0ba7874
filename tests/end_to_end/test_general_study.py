"""Studies of encoders of other architectures as a user runs them, from a local folder to the report and the model."""

from __future__ import annotations

import json
from pathlib import Path

import encoders
import numpy as np
import pandas as pd
import pytest
import torch
from test_general_training import interrupting_at
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import tiny
from finevar.columns import PREDICTIONS
from finevar.errors import Interruption
from finevar.files import check_sums
from finevar.parquet import read_table
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import loop
from finevar.training.job import train_files
from prose import MISSING, Page
from toy_study import STUDY, snakemake, write_config

pytestmark = pytest.mark.slow
CONFIG = STUDY | {
    "family": "transformers",
    "datasets": {"second": STUDY["datasets"]["second"]},
    # Epochs enough that no run says one class of all, from which nothing would be recommended.
    "baseline": {"dataset": "second", "settings": {"learning_rate": 1e-3, "batch_size": 8, "epochs": 8}},
    "sweep": STUDY["sweep"] | {
        "factors": {
            "learning_rate": {"levels": [1e-3, 3e-3], "coding": "log10"},
            "batch_size": {"levels": [8, 16], "coding": "log2"},
        }
    },
    "training": {"max_length": 32, "epochs": 1},
    "keep_weights": "all",
}  # fmt: skip


# The same data and a head that is trained already: of the smallest study, its model and its runs alone.
ANOTHER = CONFIG | {
    "study": "another",
    "sources": STUDY["sources"] | {"model": {"kind": "local", "path": "mine/roberta"}},
    "baseline": {"settings": {"learning_rate": 1e-3, "batch_size": 16, "epochs": 1}},
    "sweep": STUDY["sweep"] | {"factors": {"learning_rate": {"levels": [1e-3, 3e-3]}}},
    "training": {"max_length": 32, "epochs": 8, "batch_size": 8},
    "analysis": {"model": "first_order"},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder with a study of an MPNet, whose batches are padded."""
    folder = tmp_path_factory.mktemp("encoders")
    (folder / "mine" / "texts").mkdir(parents=True)
    encoders.make("mpnet", folder / "mine" / "model")
    pairs = tiny.make_sentences(200)
    for name, part in {"train": pairs[:120], "eval": pairs[120:]}.items():
        tiny.write_csv(folder / "mine" / "texts" / f"{name}.csv", part)
    write_config(folder, CONFIG)
    done = snakemake(folder, "--cores", "2", "all", "export_model", "write_paper")
    assert done.returncode == 0, done.stdout
    return folder


def test_every_run_says_how_it_was_computed(finished):
    table = pd.read_parquet(finished / "results/toy/metrics.parquet")
    assert table["status"].tolist() == ["ok"] * 8
    assert set(table["architecture"]) == {"MPNetForSequenceClassification"}
    assert set(table["layout"]) == {"padded"}
    assert "transformers" in table["packages"][0]


def test_predictions_are_those_of_plain_transformers(finished):
    texts = pd.read_parquet(next(finished.glob("results/data/second-*/eval.parquet")))["text"].tolist()
    for folder in (finished / "results" / "runs" / "second").iterdir():
        model = AutoModelForSequenceClassification.from_pretrained(folder / "model").eval()
        rows = AutoTokenizer.from_pretrained(folder / "model")(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**rows).logits
        saved = np.array(read_table(folder / "predictions.parquet", PREDICTIONS)["logits"].to_pylist())
        np.testing.assert_allclose(saved, logits, rtol=0, atol=0.1)  # bfloat16


def test_the_recommended_model_classifies_by_a_pipeline(finished):
    folder = finished / "results/toy/model"
    table = pd.read_parquet(finished / "results/toy/metrics.parquet")
    texts = pd.read_parquet(next(finished.glob("results/data/second-*/eval.parquet")))
    found = pipeline("text-classification", model=str(folder), device="cpu")(texts["text"].tolist())
    right = np.mean([one["label"] == tiny.CLASSES[label] for one, label in zip(found, texts["label"], strict=True)])
    assert abs(table["accuracy"] - right).min() < 0.03  # bfloat16 turns a sentence or two


def test_pages_and_the_paper_name_the_encoder(finished):
    folder = finished / "results" / "toy"
    assert MISSING.findall(Page((folder / "report.html").read_text(encoding="utf-8")).words) == []
    assert "DistilBERT" not in (folder / "paper" / "methods.md").read_text()


def test_a_run_that_is_cut_short_ends_in_the_bytes_of_the_study(finished, tmp_path, monkeypatch):
    folder, results = next((finished / "results/runs/second").iterdir()), finished / "results"
    summary = json.loads((folder / "training.json").read_text())
    places = {
        "start": next(results.glob("baselines/*/model")),
        "train": next(results.glob("encoded/second-*/train.safetensors")),
        "facts": next(results.glob("data/second-*/dataset.json")),
    }
    settings = TRAINING_DEFAULTS | summary["identity"]["settings"]
    job = {name: str(path) for name, path in places.items()} | {"settings": settings, "threads": 1, "name": "x"}
    job |= {"seed": summary["identity"]["seed"]} | tiny.training_outputs(tmp_path)
    monkeypatch.setenv("FINEVAR_SAVE_SECONDS", "0")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "divergence", interrupting_at(5))
        with pytest.raises(Interruption):
            train_files(**job)
    assert train_files(**job)["steps"] == summary["steps"]
    assert "started at step 4" in (tmp_path / "attempts.log").read_text()
    assert check_sums(tmp_path / "model") == check_sums(folder / "model")


def test_a_study_of_an_encoder_without_padding_takes_the_same_data(finished):
    encoders.make("roberta", finished / "mine" / "roberta")
    write_config(finished, ANOTHER)
    done = snakemake(finished, "--cores", "2")
    assert done.returncode == 0, done.stdout
    table = pd.read_parquet(finished / "results/another/metrics.parquet")
    assert table["status"].tolist() == ["ok"] * 4
    assert set(table["architecture"]) == {"RobertaForSequenceClassification"}
    assert set(table["layout"]) == {"flat"}
    assert MISSING.findall(Page((finished / "results/another/report.html").read_text(encoding="utf-8")).words) == []
