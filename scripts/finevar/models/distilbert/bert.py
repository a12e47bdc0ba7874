"""The family `flat BERT`: the same encoder with token types and BERT's own head, for sentence pairs."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from finevar.models.distilbert.encoder import HEAD, LINEAR_PARTS, Architecture, head_shapes
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.family import Forward, Pad, Weights
from finevar.models.flat.packing import Batch, collate, padder

POOLER = "bert.pooler.dense"
LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias|lora_[AB])")
PARTS = {  # of a layer, by BERT's names: DistilBERT's
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
SIZES = {  # by DistilBERT's names in config.json: BERT's
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "activation": "hidden_act",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
}


@dataclass(frozen=True)
class FlatBert(FlatDistilBert):
    """BERT for sequence classification on sentences laid end to end; `family.Family` says what each part does."""

    embedding: ClassVar[str] = "bert.embeddings.word_embeddings.weight"
    transformers_class: ClassVar[str] = "BertForSequenceClassification"
    stated_as: ClassVar[dict[str, str]] = {
        **SIZES,
        **{name: SIZES.get(stated, stated) for name, stated in Architecture.stated_as.items()},
        "head_dropout": "classifier_dropout",
    }
    linear_parts: ClassVar[tuple[str, ...]] = tuple(part for part, ours in PARTS.items() if ours in LINEAR_PARTS)
    pooled = staticmethod(torch.tanh)

    @property
    def attended_dropout(self) -> float:
        """The rate of dropout after attention."""
        return self.dropout

    @staticmethod
    def convert(folder: Path, output: Path, *, where: str) -> list[str]:
        """Write a BERT with its token types into the folder output; return what was changed."""
        from finevar.models.distilbert.conversion import convert_bert  # imports what no training needs

        return convert_bert(folder, output, where=where)

    def blocks(self) -> list[str]:
        """Return what the weights' names begin with, from input to output."""
        return ["bert.embeddings.", *(f"bert.encoder.layer.{layer}." for layer in range(self.layers))]

    def head(self, classes: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the head's weights by name."""
        return head_shapes(self.dim, classes, POOLER)

    def batch(self, sentences: Sequence[np.ndarray], seconds: Sequence[int] | None = None) -> Batch:
        """Lay sentences end to end, with their token types."""
        return collate(sentences, seconds or [len(sentence) for sentence in sentences], heads=self.heads)

    def padder(self, sentences: int, length: int, device: torch.device) -> Pad:
        """Return what lays out so many sentences that are padded to a length."""
        return padder(sentences, length, heads=self.heads, device=device, typed=True)

    def forward(self, weights: Weights, dtype: torch.dtype) -> Forward:
        """Return the model as a function, its layers' matrices multiplied in a type."""
        return super().forward({flat_name(name): weight for name, weight in weights.items()}, dtype)


@functools.cache
def flat_name(name: str) -> str:
    """Return the encoder's name of one of BERT's tensors."""
    if name.startswith(POOLER):
        return name.replace(POOLER, HEAD)
    plain = name.removeprefix("bert.")
    if match := LAYER.fullmatch(plain):
        return f"distilbert.transformer.layer.{match[1]}.{PARTS[match[2]]}.{match[3]}"
    return name if plain == name else f"distilbert.{plain}"
