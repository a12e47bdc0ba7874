"""The seam for another model: a family that is added in one place trains, is resumed, saved and evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bag import Bag
from safetensors.torch import load_file
from torch.nn import functional as F

import tiny
from finevar import files
from finevar.columns import EXAMPLES, PREDICTIONS, TRAINING
from finevar.data.encoding import encode, load_encoded
from finevar.errors import InputError, Interruption
from finevar.evaluation.evaluation import evaluate_files
from finevar.models.families import FAMILIES
from finevar.models.family import Weights
from finevar.parquet import read_table, write_rows
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import loop
from finevar.training.job import train_files
from finevar.training.saving import StateSaver
from finevar.training.schedule import epoch_batches

COUNT, DIM = 44, 8
SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 0.03, "batch_size": 8, "epochs": 3, "max_length": 12, "dropout": 0.0}
SETTINGS |= {"dtype": "float32", "schedule": "constant", "weight_decay": 0.1}


@pytest.fixture
def job(tmp_path: Path, monkeypatch) -> dict[str, Any]:
    """Return a training's arguments but for its outputs; the model that it starts from has a head."""
    monkeypatch.setitem(FAMILIES, "bag", Bag)
    start = tmp_path / "start"
    tiny.make_bag(start, dim=DIM)
    texts, labels = zip(*tiny.make_sentences(COUNT), strict=True)
    numbers = [tiny.CLASSES.index(label) for label in labels]
    rows = [{"example_id": str(k), "text": text, "label": numbers[k]} for k, text in enumerate(texts)]
    write_rows(rows, tmp_path / "examples.parquet", EXAMPLES)
    return tiny.training_job(tmp_path, start, encode(texts, numbers, start), SETTINGS)


def to(folder: Path) -> dict[str, str]:
    return tiny.training_outputs(folder) | {"state": str(folder / "state.safetensors")}


def losses(folder: Path) -> list[float]:
    return read_table(folder / "training.parquet", TRAINING)["loss"].to_pylist()


def theirs(job: dict[str, Any]) -> tuple[list[float], Weights]:
    """Train the same with PyTorch's own modules; return losses and weights."""
    start, examples = load_file(Path(job["start"]) / "model.safetensors"), load_encoded(job["train"])
    bag = torch.nn.EmbeddingBag.from_pretrained(start["bag.weight"].clone(), freeze=False, mode="mean")
    top = torch.nn.Linear(DIM, 2)
    top.load_state_dict({"weight": start["top.weight"], "bias": start["top.bias"]})
    groups = [{"params": [bag.weight, top.weight]}, {"params": [top.bias], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=SETTINGS["learning_rate"], weight_decay=SETTINGS["weight_decay"])
    found = []
    for epoch in range(SETTINGS["epochs"]):
        for numbers in epoch_batches(COUNT, SETTINGS["batch_size"], 0, epoch):
            sentences = [torch.from_numpy(examples.sentence(n, SETTINGS["max_length"]).astype(int)) for n in numbers]
            means = torch.cat([bag(sentence[None]) for sentence in sentences])
            loss = F.cross_entropy(top(means), torch.from_numpy(examples.labels[numbers]))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*bag.parameters(), *top.parameters()], SETTINGS["clip_norm"])
            optimiser.step()
            found.append(loss.item())
    return found, {"bag.weight": bag.weight.data, "top.weight": top.weight.data, "top.bias": top.bias.data}


@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("micro_batches", [1, 3])
def test_another_family_trains_as_pytorch_trains_it(job, tmp_path, monkeypatch, pads, micro_batches):
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    summary = train_files(**job, **to(tmp_path / "run"), micro_batches=micro_batches)
    expected, weights = theirs(job)
    assert (summary["status"], summary["steps"], summary["micro_batches"]) == ("ok", 18, micro_batches)
    np.testing.assert_allclose(losses(tmp_path / "run"), expected, rtol=1e-4)
    for name, weight in load_file(tmp_path / "run/model/model.safetensors").items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-4)
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("bag", ["BagForSequenceClassification"])


@pytest.mark.parametrize("pads", [False, True])
def test_another_family_is_resumed_to_the_same_bytes(job, tmp_path, monkeypatch, pads):
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    job = job | {"settings": SETTINGS | {"dropout": 0.3}}
    train_files(**job, **to(tmp_path / "whole"))
    save = StateSaver.save_if_due

    def ask_and_save(saver: StateSaver, state, draws) -> None:
        if len(state.rows) == 8:
            saver.asked.append("SIGTERM")
        save(saver, state, draws)

    with monkeypatch.context() as patch:
        patch.setattr(StateSaver, "save_if_due", ask_and_save)
        with pytest.raises(Interruption, match="goes on from step 8"):
            train_files(**job, **to(tmp_path / "cut"))
    train_files(**job, **to(tmp_path / "cut"))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert files.check_sums(tmp_path / "cut/model") == files.check_sums(tmp_path / "whole/model")
    states = [load_file(tmp_path / name / "state.safetensors") for name in ("cut", "whole")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0] if name != "row/seconds")


def test_another_family_is_evaluated(job, tmp_path):
    train_files(**job, **to(tmp_path))
    row = evaluate_files(
        model=str(tmp_path / "model"), summary=str(tmp_path / "training.json"), facts=job["facts"],
        examples=str(tmp_path / "examples.parquet"), encoded=job["train"], threads=1,
        record={"run_id": "r", "point_id": "p", "dataset": "toy", "seed": 0, **SETTINGS},
        predictions=str(tmp_path / "predictions.parquet"), metrics=str(tmp_path / "metrics.parquet"),
    )  # fmt: skip
    weights, examples = load_file(tmp_path / "model/model.safetensors"), load_encoded(job["train"])
    sentences = [examples.sentence(n, SETTINGS["max_length"]).astype(int) for n in range(COUNT)]
    means = torch.stack([weights["bag.weight"][torch.from_numpy(sentence)].mean(0) for sentence in sentences])
    expected = means @ weights["top.weight"].T + weights["top.bias"]
    found = read_table(tmp_path / "predictions.parquet", PREDICTIONS)["logits"].to_pylist()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert row["accuracy"] == (expected.argmax(1).numpy() == examples.labels).mean()


def test_layers_that_a_family_does_not_have_are_not_frozen(job, tmp_path):
    with pytest.raises(InputError, match=r"frozen_layers.*found 1.*at most 0"):
        train_files(**job | {"settings": SETTINGS | {"frozen_layers": 1}}, **to(tmp_path))


def test_a_model_of_no_family_is_refused(job, tmp_path, monkeypatch):
    monkeypatch.delitem(FAMILIES, "bag")
    with pytest.raises(InputError, match=r"config\.json: model_type.*found bag"):
        train_files(**job, **to(tmp_path))
