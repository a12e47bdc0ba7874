"""What stops a table before any p-value, each with a sentence that says why and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from finevar.reasons import Reason, Stop
from finevar.statistics.covariance import errors_of, jackknifes
from finevar.study.coding import Codings, Term, aliased_terms, design_matrix, leverages, term_name
from finevar.tables import are_found


def stop_reason(
    metrics: pd.DataFrame, used: pd.DataFrame, response: str, codings: Codings, columns: Sequence[Term]
) -> Reason | None:
    """Return why this response's table must stop, or None."""
    if reason := found_gate(metrics, used, response) if are_found(metrics) else designed_gate(metrics, used, response):
        return reason
    if np.ptp(used[response]) == 0:
        same = f"{response} is {used[response].iloc[0]:g} in every run: there is nothing to explain."
        return Reason(Stop.CONSTANT, same)
    few = flat_squares(used, columns)
    who, more = ("cards", "cards that differ") if are_found(metrics) else ("design", "points or levels")
    seeds = "other cards" if are_found(metrics) else "seeds or points"
    if few:
        return Reason(Stop.FEW_LEVELS, f"{few}. Add levels, or choose a smaller analysis.model.")
    matrix, names = design_matrix(used, codings, columns)
    aliased = aliased_terms(matrix, names)
    if aliased:
        return Reason(
            Stop.ALIASED,
            f"the {who} cannot tell these terms from the ones before them: {', '.join(aliased)}. "
            f"Add {more}, or choose a smaller analysis.model.",
        )
    if len(used) <= len(names):
        none = f"{len(used)} runs leave no residual degree of freedom for {len(names)} parameters. Add {seeds}."
        return Reason(Stop.NO_RESIDUAL, none)
    if leverages(matrix).max() > 1 - 1e-8:
        alone = f"one run alone decides a parameter (leverage 1), so its error cannot be estimated. Add {seeds}."
        return Reason(Stop.LEVERAGE, alone)
    return cluster_gate(used, matrix, names)


def found_gate(metrics: pd.DataFrame, used: pd.DataFrame, response: str) -> Reason | None:
    """Return why models that were found cannot be compared: what their cards' gates say, or that there are none."""
    gates = metrics["gate"].dropna().unique()
    if len(gates):
        return Reason(Stop.CARDS, str(gates[0]))
    return Reason(Stop.NO_VALUE, f"no model card that is compared states {response}.") if used.empty else None


def designed_gate(metrics: pd.DataFrame, used: pd.DataFrame, response: str) -> Reason | None:
    """Return what is wrong with runs that were planned: empty cells, repeated rows, machines of different kinds."""
    cells = ["dataset", "point_id"]
    empty = set(metrics[cells].itertuples(index=False)) - set(used[cells].itertuples(index=False))
    if empty:
        named = ", ".join(sorted(f"{point} on {dataset}" for dataset, point in empty)[:5])
        return Reason(
            Stop.EMPTY_CELLS,
            f"{len(empty)} of {metrics.groupby(cells).ngroups} cells have no finished run with a "
            f"value of {response} ({named}): a surface through the rest would be extrapolated there. Drop the level "
            "that causes this, or mend the runs.",
        )
    repeated = used.duplicated([*cells, "seed"]).sum()
    if repeated:
        twice = f"{repeated} rows repeat another row's point, data set and seed: replicates that are not independent."
        return Reason(Stop.REPEATED_RUNS, twice)
    types = sorted(used["dtype_used"].unique())
    if len(types) > 1:
        return Reason(
            Stop.MIXED_DTYPES,
            f"runs were trained in {' and '.join(types)}, on machines of different kinds: what differs between them "
            "would pass for an effect. Set training.dtype to one of them.",
        )
    return None


def flat_squares(used: pd.DataFrame, columns: Sequence[Term]) -> str | None:
    """Return the first factor with fewer levels than its highest power needs, as a sentence."""
    for term in columns:
        if len(term) > 1 and len(set(term)) == 1 and used[term[0]].nunique() <= len(term):
            levels = used[term[0]].nunique()
            return f"{term[0]} has {levels} levels among the finished runs, and {term_name(term)} needs {len(term) + 1}"
    return None


def cluster_gate(used: pd.DataFrame, matrix: np.ndarray, names: Sequence[str]) -> Reason | None:
    """Return why errors cannot be clustered, by trajectory or by owner, where they go together; or None."""
    errors = errors_of(used)
    if errors.clusters is None:
        return None
    shared, few, alone = (
        f"runs share {errors.count} trajectories, so their errors go together",
        "Add seeds, or train epochs apart",
        "Add seeds",
    )
    if are_found(used):
        shared = f"the models are of {errors.count} owners, whose own go together"
        few = alone = "Add cards of other owners, or choose a smaller analysis.model"
    if (errors.count or 0) <= len(names):
        return Reason(Stop.FEW_CLUSTERS, f"{shared}, and that is too few for {len(names)} parameters. {few}.")
    if not jackknifes(matrix, errors.clusters):
        return Reason(Stop.CLUSTER_LEVERAGE, f"{shared}, and one of them alone decides a parameter. {alone}.")
    return None
