"""Training steps for a GPU: the data on the device, batches of a few fixed shapes, each step perhaps one launch.

A processor pays for padding, a GPU for launches: a step of DistilBERT is some hundred small kernels, and a batch laid
end to end brings a dozen index arrays of its own to the device. So here sentences are padded to a multiple of `ROUND`
tokens, or to all positions of the model. A batch of B sentences of L tokens is then one block, whose index arrays
depend on B and L alone and stay on the device; the encoder is the same. Where the shape has come `BEFORE` times already
and FINEVAR_GRAPHS=1 asks for it, the step, optimiser included, is captured as a CUDA graph and from then on replayed.

Loss and gradients are those of the batch laid end to end, to rounding; dropout draws other numbers, as its masks cover
the padding too.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from finevar.data.encoding import Encoded
from finevar.models.encoder import Architecture, classify, multiplied
from finevar.models.machine import is_out_of_memory
from finevar.models.packing import Batch, Block
from finevar.training.optimiser import update
from finevar.training.state import State

ROUND = 16  # tokens that a shape's length is a multiple of, where positions allow: few shapes, little padding
BEFORE = 2  # steps of a shape before it is captured: they load its kernels, and a short run ends with them

Shape = tuple[int, int]  # sentences, tokens of each


class PaddedSteps:
    """The steps of one training on its state's device; its weights and moments change in place."""

    def __init__(
        self,
        state: State,
        architecture: Architecture,
        examples: Encoded,
        settings: Mapping[str, Any],
        dtype: torch.dtype,
    ) -> None:
        self.weights, self.moments = state.weights, state.moments
        device = self.moments.steps.device
        self.architecture, self.settings, self.dtype = architecture, settings, dtype
        self.sizes = np.minimum(np.diff(examples.offsets), settings["max_length"])
        self.tokens = torch.from_numpy(padded_tokens(examples, self.sizes, architecture.positions)).to(device)
        self.lengths = torch.from_numpy(self.sizes.astype(np.int64)).to(device)
        self.labels = torch.from_numpy(np.array(examples.labels)).to(device)
        # What changes from step to step lies in these, so that a captured step finds it.
        self.numbers = torch.zeros(settings["batch_size"], dtype=torch.int64, device=device)
        self.rate = torch.zeros((), device=device)
        self.told = torch.zeros(2, device=device)  # loss and norm
        self.masks = torch.Generator(device)
        self.places: dict[Shape, dict[str, Tensor]] = {}
        self.seen: Counter[Shape] = Counter()
        self.graphs: dict[Shape, torch.cuda.CUDAGraph] = {}
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.captures = device.type == "cuda" and os.environ.get("FINEVAR_GRAPHS") == "1"

    def attempt(self, numbers: Sequence[int], learning_rate: float) -> tuple[float, int, float] | None:
        """Take one step as `take` does; None, with nothing changed, where memory ran out."""
        before = self.masks.get_state()
        try:
            return self.take(numbers, learning_rate)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        for weight in self.weights.values():
            weight.grad = None
        self.masks.set_state(before)
        return None

    def take(self, numbers: Sequence[int], learning_rate: float) -> tuple[float, int, float]:
        """Take one step on some examples; return the batch's mean loss, the tokens read and the gradient's norm."""
        chosen = self.sizes[numbers]
        shape = (len(numbers), padded_length(int(chosen.max()), self.architecture.positions))
        self.numbers[: len(numbers)].copy_(torch.as_tensor(numbers), non_blocking=True)
        self.rate.fill_(learning_rate)
        if self.stream is None:
            self.work_or_replay(shape)
        else:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.work_or_replay(shape)
            torch.cuda.current_stream().wait_stream(self.stream)
        self.seen[shape] += 1
        loss, norm = self.told.tolist()
        return loss, int(chosen.sum()), norm

    def work_or_replay(self, shape: Shape) -> None:
        """Do a step of a shape, by its graph where there is one, or is to be one from now on."""
        if self.captures and shape not in self.graphs and self.seen[shape] >= BEFORE:
            self.graphs[shape] = self.captured(shape)
        if shape in self.graphs:
            self.graphs[shape].replay()
        else:
            self.work(shape)

    def captured(self, shape: Shape) -> torch.cuda.CUDAGraph:
        """Return a step of a shape as a graph; nothing is computed yet."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.masks)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=self.stream):
            self.work(shape)
        return graph

    def work(self, shape: Shape) -> None:
        """Do a step of a shape: forward, backward, update; nothing in it waits for the device or depends on values."""
        batch = self.batch(shape)
        logits = classify(multiplied(self.weights, self.dtype), self.architecture, batch, self.masks)
        loss = F.cross_entropy(logits, batch.labels)
        loss.backward()
        norm = update(
            self.weights,
            self.moments,
            learning_rate=self.rate,
            weight_decay=self.settings["weight_decay"],
            clip_norm=self.settings["clip_norm"],
        )
        self.told.copy_(torch.stack([loss.detach().float(), norm]))

    def batch(self, shape: Shape) -> Batch:
        """Return the batch of the examples that `numbers` holds, each padded to the shape's length."""
        count, length = shape
        if shape not in self.places:
            self.places[shape] = block_places(count, length, self.architecture.heads, self.tokens.device)
        numbers = self.numbers[:count]
        real = torch.arange(length, device=self.tokens.device) < self.lengths.index_select(0, numbers)[:, None]
        bias = torch.zeros(real.shape, device=real.device).masked_fill(~real, float("-inf"))[:, None, None, :]
        return Batch(
            tokens=self.tokens.index_select(0, numbers)[:, :length].reshape(-1),
            labels=self.labels.index_select(0, numbers),
            blocks=(Block(count, length, bias),),
            cell_bias=bias,
            **self.places[shape],
        )


def padded_length(size: int, positions: int) -> int:
    """Return the length to which a sentence is padded: a multiple of ROUND, or all the positions that a model has."""
    return min(-(-size // ROUND) * ROUND, positions)


def padded_tokens(examples: Encoded, sizes: np.ndarray, positions: int) -> np.ndarray:
    """Return every example's tokens, cut to its size [examples, longest], int64; the rest is the token of number 0."""
    tokens = np.zeros((len(examples), padded_length(int(sizes.max()), positions)), dtype=np.int64)
    for number, size in enumerate(sizes):
        tokens[number, :size] = examples.sentence(number, int(size))
    return tokens


def block_places(count: int, length: int, heads: int, device: torch.device) -> dict[str, Tensor]:
    """Return the parts of a batch (packing.Batch) that follow from its shape: where each row of each head belongs."""
    size = count * length
    token = torch.arange(size, device=device).view(count, length)
    kind, head = torch.arange(3, device=device), torch.arange(heads, device=device)
    rows = (token[None, :, None, :] * 3 + kind[:, None, None, None]) * heads + head[None, None, :, None]
    sentence, place = token // length, token % length
    within = ((sentence[..., None] * heads + head) * length + place[..., None]).view(size, heads)
    return {
        "positions": place.reshape(-1),
        "first": torch.arange(count, device=device) * length,
        "block_rows": rows.reshape(-1),
        "token_rows": (kind[:, None] * size * heads + within[:, None, :]).reshape(-1),
        "context_rows": within.reshape(-1),
        "cell_tokens": token.reshape(-1),
        "token_cells": token.reshape(-1),
    }
