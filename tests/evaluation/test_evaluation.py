"""Predictions against Hugging Face's model, and the files of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score

import tiny
from finevar import files
from finevar.columns import EXAMPLES, METRICS, PREDICTIONS
from finevar.data.encoding import encode, save_encoded
from finevar.errors import InputError
from finevar.evaluation import evaluation
from finevar.metrics import RESPONSES
from finevar.models import checkpoint
from finevar.parquet import read_table, write_rows
from finevar.results import run_metrics
from finevar.study.config import TRAINING_DEFAULTS
from refusals import names, refusal

CLASSES = ["negative", "positive"]


@pytest.fixture
def job(tmp_path: Path) -> dict:
    """Return the files of a trained run's evaluation job."""
    tiny.make_model(tmp_path / "model")
    texts, labels = zip(*tiny.make_sentences(150), strict=True)
    numbers = [CLASSES.index(label) for label in labels]
    encoded = encode(texts, numbers, tmp_path / "model")
    save_encoded(encoded, tmp_path / "eval.safetensors")
    ids = [f"{n:016x}" for n in range(150)]
    rows = [{"example_id": i, "text": t, "label": n} for i, t, n in zip(ids, texts, numbers, strict=True)]
    write_rows(rows, tmp_path / "eval.parquet", EXAMPLES)
    files.write_facts({"classes": CLASSES, "data_sha256": "d"}, tmp_path / "dataset.json")
    identity = {"run_id": "r", "point_id": "p", "dataset": "toy", "seed": 0, **TRAINING_DEFAULTS, "max_length": 16}
    identity["dtype"] = "float32"
    return {
        "model": str(tmp_path / "model"),
        "summary": None,
        "examples": str(tmp_path / "eval.parquet"),
        "encoded": str(tmp_path / "eval.safetensors"),
        "facts": str(tmp_path / "dataset.json"),
        "record": identity,
        "threads": 1,
        "predictions": str(tmp_path / "predictions.parquet"),
        "metrics": str(tmp_path / "metrics.parquet"),
    }


def test_predictions_equal_hugging_face(job):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    evaluation.evaluate_files(**job)
    rows = read_table(job["predictions"], PREDICTIONS).to_pandas()
    texts = read_table(job["examples"], EXAMPLES)["text"].to_pylist()
    tokens = AutoTokenizer.from_pretrained(job["model"])(texts, padding=True, return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(job["model"]).eval()
    with torch.no_grad():
        theirs = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits
    np.testing.assert_allclose(np.stack(rows["logits"]), theirs.numpy(), atol=1e-5)
    losses = torch.nn.functional.cross_entropy(theirs, torch.tensor(rows["label"].to_numpy()), reduction="none")
    np.testing.assert_allclose(rows["loss"], losses.numpy(), atol=1e-5)


def test_evaluation_multiplies_in_the_type_of_the_training(job):
    exact = evaluation.evaluate_files(**job)
    rounded = evaluation.evaluate_files(**job | {"record": job["record"] | {"dtype": "bfloat16"}})
    assert (exact["dtype_used"], rounded["dtype_used"]) == ("float32", "bfloat16")
    assert exact["loss"] != rounded["loss"]
    assert rounded["loss"] == pytest.approx(exact["loss"], abs=0.01)  # bfloat16 has eight bits: 0.4 % a product


def test_a_metrics_file_says_where_it_comes_from(job):
    evaluation.evaluate_files(**job)
    (row,) = read_table(job["metrics"], METRICS).to_pylist()
    assert (row["run_id"], row["status"], row["data_sha256"], row["threads"]) == ("r", "ok", "d", 1)
    assert row["model_sha256"] == checkpoint.content_of(Path(job["model"]))["weights"]
    assert row["torch"] == torch.__version__
    assert row["eval_examples"] == 150
    assert row["eval_seconds"] > 0
    assert row["eval_peak_memory_mb"] > 50


def test_a_diverged_run_has_a_row_without_metrics(job, tmp_path):
    summary = {"status": "diverged", "reason": "loss is nan at step 3 (epoch 0.30)", "steps": 3, "identity": {}}
    files.write_facts(summary, tmp_path / "training.json")
    evaluation.evaluate_files(**job | {"summary": str(tmp_path / "training.json"), "model": str(tmp_path / "none")})
    (row,) = read_table(job["metrics"], METRICS).to_pylist()
    assert (row["status"], row["reason"], row["steps"]) == ("diverged", "loss is nan at step 3 (epoch 0.30)", 3)
    assert {row[name] for name in RESPONSES} == {None}
    assert len(read_table(job["predictions"], PREDICTIONS)) == 0


def spoil(folder: Path, name: str, place: tuple[int, ...], value: float) -> None:
    """Change one weight of a model, whose sums hold again."""
    weights = load_file(folder / "model.safetensors")
    weights[name][place] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    files.write_sums(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("name", "place"),
    [("classifier.bias", (0,)), ("distilbert.embeddings.word_embeddings.weight", (5, 0))],  # of all, of one word
)
def test_logits_that_are_not_finite_are_a_diverged_run_with_the_reason(job, name, place, value):
    spoil(Path(job["model"]), name, place, value)
    texts = read_table(job["examples"], EXAMPLES)["text"].to_pylist()
    odd = 150 if name == "classifier.bias" else sum("good" in text.split() for text in texts)  # token 5 is "good"
    row = evaluation.evaluate_files(**job)
    reason = f"logits of {odd} of 150 evaluation examples are not finite"
    assert 0 < odd <= 150
    assert (row["status"], row["reason"], row["eval_examples"], row["classes"]) == ("diverged", reason, 150, 2)
    assert {row[name] for name in (*RESPONSES, *run_metrics.STANDARD_ERRORS)} == {None}
    assert read_table(job["metrics"], METRICS).to_pylist() == [row]
    assert len(read_table(job["predictions"], PREDICTIONS)) == 0


def test_a_baseline_whose_logits_are_not_finite_is_refused_each_time(job):
    assert evaluation.evaluate_baseline(**job)["status"] == "ok"
    spoil(Path(job["model"]), "classifier.bias", (1,), float("nan"))
    for _ in range(2):  # the second finds the first one's work
        with pytest.raises(
            InputError, match=r"the baseline: found a model whose outputs are not finite \(logits of 150 of 150"
        ):
            evaluation.evaluate_baseline(**job)


def test_a_model_with_another_number_of_classes_is_refused(job):
    files.write_facts({"classes": ["a", "b", "c"], "data_sha256": "d"}, job["facts"])
    error = refusal(evaluation.evaluate_files, **job)
    assert error.where == job["model"]
    assert names(error, "negative, positive", "a, b, c")


def rename_head(folder: Path, labels: list[str]) -> None:
    """Give the classes of a model's head other names, without touching its rows."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": dict(enumerate(labels))}))
    files.write_sums(folder)


def test_a_head_with_classes_of_other_names_is_refused_until_the_key_says_which_is_which(job):
    right = evaluation.evaluate_files(**job)
    rename_head(Path(job["model"]), ["neg", "pos"])
    error = refusal(evaluation.evaluate_files, **job)
    assert names(error, "neg, pos", "negative, positive", "`head: {neg: ..., pos: ...}`")
    said = evaluation.evaluate_files(**job | {"head": {"neg": "negative", "pos": "positive"}})
    assert said["loss"] == right["loss"]
    swapped = evaluation.evaluate_files(**job | {"head": {"neg": "positive", "pos": "negative"}})
    assert swapped["accuracy"] == pytest.approx(1 - right["accuracy"])


@pytest.mark.parametrize("labels", [["POSITIVE", "NEGATIVE"], ["positive", "negative"], ["Positive ", "Negative"]])
def test_rows_of_a_head_in_another_order_go_to_their_classes(job, labels):
    right = evaluation.evaluate_files(**job)
    rename_head(Path(job["model"]), labels)
    assert evaluation.evaluate_files(**job)["accuracy"] == pytest.approx(1 - right["accuracy"])


@pytest.mark.parametrize(
    ("facts", "key", "label"), [("negative", None, 0), ("negative", "POSITIVE", 1), ("positive", "negative", 0)]
)
def test_f1_is_of_the_class_that_the_data_or_the_config_name(job, facts, key, label):
    files.write_facts({"classes": CLASSES, "data_sha256": "d", "positive": facts}, job["facts"])
    row = evaluation.evaluate_files(**job | {"positive": key})
    found = read_table(job["predictions"], PREDICTIONS).to_pandas()
    predicted = np.stack(found["logits"]).argmax(1)
    assert row["f1"] == pytest.approx(f1_score(found["label"], predicted, pos_label=label))
    assert (row["positive"], row["positive_label"]) == (CLASSES[label], label)


def test_another_positive_class_predicts_nothing_again(job, monkeypatch):
    files.write_facts({"classes": CLASSES, "data_sha256": "d", "positive": "positive"}, job["facts"])
    before = evaluation.evaluate_files(**job)
    monkeypatch.setattr(evaluation, "predict", lambda *_: pytest.fail("predicted again"))
    after = evaluation.evaluate_files(**job | {"positive": "negative"})
    assert (before["positive"], after["positive"]) == ("positive", "negative")
    assert read_table(job["metrics"], METRICS).to_pylist() == [after]


def test_the_same_evaluation_twice_gives_the_same_metrics(job):
    one, two = evaluation.evaluate_files(**job), evaluation.evaluate_files(**job)
    assert {name: one[name] for name in RESPONSES} == {name: two[name] for name in RESPONSES}
