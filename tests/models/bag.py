"""A small family of models, whole: what config/README.md has in mind, for tests and to be copied.

Its checkpoints have the config of `config` and the weights of `weights`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from finevar.models.family import Forward, Pad, Weights
from finevar.models.tokenization import convert_tokenizer, read_object


@dataclass(frozen=True)
class BagBatch:
    """Token ids [sentences, length], and how many of each row count."""

    tokens: Tensor
    lengths: Tensor

    def to(self, device: str) -> BagBatch:
        return BagBatch(self.tokens.to(device), self.lengths.to(device))


@dataclass(frozen=True)
class Bag:
    """A family: the mean of a sentence's word embeddings, and a linear layer on it."""

    embedding: ClassVar[str] = "bag.weight"
    transformers_class: ClassVar[str] = "BagForSequenceClassification"
    layout: ClassVar[str] = "padded"
    dim: int
    positions: int
    padding: int | None = None
    dropout: float = 0.0

    @staticmethod
    def convert(folder: Path, output: Path, *, where: str) -> list[str]:
        """Copy the checkpoint, which is as it is read already."""
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(folder / name, output / name)
        sizes = read_object(output / "config.json", where=where)
        return convert_tokenizer(folder, output, words=sizes["words"], positions=sizes["positions"], where=where)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Bag:
        return cls(config["dim"], config["positions"])

    def with_dropout(self, rate: float) -> Bag:
        return replace(self, dropout=rate)

    def blocks(self) -> list[str]:
        return ["bag."]

    def linear(self) -> list[str]:
        return []

    def head(self, classes: int) -> dict[str, tuple[int, ...]]:
        return {"top.weight": (classes, self.dim), "top.bias": (classes,)}

    def batch(self, sentences: Sequence[np.ndarray], seconds: Sequence[int] | None = None) -> BagBatch:
        rows = [torch.from_numpy(sentence.astype(np.int64)) for sentence in sentences]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return BagBatch(tokens, torch.tensor([len(row) for row in rows]))

    def padder(self, sentences: int, length: int, device: torch.device) -> Pad:
        return lambda tokens, lengths, seconds: BagBatch(tokens, lengths)

    def forward(self, weights: Weights, dtype: torch.dtype) -> Forward:
        def logits(batch: BagBatch, masks: torch.Generator | None) -> Tensor:
            real = torch.arange(batch.tokens.shape[1], device=batch.tokens.device) < batch.lengths[:, None]
            words = F.embedding(batch.tokens, weights[self.embedding]) * real[..., None]
            mean = words.sum(1) / batch.lengths[:, None]
            if masks:
                drawn = torch.rand(mean.shape, generator=masks, device=mean.device)
                mean = mean * (drawn >= self.dropout) / (1 - self.dropout)
            return F.linear(mean, weights["top.weight"], weights["top.bias"])

        return logits
