"""Which runs step together: an engine of numbers in the place of models, and want of memory made on purpose."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from finevar.models.distilbert.family import FlatDistilBert
from finevar.training.optimiser import Moments
from finevar.training.scheduler import Scheduler, Seat
from finevar.training.slot_shapes import Batch, Run, Shape

FAMILY = FlatDistilBert(30, 16, 8, 8, 1, 1, "gelu", 0.0, 0.0, 0.0)
SMALL, LARGE = (Shape.of(FAMILY, 30, classes=2, batch_size=size, length=16, dtype="float32") for size in (8, 16))
RUN = Run(0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.999, True, None, {})


class Toy:
    """An engine whose weight grows by the learning rate at each step; the outcome is the weight."""

    room = 8  # slots that memory holds, of all toys together
    made: ClassVar[list[Toy]] = []

    def __init__(self, shape: Shape, count: int) -> None:
        if count > Toy.room - sum(toy.count for toy in Toy.living()):
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.shape, self.count, self.fails = shape, count, False
        self.weights, self.outcome, self.drawn = torch.zeros(count), torch.zeros(2, count), [0] * count
        self.steps: list[set[int]] = []
        Toy.made.append(self)

    @staticmethod
    def living() -> list[Toy]:
        return [room.engine for room in SCHEDULER[0].rooms.values() if room.engine] if SCHEDULER else []

    def put(self, slot, run, weights, moments) -> None:
        self.weights[slot] = weights["w"]

    def fetch(self, slot, weights, moments) -> torch.Tensor:
        weights["w"].copy_(self.weights[slot])
        return torch.tensor(self.drawn[slot])

    def free(self, slot) -> None:
        self.weights[slot] = -1

    def begin_epoch(self, slot, epoch, draws) -> None:
        self.drawn[slot] = 100 * epoch if draws is None else int(draws)

    def step(self, turns) -> None:
        if self.fails:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.steps.append(set(turns))
        for slot, turn in turns.items():
            self.weights[slot] += turn.learning_rate
            self.drawn[slot] += 1
        self.outcome = torch.stack([self.weights, torch.tensor(self.drawn, dtype=torch.float32)])


SCHEDULER: list[Scheduler] = []


@pytest.fixture
def scheduler(monkeypatch):
    made = Scheduler(Toy, lambda shape: 2)
    monkeypatch.setattr(Toy, "made", [])
    SCHEDULER[:] = [made]
    yield made
    SCHEDULER.clear()


def seat(shape: Shape = SMALL, *, steps: int = 0, weight: float = 0.0, rate: float = 1.0) -> Seat:
    weights = {"w": torch.tensor(weight)}
    made = Seat(shape, RUN, weights, Moments.zero(weights))
    made.turns.extend(Batch(np.zeros(0), np.zeros(0), np.zeros(0), rate) for _ in range(steps))
    return made


def joined(scheduler: Scheduler, *seats: Seat) -> None:
    for one in seats:
        scheduler.join(one)


def test_slots_go_to_who_came_first_and_are_taken_again(scheduler):
    first, second, third = seat(steps=2), seat(steps=3), seat(steps=2, weight=10)
    joined(scheduler, first, second, third)
    assert scheduler.advance() == [first, second]
    assert scheduler.advance() == []
    scheduler.leave(first)
    assert scheduler.advance() == [third]  # and both step
    scheduler.advance()
    assert [losses for losses, _ in second.outcomes()] == [1, 2, 3]
    assert [losses for losses, _ in third.outcomes()] == [11, 12]
    assert Toy.made[0].steps == [{0, 1}, {0, 1}, {0, 1}, {0}]


def test_a_run_that_asks_for_nothing_waits_and_the_others_go_on(scheduler):
    busy, thinking = seat(steps=2), seat()
    joined(scheduler, busy, thinking)
    scheduler.advance()
    assert (scheduler.busy, scheduler.thinking) == (True, True)
    scheduler.advance()
    assert not scheduler.busy
    assert Toy.made[0].steps == [{0}, {0}]


def test_shapes_take_turns(scheduler):
    small, large = seat(SMALL, steps=3), seat(LARGE, steps=3)
    joined(scheduler, small, large)
    told = []
    for _ in range(6):
        scheduler.advance()
        told.append((len(small.taken), len(large.taken)))
    assert told == [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]


def test_who_leaves_while_it_waits_takes_no_slot(scheduler):
    first, second, third, fourth = (seat(steps=1) for _ in range(4))
    joined(scheduler, first, second, third, fourth)
    scheduler.advance()
    scheduler.leave(third)
    scheduler.leave(second)
    assert scheduler.advance() == [fourth]


def test_an_epoch_and_a_place_in_it_are_taken_up_when_there_is_a_slot(scheduler):
    waiting = seat(steps=1)
    joined(scheduler, waiting)
    scheduler.begin_epoch(waiting, 3, None)
    scheduler.advance()
    assert waiting.outcomes()[0][1] == 301
    scheduler.begin_epoch(waiting, 4, torch.tensor(7))
    assert int(scheduler.settle(waiting)) == 7


def test_less_memory_means_fewer_slots_from_the_start(scheduler, monkeypatch):
    monkeypatch.setattr(Toy, "room", 1)
    first, second = seat(steps=1), seat(steps=1)
    joined(scheduler, first, second)
    assert scheduler.advance() == [first]
    scheduler.leave(first)
    assert scheduler.advance() == [second]
    assert Toy.made[0].count == 1


def test_memory_that_runs_out_in_a_step_loses_none(scheduler):
    first, second = seat(steps=4, weight=1), seat(steps=4, weight=10)
    joined(scheduler, first, second)
    scheduler.advance()
    Toy.made[0].fails = True
    scheduler.advance()
    for _ in range(3):
        scheduler.advance()
    assert [loss for loss, _ in first.outcomes()] == [2, 3, 4, 5]
    assert len(second.taken) == 1  # it waits for the only slot
    scheduler.leave(first)
    for _ in range(3):
        scheduler.advance()
    assert second.outcomes() == [[11, 1], [12, 2], [13, 3], [14, 4]]
    assert Toy.made[1].count == 1


def test_a_state_is_up_to_date_while_its_run_has_lost_its_slot(scheduler):
    first, second = seat(steps=2, weight=1), seat(steps=2, weight=10)
    joined(scheduler, first, second)
    scheduler.advance()
    Toy.made[0].fails = True
    scheduler.advance()
    scheduler.advance()
    assert second.slot is None
    assert (int(scheduler.settle(second)), second.weights["w"]) == (1, 11)


def test_an_engine_without_runs_leaves_its_memory_to_another_shape(scheduler, monkeypatch):
    monkeypatch.setattr(Toy, "room", 2)
    first, second = seat(SMALL, steps=1), seat(LARGE, steps=1)
    joined(scheduler, first, second)
    assert scheduler.advance() == [first]
    assert scheduler.advance() == []  # no memory for the other shape while the first run is there
    scheduler.leave(first)
    assert scheduler.advance() == [second]
    assert [toy.shape for toy in Toy.made] == [SMALL, LARGE]


def test_a_run_for_which_there_is_no_memory_at_all_is_told(scheduler, monkeypatch):
    monkeypatch.setattr(Toy, "room", 0)
    alone = seat(steps=1)
    joined(scheduler, alone)
    assert scheduler.advance() == [alone]
    assert alone.slot is None
    assert scheduler.advance() == []


def test_another_error_of_an_engine_is_no_want_of_memory(scheduler):
    joined(scheduler, seat(steps=1))
    scheduler.advance()
    Toy.made[0].step = None
    joined(scheduler, seat(steps=1))
    with pytest.raises(TypeError):
        scheduler.advance()
