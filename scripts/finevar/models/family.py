"""The seam between a model and all that trains, evaluates and writes it.

A family is a kind of model: a class whose instances hold the sizes of one checkpoint, as its config.json states them.
The weights stay apart, as plain tensors by the checkpoint's own names: optimiser, states and files treat those of all
families alike, and only the family knows what a name means. `families.FAMILIES` lists the families.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

Weights = dict[str, Tensor]


class Batch(Protocol):
    """Some sentences, laid out as their family's `forward` takes them; nothing else looks inside."""

    def to(self, device: str) -> Self:
        """Return the batch on a device."""


# From a batch to logits [sentences, classes], float32, in the caller's order; dropout is on where a generator is given,
# and all that it draws comes from that.
Forward = Callable[[Any, torch.Generator | None], Tensor]
# From token ids [sentences, length], the sentences' lengths and where their second texts begin (at its length where
# there is none) [sentences], int64 on a device, to a batch there.
Pad = Callable[[Tensor, Tensor, Tensor], Batch]


class Family(Protocol):
    """A kind of model, at the sizes of one checkpoint; an instance is a frozen dataclass."""

    @property
    def embedding(self) -> str:
        """The name of the word embedding, a weight [words, dim]: a training carries only the rows of words in use."""

    @property
    def padding(self) -> int | None:
        """The row of the word embedding that gets no gradient, a field; torch.nn.Embedding's `padding_idx`."""

    @property
    def positions(self) -> int:
        """The most tokens of a sentence."""

    @property
    def transformers_class(self) -> str:
        """The class of transformers that reads what is saved, as config.json names it."""

    @property
    def layout(self) -> str:
        """How batches are laid out on a processor: `flat`, without padding, or `padded` to the longest."""

    @staticmethod
    def convert(folder: Path, output: Path, *, where: str) -> list[str]:
        """Write a checkpoint as this family reads it into the folder output; return what was changed.

        where: names the checkpoint in the InputError that refuses one which cannot be carried over exactly.
        """

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the sizes from a converted checkpoint's config.json."""

    def with_dropout(self, rate: float) -> Self:
        """Return the family with this rate of dropout in the encoder; the head's stays that of the checkpoint."""

    def blocks(self) -> list[str]:
        """Return what the weights' names begin with, from input to output: the embeddings', then each layer's."""

    def linear(self) -> list[str]:
        """Return the names of the matrices of the layers' linear parts, from input to output."""

    def head(self, classes: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the head's weights by name, from input to output; the last matrix gives the logits."""

    def batch(self, sentences: Sequence[np.ndarray], seconds: Sequence[int] | None = None) -> Batch:
        """Lay out sentences, each its token ids, on the CPU.

        seconds: of sentence pairs, where the second text begins in each, from which on tokens are of type 1.
        """

    def padder(self, sentences: int, length: int, device: torch.device) -> Pad:
        """Return what lays out so many sentences that are padded to a length.

        All that follows from the shape is made here, once; a call may be captured as part of a CUDA graph, so that it
        neither waits for the device nor depends on values.
        """

    def forward(self, weights: Weights, dtype: torch.dtype) -> Forward:
        """Return the model as a function, its large matrices multiplied in a type; gradients reach the weights.

        Where a matrix has factors beside it (see `lora`), they get the gradients in its place.
        """
