"""DistilBERT for sequence classification on flat tokens: no padding outside attention.

Ours, since that of transformers computes a batch's padding in every layer.

A batch is the concatenation of its sentences (`packing`). Embeddings, linear layers, normalisation, activation and
dropout see [tokens, dim]; only attention pads, block by block. The weights are a plain mapping with the names of
Hugging Face's `DistilBertForSequenceClassification`, so they load from and save to its checkpoints as they are. Linear
layers and attention's products compute in the type that `multiplied` gives them; embeddings, residual sums, LayerNorms,
softmax and the head stay in float32.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from finevar.models.family import Weights
from finevar.models.flat.attention import BlockAttention, Gather
from finevar.models.flat.dropout import dropout
from finevar.models.flat.packing import Batch
from finevar.models.lora import Layer

EMBEDDINGS = "distilbert.embeddings"
WORDS = f"{EMBEDDINGS}.word_embeddings.weight"
TOKEN_TYPES = f"{EMBEDDINGS}.token_type_embeddings.weight"  # of a BERT, as `bert` calls it here
HEAD = "pre_classifier"  # the head's first layer
LAYER = "distilbert.transformer.layer.{}"  # of a number from 0

EPSILON = 1e-12  # of every LayerNorm in DistilBERT
STANDARD = {"pad_token_id": 0}  # of a config that states none, as in transformers
LINEAR = re.compile(r"transformer\.layer\.\d+\.(attention|ffn)\.")
LINEAR_PARTS = (*(f"attention.{part}_lin" for part in ("q", "k", "v", "out")), "ffn.lin1", "ffn.lin2")  # of a layer
ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}


@dataclass(frozen=True)
class Architecture:
    """Sizes and dropout rates of one DistilBERT, as its `config.json` states them.

    padding: the row of the word embedding that gets no gradient, torch.nn.Embedding's `padding_idx`.
    """

    stated_as: ClassVar[dict[str, str]] = {  # sizes that config.json calls otherwise
        "positions": "max_position_embeddings",
        "layers": "n_layers",
        "heads": "n_heads",
        "head_dropout": "seq_classif_dropout",
        "padding": "pad_token_id",
    }
    pooled = staticmethod(F.relu)  # the head's activation
    attended_dropout = 0.0  # the rate of dropout after attention, which DistilBERT has none of

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
        """Read the sizes from a `config.json`."""
        names = {field.name: cls.stated_as.get(field.name, field.name) for field in fields(cls)}
        return cls(**{name: (STANDARD | dict(config))[stated] for name, stated in names.items()})


def head_shapes(dim: int, classes: int, first: str = HEAD) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the head's weights by name; first: its first layer's name."""
    layers = {first: (dim, dim), "classifier": (classes, dim)}
    shapes = ({f"{name}.weight": shape, f"{name}.bias": shape[:1]} for name, shape in layers.items())
    return functools.reduce(dict.__or__, shapes)


def multiplied(weights: Weights, dtype: torch.dtype, *, models: bool = False) -> Weights:
    """Return the weights as `classify` multiplies them; gradients flow back to the originals.

    The transformer's linear layers in a type, the projections to query, key and value of a layer joined to one.
    models: whether tensors are those of several models, stacked.
    """
    cast = {name: tensor.to(dtype) if LINEAR.search(name) else tensor for name, tensor in weights.items()}
    for name in [name for name in cast if ".q_lin." in name]:
        parts = [cast.pop(name.replace(".q_lin.", f".{part}_lin.")) for part in "qkv"]
        cast[name.replace(".q_lin.", ".qkv_lin.")] = torch.cat(parts, dim=int(models))
    return cast


def classify(
    weights: Weights, architecture: Architecture, batch: Batch, generator: torch.Generator | None = None
) -> Tensor:
    """Return logits [B, classes] in the caller's order of sentences; dropout is on where a generator is given.

    weights: as `multiplied` returns them.
    """
    run = Pass(weights, architecture, batch, generator)
    hidden = run.embed()
    *lower, last = map(LAYER.format, range(architecture.layers))
    for name in lower:
        hidden = run.feed_forward(name, run.attend(f"{name}.attention", hidden) + hidden)
    # The head reads each sentence's first token alone, so that the last layer computes no other: a sixth is saved.
    first = hidden.index_select(0, batch.first)
    first = run.feed_forward(last, run.attend_first(f"{last}.attention", first, hidden) + first)
    pooled = architecture.pooled(run.linear(HEAD, first))
    return run.linear("classifier", dropout(pooled, architecture.head_dropout, generator))


@dataclass(frozen=True)
class Pass:
    """A batch on its way through the encoder; layers go by their names."""

    weights: Weights
    architecture: Architecture
    batch: Batch
    generator: torch.Generator | None

    def embed(self) -> Tensor:
        """Return the embeddings [T, dim] of the batch's tokens."""
        words = F.embedding(self.batch.tokens, self.weights[WORDS], padding_idx=self.architecture.padding)
        places = F.embedding(self.batch.positions, self.weights[f"{EMBEDDINGS}.position_embeddings.weight"])
        embedded = words + places
        if self.batch.types is not None:
            embedded = embedded + F.embedding(self.batch.types, self.weights[TOKEN_TYPES])
        normed = self.normalise(f"{EMBEDDINGS}.LayerNorm", embedded)
        return dropout(normed, self.architecture.dropout, self.generator)

    def feed_forward(self, name: str, attended: Tensor) -> Tensor:
        """Apply what follows a layer's attention to its sum with the layer's input [..., dim], which is float32."""
        hidden = self.normalise(f"{name}.sa_layer_norm", attended)
        inner = ACTIVATIONS[self.architecture.activation](self.linear(f"{name}.ffn.lin1", hidden))
        outer = dropout(self.linear(f"{name}.ffn.lin2", inner), self.architecture.dropout, self.generator)
        return self.normalise(f"{name}.output_layer_norm", outer + hidden)

    def attend(self, name: str, hidden: Tensor) -> Tensor:
        """Apply multi-head self-attention to hidden states [T, dim], each sentence to itself."""
        projected, sizes = self.linear(f"{name}.qkv_lin", hidden), self.architecture
        context = BlockAttention.apply(projected, self.batch, sizes.heads, sizes.attention_dropout, self.generator)
        return self.leave_attention(name, context)

    def attend_first(self, name: str, first: Tensor, hidden: Tensor) -> Tensor:
        """Apply multi-head self-attention for each sentence's first token [B, dim] over its states among [T, dim]."""
        dim, heads = self.architecture.dim, self.architecture.heads
        joined = Layer.of(self.weights, f"{name}.qkv_lin")  # the query's part first tokens alone have
        query = joined.part(0, 1, 3).apply(first).view(len(first), heads, 1, -1)
        projected = joined.part(1, 3, 3).apply(hidden)
        cells = Gather.apply(projected, self.batch.cell_tokens, self.batch.token_cells)  # [B * longest, 2 * dim]
        # Key and value: [B, heads, longest, dim / heads]; scores and shares: [B, heads, 1, longest].
        key, value = cells.view(len(first), -1, 2, heads, dim // heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(2, 3) * (dim // heads) ** -0.5 + self.batch.cell_bias
        shares = dropout(scores.softmax(-1).to(query.dtype), self.architecture.attention_dropout, self.generator)
        return self.leave_attention(name, (shares @ value).reshape(len(first), dim))

    def leave_attention(self, name: str, context: Tensor) -> Tensor:
        """Apply what follows the heads of attention to their contexts [..., dim]."""
        return dropout(self.linear(f"{name}.out_lin", context), self.architecture.attended_dropout, self.generator)

    def linear(self, name: str, x: Tensor) -> Tensor:
        """Apply the linear layer of that name, in the type of its weights."""
        return Layer.of(self.weights, name).apply(x)

    def normalise(self, name: str, x: Tensor) -> Tensor:
        """Apply the LayerNorm of that name."""
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], EPSILON)
