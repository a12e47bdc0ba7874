"""Evaluation after each epoch: beside the training, which gives the same bytes with it, whole after an interruption."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_resuming import CLASSES, PLACE, Case, assert_same, interrupt, make_case, make_examples, make_start, resume
from test_saving import SETTINGS, make_job, same, to
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification

from finevar.columns import EPOCHS as EPOCHS_FILE
from finevar.data.encoding import load_encoded
from finevar.evaluation.evaluation import evaluate_model, predict_batches
from finevar.models.machine import choose_dtype
from finevar.parquet import read_table
from finevar.training.epochs import NOT_FINITE, UNRECORDED, complete_rows
from finevar.training.job import save_trained, train_files
from finevar.training.loop import Trained
from finevar.training.state import load_state, save_state

EPOCHS = 3


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    """Return a training of three epochs with dropout, on words of which some occur in the evaluation alone."""
    found = make_case(make_start("same head", tmp_path_factory.mktemp("start")), 0)
    settings = found.settings | {"epochs": EPOCHS, "dropout": 0.1, "learning_rate": 1e-3, "weight_decay": 0.1}
    settings |= {"dtype": "float32", "frozen_layers": 0, "schedule": "constant", "warmup": 0}
    return replace(found, settings=settings)


@pytest.fixture(scope="module")
def evaluation():
    return make_examples(random.Random(5), 70)


@pytest.fixture(scope="module")
def evaluated(case, evaluation) -> Trained:
    return case.train(evaluation=evaluation)


def scores(trained: Trained) -> list[tuple]:
    return [(row["epoch"], row["loss"], row["accuracy"]) for row in trained.epochs]


def test_a_training_is_the_same_to_the_byte_with_and_without(case, evaluated):
    without = case.train()
    assert_same(evaluated, without)
    assert without.epochs == []
    assert [row["epoch"] for row in evaluated.epochs] == [1, 2, 3]


def test_each_row_is_what_hugging_face_makes_of_the_model_at_that_epoch(case, evaluation, evaluated, tmp_path):
    for epoch, row in enumerate(evaluated.epochs, 1):
        shorter = case.train(changes={"epochs": epoch})
        save_trained(shorter, tmp_path / str(epoch), start=case.start, classes=CLASSES)
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / str(epoch)).eval()
        limit, labels = case.settings["max_length"], torch.as_tensor(evaluation.labels)
        with torch.no_grad():
            logits = torch.cat(
                [
                    model(torch.as_tensor(np.asarray(evaluation.sentence(number, limit)))[None].long()).logits
                    for number in range(len(evaluation))
                ]
            )
        assert row["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
        assert row["accuracy"] == (logits.argmax(1) == labels).double().mean().item()


@pytest.mark.parametrize("within", [0, 1])
def test_a_training_that_was_cut_short_has_every_epoch(case, evaluation, evaluated, tmp_path, within):
    per_epoch = len(evaluated.steps) // EPOCHS
    at = 2 * per_epoch + within  # at the end of an epoch, which is not evaluated any more, and within the next one
    interrupt(case, tmp_path, at, evaluation=evaluation)
    found = load_state(tmp_path / "resume.safetensors", PLACE, own=True)
    assert len(found.epochs) == 1 + within
    resumed = resume(case, tmp_path, evaluation=evaluation)
    assert scores(resumed) == scores(evaluated)
    assert_same(resumed, evaluated)


def test_epochs_of_a_shorter_run_are_taken_over_and_unknown_ones_have_a_reason(case, evaluation, evaluated, tmp_path):
    for options, known in (({"evaluation": evaluation}, [1, 2, 3]), ({}, [2, 3])):
        shorter = case.train(changes={"epochs": 2}, **options)
        save_state(shorter.state, tmp_path / "state.safetensors", PLACE)
        longer = case.train(load_state(tmp_path / "state.safetensors", PLACE), evaluation=evaluation)
        rows = [row for row in longer.epochs if "loss" in row]
        assert [row["epoch"] for row in rows] == known
        assert [(row["epoch"], row["loss"], row["accuracy"]) for row in rows] == scores(evaluated)[-len(rows) :]
    assert longer.epochs[0] == {"epoch": 1, "reason": UNRECORDED}


def test_its_seconds_are_not_those_of_the_training(case, evaluation, monkeypatch):
    real, late = time.monotonic, []

    def slow(*arguments):
        late.append(1000)
        return predict_batches(*arguments)

    monkeypatch.setattr("finevar.training.epochs.predict_batches", slow)
    monkeypatch.setattr(time, "monotonic", lambda: real() + sum(late))
    trained = case.train(evaluation=evaluation)
    assert [row["seconds"] // 1000 for row in trained.epochs] == [1] * EPOCHS
    assert max(trained.steps[-1]["seconds"], trained.summary["train_seconds"]) < 1000


def test_outputs_that_are_not_finite_have_no_scores():
    (row,) = complete_rows([{"epoch": 1.0, "loss": math.nan, "accuracy": math.nan, "seconds": 1.0}], 1)
    assert row == {"epoch": 1, "loss": None, "accuracy": None, "seconds": 1.0, "reason": NOT_FINITE}


def test_the_file_is_beside_the_outputs_and_goes_with_the_training_that_wrote_it(tmp_path, monkeypatch):
    job, folders = make_job(tmp_path / "job", SETTINGS), [tmp_path / "with", tmp_path / "without"]
    for folder, wanted in zip(folders, (True, False), strict=True):
        folder.mkdir()
        (folder / "epochs.parquet").write_text("an earlier training's")
        train_files(**job, **to(folder), evaluated_each_epoch=wanted)
    assert same(*folders)
    assert not (folders[1] / "epochs.parquet").exists()
    rows = read_table(folders[0] / "epochs.parquet", EPOCHS_FILE).to_pylist()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    data = load_encoded(job["evaluation"])
    kinds = {"max_length": SETTINGS["max_length"], "device": "cpu"}
    dtype = choose_dtype(SETTINGS["dtype"], "cpu")
    _, measured = evaluate_model(folders[0] / "model", data, ["negative", "positive"], dtype, **kinds)
    assert (rows[-1]["loss"], rows[-1]["accuracy"]) == (measured["loss"], measured["accuracy"])
    finished = (folders[0] / "epochs.parquet").read_bytes()
    monkeypatch.setattr("finevar.training.job.train_model", None)  # given back, not trained
    train_files(**job, **to(folders[0]), evaluated_each_epoch=True)
    assert (folders[0] / "epochs.parquet").read_bytes() == finished
