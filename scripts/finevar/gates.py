"""What stops a table before any p-value, each with a sentence that says why and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from finevar.coding import Codings, Term, design_matrix


def gate_sentence(
    metrics: pd.DataFrame, used: pd.DataFrame, response: str, codings: Codings, columns: Sequence[Term]
) -> str | None:
    """Return why this response's table must stop, or None."""
    cells = ["dataset", "point_id"]
    empty = set(metrics[cells].itertuples(index=False)) - set(used[cells].itertuples(index=False))
    if empty:
        told = ", ".join(sorted(f"{point} on {dataset}" for dataset, point in empty)[:5])
        return (
            f"{len(empty)} of {metrics.groupby(cells).ngroups} cells have no finished run with a "
            f"value of {response} ({told}): "
            "a surface through the rest would be extrapolated there. Drop the level that causes this, or mend the runs."
        )
    repeated = used.duplicated([*cells, "seed"]).sum()
    if repeated:
        return f"{repeated} rows repeat another row's point, data set and seed: replicates that are not independent."
    types = sorted(used["dtype_used"].unique())
    if len(types) > 1:
        return (
            f"runs were trained in {' and '.join(types)}, on machines of different kinds: what differs between them "
            "would pass for an effect. Set training.dtype to one of them."
        )
    if np.ptp(used[response]) == 0:
        return f"{response} is {used[response].iloc[0]:g} in every run: there is nothing to explain."
    matrix, names = design_matrix(used, codings, columns)
    aliased = aliased_terms(matrix, names)
    if aliased:
        return (
            f"the design cannot tell these terms from the ones before them: {', '.join(aliased)}. "
            "Add points or levels, or choose a smaller analysis.model."
        )
    if len(used) <= len(names):
        return f"{len(used)} runs leave no residual degree of freedom for {len(names)} parameters. Add seeds or points."
    if leverages(matrix).max() > 1 - 1e-8:
        return "one run alone decides a parameter (leverage 1), so its error cannot be estimated. Add seeds or points."
    return None


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
    """Return the diagonal of the hat matrix."""
    q, _ = np.linalg.qr(matrix)
    return (q**2).sum(1)
