"""What runs that step together have in common, what each brings, and where in a slot its numbers lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from finevar.models.distilbert.encoder import WORDS
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.distilbert.tensors import expected_shapes
from finevar.models.family import Weights
from finevar.training.optimiser import Moments
from finevar.training.steps import Course

ALIGNED = 32  # numbers, 128 bytes, that each tensor's place is a multiple of: kernels read every slot alike
MORE_WORDS = 512  # rows that a word embedding's count is a multiple of: few shapes
MOST, SHARE, FEW_BYTES = 32, 0.25, 2**30  # slots; of memory, as other shapes have theirs beside; of a processor's


@dataclass(frozen=True)
class Shape:
    """What runs that step together have in common: all that decides a kernel's shape.

    family: its sizes, without a run's own dropout and padding row; vocab_size: rows of the word embedding. slots: the
    runs that step at once, None for as many as memory holds.
    """

    family: FlatDistilBert
    classes: int
    batch_size: int
    length: int
    dtype: str
    slots: int | None = None

    @classmethod
    def of(cls, family: FlatDistilBert, words: int, **others: Any) -> Shape:
        """Return the shape of a run that carries so many words, by nothing but the run itself; others: fields."""
        rows = -(-words // MORE_WORDS) * MORE_WORDS
        plain = replace(family, vocab_size=rows, padding=None, dropout=0.0, attention_dropout=0.0, head_dropout=0.0)
        return cls(plain, **others)

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name."""
        family = self.family
        encoder = expected_shapes(
            {
                "dim": family.dim,
                "hidden_dim": family.hidden_dim,
                "n_layers": family.layers,
                "vocab_size": family.vocab_size,
                "max_position_embeddings": family.positions,
            }
        )
        return encoder | family.head(self.classes)

    def check(self, weights: Weights, moments: Moments) -> None:
        """Raise ValueError where a run's tensors are of another shape, which would end the runs beside it, too."""
        expected = self.weights()
        if weights.keys() != expected.keys() or not moments.first.keys() == moments.second.keys() <= expected.keys():
            raise ValueError("other weights than those of its family")
        for name, tensor in (*weights.items(), *moments.first.items(), *moments.second.items()):
            rows, *rest = expected[name]
            fits = len(tensor) <= rows if name == WORDS else len(tensor) == rows
            if not fits or list(tensor.shape[1:]) != rest:
                raise ValueError(f"{name} of shape {list(tensor.shape)} in the place of {[rows, *rest]}")

    def check_batch(self, batch: Batch, words: int) -> None:
        """Raise ValueError where a batch is none of this shape, of a run that has so many words."""
        count = len(batch.labels)
        sound = 0 < count <= self.batch_size and batch.tokens.shape == (count, self.length)
        ranges = ((batch.tokens, 0, words - 1), (batch.lengths, 1, self.length), (batch.labels, 0, self.classes - 1))
        if not sound or any(values.min() < low or values.max() > high for values, low, high in ranges):
            raise ValueError(f"a batch that does not fit {self.batch_size} sentences of {self.length} tokens")


class Run(NamedTuple):
    """What a run brings beside its weights and moments; shares: of the learning rate, by what names begin with.

    padding: the row of the word embedding that does not learn, None for none. corrected: whether AdamW corrects its
    bias.
    """

    seed: int
    dropout: float
    head_dropout: float
    weight_decay: float
    clip_norm: float
    label_smoothing: float
    beta2: float
    corrected: bool
    padding: int | None
    shares: Mapping[str, float]


def run_of(course: Course) -> Run:
    """Return what a training brings."""
    family, settings = course.family, course.settings
    return Run(
        course.parts["dropout"],
        family.dropout,
        family.head_dropout,
        settings["weight_decay"],
        settings["clip_norm"],
        settings["label_smoothing"],
        settings["beta2"],
        settings["optimizer"] == "adamw",
        family.padding,
        course.rate_shares,
    )


class Batch(NamedTuple):
    """A step of one run: its sentences' tokens [n, L], n up to the batch size, and lengths; labels; learning rate."""

    tokens: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    learning_rate: float


@dataclass(frozen=True)
class Group:
    """Weights side by side in a slot that the optimiser treats alike: matrices or vectors of one block."""

    block: str
    is_matrix: bool
    begin: int
    end: int


def default_slots(shape: Shape, device: str) -> int:
    """Return how many slots a shape has on a device: as many as a share of its memory holds, MOST at most.

    By the card's whole memory, not by what is free, so that it is the same at each start. Each number of a slot is
    held four times, and in the type of the products; in a layer, each place has some twenty numbers of the width for
    the way back, each head its scores and shares.
    """
    total = torch.cuda.mem_get_info(device)[1] if device.startswith("cuda") else FEW_BYTES
    family, places = shape.family, shape.batch_size * shape.length
    _, _, size = laid_out(shape)
    layer = places * (8 * family.dim + 3 * family.hidden_dim + 3 * family.heads * shape.length)
    return max(1, min(MOST, int(SHARE * total / (4 * (6 * size + 2 * layer * family.layers)))))


def laid_out(shape: Shape) -> tuple[dict[str, tuple[int, tuple[int, ...]]], list[Group], int]:
    """Return where in a slot each weight begins and its shape, the groups that they form, and the slot's size."""
    blocks = shape.family.blocks()
    block_of = {name: next((b for b in blocks if name.startswith(b)), "") for name in shape.weights()}
    key = {name: (block_of[name], len(form) > 1) for name, form in shape.weights().items()}
    places, groups, at = {}, [], 0
    for name, form in sorted(shape.weights().items(), key=lambda item: (key[item[0]], item[0])):
        places[name] = (at, form)
        end = at + -(-math.prod(form) // ALIGNED) * ALIGNED
        if groups and (groups[-1].block, groups[-1].is_matrix) == key[name]:
            groups[-1] = replace(groups[-1], end=end)
        else:
            groups.append(Group(*key[name], at, end))
        at = end
    return places, groups, at
