"""DistilBERT for sequence classification on flat tokens: no padding outside attention.

A batch is the concatenation of its sentences. Embeddings, linear layers, normalisation, activation and dropout see
[tokens, dim]; only attention scatters to [sentences, heads, longest, head_dim]. The weights are a plain mapping with
the names of Hugging Face's `DistilBertForSequenceClassification`, so they load from and save to its checkpoints as
they are. Linear layers and attention compute in the type of the weights that they are given (`lower_precision`);
embeddings, residual sums, LayerNorms, softmax and the head stay in float32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]

EPSILON = 1e-12  # of every LayerNorm in DistilBERT
LINEAR = re.compile(r"transformer\.layer\.\d+\.(attention|ffn)\.")
ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}


@dataclass(frozen=True)
class Architecture:
    """Sizes and dropout rates of one DistilBERT, as its `config.json` states them."""

    vocab_size: int
    positions: int
    dim: int
    hidden_dim: int
    layers: int
    heads: int
    activation: str
    dropout: float
    attention_dropout: float
    head_dropout: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Architecture:
        """Read the sizes from a DistilBERT `config.json`."""
        return cls(
            vocab_size=config["vocab_size"],
            positions=config["max_position_embeddings"],
            dim=config["dim"],
            hidden_dim=config["hidden_dim"],
            layers=config["n_layers"],
            heads=config["n_heads"],
            activation=config["activation"],
            dropout=config["dropout"],
            attention_dropout=config["attention_dropout"],
            head_dropout=config["seq_classif_dropout"],
        )


@dataclass(frozen=True)
class Batch:
    """Sentences laid end to end.

    tokens, positions: int64 [T]. slots: int64 [T], where each token goes in a [sentences * longest] grid.
    first: int64 [B], the index of each sentence's first token. padding: bool [B, longest], true where no token is.
    labels: int64 [B].
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    first: Tensor
    padding: Tensor
    labels: Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def collate(sentences: Sequence[np.ndarray], labels: np.ndarray) -> Batch:
    """Lay token sequences end to end and note where each token belongs."""
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    longest = int(lengths.max())
    first = lengths.cumsum(0) - lengths
    positions = torch.arange(int(lengths.sum())) - first.repeat_interleave(lengths)
    rows = torch.arange(len(sentences)).repeat_interleave(lengths)
    padding = torch.arange(longest)[None, :] >= lengths[:, None]
    tokens = torch.from_numpy(np.concatenate(sentences)).long()
    return Batch(tokens, positions, rows * longest + positions, first, padding, torch.as_tensor(labels))


def dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Zero a share `rate` of x and scale the rest up; the identity without a generator.

    One 64-bit draw serves four elements, far cheaper on a CPU than a Bernoulli draw each; so the rate is rounded to a
    multiple of 2^-16, and the scale is exact for the rounded rate.
    """
    dropped = round(rate * 2**16)
    if generator is None or dropped == 0:
        return x
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(
        -(2**63), None, generator=generator
    )
    zeroed = words.view(torch.int16)[: x.numel()].view(x.shape) < dropped - 2**15
    return (x * (2**16 / (2**16 - dropped))).masked_fill(zeroed, 0.0)


def lower_precision(weights: Weights, dtype: torch.dtype) -> Weights:
    """Return the weights with the transformer's linear layers cast to a type; gradients flow back to the originals."""
    return {name: tensor.to(dtype) if LINEAR.search(name) else tensor for name, tensor in weights.items()}


def classify(
    weights: Weights, architecture: Architecture, batch: Batch, generator: torch.Generator | None = None
) -> Tensor:
    """Return logits [B, classes]; dropout is on where a generator is given."""
    hidden = embed(weights, architecture, batch, generator)
    for layer in range(architecture.layers):
        hidden = transform(weights, architecture, batch, layer, hidden, generator)
    pooled = F.relu(linear(weights, "pre_classifier", hidden.index_select(0, batch.first)))
    return linear(weights, "classifier", dropout(pooled, architecture.head_dropout, generator))


def embed(weights: Weights, architecture: Architecture, batch: Batch, generator: torch.Generator | None) -> Tensor:
    """Return the embeddings [T, dim] of a batch's tokens."""
    words = F.embedding(batch.tokens, weights["distilbert.embeddings.word_embeddings.weight"])
    places = F.embedding(batch.positions, weights["distilbert.embeddings.position_embeddings.weight"])
    normed = normalise(weights, "distilbert.embeddings.LayerNorm", words + places)
    return dropout(normed, architecture.dropout, generator)


def transform(
    weights: Weights,
    architecture: Architecture,
    batch: Batch,
    layer: int,
    hidden: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Apply one transformer layer to hidden states [T, dim]."""
    name = f"distilbert.transformer.layer.{layer}"
    attended = attend(weights, architecture, batch, f"{name}.attention", hidden, generator)
    hidden = normalise(weights, f"{name}.sa_layer_norm", attended + hidden)  # a sum with float32 is float32
    inner = ACTIVATIONS[architecture.activation](linear(weights, f"{name}.ffn.lin1", hidden))
    outer = dropout(linear(weights, f"{name}.ffn.lin2", inner), architecture.dropout, generator)
    return normalise(weights, f"{name}.output_layer_norm", outer + hidden)


def attend(
    weights: Weights,
    architecture: Architecture,
    batch: Batch,
    name: str,
    hidden: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Apply multi-head self-attention to hidden states [T, dim], each sentence to itself."""
    sentences, longest = batch.padding.shape
    head_dim = architecture.dim // architecture.heads

    def heads(projection: str) -> Tensor:
        flat = linear(weights, f"{name}.{projection}", hidden)
        grid = flat.new_zeros(sentences * longest, architecture.dim).index_copy(0, batch.slots, flat)
        return grid.view(sentences, longest, architecture.heads, head_dim).transpose(1, 2)

    scores = heads("q_lin") @ heads("k_lin").transpose(2, 3) * head_dim**-0.5
    scores = scores.masked_fill(batch.padding[:, None, None, :], float("-inf"))
    shares = dropout(
        scores.softmax(-1, dtype=torch.float32).to(scores.dtype), architecture.attention_dropout, generator
    )
    context = (shares @ heads("v_lin")).transpose(1, 2).reshape(sentences * longest, architecture.dim)
    return linear(weights, f"{name}.out_lin", context.index_select(0, batch.slots))


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Apply the linear layer of that name, in the type of its weights."""
    weight = weights[f"{name}.weight"]
    return F.linear(x.to(weight.dtype), weight, weights[f"{name}.bias"])


def normalise(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Apply the LayerNorm of that name."""
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON)
