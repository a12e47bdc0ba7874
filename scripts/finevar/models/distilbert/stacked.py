"""Several DistilBERTs of one size side by side: weights stacked, products batched, each model by itself.

A small encoder's step is hundreds of kernels too small for a GPU; those of many models at once fill it. A model's
numbers do not depend on those beside it: no operation mixes models, and shapes do not change with who is there. Same
maths as `encoder`, on sentences padded to one length; dropout reads random words in the order in which `encoder` draws
them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from finevar.models.distilbert.encoder import (
    ACTIVATIONS,
    EMBEDDINGS,
    EPSILON,
    HEAD,
    LAYER,
    WORDS,
    Architecture,
    multiplied,
)
from finevar.models.family import Weights
from finevar.models.flat.dropout import STEPS, dropped_steps
from finevar.models.flat.packing import bias_where


class Drop(NamedTuple):
    """Dropout of each model: least, int16 [S], the least random number that keeps; scale, float32 [S], of what is kept.

    As data, so that a captured step serves any rate.
    """

    least: Tensor
    scale: Tensor

    @classmethod
    def none(cls, models: int, device: torch.device) -> Drop:
        """Return no dropout for so many models."""
        return cls(
            torch.full((models,), -STEPS // 2, dtype=torch.int16, device=device), torch.ones(models, device=device)
        )

    def set(self, model: int, rate: float) -> None:
        """Give a model a rate."""
        dropped = dropped_steps(rate)
        self.least[model], self.scale[model] = dropped - STEPS // 2, STEPS / (STEPS - dropped)


@dataclass(frozen=True)
class StackedBatch:
    """A padded batch of each model.

    tokens: int64 [S, B, L]. lengths: int64 [S, B], at least 1. padding: int64 [S], the row of the word embedding that
    gets no gradient, -1 for none. draws: int16 [S, n], as many random words as `draw_sizes` adds up to. encoder, head:
    the dropout in each.
    """

    tokens: Tensor
    lengths: Tensor
    padding: Tensor
    draws: Tensor
    encoder: Drop
    head: Drop


def draw_sizes(sizes: Architecture, sentences: int, length: int) -> tuple[int, int]:
    """Return how many random words a batch's dropout reads in the encoder and in the head, for each model."""
    states, first = sentences * length * sizes.dim, sentences * sizes.dim
    lower = [sentences * sizes.heads * length**2, states] * (sizes.layers - 1)
    return sum(map(rounded, [states, *lower, sentences * sizes.heads * length, first])), rounded(first)


def rounded(count: int) -> int:
    """Return so many 16-bit words as whole 64-bit draws hold."""
    return -(-count // 4) * 4


def classify(weights: Weights, architecture: Architecture, batch: StackedBatch, dtype: torch.dtype) -> Tensor:
    """Return logits [S, B, classes], float32; weights: [S, ...] by name; dtype: that large matrices multiply in."""
    run = StackedPass(multiplied(weights, dtype, models=True), architecture, batch)
    hidden = run.embed()
    *lower, last = map(LAYER.format, range(architecture.layers))
    for name in lower:
        hidden = run.feed_forward(name, run.attend(f"{name}.attention", hidden, hidden) + hidden)
    first = hidden[:, :, :1]  # all that the head reads, so that the last layer computes no other
    first = run.feed_forward(last, run.attend(f"{last}.attention", first, hidden) + first)
    pooled = architecture.pooled(run.linear(HEAD, first))
    return run.linear("classifier", run.dropout(pooled, batch.head)).squeeze(2)


class StackedPass:
    """A batch of each model on its way through the encoder; hidden states are [S, B, places, dim]."""

    def __init__(self, weights: Weights, architecture: Architecture, batch: StackedBatch) -> None:
        self.weights, self.sizes, self.batch = weights, architecture, batch
        self.models, self.sentences, self.length = batch.tokens.shape
        self.read = 0  # random words so far
        place = torch.arange(self.length, device=batch.tokens.device)
        self.bias = bias_where((place < batch.lengths[..., None]).flatten(0, 1))  # [S * B, 1, 1, L]

    def embed(self) -> Tensor:
        """Return the embeddings of the batch's tokens."""
        table, tokens = self.weights[WORDS], self.batch.tokens
        begins = torch.arange(self.models, device=tokens.device)[:, None, None] * table.shape[1]
        words = F.embedding(tokens + begins, table.flatten(0, 1))
        fixed = tokens == self.batch.padding[:, None, None]
        words = torch.where(fixed[..., None], words.detach(), words)
        places = self.weights[f"{EMBEDDINGS}.position_embeddings.weight"][:, None, : self.length]
        return self.dropout(self.normalise(f"{EMBEDDINGS}.LayerNorm", words + places), self.batch.encoder)

    def feed_forward(self, name: str, attended: Tensor) -> Tensor:
        """Apply what follows a layer's attention to its sum with the layer's input."""
        hidden = self.normalise(f"{name}.sa_layer_norm", attended)
        inner = ACTIVATIONS[self.sizes.activation](self.linear(f"{name}.ffn.lin1", hidden))
        outer = self.dropout(self.linear(f"{name}.ffn.lin2", inner), self.batch.encoder)
        return self.normalise(f"{name}.output_layer_norm", outer + hidden)

    def attend(self, name: str, asking: Tensor, hidden: Tensor) -> Tensor:
        """Apply multi-head self-attention of some places, or of all where they are `hidden`, over all.

        Scores and shares are [S * B, heads, asking, L].
        """
        dim = self.sizes.dim
        if asking is hidden:
            query, key, value = map(self.heads, self.linear(f"{name}.qkv_lin", hidden).split(dim, -1))
        else:  # fewer ask than are asked
            query = self.heads(self.linear(f"{name}.qkv_lin", asking, rows=slice(0, dim)))
            key, value = map(self.heads, self.linear(f"{name}.qkv_lin", hidden, rows=slice(dim, None)).split(dim, -1))
        scores = (
            query @ key.transpose(2, 3) * (dim // self.sizes.heads) ** -0.5 + self.bias
        )  # [S * B, heads, asking, L]
        shares = scores.softmax(-1, dtype=torch.float32).unflatten(0, (self.models, self.sentences))
        shares = self.dropout(shares, self.batch.encoder).flatten(0, 1).to(value.dtype)
        context = (shares @ value).transpose(1, 2).reshape(*asking.shape)
        return self.linear(f"{name}.out_lin", context)

    def heads(self, x: Tensor) -> Tensor:
        """Return [S, B, places, dim] by heads: [S * B, heads, places, dim / heads]."""
        return x.flatten(0, 1).unflatten(-1, (self.sizes.heads, -1)).transpose(1, 2)

    def linear(self, name: str, x: Tensor, *, rows: slice = slice(None)) -> Tensor:
        """Apply each model's linear layer of that name, or some rows of it, in the type of its weights."""
        weight, bias = (self.weights[f"{name}.{part}"][:, rows] for part in ("weight", "bias"))
        out = torch.baddbmm(bias[:, None], x.flatten(1, 2).to(weight.dtype), weight.transpose(1, 2))
        return out.unflatten(1, x.shape[1:3])

    def normalise(self, name: str, x: Tensor) -> Tensor:
        """Apply each model's LayerNorm of that name."""
        weight, bias = (self.weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return torch.addcmul(bias, F.layer_norm(x, x.shape[-1:], eps=EPSILON), weight)

    def dropout(self, x: Tensor, drop: Drop) -> Tensor:
        """Zero a share of each model's numbers and scale the rest up; float32."""
        count = math.prod(x.shape[1:])
        words = self.batch.draws[:, self.read : self.read + count].view(x.shape)
        self.read += rounded(count)
        aside = (-1, *[1] * (x.ndim - 1))
        return torch.where(words >= drop.least.view(aside), x, 0) * drop.scale.view(aside)
