"""The family `flat DistilBERT`: how the rest reaches the encoder, and the names of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from finevar.models.distilbert.encoder import (
    EMBEDDINGS,
    LAYER,
    LINEAR_PARTS,
    WORDS,
    Architecture,
    classify,
    head_shapes,
    multiplied,
)
from finevar.models.family import Forward, Pad, Weights
from finevar.models.flat.packing import Batch, collate, padder


@dataclass(frozen=True)
class FlatDistilBert(Architecture):
    """DistilBERT for sequence classification on sentences laid end to end; `family.Family` says what each part does."""

    embedding: ClassVar[str] = WORDS
    transformers_class: ClassVar[str] = "DistilBertForSequenceClassification"
    layout: ClassVar[str] = "flat"
    linear_parts: ClassVar[tuple[str, ...]] = LINEAR_PARTS

    @staticmethod
    def convert(folder: Path, output: Path, *, where: str) -> list[str]:
        """Write a BERT or DistilBERT as DistilBERT into the folder output; return what was changed."""
        from finevar.models.distilbert.conversion import convert_model  # imports what no training needs

        return convert_model(folder, output, where=where)

    def with_dropout(self, rate: float) -> FlatDistilBert:
        """Return the family with this rate of dropout in the encoder."""
        return replace(self, dropout=rate, attention_dropout=rate)

    def blocks(self) -> list[str]:
        """Return what the weights' names begin with, from input to output."""
        return [f"{EMBEDDINGS}.", *(f"{LAYER.format(layer)}." for layer in range(self.layers))]

    def linear(self) -> list[str]:
        """Return the names of the layers' matrices."""
        _, *layers = self.blocks()
        return [f"{layer}{part}.weight" for layer in layers for part in self.linear_parts]

    def head(self, classes: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the head's weights by name."""
        return head_shapes(self.dim, classes)

    def batch(self, sentences: Sequence[np.ndarray], seconds: Sequence[int] | None = None) -> Batch:
        """Lay sentences end to end; DistilBERT has no token types."""
        return collate(sentences, heads=self.heads)

    def padder(self, sentences: int, length: int, device: torch.device) -> Pad:
        """Return what lays out so many sentences that are padded to a length."""
        return padder(sentences, length, heads=self.heads, device=device)

    def forward(self, weights: Weights, dtype: torch.dtype) -> Forward:
        """Return the model as a function, its layers' matrices multiplied in a type."""
        ready = multiplied(weights, dtype)

        def logits(batch: Batch, masks: torch.Generator | None) -> Tensor:
            return classify(ready, self, batch, masks)

        return logits
