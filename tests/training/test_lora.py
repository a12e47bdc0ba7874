"""LoRA against PEFT's figures (peft_figures.json, written by peft_figures.py), and what it must leave alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import encoders
import numpy as np
import pytest
import torch
from bag import Bag
from peft_figures import BATCH, EPOCHS, FIGURES, LENGTH, RANK, SCALE, SEED, learned, summary
from test_general_training import check_that_a_longer_training_goes_on, examples_for, interrupting_at
from test_general_training import start_of as general_start
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

import tiny
from finevar import files
from finevar.errors import InputError, Interruption
from finevar.models import checkpoint, lora
from finevar.models.families import FAMILIES, convert
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import loop
from finevar.training.job import train_files
from finevar.training.loop import Plan, Trained, train_model
from finevar.training.padded import PaddedSteps
from finevar.training.start import first_state
from finevar.training.steps import Course, FlatSteps

SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 5e-3, "batch_size": BATCH, "epochs": EPOCHS, "max_length": LENGTH}
SETTINGS |= {"dtype": "float32", "weight_decay": 0.1, "warmup": 0.1, "dropout": 0.0}
SETTINGS |= {"method": "lora", "lora_rank": RANK, "lora_scale": SCALE}
PEFT = json.loads(FIGURES.read_text())
OWN = {"flat distilbert": "distilbert", "flat bert": "bert"}  # with families of our own
KINDS = [*OWN, "roberta", "albert", "modernbert", "deberta-v2", "mpnet"]
BYTES = SETTINGS | {"dropout": 0.3, "dtype": "bfloat16"}


def start_of(kind: str, folder: Path, **config: Any) -> Path:
    if kind not in OWN:
        return general_start(kind, folder, **config)
    encoders.make(OWN[kind], folder / "model", **config)
    (folder / "start").mkdir()
    convert(folder / "model", folder / "start", where="tiny", pairs=kind == "flat bert")
    files.write_sums(folder / "start")
    return folder / "start"


def train(start: Path, settings: Mapping[str, Any] = SETTINGS, **options: Any) -> Trained:
    return train_model(Plan(start, examples_for(start), tiny.CLASSES, settings, SEED, 1, "test", **options))


def course_of(start: Path, settings: Mapping[str, Any] = SETTINGS) -> tuple[Course, dict[str, torch.Tensor]]:
    weights, family = checkpoint.load_model(start)
    return Course(family.with_dropout(0.0), examples_for(start), settings, SEED, torch.float32), weights


def assert_alike(found: Mapping[str, list[float]], expected: Mapping[str, list[float]], atol: float) -> None:
    assert found.keys() == expected.keys()
    names = sorted(expected)
    np.testing.assert_allclose([found[name] for name in names], [expected[name] for name in names], atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_those_of_peft(tmp_path, kind):
    expected, start = PEFT[OWN.get(kind, kind)], start_of(kind, tmp_path, rate=0.0)
    course, weights = course_of(start)
    assert sorted(course.family.linear()) == sorted(expected["matrices"])
    state = first_state(weights, course)
    factors = learned({name: weights[name].shape for name in expected["matrices"]})
    state.weights.update(factors)
    state = state.to("cpu")
    steps = FlatSteps(course, state, 1)
    steps.masks = None
    loss, _ = steps.loss_of(np.arange(BATCH))
    loss.backward()
    logits = torch.tensor(expected["logits"])
    labels = torch.from_numpy(course.examples.labels[:BATCH])
    torch.testing.assert_close(loss.detach(), F.cross_entropy(logits, labels), atol=1e-5, rtol=0)
    assert_alike(summary({name: weight.grad for name, weight in state.weights.items()}), expected["gradients"], 1e-5)
    whole = course.family.forward(lora.merged(state.model, SETTINGS), torch.float32)
    sentences = [course.examples.sentence(number, LENGTH) for number in range(BATCH)]
    torch.testing.assert_close(whole(course.family.batch(sentences), None), logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_losses_and_the_model_that_is_saved_are_those_of_peft(tmp_path, kind):
    expected = PEFT[OWN.get(kind, kind)]
    trained = train(start_of(kind, tmp_path, rate=0.0))
    np.testing.assert_allclose([row["loss"] for row in trained.steps], expected["losses"], atol=1e-5)
    assert max(expected["losses"]) - min(expected["losses"]) > 0.05
    merged = {name: tensor for name, tensor in trained.weights.items() if name in expected["merged"]}
    assert {*trained.weights} == {*merged}
    assert_alike(summary(merged), {name: expected["merged"][name] for name in merged}, 5e-3)


@pytest.mark.parametrize("kind", ["flat distilbert", "roberta"])
def test_parts_of_a_batch_and_batches_for_a_gpu_give_the_same_losses(tmp_path, monkeypatch, kind):
    start = start_of(kind, tmp_path, rate=0.0)
    parts = [row["loss"] for row in train(start, micro_batches=4).steps]
    monkeypatch.setattr(loop, "pads", lambda _: True)
    padded = [row["loss"] for row in train(start).steps]
    np.testing.assert_allclose([parts, padded], [PEFT[OWN.get(kind, kind)]["losses"]] * 2, atol=1e-5)


def learning_bytes(start: Path, settings: Mapping[str, Any]) -> int:
    """Return the bytes of the weights that learn, by shapes alone, and of AdamW's two moments of each."""
    weights, family = checkpoint.load_model(start)
    rank, head = settings["lora_rank"], family.head(2)
    shapes = [weights[name].shape for name in family.linear()]
    return (
        3 * 4 * (sum(rank * sum(shape) for shape in shapes) + sum(np.prod(shape, dtype=int) for shape in head.values()))
    )


@pytest.mark.parametrize("kind", ["flat distilbert", "modernbert"])
def test_a_training_is_resumed_to_the_same_bytes_from_a_small_state(tmp_path, monkeypatch, kind):
    start = start_of(kind, tmp_path)
    job = tiny.training_job(tmp_path, start, examples_for(start), BYTES)
    train_files(**job, **tiny.training_outputs(tmp_path / "whole"))
    monkeypatch.setenv("FINEVAR_SAVE_SECONDS", "0")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "divergence", interrupting_at(7))
        with pytest.raises(Interruption):
            train_files(**job, **tiny.training_outputs(tmp_path / "cut"))
    size = (tmp_path / "cut/resume.safetensors").stat().st_size - learning_bytes(start, BYTES)
    assert 0 < size < 20_000  # what each step gave, and names
    train_files(**job, **tiny.training_outputs(tmp_path / "cut"))
    assert "started at step 6" in (tmp_path / "cut/attempts.log").read_text()
    assert files.check_sums(tmp_path / "cut/model") == files.check_sums(tmp_path / "whole/model")


def test_a_longer_training_goes_on_from_a_shorter_one_to_the_same_bytes(tmp_path):
    settings = BYTES | {"schedule": "constant", "warmup": 0.0}
    start = start_of("flat distilbert", tmp_path)
    check_that_a_longer_training_goes_on(tmp_path, start, settings)


def changed(start: Path, settings: Mapping[str, Any]) -> set[str]:
    """Return the names of the weights that a training changes."""
    weights, _ = checkpoint.load_model(start)
    return {name for name, tensor in train(start, settings).weights.items() if not torch.equal(tensor, weights[name])}


def test_the_head_and_the_matrices_asked_for_learn_and_nothing_else(tmp_path):
    start = start_of("flat distilbert", tmp_path)
    head = {f"{layer}.{part}" for layer in ("pre_classifier", "classifier") for part in ("weight", "bias")}
    attention = {f"attention.{part}_lin.weight" for part in ("q", "k", "v", "out")}
    layers = [f"distilbert.transformer.layer.{number}." for number in range(2)]
    everywhere = {layer + part for layer in layers for part in attention | {"ffn.lin1.weight", "ffn.lin2.weight"}}
    settings = SETTINGS | {"epochs": 1}
    assert changed(start, settings) == head | everywhere
    assert changed(start, settings | {"lora_layers": "attention"}) == head | {a + b for a in layers for b in attention}
    assert changed(start, settings | {"frozen_layers": 1}) == head | {x for x in everywhere if x.startswith(layers[1])}
    assert changed(start, settings | {"frozen_layers": 2}) == head


def test_what_is_added_is_of_the_rank_asked_for_and_grows_with_the_scale(tmp_path):
    """The first step of AdamW moves each second factor by the rate, whatever the gradient's size."""
    start, rate = start_of("flat distilbert", tmp_path, rate=0.0), 1e-4
    weights, _ = checkpoint.load_model(start)
    once = SETTINGS | {"learning_rate": rate, "warmup": 0.0, "schedule": "constant", "train_examples": 8, "epochs": 1}
    name = "distilbert.transformer.layer.0.ffn.lin1"
    added = {}
    for scale in (1.0, 4.0):
        trained = train(start, once | {"lora_rank": 3, "lora_scale": scale}).weights[f"{name}.weight"]
        added[scale] = (trained - weights[f"{name}.weight"]).double()
    assert int((torch.linalg.svdvals(added[4.0]) > 1e-6).sum()) == 3
    first = lora.factors({f"{name}.weight": trained.shape}, rank=3, seed=SEED)[f"{name}.lora_A"].double()
    second = added[4.0] @ torch.linalg.pinv(first) / 4.0
    torch.testing.assert_close(second.abs(), torch.full_like(second, rate), rtol=0.1, atol=0)
    assert (added[4.0].norm() / added[1.0].norm()).item() == pytest.approx(4, rel=0.01)


def test_factors_are_drawn_as_kaiming_has_it_and_a_larger_rank_adds_rows():
    shapes = {"a.weight": torch.Size((96, 300)), "b.weight": torch.Size((300, 96))}
    small, large = (lora.factors(shapes, rank=rank, seed=3) for rank in (5, 64))
    assert {name: tuple(tensor.shape) for name, tensor in small.items()} == {
        "a.lora_A": (5, 300), "a.lora_B": (96, 5), "b.lora_A": (5, 96), "b.lora_B": (300, 5)
    }  # fmt: skip
    for name, columns in (("a.lora_A", 300), ("b.lora_A", 96)):
        theirs = torch.nn.init.kaiming_uniform_(torch.empty(64, columns), a=5**0.5)
        assert large[name].abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=1e-2)
        assert large[name].std().item() == pytest.approx((1 / (3 * columns)) ** 0.5, rel=0.03)
        assert torch.equal(large[name][:5], small[name])
    assert not any(small[name].any() for name in ("a.lora_B", "b.lora_B"))
    assert torch.equal(lora.factors({"b.weight": shapes["b.weight"]}, rank=5, seed=3)["b.lora_A"], small["b.lora_A"])
    assert not torch.equal(lora.factors(shapes, rank=5, seed=4)["a.lora_A"], small["a.lora_A"])


def test_a_rank_that_no_matrix_has_is_refused(tmp_path):
    start = start_of("flat distilbert", tmp_path)
    assert train(start, SETTINGS | {"epochs": 1, "lora_rank": 32}).summary["status"] == "ok"
    with pytest.raises(InputError) as caught:
        train(start, SETTINGS | {"lora_rank": 33})
    assert (caught.value.where, caught.value.found) == ("setting lora_rank", "33")
    assert "32" in caught.value.allowed


def test_a_model_without_layers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "bag", Bag)
    tiny.make_bag(tmp_path / "bag")
    for settings, key in (
        (SETTINGS, "lora_layers"),
        (SETTINGS | {"method": "full", "layer_decay": 0.9}, "layer_decay"),
    ):
        with pytest.raises(InputError) as caught:
            train(tmp_path / "bag", settings)
        assert caught.value.where == f"setting {key}"


def test_a_step_never_waits_for_its_device(tmp_path):
    """Fake tensors have no values, so that whatever would fetch one is an error; see test_padded."""
    course, weights = course_of(start_of("flat distilbert", tmp_path))
    steps = PaddedSteps(course, first_state(weights, course).to("cpu"))
    with FakeTensorMode(allow_non_fake_inputs=True):
        steps.work((8, 16))
