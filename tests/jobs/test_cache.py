"""Finished jobs whose outputs Snakemake has removed: given back, never redone, never of another job."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tiny
from finevar import ENGINES
from finevar import metrics as scores
from finevar.columns import EXAMPLES, METRICS
from finevar.data.encoding import encode, load_encoded, save_encoded
from finevar.errors import InputError, Interruption
from finevar.evaluation import evaluation
from finevar.files import check_sums, is_whole, write_facts, write_sums
from finevar.jobs import cache as finished
from finevar.parquet import read_sealed_table, read_table, write_table
from finevar.results import run_metrics
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import job, loop, saving
from finevar.training.job import train_files

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
    outputs = {"model": "model", "training": "training.parquet", "summary": "training.json"}
    outputs |= {"state": "state.safetensors"} if state else {}
    return train_files(
        start=inputs["start"],
        train=inputs["encoded.safetensors"],
        evaluation=inputs["encoded.safetensors"],
        facts=inputs["dataset.json"],
        settings=SETTINGS,
        seed=seed,
        threads=1,
        name="run",
        weights_kept=weights_kept,
        **{name: str(run / file) for name, file in outputs.items()},
    )


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


@pytest.fixture
def own(inputs, tmp_path) -> dict:
    """Return inputs of a test's own, to be changed."""
    shutil.copytree(Path(inputs["start"]).parent, tmp_path / "inputs")
    return {name: str(tmp_path / "inputs" / name) for name in inputs}


def change_config(own: dict, **values: object) -> None:
    path = Path(own["start"], "config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    write_sums(path.parent)


def change_heads(own: dict) -> None:
    change_config(own, n_heads=2)


def change_head_dropout(own: dict) -> None:
    change_config(own, seq_classif_dropout=0.5)


def change_names_in_the_head(own: dict) -> None:
    change_config(own, id2label={"0": "positive", "1": "negative"})


def change_weights(own: dict) -> None:
    path = Path(own["start"], "model.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    write_sums(path.parent)


def change_tokens(own: dict) -> None:
    encoded = load_encoded(own["encoded.safetensors"])
    tokens = np.where(encoded.tokens > 4, 29 - encoded.tokens, encoded.tokens).astype(np.int32)
    save_encoded(replace(encoded, tokens=tokens), own["encoded.safetensors"])


def change_labels(own: dict) -> None:
    encoded = load_encoded(own["encoded.safetensors"])
    save_encoded(replace(encoded, labels=1 - np.array(encoded.labels)), own["encoded.safetensors"])


def change_classes(own: dict) -> None:
    write_facts({"classes": CLASSES[::-1], "data_sha256": "d"}, own["dataset.json"])


CHANGES = [
    change_heads,
    change_head_dropout,
    change_names_in_the_head,
    change_weights,
    change_tokens,
    change_labels,
    change_classes,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_finished_before_an_input_changed_is_not_given_back(own, tmp_path, change):
    train(own, tmp_path)
    evaluate(own, tmp_path)
    remove_outputs(tmp_path)
    change(own)
    train(own, tmp_path)
    row = evaluate(own, tmp_path)
    fresh = tmp_path / "fresh"
    train(own, fresh)
    true = evaluate(own, fresh)
    assert trainings(tmp_path) == 2
    assert [row[name] for name in ("loss", "accuracy")] == [true[name] for name in ("loss", "accuracy")]


@pytest.mark.parametrize("change", CHANGES)
def test_a_training_that_was_interrupted_before_an_input_changed_begins_anew(own, tmp_path, monkeypatch, change):
    def interrupt(saver, state, draws):
        if len(state.rows) == 4:
            saver.asked.append("SIGTERM")
        save(saver, state, draws)

    save = saving.StateSaver.save_if_due
    monkeypatch.setattr(saving.StateSaver, "save_if_due", interrupt)
    with pytest.raises(Interruption):
        train(own, tmp_path)
    monkeypatch.setattr(saving.StateSaver, "save_if_due", save)
    change(own)
    train(own, tmp_path)
    train(own, tmp_path / "fresh")
    assert check_sums(tmp_path / "model") == check_sums(tmp_path / "fresh/model")
    assert "started at step 0" in (tmp_path / "attempts.log").read_text().splitlines()[-2]


@pytest.mark.parametrize(
    "machine",
    [{"device": "another kind of node"}, {"torch": "9.9"}, {"python": "3.99"}, {"threads": 7}],
)
def test_what_one_machine_has_finished_another_one_is_given(inputs, tmp_path, monkeypatch, machine):
    train(inputs, tmp_path)
    row = evaluate(inputs, tmp_path)
    remove_outputs(tmp_path)
    train(inputs, tmp_path)
    for module in (job, loop, evaluation):  # the evaluation, and every training from now on, lands elsewhere
        facts = module.machine_facts
        monkeypatch.setattr(module, "machine_facts", lambda *given, facts=facts: facts(*given) | machine)
    assert evaluate(inputs, tmp_path) == row
    remove_outputs(tmp_path)
    train(inputs, tmp_path)
    assert evaluate(inputs, tmp_path) == row
    assert trainings(tmp_path) == 1


def test_a_training_without_weights_whose_evaluation_is_outdated_is_quarantined_and_trained_again(own, tmp_path):
    train(own, tmp_path)
    evaluate(own, tmp_path)
    remove_outputs(tmp_path)
    train(own, tmp_path)
    write_facts({"classes": CLASSES, "data_sha256": "other"}, own["dataset.json"])
    with pytest.raises(InputError):
        evaluate(own, tmp_path)
    assert not (tmp_path / "model").exists()
    train(own, tmp_path)
    assert evaluate(own, tmp_path)["status"] == "ok"
    assert trainings(tmp_path) == 2


def test_weights_that_are_wanted_now_are_missed_although_the_evaluation_is_finished(inputs, tmp_path):
    train(inputs, tmp_path)
    row = evaluate(inputs, tmp_path)
    remove_outputs(tmp_path)
    train(inputs, tmp_path)
    with pytest.raises(InputError):
        evaluate(inputs, tmp_path, weights_kept=True)
    assert not (tmp_path / "model").exists()
    train(inputs, tmp_path, weights_kept=True)
    assert evaluate(inputs, tmp_path, weights_kept=True)["loss"] == row["loss"]
    assert (tmp_path / "model/model.safetensors").exists()


def test_what_is_given_back_unchanged_is_not_written_again(inputs, tmp_path):
    train(inputs, tmp_path)
    evaluate(inputs, tmp_path)
    kept = (tmp_path / "finished/evaluation").stat().st_ino
    remove_outputs(tmp_path)
    train(inputs, tmp_path)
    evaluate(inputs, tmp_path)
    assert (tmp_path / "finished/evaluation").stat().st_ino == kept


def test_a_row_that_is_given_back_names_the_versions_of_now(inputs, tmp_path, monkeypatch):
    train(inputs, tmp_path)
    evaluate(inputs, tmp_path)
    remove_outputs(tmp_path)
    monkeypatch.setitem(ENGINES, "encoding", "another")  # which gave the same token ids
    train(inputs, tmp_path)
    assert evaluate(inputs, tmp_path)["engine"] == run_metrics.engine()
    assert trainings(tmp_path) == 1


def test_a_file_that_a_file_system_leaves_among_what_is_kept_is_none_of_it(inputs, tmp_path):
    train(inputs, tmp_path)
    (tmp_path / "finished/training/.nfs0001").write_text("x")
    remove_outputs(tmp_path)
    train(inputs, tmp_path)
    assert trainings(tmp_path) == 1


def test_another_version_of_the_metrics_scores_what_was_predicted_again(inputs, tmp_path, monkeypatch):
    train(inputs, tmp_path)
    row = evaluate(inputs, tmp_path)
    predictions = (tmp_path / "predictions.parquet").read_bytes()
    monkeypatch.setitem(ENGINES, "metrics", "another")
    score = dataclasses.replace(scores.RESPONSES["accuracy"], score=lambda evaluated: 0.123)
    monkeypatch.setitem(scores.RESPONSES, "accuracy", score)
    for _ in range(2):
        remove_outputs(tmp_path)
        train(inputs, tmp_path)
        again = evaluate(inputs, tmp_path)
        assert again == row | {"accuracy": 0.123, "engine": run_metrics.engine()}
    assert (tmp_path / "predictions.parquet").read_bytes() == predictions
    assert trainings(tmp_path) == 1


def test_a_setting_that_is_new_and_at_its_default_gives_back_what_was_finished_without_it(
    inputs, tmp_path, monkeypatch
):
    train(inputs, tmp_path)
    remove_outputs(tmp_path)
    monkeypatch.setattr("finevar.study.identity.TRAINING_DEFAULTS", TRAINING_DEFAULTS | {"warmth": 0.0})
    monkeypatch.setitem(SETTINGS, "warmth", 0.0)
    train(inputs, tmp_path)
    assert trainings(tmp_path) == 1


def test_an_evaluation_that_was_finished_before_a_setting_was_new_is_given_back_with_it(inputs, tmp_path):
    train(inputs, tmp_path)
    row = evaluate(inputs, tmp_path)
    predictions = (tmp_path / "predictions.parquet").stat().st_ino
    kept = tmp_path / "finished/evaluation/metrics.parquet"
    write_table(read_sealed_table(kept).drop_columns(["clip_norm"]), kept)
    assert evaluate(inputs, tmp_path) == row
    assert [read_table(path, METRICS).to_pylist() for path in (kept, tmp_path / "metrics.parquet")] == 2 * [[row]]
    assert (tmp_path / "predictions.parquet").stat().st_ino == predictions


def test_a_training_that_is_given_back_has_the_tokenizer_that_its_start_has_now(own, tmp_path):
    train(own, tmp_path, weights_kept=True)
    remove_outputs(tmp_path)
    path = Path(own["start"], "tokenizer_config.json")
    path.write_text(path.read_text().replace("64", "32"))
    write_sums(path.parent)
    train(own, tmp_path, weights_kept=True)
    assert (tmp_path / "model/tokenizer_config.json").read_bytes() == path.read_bytes()
    assert is_whole(tmp_path / "model")
    assert is_whole(tmp_path / "finished/training/model")
    assert trainings(tmp_path) == 1


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


def test_copies_are_kept_where_there_are_no_hard_links(inputs, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    train(inputs, tmp_path)
    row = evaluate(inputs, tmp_path)
    remove_outputs(tmp_path)
    train(inputs, tmp_path)
    assert evaluate(inputs, tmp_path) == row
    assert trainings(tmp_path) == 1
