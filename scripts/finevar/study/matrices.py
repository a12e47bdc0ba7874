"""What a matrix of columns tells of a design: columns that follow from others, and leverages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def aliased_terms(matrix: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the columns that are linear combinations of those before them."""
    basis, aliased = np.empty((len(matrix), 0)), []
    for column, name in zip(matrix.T, names, strict=True):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if np.linalg.norm(rest) <= 1e-9 * max(np.linalg.norm(column), 1e-300):
            aliased.append(name)
        else:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return aliased


def leverages(matrix: np.ndarray) -> np.ndarray:
    """Return the diagonal of the hat matrix of a full-rank matrix [runs, parameters]."""
    q, _ = np.linalg.qr(matrix)
    return (q**2).sum(1)
