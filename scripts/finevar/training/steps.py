"""One optimiser step: a batch in; its loss, tokens and gradient norm out, the state changed in place.

A processor pays for padding, so `FlatSteps` lays a batch end to end; a GPU pays for launches, so `padded.PaddedSteps`
takes batches of a few fixed shapes. Both leave the same state, but for rounding and for what dropout draws.
"""

from __future__ import annotations

import functools
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
from finevar.study.seed_parts import Parts, Seed, parts_of
from finevar.training.optimiser import update
from finevar.training.state import State

Settings = Mapping[str, Any]
OF_UPDATE = ("weight_decay", "clip_norm", "optimizer", "beta2")


@dataclass(frozen=True)
class Course:
    """What each step of a training needs beside its state: the model's family, the examples and how to learn."""

    family: Family
    examples: Encoded
    settings: Settings
    seed: Seed
    dtype: torch.dtype

    @functools.cached_property
    def parts(self) -> Parts:
        """Return what each part of the training is drawn from."""
        return parts_of(self.seed)

    def forward(self, state: State) -> Forward:
        """Return the model of a state as a function; gradients reach the weights that learn."""
        return self.family.forward(lora.summed(state.model, self.settings), self.dtype)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss that is learnt from."""
        return F.cross_entropy(logits, labels, label_smoothing=self.settings["label_smoothing"])

    @functools.cached_property
    def rate_shares(self) -> dict[str, float]:
        """Return the share of the learning rate that each block of weights has, by what their names begin with."""
        blocks = self.family.blocks()
        return {block: self.settings["layer_decay"] ** (len(blocks) - place) for place, block in enumerate(blocks)}

    def rate_share(self, name: str) -> float:
        """Return the share of the learning rate that a weight has: all of it above the layers."""
        return next((share for block, share in self.rate_shares.items() if name.startswith(block)), 1.0)

    def update(self, state: State, learning_rate: float | torch.Tensor) -> torch.Tensor:
        """Take one step of the optimizer on a state whose weights have gradients; return their norm."""
        options = {name: self.settings[name] for name in OF_UPDATE if name in self.settings}
        shares = {name: self.rate_share(name) for name in state.weights}
        return update(state.weights, state.moments, learning_rate=learning_rate, shares=shares, **options)


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
        before = self.masks.get_state()
        while (done := self.backpropagate(numbers)) is None:
            drop_gradients(self.state.weights)
            self.masks.set_state(before)
            self.parts *= 2
            check_parts(self.parts, len(numbers))
            LOGGER.warning("memory ran out: each batch is now split into %d parts, their gradients summed", self.parts)
        norm = self.course.update(self.state, learning_rate)
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
        loss = self.course.loss(logits, torch.as_tensor(examples.labels[numbers]).to(device))
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
