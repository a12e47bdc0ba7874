"""Training steps for a GPU: the data on the device, batches of a few fixed shapes, each step perhaps one launch.

A processor pays for padding, a GPU for launches: a step of a small encoder is some hundred small kernels, and a batch
laid end to end brings a dozen index arrays of its own to the device. So here sentences are padded to a multiple of
`ROUND` tokens, or to all positions of the model. What lays out a batch of B sentences of L tokens depends on B and L
alone and stays on the device. Where the shape has come `BEFORE` times already, the step, optimiser included, is
captured as a CUDA graph and from then on replayed.

Loss and gradients are those of the batch laid end to end, to rounding; dropout draws other numbers, as its masks cover
the padding too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from finevar.data.encoding import Encoded
from finevar.models.family import Pad
from finevar.models.machine import is_out_of_memory
from finevar.training.state import State
from finevar.training.steps import Course, FlatSteps, Step, StepsHere, drop_gradients

ROUND = 16  # tokens that a shape's length is a multiple of, where positions allow: few shapes, little padding
BEFORE = 2  # steps of a shape before it is captured: they load its kernels, and a short run ends with them

Shape = tuple[int, int]  # sentences, tokens of each


class PaddedSteps(StepsHere):
    """Steps of few shapes on the state's device; from when memory runs out, steps laid end to end."""

    def __init__(self, course: Course, state: State) -> None:
        self.course, self.state = course, state
        examples, settings, device = course.examples, course.settings, torch.device(state.device)
        self.sizes = np.minimum(np.diff(examples.offsets), settings["max_length"])
        self.tokens = torch.from_numpy(padded_tokens(examples, self.sizes, course.family.positions)).to(device)
        self.lengths = torch.from_numpy(self.sizes.astype(np.int64)).to(device)
        seconds = examples.seconds(range(len(examples)), settings["max_length"])
        self.seconds = self.lengths if seconds is None else torch.tensor(seconds, device=device)
        self.labels = torch.from_numpy(np.array(examples.labels)).to(device)
        # What changes from step to step lies in these, so that a captured step finds it.
        self.numbers = torch.zeros(settings["batch_size"], dtype=torch.int64, device=device)
        self.rate = torch.zeros((), device=device)
        self.loss_and_norm = torch.zeros(2, device=device)
        self.masks = torch.Generator(device)
        self.pads: dict[Shape, Pad] = {}
        self.seen: Counter[Shape] = Counter()
        self.graphs: dict[Shape, torch.cuda.CUDAGraph] = {}
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.captures = device.type == "cuda"
        self.flat: FlatSteps | None = None  # takes over when memory runs out

    def take(self, numbers: Sequence[int], learning_rate: float) -> Step:
        """Take one step on the examples of these numbers."""
        if self.flat is None and (step := self.attempt(numbers, learning_rate)):
            return step
        if self.flat is None:
            self.free()
            self.flat = FlatSteps(self.course, self.state, 1, self.masks)
        return self.flat.take(numbers, learning_rate)

    def attempt(self, numbers: Sequence[int], learning_rate: float) -> Step | None:
        """Take one step padded; None, with nothing changed, where memory ran out."""
        before = self.masks.get_state()
        try:
            return self.take_padded(numbers, learning_rate)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        drop_gradients(self.state.weights)
        self.masks.set_state(before)
        return None

    def free(self) -> None:
        """Leave the device's memory to batches laid end to end, which need less."""
        self.graphs.clear()
        self.pads.clear()
        self.tokens = self.tokens.new_empty(0)

    def take_padded(self, numbers: Sequence[int], learning_rate: float) -> Step:
        """Take one step padded."""
        chosen = self.sizes[numbers]
        shape = (len(numbers), padded_length(int(chosen.max()), self.course.family.positions))
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
        loss, norm = self.loss_and_norm.tolist()
        return Step(loss, norm, int(chosen.sum()), 1)

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
        family = self.course.family
        if shape not in self.pads:
            self.pads[shape] = family.padder(*shape, self.tokens.device)
        numbers = self.numbers[: shape[0]]  # [B]
        tokens = self.tokens.index_select(0, numbers)[:, : shape[1]]  # [B, L]
        places = (of.index_select(0, numbers) for of in (self.lengths, self.seconds))
        batch = self.pads[shape](tokens, *places)
        logits = self.course.forward(self.state)(batch, self.masks)
        loss = self.course.loss(logits, self.labels.index_select(0, numbers))
        loss.backward()
        norm = self.course.update(self.state, self.rate)
        self.loss_and_norm.copy_(torch.stack([loss.detach().float(), norm]))


def padded_length(size: int, positions: int) -> int:
    """Return the length to which a sentence is padded: a multiple of ROUND, or all the positions that a model has."""
    return min(-(-size // ROUND) * ROUND, positions)


def padded_tokens(examples: Encoded, sizes: np.ndarray, positions: int) -> np.ndarray:
    """Return every example's tokens, cut to its size [examples, longest], int64; the rest is the token of number 0."""
    tokens = np.zeros((len(examples), padded_length(int(sizes.max()), positions)), dtype=np.int64)
    for number, size in enumerate(sizes):
        tokens[number, :size] = examples.sentence(number, int(size))
    return tokens
