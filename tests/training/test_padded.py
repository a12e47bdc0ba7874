"""Steps of fixed shapes, as a GPU takes them: the same losses and weights as batches laid end to end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_training import CLASSES, SETTINGS, examples, start, train  # noqa: F401 - two fixtures
from tests.benchmarks import gpu
from torch._subclasses.fake_tensor import FakeTensorMode

import tiny
from finevar.data.encoding import Encoded, encode
from finevar.models import checkpoint
from finevar.models.flat.packing import block_places, collate
from finevar.training import loop, padded, slot_steps
from finevar.training.optimiser import update
from finevar.training.padded import PaddedSteps
from finevar.training.start import first_state
from finevar.training.steps import Course


def trained(start, examples, monkeypatch, settings=SETTINGS, *, pads: bool):  # noqa: F811
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    return train(start, examples, settings)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_length": 8},
        {"batch_size": 7, "weight_decay": 0.1},
        {"frozen_layers": 1},
        {"schedule": "cosine", "warmup": 0.3},
    ],
)
def test_losses_and_weights_are_those_of_batches_laid_end_to_end(start, examples, monkeypatch, changes):  # noqa: F811
    settings = SETTINGS | {"learning_rate": 1e-3} | changes
    ours = trained(start, examples, monkeypatch, settings, pads=True)
    theirs = trained(start, examples, monkeypatch, settings, pads=False)
    for name in ("loss", "grad_norm", "tokens", "learning_rate"):
        np.testing.assert_allclose([row[name] for row in ours.steps], [row[name] for row in theirs.steps], rtol=2e-4)
    for name, weight in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], weight, atol=2e-4, rtol=1e-3)


def test_the_same_run_twice_is_the_same_to_the_byte(start, examples, monkeypatch):  # noqa: F811
    settings = SETTINGS | {"dropout": 0.1}
    first, again = (trained(start, examples, monkeypatch, settings, pads=True) for _ in range(2))
    assert [row["loss"] for row in first.steps] == [row["loss"] for row in again.steps]
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)


def test_going_on_from_a_state_gives_the_same_bytes(start, examples, monkeypatch):  # noqa: F811
    monkeypatch.setattr(loop, "pads", lambda _: True)
    settings = SETTINGS | {"dropout": 0.1, "schedule": "constant"}
    whole = train(start, examples, settings)
    half = train(start, examples, settings | {"epochs": 1})
    joined = train(start, examples, settings, begin=half.state)
    assert all(torch.equal(whole.weights[name], joined.weights[name]) for name in whole.weights)


def test_where_memory_runs_out_it_goes_on_end_to_end(start, examples, monkeypatch):  # noqa: F811
    monkeypatch.setattr(
        PaddedSteps, "work", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory"))
    )
    ours = trained(start, examples, monkeypatch, pads=True)
    theirs = trained(start, examples, monkeypatch, pads=False)
    assert [row["loss"] for row in ours.steps] == [row["loss"] for row in theirs.steps]


@pytest.mark.parametrize(("count", "length", "heads"), [(3, 16, 2), (8, 32, 4), (1, 16, 12)])
def test_places_are_those_of_full_sentences_laid_end_to_end(count, length, heads):
    sentences = [np.arange(length, dtype=np.int32)] * count
    batch = collate(sentences, heads=heads)
    assert len(batch.blocks) == 1
    for name, places in block_places(count, length, heads, torch.device("cpu")).items():
        assert torch.equal(places, getattr(batch, name)), name


def steps_of(start, examples, settings):  # noqa: F811
    """Return steps of a model, whose tensors may be fake."""
    full, family = checkpoint.load_model(start)
    course = Course(family, examples, settings, seed=0, dtype=torch.float32)
    return PaddedSteps(course, first_state(full, course).to("cpu"))


def test_a_step_never_waits_for_its_device(start, examples):  # noqa: F811
    """Fake tensors have no values, so that whatever would fetch one, or a shape that follows from one, is an error."""
    steps = steps_of(start, examples, SETTINGS)
    with FakeTensorMode(allow_non_fake_inputs=True):
        steps.work((8, 16))


def test_a_step_that_waits_would_be_seen(start, examples, monkeypatch):  # noqa: F811
    steps = steps_of(start, examples, SETTINGS)
    monkeypatch.setattr(
        "finevar.training.steps.update",
        lambda *arguments, **options: update(*arguments, **options) * steps.loss_and_norm.sum().item(),
    )
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        pytest.raises(Exception, match="_local_scalar"),
    ):
        steps.work((8, 16))


class Replayed:
    """What a graph would be to the loop: the step of a shape, done when it is replayed."""

    def __init__(self, steps: PaddedSteps, shape: padded.Shape, replays: list[padded.Shape]) -> None:
        self.steps, self.shape, self.replays = steps, shape, replays

    def replay(self) -> None:
        self.replays.append(self.shape)
        self.steps.work(self.shape)


def test_a_shape_is_captured_once_it_has_come_often_enough(start, examples, monkeypatch):  # noqa: F811
    settings = SETTINGS | {"dropout": 0.1, "epochs": 4}  # of 44 examples: five batches of eight and one of four
    eager = trained(start, examples, monkeypatch, settings, pads=True)
    replays: list[padded.Shape] = []
    built = PaddedSteps.__init__

    def capturing(steps, *arguments) -> None:
        built(steps, *arguments)
        steps.captures = True

    monkeypatch.setattr(PaddedSteps, "__init__", capturing)
    monkeypatch.setattr(PaddedSteps, "captured", lambda steps, shape: Replayed(steps, shape, replays))
    replayed = trained(start, examples, monkeypatch, settings, pads=True)
    assert [row["loss"] for row in eager.steps] == [row["loss"] for row in replayed.steps]
    assert replays.count((8, 16)) == 4 * 5 - padded.BEFORE
    assert replays.count((4, 16)) == 4 - padded.BEFORE


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_step_is_the_step(start, examples, monkeypatch):  # noqa: F811
    settings = SETTINGS | {"dropout": 0.1, "epochs": 4}
    captured = train(start, examples, settings)
    monkeypatch.setattr(padded, "BEFORE", 10**9)
    eager = train(start, examples, settings)
    assert [row["loss"] for row in eager.steps] == [row["loss"] for row in captured.steps]
    assert all(torch.equal(eager.weights[name], captured.weights[name]) for name in eager.weights)


@pytest.mark.parametrize("part", gpu.PARTS)
def test_the_benchmark_for_a_gpu_runs(part, capsys, monkeypatch):
    monkeypatch.setattr(slot_steps, "gpus", lambda: ["cpu"])
    gpu.PARTS[part](gpu.TOY)
    assert "DIFFERS" not in capsys.readouterr().out


def test_the_examples_lie_on_the_device_once_and_cut(start):  # noqa: F811
    texts, labels = zip(*tiny.make_sentences(5), strict=True)
    encoded: Encoded = encode(texts, [CLASSES.index(label) for label in labels], start)
    steps = steps_of(start, encoded, SETTINGS | {"max_length": 8, "batch_size": 2})
    assert steps.tokens.shape == (5, 16)
    for number in range(5):
        size = int(steps.lengths[number])
        assert steps.tokens[number, :size].tolist() == encoded.sentence(number, 8).tolist()
        assert steps.tokens[number, size:].unique().tolist() in ([0], [])
