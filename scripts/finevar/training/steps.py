"""One optimiser step: a batch in; its loss, tokens and gradient norm out, the state changed in place.

A processor pays for padding, so `FlatSteps` lays a batch end to end; a GPU pays for launches, so `padded.PaddedSteps`
takes batches of a few fixed shapes. Both leave the same state, but for rounding and for what dropout draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from finevar.data.encoding import Encoded
from finevar.errors import InputError
from finevar.jobs.log import LOGGER
from finevar.models import lora
from finevar.models.family import Family, Forward
from finevar.models.machine import is_out_of_memory
from finevar.training.optimiser import update
from finevar.training.state import State

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Course:
    """What each step of a training needs beside its state: the model's family, the examples and how to learn."""

    family: Family
    examples: Encoded
    settings: Settings
    seed: int
    dtype: torch.dtype

    def forward(self, state: State) -> Forward:
        """Return the model of a state as a function; gradients reach the weights that learn."""
        return self.family.forward(lora.summed(state.model, self.settings), self.dtype)


class Step(NamedTuple):
    """What a step gives: the batch's mean loss, the gradient's norm, the tokens read, the parts it was split into."""

    loss: float
    grad_norm: float
    tokens: int
    micro_batches: int


class Steps(Protocol):
    """A way to take the steps of one training; masks: the generator of dropout's draws, set again for each epoch."""

    masks: torch.Generator

    def take(self, numbers: Sequence[int], learning_rate: float) -> Step:
        """Take one step on the examples of these numbers; raise InputError where memory does not do for any."""


class FlatSteps:
    """Steps on batches laid end to end, each in so many parts, or in more from when memory runs out."""

    def __init__(self, course: Course, state: State, parts: int, masks: torch.Generator | None = None) -> None:
        self.course, self.state, self.parts = course, state, parts
        self.masks = masks or torch.Generator(state.device)

    def take(self, numbers: Sequence[int], learning_rate: float) -> Step:
        """Take one step on the examples of these numbers."""
        before, weights, settings = self.masks.get_state(), self.state.weights, self.course.settings
        while (done := self.backpropagate(numbers)) is None:
            drop_gradients(weights)
            self.masks.set_state(before)
            self.parts *= 2
            check_parts(self.parts, len(numbers))
            LOGGER.warning("memory ran out: each batch is now split into %d parts, their gradients summed", self.parts)
        norm = update(
            weights,
            self.state.moments,
            learning_rate=learning_rate,
            weight_decay=settings["weight_decay"],
            clip_norm=settings["clip_norm"],
            optimizer=settings["optimizer"],
        )
        loss, tokens = done
        return Step(loss, norm.item(), tokens, self.parts)

    def backpropagate(self, numbers: Sequence[int]) -> tuple[float, int] | None:
        """Add the gradients of the batch's mean loss, computed in parts; return that loss and the tokens read.

        None, with some gradients added, where memory ran out.
        """
        loss, tokens = 0.0, 0
        try:
            for part in np.array_split(numbers, min(self.parts, len(numbers))):
                share, read = self.loss_of(part)
                share = share * (len(part) / len(numbers))
                share.backward()
                loss += share.item()
                tokens += read
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return loss, tokens

    def loss_of(self, numbers: np.ndarray) -> tuple[torch.Tensor, int]:
        """Return the mean loss of some examples, and their tokens."""
        family, examples, device = self.course.family, self.course.examples, self.state.device
        max_length = self.course.settings["max_length"]
        sentences = [examples.sentence(number, max_length) for number in numbers]
        logits = self.course.forward(self.state)(
            family.batch(sentences, examples.seconds(numbers, max_length)).to(device), self.masks
        )
        loss = F.cross_entropy(logits, torch.as_tensor(examples.labels[numbers]).to(device))
        return loss, sum(map(len, sentences))


def drop_gradients(weights: Mapping[str, torch.Tensor]) -> None:
    """Forget what a step that ran out of memory has added up."""
    for weight in weights.values():
        weight.grad = None


def check_parts(parts: int, batch_size: int) -> None:
    """Raise InputError where memory ran out with a sentence at a time."""
    if parts >= 2 * batch_size:
        raise InputError(
            "memory",
            found="too little for a single sentence at a time",
            allowed="enough for the model, its gradients and moments, and one sentence",
            remedy="Run fewer jobs at once (--cores), ask for more memory (mem_mb in a profile), or lower max_length.",
        )
