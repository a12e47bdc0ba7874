"""A study of sentence pairs as a user runs it, from a CSV to the report and the model, with a BERT's token types."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_bert import bert
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tiny
from finevar.columns import PREDICTIONS
from finevar.parquet import read_table
from prose import MISSING, Page
from toy_study import STUDY, snakemake, write_config

pytestmark = pytest.mark.slow
PAIRS = {"source": "texts", "file": "pairs.csv", "text": ["premise", "hypothesis"], "label": "label"}
CONFIG = STUDY | {
    "datasets": {"second": PAIRS | {"eval_examples": 40, "drop_empty": True}},
    "baseline": {"dataset": "second", "settings": {"learning_rate": 3e-3, "batch_size": 8, "epochs": 1}},
    "sweep": STUDY["sweep"] | {"start": "model"},
    "training": {"max_length": 16, "epochs": 4, "dropout": 0.0},
    "keep_weights": "all",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Run a study in which the second text alone says which class a pair is of."""
    folder, draw = tmp_path_factory.mktemp("pairs"), random.Random(0)
    (folder / "mine" / "texts").mkdir(parents=True)
    bert(folder / "mine" / "model")
    rows = [(" ".join(draw.choices(tiny.NEUTRAL, k=6)), *row) for row in tiny.make_sentences(200)]
    table = pd.DataFrame([*rows, ("", "good film", "positive")], columns=["premise", "hypothesis", "label"])
    table.to_csv(folder / "mine" / "texts" / "pairs.csv", index=False)
    write_config(folder, CONFIG)
    done = snakemake(folder, "--cores", "2", "all", "export_model", "write_paper")
    assert done.returncode == 0, done.stdout
    return folder


def prepared(folder: Path, name: str) -> Path:
    return next((folder / "results" / "data").glob(f"second-*/{name}"))


def test_every_pair_is_accounted_for(finished):
    facts = json.loads(prepared(finished, "dataset.json").read_text())
    counts = [facts[name] for name in ("read", "dropped_empty", "train", "eval")]
    assert counts == [201, 1, 160, 40]


def test_predictions_are_those_of_transformers_on_the_saved_model(finished):
    pairs = [text.split("\n") for text in pd.read_parquet(prepared(finished, "eval.parquet"))["text"]]
    for folder in (finished / "results" / "runs" / "second").iterdir():
        tokenizer = AutoTokenizer.from_pretrained(folder / "model")
        model = AutoModelForSequenceClassification.from_pretrained(folder / "model").eval()
        rows = tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, truncation=True, max_length=16,
                         return_tensors="pt")  # fmt: skip
        assert rows["token_type_ids"].max() == 1
        with torch.inference_mode():
            logits = model(**rows).logits
        saved = np.array(read_table(folder / "predictions.parquet", PREDICTIONS)["logits"].to_pylist())
        np.testing.assert_allclose(saved, logits, rtol=0, atol=0.1)  # bfloat16
    exported = json.loads((finished / "results/toy/model/config.json").read_text())
    assert exported["architectures"] == ["BertForSequenceClassification"]


def test_pages_show_both_texts(finished):
    folder = finished / "results" / "toy"
    for page in ("report.html", "data.html"):
        found = Page((folder / page).read_text(encoding="utf-8"))
        assert MISSING.findall(found.words) == []
    sample = json.loads((folder / "data.json").read_text())["second"]["sample"]
    assert all(row["tokens"].count("[SEP]") == 2 for row in sample)
    assert "sentence pairs" in (folder / "paper" / "methods.md").read_text()
