"""Where runs diverge: shares by level of each factor with exact intervals, and tests of a trend along the levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from finevar.analyses.fits import FittedStudy, Plan
from finevar.tables import Rows

DRAWS = 99_999
DRAW_SEED = 20250103


def failure_rows(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the table failures: all runs (factor ""), then each level of each factor.

    Data sets are pooled (""), and where there are several, also apart. A diverged run is a result; a missing
    one is not, and is in no share.
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
            place = {"factor": factor, "level": float(level)}
            rows.append(place | counted(found, plan.confidence) | tests[factor])
    return [{"dataset": dataset} | row for row in rows]


def counted(runs: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Count runs by their end, with the share that diverged and its interval (Clopper & Pearson 1934)."""
    diverged, missing = (int((runs["status"] == status).sum()) for status in ("diverged", "missing"))
    ended = len(runs) - missing
    row = {"runs": ended, "diverged": diverged, "missing": missing}
    if not ended:
        return row
    low, high = proportion_confint(diverged, ended, alpha=1 - confidence, method="beta")
    return row | {"share": diverged / ended, "ci_low": float(low), "ci_high": float(high)}


def trend_tests(runs: pd.DataFrame, plan: Plan) -> dict[str, dict[str, Any]]:
    """Return by factor the p-value of a trend, and that adjusted by Holm over the factors, or why there is none."""
    ended = runs[runs["status"] != "missing"]
    diverged = int((ended["status"] == "diverged").sum())
    if diverged in (0, len(ended)):
        reason = "every run diverged" if diverged else "no run diverged"
        return {factor: {"reason": reason} for factor in plan.codings}
    # One draw for all factors would do as well; a generator each keeps a factor's p apart from the others'.
    p_values = [trend_p(ended, coding.coded(ended[factor])) for factor, coding in plan.codings.items()]
    tests = zip(plan.codings, p_values, multipletests(p_values, method="holm")[1].tolist(), strict=True)
    return {factor: {"p_value": p, "p_adjusted": p_holm} for factor, p, p_holm in tests}


def trend_p(runs: pd.DataFrame, coded: np.ndarray) -> float:
    """Return the p-value of a trend of divergence along a factor's coded levels [runs], within data sets.

    The statistic is Cochran's (1954) and Armitage's (1955), the sum of the coded levels of the diverged runs; its
    distribution is that of which runs diverge at random, as many on each data set as did, by simulation. So the test
    holds however few they are.
    """
    generator = np.random.default_rng(DRAW_SEED)
    observed, drawn = 0.0, np.zeros(DRAWS)
    failed = runs["status"] == "diverged"
    for _, part in failed.groupby([runs["dataset"], coded]).agg(["size", "sum"]).groupby(level=0):
        counts, levels = part["size"].to_numpy(), part.index.get_level_values(1).to_numpy()
        centred = levels - np.average(levels, weights=counts)
        observed += float(centred @ part["sum"].to_numpy())
        drawn += generator.multivariate_hypergeometric(counts, int(part["sum"].sum()), DRAWS) @ centred
    larger = int((np.abs(drawn) >= abs(observed) - 1e-9).sum())
    return (larger + 1) / (DRAWS + 1)
