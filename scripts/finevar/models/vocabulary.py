"""Only the words that occur: a training changes no other row of the word embedding, so it need not carry them.

The other rows get no gradient; weight decay alone shrinks them, by a factor that is known without touching them. To
leave them out of every step changes no result beyond the order of sums, and spares the optimiser most of a small
model's weights. Of an optimizer whose step of a row depends on all rows every row is kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from finevar.data.encoding import Encoded
from finevar.models.family import Family, Weights


def compact(
    weights: Weights, family: Family, examples: Encoded, *, every: bool = False
) -> tuple[Weights, Family, Encoded, np.ndarray]:
    """Return weights with a row for each word that occurs, or every word, what else counts these rows, and the rows.

    What counts them: the family, for the row that does not learn, and the examples' token ids.
    """
    if every:
        return weights, family, examples, np.arange(len(weights[family.embedding]))
    rows, tokens = np.unique(examples.tokens, return_inverse=True)
    kept = weights[family.embedding][torch.from_numpy(rows).long()]
    padding = next(iter(np.flatnonzero(rows == family.padding).tolist()), None)
    fewer = replace(examples, tokens=tokens.astype(np.int32))
    return weights | {family.embedding: kept}, replace(family, padding=padding), fewer, rows


def expand(weights: Weights, full: Weights, rows: np.ndarray, *, embedding: str, shrunk: float) -> Weights:
    """Return trained weights with every row of the word embedding, on the CPU.

    full: the weights before `compact`. shrunk: the factor by which weight decay has shrunk the rows left out.
    """
    words = full[embedding] * shrunk
    trained = {name: tensor.detach().cpu() for name, tensor in weights.items()}
    words[torch.from_numpy(rows).long()] = trained[embedding]
    return trained | {embedding: words}
