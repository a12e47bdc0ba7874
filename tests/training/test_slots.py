"""Steps of many runs at once: those of each run by itself, and the same bytes alone, in company and in any slot."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from test_training import CLASSES, SETTINGS
from torch._subclasses.fake_tensor import FakeTensorMode

import tiny
from finevar.data.encoding import Encoded, encode
from finevar.models import checkpoint
from finevar.models.distilbert.encoder import WORDS
from finevar.models.randomness import generator
from finevar.models.vocabulary import compact
from finevar.training import slot_shapes
from finevar.training.padded import PaddedSteps
from finevar.training.schedule import epoch_batches, schedule_factor
from finevar.training.slot_shapes import Batch, Shape, default_slots, laid_out, run_of
from finevar.training.slots import Slots
from finevar.training.start import first_state
from finevar.training.state import State
from finevar.training.steps import Course

COUNT, LENGTH = 48, 16


@dataclass(frozen=True)
class Case:
    """A run as the engine gets it."""

    course: Course
    state: State
    tokens: np.ndarray

    def turns(self, steps: int) -> list[Batch]:
        """Return the run's first steps, of one epoch each as long as the data last."""
        settings, lengths = self.course.settings, np.diff(self.course.examples.offsets)
        order = [numbers for epoch in range(9) for numbers in epoch_batches(COUNT, settings["batch_size"], 0, epoch)]
        return [
            Batch(self.tokens[numbers], lengths[numbers], self.course.examples.labels[numbers], rate)
            for step, numbers in enumerate(order[:steps])
            for rate in [settings["learning_rate"] * schedule_factor(step, 20, settings["warmup"], "linear")]
        ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.make_model(folder, dropout=0.1)
    return folder


def case(folder, seed: int = 0, *, dtype: torch.dtype = torch.float32, padding: int | None = 0, **changes) -> Case:
    texts, labels = zip(*tiny.make_sentences(COUNT), strict=True)
    examples: Encoded = encode(texts, [CLASSES.index(label) for label in labels], folder)
    full, family = checkpoint.load_model(folder)
    settings = SETTINGS | {"dropout": 0.1} | changes
    weights, fewer, examples, _ = compact(full, family.with_dropout(settings["dropout"]), examples)
    course = Course(replace(fewer, padding=padding), examples, settings, seed, dtype)
    state = first_state(weights, course).to("cpu")
    return Case(course, state, PaddedSteps(course, state).tokens.numpy())


def shape_of(one: Case) -> Shape:
    words = len(one.state.model[one.course.family.embedding])
    dtype = str(one.course.dtype).removeprefix("torch.")
    sizes = {"classes": len(CLASSES), "batch_size": one.course.settings["batch_size"], "length": LENGTH, "dtype": dtype}
    return Shape.of(one.course.family, words, **sizes)


def seated(engine: Slots, slot: int, one: Case) -> None:
    engine.put(slot, run_of(one.course), one.state.model, one.state.moments)
    engine.begin_epoch(slot, 0, None)


def alone(one: Case, steps: int, *, slots: int = 3) -> tuple[State, list[list[float]]]:
    """Return the state and the losses and norms after some steps in slot 0 of an engine that is otherwise empty."""
    engine = Slots(shape_of(one), slots, "cpu")
    seated(engine, 0, one)
    told = [taken(engine, {0: turn})[0] for turn in one.turns(steps)]
    return fetched(engine, 0, one), told


def taken(engine: Slots, turns: dict[int, Batch]) -> dict[int, list[float]]:
    engine.step(turns)
    return {slot: engine.outcome[:, slot].tolist() for slot in turns}


def fetched(engine: Slots, slot: int, one: Case) -> State:
    state = replace(first_state(one.state.model, one.course), draws=engine.generators[slot].get_state())
    engine.fetch(slot, state.weights, state.moments)
    return state


def same(first: State, second: State) -> bool:
    kinds = zip(*((s.weights, s.moments.first, s.moments.second) for s in (first, second)), strict=True)
    return all(torch.equal(one[name], other[name]) for one, other in kinds for name in one)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dropout": 0.0},
        {"dropout": 0.3, "label_smoothing": 0.2, "weight_decay": 0.1, "beta2": 0.95},
        {"frozen_layers": 1, "weight_decay": 0.1},
        {"layer_decay": 0.7, "weight_decay": 0.1, "warmup": 0.2},
        {"optimizer": "adamw_uncorrected", "batch_size": 16},
        {"padding": 7},  # a word that occurs, whose row does not learn
    ],
)
def test_a_slot_takes_the_steps_of_the_padded_loop(folder, changes):
    """Dropout included: on a processor the random words of a step are those of its single draws, joined."""
    one, steps = case(folder, learning_rate=1e-3, **changes), 6
    state, told = alone(one, steps)
    padded = PaddedSteps(one.course, one.state)
    padded.masks.set_state(generator(0, "dropout", 0).get_state())
    settings = one.course.settings
    order = [numbers for epoch in range(2) for numbers in epoch_batches(COUNT, settings["batch_size"], 0, epoch)]
    for numbers, turn, (loss, norm) in zip(order, one.turns(steps), told, strict=False):
        step = padded.take(numbers, turn.learning_rate)
        assert (loss, norm) == pytest.approx((step.loss, step.grad_norm), rel=2e-5)
    for name, weight in one.state.weights.items():
        torch.testing.assert_close(state.weights[name], weight.detach(), atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(state.moments.second[name], one.state.moments.second[name], atol=1e-8, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_company_slot_and_the_time_of_joining_decide_no_byte(folder, dtype):
    one = case(folder, dtype=dtype, learning_rate=1e-3)
    other = case(folder, seed=1, dtype=dtype, learning_rate=5e-2, dropout=0.3, weight_decay=0.1)
    expected, told = alone(one, 6)
    engine = Slots(shape_of(one), 3, "cpu")
    seated(engine, 0, other)
    turns, others = one.turns(6), other.turns(9)
    for turn in others[:2]:
        engine.step({0: turn})
    seated(engine, 2, one)
    found = [taken(engine, {0: others[2 + n], 2: turns[n]} if n % 3 else {2: turns[n]})[2] for n in range(6)]
    assert found == told
    assert same(fetched(engine, 2, one), expected)


def test_a_run_that_diverges_beside_it_decides_no_byte(folder):
    one, wild = case(folder, learning_rate=1e-3), case(folder, learning_rate=1e30)
    expected, told = alone(one, 5)
    engine = Slots(shape_of(one), 3, "cpu")
    seated(engine, 0, wild)
    seated(engine, 1, one)
    turns, wilds = one.turns(5), wild.turns(5)
    outcomes = [taken(engine, {0: wilds[n], 1: turns[n]}) for n in range(5)]
    assert not np.isfinite(outcomes[-1][0]).all()
    assert [outcome[1] for outcome in outcomes] == told
    assert same(fetched(engine, 1, one), expected)
    engine.free(0)
    seated(engine, 0, one)
    assert [taken(engine, {0: turn})[0] for turn in turns] == told  # in the slot that it left


def test_going_on_from_a_state_in_another_slot_gives_the_same_bytes(folder):
    one = case(folder, learning_rate=1e-3)
    expected, told = alone(one, 6)
    state, begun = alone(one, 3)
    engine = Slots(shape_of(one), 3, "cpu")
    engine.put(1, run_of(one.course), state.model, state.moments)
    engine.begin_epoch(1, 0, state.draws)
    found = [taken(engine, {1: turn})[1] for turn in one.turns(6)[3:]]
    assert begun + found == told
    assert same(fetched(engine, 1, one), expected)


def test_a_batch_that_is_not_full_has_the_mean_of_its_sentences(folder):
    one = case(folder, dropout=0.0, learning_rate=1e-3)
    short = [replace_sentences(turn, 5) for turn in one.turns(3)]
    engine = Slots(shape_of(one), 2, "cpu")
    engine.put(0, run_of(one.course)._replace(head_dropout=0.0), one.state.model, one.state.moments)
    padded = PaddedSteps(replace(one.course, family=replace(one.course.family, head_dropout=0.0)), one.state)
    for numbers, turn in zip(epoch_batches(COUNT, 8, 0, 0), short, strict=False):
        step = padded.take(numbers[:5], turn.learning_rate)
        assert taken(engine, {0: turn})[0] == pytest.approx([step.loss, step.grad_norm], rel=2e-5)


def replace_sentences(turn: Batch, count: int) -> Batch:
    return Batch(turn.tokens[:count], turn.lengths[:count], turn.labels[:count], turn.learning_rate)


@pytest.mark.parametrize(
    ("what", "value"),
    [("tokens", 10**6), ("tokens", -1), ("lengths", 0), ("lengths", LENGTH + 1), ("labels", 2)],
)
def test_a_batch_that_would_harm_others_is_refused(folder, what, value):
    one = case(folder)
    turn = one.turns(1)[0]
    shape_of(one).check_batch(turn, len(one.state.model[WORDS]))
    getattr(turn, what)[-1] = value
    with pytest.raises(ValueError, match="batch"):
        shape_of(one).check_batch(turn, len(one.state.model[WORDS]))


def test_weights_of_another_shape_are_refused(folder):
    one = case(folder)
    shape_of(one).check(one.state.model, one.state.moments)
    other = one.state.model | {"classifier.bias": torch.zeros(3)}
    with pytest.raises(ValueError, match="classifier"):
        shape_of(one).check(other, one.state.moments)
    with pytest.raises(ValueError, match="family"):
        shape_of(one).check(one.state.model | {"another": torch.zeros(3)}, one.state.moments)


def test_a_step_never_waits_for_its_device(folder):
    """Fake tensors have no values, so that whatever would fetch one is an error: as in a capture."""
    engine = Slots(shape_of(case(folder)), 2, "cpu")
    with FakeTensorMode(allow_non_fake_inputs=True):
        engine.work()


def test_slots_by_default_are_as_many_as_memory_holds(folder, monkeypatch):
    shape = shape_of(case(folder))
    assert default_slots(shape, "cpu") == slot_shapes.MOST
    monkeypatch.setattr(slot_shapes, "FEW_BYTES", 4 * 40 * laid_out(shape)[2])  # of a slot's weights, forty times
    assert 1 <= default_slots(shape, "cpu") < 10 / 6
