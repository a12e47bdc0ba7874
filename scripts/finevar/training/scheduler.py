"""Which runs step together, and when: they come and go at any step, as requests do in a server of a language model.

Runs of one shape share an engine, whose slots they take in the order in which they came; engines take turns, a step
each, so that no shape waits for another. How many slots an engine has is a matter of memory: where it runs out, there
are half as many, and the runs without one wait. What a run computes depends on none of this but that number, by
rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from finevar.jobs.log import LOGGER
from finevar.models.family import Weights
from finevar.models.machine import is_out_of_memory
from finevar.training.optimiser import Moments
from finevar.training.slot_shapes import Batch, Run, Shape


class Engine(Protocol):
    """What takes the steps of all runs of a shape; see `slots.Slots`."""

    count: int
    outcome: Tensor

    def put(self, slot: int, run: Run, weights: Weights, moments: Moments) -> None:
        """Give a slot to a run."""

    def fetch(self, slot: int, weights: Weights, moments: Moments) -> Tensor:
        """Copy what a slot's run has learnt, in place; return where its dropout's draws are."""

    def free(self, slot: int) -> None:
        """Take a slot back."""

    def begin_epoch(self, slot: int, epoch: int, draws: Tensor | None) -> None:
        """Have a run's dropout draw as an epoch does from its beginning, or from where draws say."""

    def step(self, turns: Mapping[int, Batch]) -> None:
        """Take a step of the runs in these slots, or, where memory runs out, leave all as it was."""


@dataclass(eq=False)
class Seat:
    """A run with its place. weights, moments: its state, up to date while it has no slot.

    turns: the steps that it asks for. taken: the outcomes of those done since it last asked, on the device. drawing:
    the epoch from whose beginning, or the place from which, its dropout draws, once it has a slot.
    """

    shape: Shape
    run: Run
    weights: Weights
    moments: Moments
    slot: int | None = None
    turns: deque[Batch] = field(default_factory=deque)
    taken: list[Tensor] = field(default_factory=list)
    drawing: tuple[int, Tensor | None] | None = None

    @property
    def learning(self) -> Weights:
        """Return the weights that learn."""
        return {name: self.weights[name] for name in self.moments.first}

    def outcomes(self) -> list[list[float]]:
        """Return the losses and norms of the steps taken since this was last asked; waits for the device."""
        taken, self.taken = self.taken, []
        return torch.stack(taken).tolist()


@dataclass
class Room:
    """The runs of a shape: those in the engine's slots, and those that wait for one, the next one first.

    most: the slots that its engine has or would have.
    """

    shape: Shape
    most: int
    engine: Engine | None = None
    waiting: deque[Seat] = field(default_factory=deque)
    seated: dict[int, Seat] = field(default_factory=dict)

    def turns(self) -> dict[int, Batch]:
        """Return the next step of each run that asks for one, by its slot."""
        return {slot: seat.turns[0] for slot, seat in self.seated.items() if seat.turns}

    def halve(self) -> bool:
        """Have half the slots from now on; False where there is one."""
        if self.most == 1:
            return False
        self.most //= 2
        LOGGER.warning("memory ran out: %d runs of a shape step at once from now on", self.most)
        return True

    def refuse(self) -> list[Seat]:
        """Forget and return the runs that wait."""
        refused = list(self.waiting)
        self.waiting.clear()
        return refused


class Scheduler:
    """The runs of a device, by shape; build: makes an engine of so many slots, or raises where memory runs out."""

    def __init__(self, build: Callable[[Shape, int], Engine], slots: Callable[[Shape], int]) -> None:
        self.build, self.slots = build, slots
        self.rooms: dict[Shape, Room] = {}  # the one whose turn is next first

    def join(self, seat: Seat) -> None:
        """Have a run wait for a slot."""
        if seat.shape not in self.rooms:
            self.rooms[seat.shape] = Room(seat.shape, self.slots(seat.shape))
        self.rooms[seat.shape].waiting.append(seat)

    def leave(self, seat: Seat) -> None:
        """Take a run out, wherever it is."""
        room = self.rooms[seat.shape]
        if seat.slot is not None:
            room.engine.free(seat.slot)
            del room.seated[seat.slot]
        elif seat in room.waiting:
            room.waiting.remove(seat)

    def begin_epoch(self, seat: Seat, epoch: int, draws: Tensor | None) -> None:
        """Have a run's dropout draw as an epoch does, from its beginning or from where draws say."""
        if seat.slot is None:
            seat.drawing = (epoch, draws)
        else:
            self.rooms[seat.shape].engine.begin_epoch(seat.slot, epoch, draws)

    def settle(self, seat: Seat) -> Tensor | None:
        """Bring a run's state up to date; return where its dropout's draws are."""
        if seat.slot is None:
            return seat.drawing[1] if seat.drawing else None
        return self.rooms[seat.shape].engine.fetch(seat.slot, seat.learning, seat.moments)

    @property
    def busy(self) -> bool:
        """Return whether a run could step."""
        return any(seat.turns for room in self.rooms.values() for seat in (*room.seated.values(), *room.waiting))

    @property
    def thinking(self) -> bool:
        """Return whether a run in a slot asks for nothing, most likely for a moment."""
        return any(not seat.turns for room in self.rooms.values() for seat in room.seated.values())

    def advance(self) -> list[Seat]:
        """Give free slots to who waits, and take a step of the shape whose turn it is.

        Returns the runs that got a slot and, their slot None, those for which there is no memory though all is theirs.
        """
        answered = [seat for room in self.rooms.values() for seat in self.fill(room)]
        room = next((room for room in self.rooms.values() if room.turns()), None)
        if room is None:
            return answered
        self.rooms[room.shape] = self.rooms.pop(room.shape)  # now the last
        return answered + self.take(room, room.turns())

    def take(self, room: Room, turns: Mapping[int, Batch]) -> list[Seat]:
        """Take a step of some runs of a shape; where memory runs out, none, but with fewer slots from now on.

        Returns all of its runs where there was a single slot.
        """
        try:
            room.engine.step(turns)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.empty(room)
            return [] if room.halve() else room.refuse()
        outcome = room.engine.outcome.clone()
        for slot in turns:
            room.seated[slot].turns.popleft()
            room.seated[slot].taken.append(outcome[:, slot])
        return []

    def empty(self, room: Room) -> None:
        """Drop a shape's engine; its runs, their states up to date, wait before all others."""
        for _, seat in sorted(room.seated.items(), reverse=True):
            seat.drawing = (0, self.settle(seat))
            seat.slot = None
            room.waiting.appendleft(seat)
        room.seated.clear()
        room.engine = None

    def fill(self, room: Room) -> Iterator[Seat]:
        """Give a shape's free slots to the runs that wait; yield these, or those that cannot have one."""
        if room.waiting and room.engine is None:
            room.engine = self.engine_for(room)
            if room.engine is None and not any(other.engine for other in self.rooms.values()):
                yield from room.refuse()
        while room.waiting and room.engine and len(room.seated) < room.engine.count:
            seat = room.waiting.popleft()
            seat.slot = next(slot for slot in range(room.engine.count) if slot not in room.seated)
            room.engine.put(seat.slot, seat.run, seat.weights, seat.moments)
            room.seated[seat.slot] = seat
            if seat.drawing:
                room.engine.begin_epoch(seat.slot, *seat.drawing)
                seat.drawing = None
            yield seat

    def engine_for(self, room: Room) -> Engine | None:
        """Return an engine with as many slots as memory has room for; None where others must leave first."""
        while True:
            try:
                return self.build(room.shape, room.most)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            unused = next((other for other in self.rooms.values() if other.engine and not other.seated), None)
            if unused:
                unused.engine = None
            elif not room.halve():
                return None
