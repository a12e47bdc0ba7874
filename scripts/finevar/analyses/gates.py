"""What stops a table before any p-value, each with a sentence that says why and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.reasons import DIVERGED, FAILED, Reason, Stop
from finevar.statistics.covariance import Errors, errors_of
from finevar.statistics.estimability import Obstacle, model_obstacle
from finevar.statistics.robust import CELLS, cell_numbers
from finevar.study.coding import Codings, Shortfall, Term, term_name
from finevar.study.kinds import LISTED
from finevar.tables import are_found, kind_of_runs
from finevar.words.completeness import cells_text
from finevar.words.formatting import factor_label, joined, term_label
from finevar.words.numbers import level


def stop_reason(
    metrics: pd.DataFrame, used: pd.DataFrame, response: str, codings: Codings, columns: Sequence[Term]
) -> Reason | None:
    """Return why this response's table must stop, or None.

    Models that were found stop at what their cards' gates say, or where no card states the metric.
    """
    if are_found(metrics):
        if len(gates := metrics["gate"].dropna().unique()):
            return Reason(Stop.CARDS, str(gates[0]))
        if used.empty:
            return Reason(Stop.NO_VALUE, f"no model card that is compared states {response}.")
    elif reason := designed_gate(metrics, used, response, codings):
        return reason
    if np.ptp(used[response]) == 0:
        same = f"{response} is {used[response].iloc[0]:g} in every run: there is nothing to explain."
        return Reason(Stop.CONSTANT, same)
    if has_zero_noise(used, response):
        alike = (
            f"{response} is the same to the last digit at all seeds of every setting, so there is no noise to measure "
            "an effect against. Use other seeds, or another metric."
        )
        return Reason(Stop.ZERO_NOISE, alike)
    errors = errors_of(used)
    found = model_obstacle(used, codings, columns, errors)
    if found and found.code == Stop.FEW_LEVELS and (lost := failed_levels(metrics, used, found.levels.factor)):
        remedy = (
            f"every run at {joined(lost)} failed. Try levels nearer to the others, or choose a smaller analysis.model."
        )
        return Reason(found.code, f"{levels_text(found.levels)}; {remedy}")
    return Reason(found.code, obstacle_sentence(found, used, errors)) if found else None


def failed_levels(metrics: pd.DataFrame, used: pd.DataFrame, factor: str) -> list[str]:
    """Return the levels of a factor at which runs failed and none is left."""
    failed = metrics.loc[metrics["status"].isin(FAILED), factor]
    return [level(each) for each in sorted(set(failed) - set(used[factor]))]


def obstacle_sentence(found: Obstacle, used: pd.DataFrame, errors: Errors) -> str:
    """Say what keeps a surface from being estimated, and what to do."""
    who, more = ("cards", "cards that differ") if are_found(used) else ("design", "settings or levels")
    seeds = "other cards" if are_found(used) else "seeds or settings"
    if found.code == Stop.FEW_LEVELS:
        return f"{levels_text(found.levels)}. Add levels, or choose a smaller analysis.model."
    if found.code == Stop.ALIASED:
        return (
            f"the {who} cannot separate these terms from those before: {joined(map(term_label, found.aliased))}. "
            f"Add {more}, or choose a smaller analysis.model."
        )
    if found.code == Stop.NO_RESIDUAL:
        return f"{len(used)} runs leave no residual degree of freedom for {found.parameters} parameters. Add {seeds}."
    if found.code == Stop.LEVERAGE:
        return f"one run alone decides a parameter (leverage 1), so its error cannot be estimated. Add {seeds}."
    return cluster_sentence(found, used, errors)


def designed_gate(metrics: pd.DataFrame, used: pd.DataFrame, response: str, codings: Codings) -> Reason | None:
    """Return what is wrong with runs that were planned: empty settings, repeated rows, machines of different kinds.

    A setting whose runs failed is a result, and stops nothing: the rest is fitted, and nothing is predicted there.
    """
    empty = distinct(metrics, CELLS) - distinct(used, CELLS) - distinct(metrics[metrics["status"].isin(FAILED)], CELLS)
    if used.empty and not empty:
        diverged = (metrics["status"] == DIVERGED).any()
        remedy = "Lower the learning rates." if diverged else "Train for longer or on more examples."
        return Reason(Stop.EMPTY_CELLS, f"every run failed: no setting is left to compare. {remedy}")
    if empty:
        remedy = "Drop the level that causes this, or start again to finish the runs."
        if kind_of_runs(metrics) == LISTED:
            remedy = f"Add their values to the file, or leave {response} out of analysis.responses."
        named = cells_text(metrics, sorted(empty), codings)
        return Reason(
            Stop.EMPTY_CELLS,
            f"{len(empty)} of {len(distinct(metrics, CELLS))} settings have no finished run with a value ({named}): "
            f"a surface through the rest would be extrapolated there. {remedy}",
        )
    repeated = len(used) - len(distinct(used, [*CELLS, "seed"]))
    if repeated:
        twice = f"{repeated} rows repeat another row's setting, data set and seed: replicates that are not independent."
        return Reason(Stop.REPEATED_RUNS, twice)
    types = sorted(used["dtype_used"].unique())
    if len(types) > 1 and "dtype" not in codings:
        return Reason(
            Stop.MIXED_DTYPES,
            f"runs were trained in {' and '.join(types)}, on machines of different kinds: what differs between them "
            "would pass for an effect. Set training.dtype to one of them.",
        )
    return None


def has_zero_noise(used: pd.DataFrame, response: str) -> bool:
    """Say whether settings have several seeds, and all of them the same value."""
    cell, values = cell_numbers(used), used[response].to_numpy(float)
    first = np.unique(cell, return_index=True)[1]
    return len(first) < len(used) and bool((values == values[first][cell]).all())


def distinct(runs: pd.DataFrame, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    """Return the combinations of values that runs have in some columns."""
    return set(zip(*(runs[name] for name in columns), strict=True))


def levels_text(short: Shortfall) -> str:
    """Say which factor has fewer levels than its highest power needs."""
    term = term_label(term_name((short.factor,) * (short.needed - 1)))
    needs = "all of its names need" if short.of_names else f"{term} needs"
    return f"{factor_label(short.factor)} has {short.levels} levels among the finished runs; {needs} {short.needed}"


def cluster_sentence(found: Obstacle, used: pd.DataFrame, errors: Errors) -> str:
    """Say why errors cannot be clustered, by trajectory or by owner, where they go together."""
    shared = f"runs share {errors.count} trajectories, so their errors are correlated"
    few, alone = "Add seeds, or train epochs apart", "Add seeds"
    if are_found(used):
        shared = f"the models are of {errors.count} owners, and those of one owner are correlated"
        few = alone = "Add cards of other owners, or choose a smaller analysis.model"
    if found.code == Stop.FEW_CLUSTERS:
        return f"{shared}, and that is too few for {found.parameters} parameters. {few}."
    return f"{shared}, and one of them alone decides a parameter. {alone}."
