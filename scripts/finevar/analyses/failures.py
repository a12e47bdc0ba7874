"""Where runs fail, diverged or collapsed: shares by level of each factor, and trends along the levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from finevar.analyses.fits import FittedStudy, Plan
from finevar.reasons import FAILED, MISSING
from finevar.statistics.firth import fit_firth, likelihood_ratio_p
from finevar.study.coding import axes_of, coded_of, factor_of, model_matrix, terms
from finevar.study.matrices import aliased_terms
from finevar.tables import Rows

SEVERAL = 3  # runs that failed, and that did not: fewer show no trend, however they lie


def failure_rows(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the table failures: all runs (factor ""), then each level of each factor.

    Data sets are pooled (""), and where there are several, also apart. A run that failed is a result; a missing one is
    not, and is in no share.
    """
    metrics = study.metrics
    parts = [("", metrics)]
    if metrics["dataset"].nunique() > 1:
        parts += list(metrics.groupby("dataset", sort=False))
    return {"failures": [row for dataset, runs in parts for row in dataset_rows(runs, dataset, study.plan)]}


def dataset_rows(runs: pd.DataFrame, dataset: str, plan: Plan) -> Rows:
    """Return the rows of one data set, or of all; each factor's trend stands at all of its levels."""
    rows = [{"factor": "", "reason": "there is no trend over all runs"} | counted(runs, plan.confidence)]
    tests = trend_tests(runs, plan)
    for factor in plan.codings:
        for level, found in runs.groupby(factor):
            named = isinstance(level, str)
            place = {"factor": f"{factor}[{level}]"} if named else {"factor": factor, "level": float(level)}
            rows.append(place | counted(found, plan.confidence) | tests[factor])
    return [{"dataset": dataset} | row for row in rows]


def counted(runs: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Count runs by their end, with the share that failed and its interval (Clopper & Pearson 1934)."""
    counts = {status: int((runs["status"] == status).sum()) for status in (*FAILED, MISSING)}
    ended = len(runs) - counts[MISSING]
    row = {"runs": ended} | counts
    if not ended:
        return row
    failed = sum(counts[status] for status in FAILED)
    low, high = stats.binomtest(failed, ended).proportion_ci(confidence, method="exact")
    return row | {"share": failed / ended, "ci_low": float(low), "ci_high": float(high)}


def trend_tests(runs: pd.DataFrame, plan: Plan) -> dict[str, dict[str, Any]]:
    """Return by factor the trend of failing, its p-value and that adjusted by Holm over factors, or why there is none.

    The trend is of the log odds, per coded unit at equal levels of the other factors, within data sets. Levels that are
    names have a p-value, of the hypothesis that all fail alike, and no trend.
    """
    ended = runs[runs["status"] != MISSING]
    failed = ended["status"].isin(FAILED).to_numpy(float)
    factors, axes = list(plan.codings), axes_of(plan.codings)
    coded = coded_of(plan.codings, ended)
    datasets = pd.get_dummies(ended["dataset"], drop_first=True, dtype=float)
    matrix = np.column_stack([model_matrix(coded, terms(plan.codings, "first_order")), datasets])
    if reason := untestable(failed, matrix):
        return {factor: {"reason": reason} for factor in factors}
    fit = fit_firth(failed, matrix)
    # The first column is the constant.
    numbers = [[k for k, axis in enumerate(axes, 1) if factor_of(axis) == factor] for factor in factors]
    p_values = [likelihood_ratio_p(failed, matrix, fit, *own) for own in numbers]
    adjusted = multipletests(p_values, method="holm")[1]
    trends = [float(fit.params[own[0]]) if axes[own[0] - 1] in factors else None for own in numbers]
    return {
        factor: {"trend": trend, "p_value": p, "p_adjusted": float(p_holm)}
        for factor, trend, p, p_holm in zip(factors, trends, p_values, adjusted, strict=True)
    }


def untestable(failed: np.ndarray, matrix: np.ndarray) -> str | None:
    """Return why there is no test of a trend, or None; failed: 0 or 1 [runs]."""
    count = int(failed.sum())
    if count in (0, len(failed)):
        return "every run failed" if count else "no run failed"
    for few, what in ((count, "failed"), (len(failed) - count, "did not fail")):
        if few < SEVERAL:
            return f"only {few} run{'s' if few > 1 else ''} {what}"
    if aliased_terms(matrix, [""] * matrix.shape[1]):
        return "the runs that ended do not separate the hyperparameters"
    return None
