"""What a model scores on the evaluation examples after each epoch: for information; the training ignores it.

Nothing is drawn at random and nothing learns here, so that a training gives the same bytes with and without. Rows are
part of the training's state, so that one that is cut short goes on with them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from finevar.data.encoding import Encoded
from finevar.evaluation.evaluation import predict_batches
from finevar.metrics import RESPONSES, Evaluated
from finevar.models.family import Family, Weights
from finevar.reasons import UNRECORDED

SCORES = ("loss", "accuracy")
NOT_FINITE = "the model's outputs are not finite"
Row = dict[str, Any]


@dataclass(frozen=True)
class EpochEvaluation:
    """How the whole model, with a row for every word, is evaluated after an epoch."""

    family: Family
    examples: Encoded
    max_length: int
    dtype: torch.dtype
    device: str
    weights: Callable[[], Weights]  # as they are now

    def record(self, rows: list[Row], epoch: int, progressed: Callable[[], None]) -> None:
        """Add the row of an epoch that has just ended, unless an earlier attempt has."""
        if any(row["epoch"] == epoch for row in rows):
            return
        started = time.monotonic()
        moved = {name: tensor.to(self.device) for name, tensor in self.weights().items()}
        forward = self.family.forward(moved, self.dtype)
        logits = predict_batches(forward, self.family, self.examples, self.max_length, self.device, progressed)
        evaluated = Evaluated(logits, self.examples.labels)
        finite = bool(np.isfinite(logits).all())
        scores = {name: RESPONSES[name].value(evaluated) if finite else np.nan for name in SCORES}
        rows.append({"epoch": epoch} | scores | {"seconds": time.monotonic() - started})


def seconds_of(rows: Sequence[Row]) -> float:
    """Return how long evaluations after epochs took."""
    return sum(row["seconds"] for row in rows)


def complete_rows(rows: Sequence[Row], epochs: int) -> list[Row]:
    """Return a row for each epoch that has ended; scores that are not known are null, with the reason."""
    known = {row["epoch"]: row for row in rows}
    return [scored(known.get(epoch)) | {"epoch": epoch} for epoch in range(1, epochs + 1)]


def scored(row: Row | None) -> Row:
    """Return a row with the reason where it has no scores."""
    if row is None:
        return {"reason": UNRECORDED}
    return row | dict.fromkeys(SCORES) | {"reason": NOT_FINITE} if math.isnan(row["loss"]) else row
