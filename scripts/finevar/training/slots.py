"""Steps of many runs at once: a slot for each, in stacked buffers that stay where they are.

All that a captured step finds lies in these buffers, so one capture serves every run of a shape. What differs between
runs is data: weights, moments, the batch, learning rate, decay, clipping, dropout, smoothing, and what is frozen. Every
kernel has the same shape whoever is there, and none mixes slots: a run's bytes are the same alone, in company and in
any slot. A slot whose run takes no step in a turn is left as it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from finevar.models.distilbert.encoder import WORDS
from finevar.models.distilbert.stacked import Drop, StackedBatch, classify, draw_sizes
from finevar.models.family import Weights
from finevar.models.kernels import BETA1, EPSILON
from finevar.models.randomness import generator
from finevar.training.optimiser import ENDLESS, Moments
from finevar.training.slot_shapes import Batch, Group, Run, Shape, laid_out

BEFORE = 2  # idle steps on a stream of their own before the capture: they load its kernels


class Knobs(NamedTuple):
    """What the optimiser and the loss need of each slot's run at a step, float32 [S]; see `Slots.knobs`.

    turn: 1 where a step is taken. slow, fast: the share of the old in each moment; it is 1 where none is taken.
    """

    turn: Tensor
    rate: Tensor
    decay: Tensor
    clip: Tensor
    smoothing: Tensor
    slow: Tensor
    fast: Tensor
    correction: Tensor
    root_correction: Tensor


class Slots:
    """S runs of a shape on a device."""

    def __init__(self, shape: Shape, count: int, device: str) -> None:
        self.shape, self.count, self.device = shape, count, torch.device(device)
        self.dtype = getattr(torch, shape.dtype)
        self.places, self.groups, size = laid_out(shape)
        buffers = (torch.zeros(count, size, device=device) for _ in range(4))  # each with a version of its own
        self.weights, self.gradients, self.first, self.second = buffers
        self.named = {name: self.view(self.weights, name).requires_grad_() for name in self.places}
        sentences = (count, shape.batch_size)
        self.sizes = draw_sizes(shape.family, *sentences[1:], shape.length)
        self.draws = torch.zeros(count, sum(self.sizes) // 4, dtype=torch.int64, device=device)
        self.batch = StackedBatch(
            torch.zeros(*sentences, shape.length, dtype=torch.int64, device=device),
            torch.ones(sentences, dtype=torch.int64, device=device),
            torch.full((count,), -1, device=device),
            self.draws.view(torch.int16),
            Drop.none(count, self.device),
            Drop.none(count, self.device),
        )
        self.labels = torch.zeros(sentences, dtype=torch.int64, device=device)
        self.real = torch.zeros(sentences, device=device)  # 1 / n for each of a batch's n sentences, 0 for the rest
        self.table = torch.zeros(len(Knobs._fields), count, device=device)
        self.knobs = Knobs(*self.table)
        self.shares = torch.zeros(count, len(self.groups), device=device)  # of the learning rate; 0 where frozen
        self.outcome = torch.zeros(2, count, device=device)  # losses and norms
        self.runs: list[Run | None] = [None] * count
        self.steps = [0] * count
        self.generators = [torch.Generator(device) for _ in range(count)]
        self.work()  # of idle slots, so that want of memory shows now
        self.graph = self.captured() if self.device.type == "cuda" else None

    # A run's coming and going ---------------------------------------------------------------------------------------

    def put(self, slot: int, run: Run, weights: Weights, moments: Moments) -> None:
        """Give a slot to a run; weights: all of its model's, of which those that have moments learn."""
        for buffer in (self.weights, self.first, self.second):
            buffer[slot].zero_()
        for buffer, tensors in ((self.weights, weights), (self.first, moments.first), (self.second, moments.second)):
            for name, tensor in tensors.items():
                self.place(buffer, slot, name, tensor.shape).copy_(tensor.detach())
        self.runs[slot], self.steps[slot] = run, int(moments.steps)
        self.batch.padding[slot] = -1 if run.padding is None else run.padding
        self.batch.encoder.set(slot, run.dropout)
        self.batch.head.set(slot, run.head_dropout)
        learning = {self.group_of(name) for name in moments.first}
        shares = [run.shares.get(group.block, 1.0) * (group in learning) for group in self.groups]
        self.shares[slot].copy_(torch.tensor(shares))

    def fetch(self, slot: int, weights: Weights, moments: Moments) -> Tensor:
        """Copy what a slot's run has learnt into its state, in place; return the state of its draws.

        weights: those that learn.
        """
        for buffer, tensors in ((self.weights, weights), (self.first, moments.first), (self.second, moments.second)):
            for name, tensor in tensors.items():
                tensor.detach().copy_(self.place(buffer, slot, name, tensor.shape))
        moments.steps.fill_(self.steps[slot])
        return self.generators[slot].get_state()

    def free(self, slot: int) -> None:
        """Take a slot back; what it holds is made harmless."""
        for buffer in (self.weights, self.gradients, self.first, self.second):
            buffer[slot].zero_()
        self.runs[slot] = None

    def begin_epoch(self, slot: int, epoch: int, draws: Tensor | None) -> None:
        """Have a run's dropout draw as an epoch does from its beginning, or from where its state says."""
        run = self.runs[slot]
        fresh = generator(run.seed, "dropout", epoch, device=str(self.device)).get_state()
        self.generators[slot].set_state(fresh if draws is None else draws)

    # A step -----------------------------------------------------------------------------------------------------------

    def step(self, turns: Mapping[int, Batch]) -> None:
        """Take a step of the runs in these slots; `outcome` then has their losses and norms, on the device.

        Where memory runs out, all is left as it was: the way forward and back needs the most, and changes nothing.
        """
        before = {slot: self.generators[slot].get_state() for slot in turns}
        try:
            self.load(turns)
            for slot in turns:
                self.draw(slot)
            self.graph.replay() if self.graph else self.work()
        except (MemoryError, RuntimeError):
            for slot, draws in before.items():
                self.generators[slot].set_state(draws)
            raise
        for slot in turns:
            self.steps[slot] += 1

    def load(self, turns: Mapping[int, Batch]) -> None:
        """Bring batches and numbers to the device, in a copy for each kind."""
        shape, sentences = self.shape, (self.count, self.shape.batch_size)
        tokens, lengths, labels = (
            np.zeros((*sentences, shape.length), int),
            np.ones(sentences, int),
            np.zeros(sentences, int),
        )
        real = np.zeros(sentences, np.float32)
        knobs = np.zeros((len(Knobs._fields), self.count))
        knobs[Knobs._fields.index("clip") :] = 1  # of idle slots: divisors, and moments that stay
        for slot, turn in turns.items():
            count = len(turn.labels)
            tokens[slot, :count], lengths[slot, :count], labels[slot, :count] = turn.tokens, turn.lengths, turn.labels
            real[slot, :count] = 1 / count
            knobs[:, slot] = self.numbers(slot, turn.learning_rate)
        for buffer, values in (
            (self.batch.tokens, tokens),
            (self.batch.lengths, lengths),
            (self.labels, labels),
            (self.real, real),
            (self.table, knobs),
        ):
            buffer.copy_(torch.from_numpy(values), non_blocking=True)

    def numbers(self, slot: int, learning_rate: float) -> Sequence[float]:
        """Return a slot's knobs for its next step, computed in float64."""
        run = self.runs[slot]
        taken = self.steps[slot] + 1 if run.corrected else ENDLESS
        correction, root = 1 - BETA1**taken, math.sqrt(1 - run.beta2**taken)
        return Knobs(
            1, learning_rate, run.weight_decay, run.clip_norm, run.label_smoothing, BETA1, run.beta2, correction, root
        )

    def draw(self, slot: int) -> None:
        """Draw the random words of a run's step, as many as its rates ask for."""
        words, run = self.draws[slot], self.runs[slot]
        begin = 0 if run.dropout else self.sizes[0] // 4
        end = len(words) if run.head_dropout else self.sizes[0] // 4
        if begin < end:
            words[begin:end].random_(-(2**63), None, generator=self.generators[slot])

    def work(self) -> None:
        """Do a step of every slot: forward, backward, update; nothing in it waits for the device."""
        losses = self.losses()
        gradients = torch.autograd.grad(losses.sum(), list(self.named.values()))
        with torch.no_grad():
            for name, gradient in zip(self.named, gradients, strict=True):
                self.view(self.gradients, name).copy_(gradient)
            norms = self.norms()
            self.update(norms)
            self.outcome.copy_(torch.stack([losses, norms]))

    def captured(self) -> torch.cuda.CUDAGraph:
        """Return a step as a graph, after some that load its kernels."""
        stream, graph = torch.cuda.Stream(self.device), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(BEFORE):
                self.work()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        with torch.cuda.graph(graph):
            self.work()
        return graph

    def losses(self) -> Tensor:
        """Return each slot's mean loss [S]."""
        logits = classify(self.named, self.shape.family, self.batch, self.dtype)
        classes, smoothing = self.shape.classes, self.knobs.smoothing[:, None, None]
        hit = self.labels[..., None] == torch.arange(classes, device=self.device)
        wanted = hit * (1 - smoothing) + smoothing / classes
        return -((logits.log_softmax(-1) * wanted).sum(-1) * self.real).sum(-1)

    def norms(self) -> Tensor:
        """Return the norm of each slot's gradient [S], of what learns."""
        norms = [torch.linalg.vector_norm(self.gradients[:, group.begin : group.end], dim=1) for group in self.groups]
        return torch.linalg.vector_norm(torch.where(self.shares > 0, torch.stack(norms, 1), 0), dim=1)

    def update(self, norms: Tensor) -> None:
        """Take AdamW's step in every slot that has a turn, as `kernels.adamw` does."""
        knobs = self.knobs
        divisor = ((norms + 1e-6) / knobs.clip).clamp(min=1.0)
        slow, fast = knobs.slow[:, None], knobs.fast[:, None]
        for number, group in enumerate(self.groups):
            weights, gradients, first, second = (
                buffer[:, group.begin : group.end] for buffer in (self.weights, self.gradients, self.first, self.second)
            )
            share = self.shares[:, number]
            moves = (share > 0) & (knobs.turn > 0)
            gradients.copy_(torch.where(moves[:, None], gradients / divisor[:, None], 0))
            first.mul_(slow).add_(gradients * (1 - slow))
            second.mul_(fast).addcmul_(gradients, gradients * (1 - fast))
            rate = torch.where(moves, knobs.rate * share, 0)[:, None]
            if group.is_matrix:
                weights.mul_(1 - rate * knobs.decay[:, None])
            scale = second.sqrt().div_(knobs.root_correction[:, None]).add_(EPSILON)
            weights.sub_(first / scale * (rate / knobs.correction[:, None]))

    # Where things lie -------------------------------------------------------------------------------------------------

    def view(self, buffer: Tensor, name: str) -> Tensor:
        """Return a weight's part of a buffer [S, ...]."""
        begin, shape = self.places[name]
        return buffer[:, begin : begin + math.prod(shape)].view(self.count, *shape).detach()

    def place(self, buffer: Tensor, slot: int, name: str, shape: Sequence[int]) -> Tensor:
        """Return a run's own tensor in a slot; of the word embedding the rows that it has."""
        own = self.view(buffer, name)[slot]
        return own[: shape[0]] if name == WORDS else own

    def group_of(self, name: str) -> Group:
        """Return the group that a weight belongs to."""
        return next(group for group in self.groups if group.begin <= self.places[name][0] < group.end)
