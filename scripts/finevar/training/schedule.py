"""What a training and its steps learn from and how fast: examples, their order in each epoch, the rate's course."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from finevar.data.encoding import Encoded
from finevar.models.randomness import generator
from finevar.study.seed_parts import FIRST


def learnt_from(examples: Encoded, count: int, seed: int) -> Encoded:
    """Return so many training examples: the first or, from a seed, drawn; either way each class by its share.

    examples: in an order in which any number of the first ones hold each class by its share.
    """
    return examples.head(count) if seed == FIRST else examples.of(drawn_numbers(examples.labels, count, seed))


def drawn_numbers(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the numbers of so many examples drawn without replacement, in the order that they have [count].

    Each class is shuffled over its places, and the first places are taken: so a draw holds as many of each class as
    the first examples do, and a larger one of the same seed holds the smaller ones.
    """
    shuffled = torch.randperm(len(labels), generator=generator(seed, "sample")).numpy()
    at_place = np.empty_like(shuffled)
    at_place[np.argsort(labels, kind="stable")] = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return np.sort(at_place[:count])


def epoch_batches(examples: int, batch_size: int, seed: int, epoch: int, *, skip: int = 0) -> Iterator[list[int]]:
    """Yield the example numbers of each step of an epoch, reshuffled from (seed, epoch); the last may be shorter.

    skip: the steps of it that have been taken.
    """
    order = torch.randperm(examples, generator=generator(seed, "order", epoch)).tolist()
    for first in range(skip * batch_size, examples, batch_size):
        yield order[first : first + batch_size]


def schedule_factor(step: int, total: int, warmup: float, schedule: str) -> float:
    """Return the share of the peak learning rate at a step counted from 0.

    warmup: steps, or below 1 a share of all steps, rounded up. As Hugging Face's schedules of the same names.
    """
    warm = math.ceil(total * warmup) if warmup < 1 else int(warmup)
    if step < warm:
        return step / max(1, warm)
    gone = (step - warm) / max(1, total - warm)
    match schedule:
        case "linear":
            return max(0.0, 1.0 - gone)
        case "cosine":
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * gone)))
    return 1.0
