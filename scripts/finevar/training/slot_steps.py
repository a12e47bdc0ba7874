"""A run's steps, taken in a slot of the process that trains the runs of a GPU (`slot_server`)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from finevar.errors import Interruption
from finevar.jobs.worker import connect, usable
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.families import read_family
from finevar.study.identity import chosen
from finevar.training.messages import LOG, Message, joined, receive, send, split
from finevar.training.padded import padded_length, padded_tokens
from finevar.training.slot_shapes import Batch, Shape, run_of
from finevar.training.state import State
from finevar.training.steps import Course, Settings, Step, Turn, out_of_memory

AHEAD = 16  # steps between two looks at their losses: a look waits for the device
# Settings that a slot knows. A training with others takes its steps by itself.
KNOWN = {
    *("learning_rate", "batch_size", "epochs", "warmup", "schedule", "weight_decay", "dropout", "label_smoothing"),
    *("max_length", "train_examples", "frozen_layers", "reinit_layers", "layer_decay", "optimizer", "beta2"),
    *("clip_norm", "dtype"),
}
OPTIMIZERS = ("adamw", "adamw_uncorrected")
GOES_ON = "goes on from the last saved state, if there is one, at the next start."


@dataclass(frozen=True)
class Slot:
    """A connection to the process of a GPU, and how many slots it is to have; None for as many as memory holds."""

    server: socket.socket
    asked: int | None = None

    def ask(self, facts: Mapping[str, object], tensors: Mapping[str, Tensor] | None = None) -> Message:
        """Send a message and return the answer; raise Interruption where the process is gone."""
        log = Path(self.server.getpeername()).with_name(LOG)
        try:
            send(self.server, facts, tensors)
            return receive(self.server)
        except OSError:
            raise Interruption(f"The process that trains on the GPU has ended, see {log}; {GOES_ON}") from None


def fits_slot(start: Path, settings: Settings) -> bool:
    """Return whether a training can take its steps in a slot; start: the folder of its model."""
    known = chosen(settings).keys() <= KNOWN and settings["optimizer"] in OPTIMIZERS
    return known and type(read_family(start)) is FlatDistilBert and usable()


def gpus() -> list[str]:
    """Return the names of the GPUs."""
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


@contextlib.contextmanager
def slot_of_a_gpu(asked: int | None) -> Iterator[Slot]:
    """Connect to the process of the GPU that has the fewest runs; raise Interruption where there is none."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(connect(f"slots {gpu}")) for gpu in gpus()]
        slots = [Slot(server, asked) for server in found if server]
        runs = [slot.ask({"do": "count"}).facts["runs"] for slot in slots]
        if not slots:
            raise Interruption(f"No process to train on the GPU could start; {GOES_ON} `gpu: {{slots: 0}}` needs none.")
        fewest = slots[runs.index(min(runs))]
        for slot in slots:
            if slot is not fewest:
                slot.server.close()
        yield fewest


def shape_of(course: Course, state: State, slots: int | None = None) -> Shape:
    """Return what a run has in common with those that it may step with; slots: how many may."""
    weights, longest = state.model, int(Sentences.of(course).lengths.max())
    return Shape.of(
        course.family,
        len(weights[course.family.embedding]),
        classes=len(weights["classifier.bias"]),
        batch_size=course.settings["batch_size"],
        length=padded_length(longest, course.family.positions),
        dtype=str(course.dtype).removeprefix("torch."),
        slots=slots,
    )


class Sentences(NamedTuple):
    """A training's examples, padded: tokens int64 [n, longest], lengths and labels int64 [n]."""

    tokens: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, course: Course) -> Sentences:
        """Return the examples of a training."""
        examples = course.examples
        lengths = np.minimum(np.diff(examples.offsets), course.settings["max_length"]).astype(np.int64)
        tokens = padded_tokens(examples, lengths, course.family.positions)
        return cls(tokens, lengths, np.asarray(examples.labels).astype(np.int64))

    def batch(self, turn: Turn) -> Batch:
        """Return the batch of a step."""
        return Batch(*(array[turn.numbers] for array in self), turn.learning_rate)


class SlotSteps:
    """Steps in a slot, `AHEAD` at a time; the state is up to date after `settle`."""

    ahead = AHEAD

    def __init__(self, course: Course, state: State, slot: Slot) -> None:
        self.state, self.slot, self.masks = state, slot, self
        self.sentences = Sentences.of(course)
        self.begins: tuple[int | None, Tensor | None] = (None, None)  # the epoch that begins with the next steps
        facts = {"do": "join", "shape": asdict(shape_of(course, state, slot.asked)), "run": run_of(course)._asdict()}
        moments = state.moments
        tensors = joined(weight=state.model, first=moments.first, second=moments.second) | {"steps": moments.steps}
        self.answer_to(facts, tensors)

    def answer_to(self, facts: Mapping[str, object], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return what the process says; raise InputError where memory does not do for a single run."""
        answer = self.slot.ask(facts, tensors).facts
        if answer["refused"]:
            raise out_of_memory("the steps of a single run")
        return answer

    def begin_epoch(self, epoch: int, draws: Tensor | None) -> None:
        """Have dropout draw as an epoch does from its beginning, or from where draws say."""
        self.begins = (epoch, draws)

    def take_all(self, turns: Sequence[Turn]) -> list[Step]:
        """Take some steps."""
        (epoch, draws), self.begins = self.begins, (None, None)
        batches = [self.sentences.batch(turn) for turn in turns]
        kinds = ((name, [getattr(batch, name) for batch in batches]) for name in Sentences._fields)
        tensors = {name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in kinds}
        facts = {"do": "turns", "epoch": epoch, "turns": [(len(turn.numbers), turn.learning_rate) for turn in turns]}
        outcomes = self.answer_to(facts, tensors | ({} if draws is None else {"draws": draws}))["outcomes"]
        return [
            Step(loss, norm, int(batch.lengths.sum()), 1) for batch, (loss, norm) in zip(batches, outcomes, strict=True)
        ]

    def settle(self) -> None:
        """Bring the state up to date, in place."""
        self.get_state()

    @torch.no_grad()
    def get_state(self) -> Tensor | None:
        """Bring the state up to date, in place; return where dropout's draws are."""
        tensors = self.slot.ask({"do": "settle"}).tensors
        kinds, moments = split(tensors), self.state.moments
        for own, kind in ((self.state.weights, "weight"), (moments.first, "first"), (moments.second, "second")):
            for name, tensor in own.items():
                tensor.copy_(kinds[kind][name])
        moments.steps.copy_(tensors["steps"])
        return tensors.get("draws")
