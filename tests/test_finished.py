"""Finished jobs whose outputs Snakemake has removed: given back, never redone, never of another job."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

import tiny
from finevar import ENGINES, evaluation, finished, training
from finevar.config import TRAINING_DEFAULTS
from finevar.encoding import encode, save_encoded
from finevar.files import check_sums, is_whole, write_facts
from finevar.records import EXAMPLES, write_table

CLASSES = ["negative", "positive"]
SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 3e-3, "batch_size": 8, "epochs": 2, "max_length": 16}
RECORD = {"run_id": "r", "point_id": "p", "dataset": "d", "seed": 0, **SETTINGS}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("inputs")
    tiny.make_model(folder / "start")
    texts, labels = zip(*tiny.make_sentences(40), strict=True)
    numbers = [CLASSES.index(label) for label in labels]
    save_encoded(encode(texts, numbers, folder / "start"), folder / "encoded.safetensors")
    rows = [{"example_id": str(k), "text": text, "label": numbers[k]} for k, text in enumerate(texts)]
    write_table(pa.Table.from_pylist(rows, schema=EXAMPLES), folder / "eval.parquet")
    write_facts({"classes": CLASSES, "data_sha256": "d"}, folder / "dataset.json")
    return {name: str(folder / name) for name in ("start", "encoded.safetensors", "eval.parquet", "dataset.json")}


def train(inputs: dict, run: Path, *, seed: int = 0, weights_kept: bool = False, state: bool = False) -> dict:
    return training.train_files(
        start=inputs["start"], train=inputs["encoded.safetensors"], facts=inputs["dataset.json"], settings=SETTINGS,
        seed=seed, threads=1, name="run", model=str(run / "model"), training=str(run / "training.parquet"),
        summary=str(run / "training.json"), weights_kept=weights_kept,
        state=str(run / "state.safetensors") if state else None,
    )  # fmt: skip


def evaluate(inputs: dict, run: Path, *, weights_kept: bool = False) -> dict:
    return evaluation.evaluate_files(
        model=str(run / "model"), summary=str(run / "training.json"), examples=inputs["eval.parquet"],
        encoded=inputs["encoded.safetensors"], facts=inputs["dataset.json"], record=RECORD, threads=1,
        predictions=str(run / "predictions.parquet"), metrics=str(run / "metrics.parquet"), weights_kept=weights_kept,
    )  # fmt: skip


def remove_outputs(run: Path) -> None:
    """Do to a run what Snakemake does when its submission fails."""
    for name in ("training.parquet", "training.json", "predictions.parquet", "metrics.parquet", "state.safetensors"):
        (run / name).unlink(missing_ok=True)
    shutil.rmtree(run / "model", ignore_errors=True)


def trainings(run: Path) -> int:
    """Return how often a run was trained to its end."""
    return (run / "attempts.log").read_text().count("finished at step")


def test_a_finished_training_is_given_back(inputs, tmp_path):
    first = train(inputs, tmp_path)
    sums, steps = check_sums(tmp_path / "model"), (tmp_path / "training.parquet").read_bytes()
    remove_outputs(tmp_path)
    assert train(inputs, tmp_path) == {**json.loads(json.dumps(first)), "identity": first_identity(tmp_path)}
    assert check_sums(tmp_path / "model") == sums
    assert (tmp_path / "training.parquet").read_bytes() == steps
    assert trainings(tmp_path) == 1
    assert "found it finished" in (tmp_path / "attempts.log").read_text()


def first_identity(run: Path) -> dict:
    return finished.kept_identity(run, "training")


def test_an_evaluated_training_is_given_back_without_its_weights_and_so_is_its_evaluation(inputs, tmp_path):
    train(inputs, tmp_path, state=True)
    row = evaluate(inputs, tmp_path)
    assert not (tmp_path / "finished/training/model").exists()
    assert not (tmp_path / "finished/training/state.safetensors").exists()
    predictions = (tmp_path / "predictions.parquet").read_bytes()
    remove_outputs(tmp_path)
    train(inputs, tmp_path, state=True)
    assert is_whole(tmp_path / "model")
    assert not (tmp_path / "model/model.safetensors").exists()
    assert (tmp_path / "state.safetensors").stat().st_size == 0
    assert evaluate(inputs, tmp_path) == row
    assert (tmp_path / "predictions.parquet").read_bytes() == predictions
    assert trainings(tmp_path) == 1


def test_weights_that_are_to_be_kept_are_trained_again_if_they_are_gone(inputs, tmp_path):
    train(inputs, tmp_path)
    evaluate(inputs, tmp_path)
    remove_outputs(tmp_path)
    train(inputs, tmp_path, weights_kept=True)
    assert (tmp_path / "model/model.safetensors").exists()
    assert trainings(tmp_path) == 2
    evaluate(inputs, tmp_path, weights_kept=True)
    remove_outputs(tmp_path)
    train(inputs, tmp_path, weights_kept=True)
    assert (tmp_path / "model/model.safetensors").exists()
    assert trainings(tmp_path) == 2


@pytest.mark.parametrize("engine", ["training", "evaluation"])
def test_what_another_version_has_finished_is_done_again(inputs, tmp_path, monkeypatch, engine):
    train(inputs, tmp_path)
    evaluate(inputs, tmp_path)
    remove_outputs(tmp_path)
    monkeypatch.setitem(ENGINES, engine, "another")
    train(inputs, tmp_path)
    assert trainings(tmp_path) == 2
    assert evaluate(inputs, tmp_path)["status"] == "ok"


def test_another_seed_is_another_run(inputs, tmp_path):
    train(inputs, tmp_path)
    train(inputs, tmp_path, seed=1)
    assert trainings(tmp_path) == 2


@pytest.mark.parametrize("name", ["training.parquet", "training.json", "identity.json", "model/model.safetensors"])
def test_what_is_damaged_is_not_given_back(inputs, tmp_path, name):
    train(inputs, tmp_path)
    remove_outputs(tmp_path)
    spoilt = tmp_path / "finished/training" / name
    data = bytearray(spoilt.read_bytes())
    data[len(data) // 2] ^= 1
    spoilt.write_bytes(data)
    train(inputs, tmp_path)
    assert trainings(tmp_path) == 2
    assert is_whole(tmp_path / "training.parquet")
    assert is_whole(tmp_path / "model")


def test_nothing_is_kept_where_there_are_no_hard_links(inputs, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    train(inputs, tmp_path)
    assert evaluate(inputs, tmp_path)["status"] == "ok"
    assert list((tmp_path / "finished").iterdir()) == []


def test_what_snakemake_has_in_its_books_is_forgotten(inputs, tmp_path):
    train(inputs, tmp_path)
    finished.forget_finished(tmp_path)
    assert not (tmp_path / "finished").exists()
    assert is_whole(tmp_path / "model")
    finished.forget_finished(tmp_path)
