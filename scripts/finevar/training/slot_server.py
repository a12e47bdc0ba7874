"""The process that trains the runs of a GPU: one context of the card, one set of slots for each shape of runs.

A run's own process stays what it is: it reads, writes and logs, keeps to its seed's order of sentences, sees to
divergence and to signals, and ends by itself. It asks this process for its steps alone, over a socket that only its
user can open. Where it dies, its slot is free; where this process dies, the runs end and go on from the states that
they saved. Started and found as the warm processes are (`jobs.worker`).
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finevar.jobs.log import LOGGER, JobLog
from finevar.jobs.stall import ending_if_stalled
from finevar.jobs.worker import listening
from finevar.models.distilbert.encoder import WORDS
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.machine import set_up
from finevar.training.messages import LOG, Message, joined, receive, send, split
from finevar.training.optimiser import Moments
from finevar.training.scheduler import Scheduler, Seat
from finevar.training.slot_shapes import Batch, Run, Shape, default_slots
from finevar.training.slots import Slots

THINKING_SECONDS = 0.003  # that a step waits for runs which have just got their losses and will ask again
SLOW_SECONDS = 20.0  # between two parts of a message, after which its sender counts as gone


class Server:
    """Connections of runs, and the scheduler that takes their steps."""

    def __init__(self, device: str, selector: selectors.BaseSelector) -> None:
        self.device, self.selector = device, selector
        self.scheduler = Scheduler(
            build=lambda shape, count: Slots(shape, count, device),
            slots=lambda shape: shape.slots or default_slots(shape, device),
        )
        self.seats: dict[socket.socket, Seat] = {}
        self.new: set[socket.socket] = set()  # those whose run has not had a slot so far

    def listen(self, listener: socket.socket) -> bool:
        """Do what runs ask for, as long as a step is not better taken first; return whether one asked."""
        scheduler = self.scheduler
        wait, heard = (THINKING_SECONDS * scheduler.thinking if scheduler.busy else 1.0), False
        while ready := self.selector.select(timeout=wait):
            for key, _ in ready:
                if key.fileobj is listener:
                    self.admit(listener.accept()[0])
                else:
                    self.hear(key.fileobj)
            wait, heard = THINKING_SECONDS, True
            if not scheduler.thinking:
                break
        return heard

    def admit(self, connection: socket.socket) -> None:
        """Take a connection on."""
        connection.settimeout(SLOW_SECONDS)
        self.selector.register(connection, selectors.EVENT_READ)

    def hear(self, connection: socket.socket) -> None:
        """Do what a run asks for; forget it where it is gone."""
        try:
            self.answer(connection, receive(connection))
        except (OSError, ValueError) as error:
            if not isinstance(error, ConnectionError):
                LOGGER.warning("a run is sent away: %s", error)
            self.forget(connection)

    def answer(self, connection: socket.socket, message: Message) -> None:
        """Do what a message asks for."""
        facts, tensors = message
        match facts["do"]:
            case "count":
                send(connection, {"runs": len(self.seats)})
            case "join":
                seat = seat_of(message)
                seat.shape.check(seat.weights, seat.moments)
                self.seats[connection] = seat
                self.new.add(connection)
                self.scheduler.join(seat)
            case "turns":
                seat = self.seats[connection]
                if facts["epoch"] is not None:
                    self.scheduler.begin_epoch(seat, facts["epoch"], tensors.get("draws"))
                batches = batches_of(message)
                for batch in batches:
                    seat.shape.check_batch(batch, len(seat.weights[WORDS]))
                seat.turns.extend(batches)
            case "settle":
                seat = self.seats[connection]
                draws = self.scheduler.settle(seat)
                state = joined(weight=seat.learning, first=seat.moments.first, second=seat.moments.second)
                state |= {"steps": seat.moments.steps} | ({} if draws is None else {"draws": draws})
                send(connection, {}, state)

    def forget(self, connection: socket.socket) -> None:
        """Free what a run has that is gone."""
        self.selector.unregister(connection)
        connection.close()
        self.new.discard(connection)
        if seat := self.seats.pop(connection, None):
            self.scheduler.leave(seat)

    def advance(self) -> None:
        """Take a step, and tell the runs what they wait for: that they have a slot, or what their steps gave."""
        answered = self.scheduler.advance()
        for connection, seat in list(self.seats.items()):
            if seat in answered and seat.slot is None:
                self.tell(connection, {"refused": True})
            elif seat in answered and connection in self.new:
                self.new.remove(connection)
                self.tell(connection, {"refused": False})
            elif seat.taken and not seat.turns:
                self.tell(connection, {"refused": False, "outcomes": seat.outcomes()})

    def tell(self, connection: socket.socket, facts: Mapping[str, Any]) -> None:
        """Send facts to a run; forget it where it is gone."""
        try:
            send(connection, facts)
        except OSError:
            self.forget(connection)


def seat_of(message: Message) -> Seat:
    """Return the seat of a run that asks to join."""
    facts, kinds = message.facts, split(message.tensors)
    shape = Shape(**facts["shape"] | {"family": FlatDistilBert(**facts["shape"]["family"])})
    moments = Moments(kinds["first"], kinds["second"], message.tensors["steps"])
    return Seat(shape, Run(**facts["run"]), kinds["weight"], moments)


def batches_of(message: Message) -> list[Batch]:
    """Return the batches of the steps that a run asks for; in the message they lie one below the other."""
    counts, rates = zip(*message.facts["turns"], strict=True)
    arrays = (message.tensors[name].numpy() for name in ("tokens", "lengths", "labels"))
    parts = zip(*(np.split(array, np.cumsum(counts)[:-1]) for array in arrays), strict=True)
    return [Batch(*arrays, rate) for arrays, rate in zip(parts, rates, strict=True)]


def serve(folder: Path, idle: float, device: str) -> None:
    """Take the steps of whoever asks, until nobody has been connected for `idle` seconds.

    Asked to end, it does so when the last run has left: runs save their states through it.
    """
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    set_up(1)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    with JobLog(folder / LOG), contextlib.ExitStack() as held:
        listener, progressed = held.enter_context(listening(folder)), held.enter_context(ending_if_stalled("step"))
        selector = held.enter_context(selectors.DefaultSelector())
        selector.register(listener, selectors.EVENT_READ)
        server, last = Server(device, selector), time.monotonic()
        while len(selector.get_map()) > 1 or (not asked and time.monotonic() - last < idle):
            if server.listen(listener):
                last = time.monotonic()
            server.advance()
            progressed()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
