"""Trainings by the family `transformers`: the losses of Hugging Face's Trainer, states, layers that are frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import encoders
import numpy as np
import pytest
import torch
from test_training import OrderedTrainer
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, TrainingArguments

import tiny
from finevar import files
from finevar.columns import TRAINING
from finevar.data.encoding import Encoded, encode
from finevar.errors import InputError, Interruption
from finevar.models.families import convert
from finevar.models.tokenization import load_tokenizer
from finevar.parquet import read_table
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import loop
from finevar.training.job import train_files
from finevar.training.loop import Plan, Trained, train_model
from finevar.training.schedule import epoch_batches

COUNT = 40
SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 1e-3, "batch_size": 8, "epochs": 4, "dropout": 0.0, "max_length": 16}
SETTINGS |= {"dtype": "float32", "weight_decay": 0.1, "warmup": 0.1, "schedule": "linear"}


def start_of(kind: str, folder: Path, **config) -> Path:
    """Return the converted folder of a tiny model."""
    encoders.make(kind, folder / "model", **config)
    (folder / "start").mkdir()
    convert(folder / "model", folder / "start", where="tiny", family="transformers")
    files.write_sums(folder / "start")
    return folder / "start"


def examples_for(start: Path) -> Encoded:
    texts, labels = zip(*tiny.make_sentences(COUNT), strict=True)
    return encode(texts, [tiny.CLASSES.index(label) for label in labels], start)


def train(start: Path, settings: dict, **options) -> Trained:
    return train_model(Plan(start, examples_for(start), tiny.CLASSES, settings, 0, 1, "test", **options))


def trainer_losses(folder: Path, start: Path, rate: float = 1e-3) -> tuple[list[float], torch.nn.Module]:
    """Train the checkpoint as transformers saved it with its Trainer; return each step's loss, and the model.

    rate: the learning rate.
    """
    model, examples = AutoModelForSequenceClassification.from_pretrained(folder / "model"), examples_for(start)
    rows = [{"input_ids": examples.sentence(n, 16).tolist(), "labels": int(examples.labels[n])} for n in range(COUNT)]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), use_cpu=True, learning_rate=rate, num_train_epochs=4, weight_decay=0.1,
        per_device_train_batch_size=8, warmup_steps=0.1, report_to=[], save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    orders = [[n for batch in epoch_batches(COUNT, 8, 0, epoch) for n in batch] for epoch in range(4)]
    collate = DataCollatorWithPadding(load_tokenizer(start))
    trainer = OrderedTrainer(model, arguments, train_dataset=rows, data_collator=collate, orders=orders)
    trainer.train()
    return trainer.losses, model


@pytest.mark.parametrize("kind", encoders.ALL)
def test_twenty_losses_are_those_of_hugging_face_trainer(tmp_path, kind):
    start = start_of(kind, tmp_path, rate=0.0)
    ours = train(start, SETTINGS)
    theirs, model = trainer_losses(tmp_path, start)
    found = [row["loss"] for row in ours.steps]
    assert (len(theirs), ours.summary["layout"]) == (20, "flat" if kind in encoders.FLAT else "padded")
    assert ours.summary["architecture"] == type(model).__name__
    assert max(theirs) - min(theirs) > 0.05
    np.testing.assert_allclose(found, theirs, atol=1e-5)
    for name, tensor in model.state_dict().items():  # steps are 1e-3 long, even where a gradient is next to nothing
        torch.testing.assert_close(ours.weights[name], tensor, atol=4e-4, rtol=0)


@pytest.mark.parametrize("kind", ["roberta", "modernbert", "mpnet"])
def test_parts_of_a_batch_and_batches_for_a_gpu_give_the_same_losses(tmp_path, monkeypatch, kind):
    start = start_of(kind, tmp_path, rate=0.0)
    whole = [row["loss"] for row in train(start, SETTINGS | {"epochs": 2}).steps]
    parts = [row["loss"] for row in train(start, SETTINGS | {"epochs": 2}, micro_batches=4).steps]
    monkeypatch.setattr(loop, "pads", lambda _: True)
    padded = [row["loss"] for row in train(start, SETTINGS | {"epochs": 2}).steps]
    np.testing.assert_allclose([parts, padded], [whole] * 2, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("roberta", "float32"), ("modernbert", "bfloat16"), ("deberta-v2", "float32")]
)
def test_a_training_with_dropout_is_resumed_to_the_same_bytes(tmp_path, monkeypatch, kind, dtype):
    start, settings = start_of(kind, tmp_path), SETTINGS | {"dropout": 0.3, "dtype": dtype, "epochs": 2}
    job = tiny.training_job(tmp_path, start, examples_for(start), settings)
    train_files(**job, **tiny.training_outputs(tmp_path / "whole"))
    monkeypatch.setenv("FINEVAR_SAVE_SECONDS", "0")
    torch.manual_seed(1)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "divergence", interrupting_at(7))
        with pytest.raises(Interruption):
            train_files(**job, **tiny.training_outputs(tmp_path / "cut"))
    torch.manual_seed(2)
    summary = train_files(**job, **tiny.training_outputs(tmp_path / "cut"))
    assert "started at step 6" in (tmp_path / "cut/attempts.log").read_text()
    assert (summary["status"], summary["steps"]) == ("ok", 10)
    losses = [read_table(tmp_path / name / "training.parquet", TRAINING)["loss"] for name in ("cut", "whole")]
    assert losses[0] == losses[1]
    assert files.check_sums(tmp_path / "cut/model") == files.check_sums(tmp_path / "whole/model")


def check_that_a_longer_training_goes_on(folder: Path, start: Path, settings: dict) -> None:
    """Assert that four epochs begun where two ended give the bytes of four in one go."""
    job = tiny.training_job(folder, start, examples_for(start), settings)
    shorter, state = job | {"settings": settings | {"epochs": 2}}, str(folder / "state.safetensors")
    train_files(**job, **tiny.training_outputs(folder / "whole"))
    train_files(**shorter, **tiny.training_outputs(folder / "shorter"), state=state)
    summary = train_files(**job, **tiny.training_outputs(folder / "longer"), begin=state)
    assert summary["steps_of_shorter_run"] == 10
    assert files.check_sums(folder / "longer/model") == files.check_sums(folder / "whole/model")


@pytest.mark.parametrize("kind", ["xlm-roberta", "mpnet"])
def test_a_longer_training_goes_on_from_a_shorter_one_to_the_same_bytes(tmp_path, kind):
    settings = SETTINGS | {"schedule": "constant", "warmup": 0.0, "dropout": 0.2}
    start = start_of(kind, tmp_path)
    check_that_a_longer_training_goes_on(tmp_path, start, settings)


def interrupting_at(step: int) -> Callable[[dict], None]:
    """Return what takes the place of the look for divergence, and ends the training as a signal would."""

    def ask(row: dict) -> None:
        if row["step"] == step:
            raise Interruption("asked to end")

    return ask


@pytest.mark.parametrize("kind", ["electra", "modernbert", "deberta-v2"])
def test_frozen_layers_keep_their_weights_and_all_others_learn(tmp_path, kind):
    start = start_of(kind, tmp_path)
    before = train(start, SETTINGS | {"epochs": 1, "learning_rate": 0.0})
    after = train(start, SETTINGS | {"epochs": 1, "frozen_layers": 1})
    same = {name for name in after.weights if torch.equal(after.weights[name], before.weights[name])}
    frozen = {name for name in after.weights if ".embeddings" in name or ".layer.0." in name or ".layers.0." in name}
    assert frozen
    assert same == frozen


def test_layers_that_share_weights_are_not_frozen(tmp_path):
    with pytest.raises(InputError, match=r"frozen_layers.*found 1.*at most 0"):
        train(start_of("albert", tmp_path), SETTINGS | {"frozen_layers": 1})


def test_sentences_beyond_the_positions_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"max_length.*found 65.*at most 64"):
        train(start_of("roberta", tmp_path), SETTINGS | {"max_length": 65})
