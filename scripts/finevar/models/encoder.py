"""DistilBERT for sequence classification on flat tokens: no padding outside attention.

Ours, since that of transformers computes a batch's padding in every layer.

A batch is the concatenation of its sentences (`packing`). Embeddings, linear layers, normalisation, activation and
dropout see [tokens, dim]; only attention pads, block by block. The weights are a plain mapping with the names of
Hugging Face's `DistilBertForSequenceClassification`, so they load from and save to its checkpoints as they are. Linear
layers and attention's products compute in the type that `multiplied` gives them; embeddings, residual sums, LayerNorms,
softmax and the head stay in float32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from finevar.models.attention import BlockAttention, Gather
from finevar.models.dropout import dropout
from finevar.models.packing import Batch

Weights = dict[str, Tensor]

EPSILON = 1e-12  # of every LayerNorm in DistilBERT
PADDING = 0  # pad_token_id of a config that states none, as in transformers
LINEAR = re.compile(r"transformer\.layer\.\d+\.(attention|ffn)\.")
ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}


@dataclass(frozen=True)
class Architecture:
    """Sizes and dropout rates of one DistilBERT, as its `config.json` states them.

    padding: the row of the word embedding that gets no gradient, torch.nn.Embedding's `padding_idx`.
    """

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
    padding: int | None = None

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
            padding=config.get("pad_token_id", PADDING),
        )


def multiplied(weights: Weights, dtype: torch.dtype) -> Weights:
    """Return the weights as `classify` multiplies them; gradients flow back to the originals.

    The transformer's linear layers in a type, the projections to query, key and value of a layer joined to one.
    """
    cast = {name: tensor.to(dtype) if LINEAR.search(name) else tensor for name, tensor in weights.items()}
    for name in [name for name in cast if ".q_lin." in name]:
        parts = [cast.pop(name.replace(".q_lin.", f".{part}_lin.")) for part in "qkv"]
        cast[name.replace(".q_lin.", ".qkv_lin.")] = torch.cat(parts)
    return cast


def classify(
    weights: Weights, architecture: Architecture, batch: Batch, generator: torch.Generator | None = None
) -> Tensor:
    """Return logits [B, classes] in the caller's order of sentences; dropout is on where a generator is given.

    weights: as `multiplied` returns them.
    """
    hidden = embed(weights, architecture, batch, generator)
    *lower, last = (f"distilbert.transformer.layer.{layer}" for layer in range(architecture.layers))
    for name in lower:
        attended = attend(weights, architecture, batch, f"{name}.attention", hidden, generator)
        hidden = feed_forward(weights, architecture, name, attended + hidden, generator)
    # The head reads each sentence's first token alone, so that the last layer computes no other: a sixth is saved.
    first = hidden.index_select(0, batch.first)
    attended = attend_first(weights, architecture, batch, f"{last}.attention", first, hidden, generator)
    first = feed_forward(weights, architecture, last, attended + first, generator)
    pooled = F.relu(linear(weights, "pre_classifier", first))
    return linear(weights, "classifier", dropout(pooled, architecture.head_dropout, generator))


def embed(weights: Weights, architecture: Architecture, batch: Batch, generator: torch.Generator | None) -> Tensor:
    """Return the embeddings [T, dim] of a batch's tokens."""
    table = weights["distilbert.embeddings.word_embeddings.weight"]
    words = F.embedding(batch.tokens, table, padding_idx=architecture.padding)
    places = F.embedding(batch.positions, weights["distilbert.embeddings.position_embeddings.weight"])
    normed = normalise(weights, "distilbert.embeddings.LayerNorm", words + places)
    return dropout(normed, architecture.dropout, generator)


def feed_forward(
    weights: Weights, architecture: Architecture, name: str, attended: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Apply what follows a layer's attention to its sum with the layer's input [..., dim], which is float32."""
    hidden = normalise(weights, f"{name}.sa_layer_norm", attended)
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
    projected = linear(weights, f"{name}.qkv_lin", hidden)
    rate = architecture.attention_dropout
    context = BlockAttention.apply(projected, batch, architecture.heads, rate, generator)
    return linear(weights, f"{name}.out_lin", context)


def attend_first(
    weights: Weights,
    architecture: Architecture,
    batch: Batch,
    name: str,
    first: Tensor,
    hidden: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Apply multi-head self-attention for each sentence's first token [B, dim] over its hidden states of [T, dim]."""
    dim, heads = architecture.dim, architecture.heads
    weight, bias = weights[f"{name}.qkv_lin.weight"], weights[f"{name}.qkv_lin.bias"]
    query = F.linear(first.to(weight.dtype), weight[:dim], bias[:dim]).view(len(first), heads, 1, -1)
    projected = F.linear(hidden.to(weight.dtype), weight[dim:], bias[dim:])
    cells = Gather.apply(projected, batch.cell_tokens, batch.token_cells)
    key, value = cells.view(len(first), -1, 2, heads, dim // heads).permute(2, 0, 3, 1, 4).unbind(0)
    scores = query @ key.transpose(2, 3) * (dim // heads) ** -0.5 + batch.cell_bias
    shares = dropout(scores.softmax(-1).to(weight.dtype), architecture.attention_dropout, generator)
    return linear(weights, f"{name}.out_lin", (shares @ value).reshape(len(first), dim))


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Apply the linear layer of that name, in the type of its weights."""
    weight = weights[f"{name}.weight"]
    return F.linear(x.to(weight.dtype), weight, weights[f"{name}.bias"])


def normalise(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Apply the LayerNorm of that name."""
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON)
