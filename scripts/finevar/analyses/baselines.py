"""Against the baseline: differences that carry its own variance, and what matching it by data set and seed buys.

B0 is the baseline as it is, evaluated on each data set. B1 is its own hyperparameters trained within the study, with
the study's seeds: the runs marked is_baseline_point.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from finevar.statistics.checks import saturated_cells
from finevar.statistics.covariance import CLASSICAL, Fit, contrasts, errors_of, fit_ols
from finevar.statistics.estimability import obstacle
from finevar.statistics.noise import noise_at
from finevar.statistics.optimum import point_contrasts
from finevar.statistics.regression import Surface
from finevar.statistics.simultaneous import DRAW_SEED, DRAWS, intervals, joint_df, normal_draws
from finevar.study.coding import design_matrix, model_matrix
from finevar.tables import Rows

NO_RUN = "a data set or seed has no run of this baseline"
NO_B1 = "no finished run of this study has the baseline's own hyperparameters (B1)"
FEW_SEEDS = 10  # with fewer, what a seed does to all of its runs is hardly known (see make calibrate)
NO_SEEDS = "without a second seed the baseline's own variance is unknown"


def against_baseline_rows(surface: Surface, baseline: Mapping[str, float]) -> Rows:
    """Return, for each tried point, prediction minus baseline with an interval that carries the baseline's variance.

    SE2 = q'Vq + s2/m - 2 cov. B0 is one training (m = 1) whose noise is taken to be that between seeds. B1 is m runs of
    the study, so its mean and the prediction rest on some of the same runs, which the covariance allows for; the seeds'
    common shifts cancel, and s2 is what cell means and seeds leave. Where noise differs between settings, s2 is that of
    the baseline's own. The simultaneous interval holds at all tried points at once.
    """
    rows, seeds = [], surface.runs["seed"].nunique()
    for name, found in (("B0", frozen(surface, baseline)), ("B1", retrained(surface, baseline))):
        who = {"response": surface.response, "baseline": name}
        if isinstance(found, str):
            rows.append(who | {"reason": found})
            continue
        if name == "B0" and seeds < FEW_SEEDS:
            who["reason"] = (
                f"with {seeds} seeds it is hardly known what a seed does to all of its runs; where that is much, these "
                "intervals hold the truth in 88 to 93 % of studies instead of 95"
            )
        differences = zip(surface.points["point_id"], difference_rows(surface, found), strict=True)
        rows += [who | {"point_id": point} | row for point, row in differences]
    return rows


class Value(NamedTuple):
    """A baseline's value of a response, and how sure it is."""

    mean: float
    variance: float
    df: float  # degrees of freedom of the variance
    shared: np.ndarray  # covariance with the estimates of the surface's parameters [parameters]


def difference_rows(surface: Surface, value: Value) -> Rows:
    """Return predictions at the tried points minus a baseline's value with t intervals (df by Welch, Satterthwaite)."""
    weights, fit, variance = point_contrasts(surface, surface.points), surface.fit, value.variance
    own, at_once = fit.std_errors(weights) ** 2, largest_difference(surface, weights, value)
    errors = np.sqrt(np.maximum(own + variance - 2 * weights @ value.shared, 0))
    freedom = (own + variance) ** 2 / (own**2 / fit.df + variance**2 / value.df)
    quantiles = stats.t.ppf((1 + surface.confidence) / 2, freedom)
    found = np.column_stack([weights @ fit.params - value.mean, errors, quantiles]).tolist()
    return [
        {"estimate": gap, "std_error": error} | intervals(gap, error, alone, at_once) for gap, error, alone in found
    ]


def largest_difference(surface: Surface, weights: np.ndarray, value: Value) -> float:
    """Return the quantile of the largest |t| among the differences of points [points, parameters] from a baseline.

    By simulation from a fixed seed. All differences share the baseline's own error. Its variance is estimated with
    degrees of freedom of its own, so that it and the fit's covariance are drawn apart.
    """
    fit, generator = surface.fit, np.random.default_rng(DRAW_SEED)
    joint = np.block([[fit.cov, value.shared[:, None]], [value.shared[None], np.full((1, 1), value.variance)]])
    errors = normal_draws(joint, generator)
    degrees = (joint_df(surface), value.df)
    of_fit, of_value = (np.sqrt(generator.chisquare(df, DRAWS) / df)[:, None] for df in degrees)
    largest = np.zeros(DRAWS)
    for start in range(0, len(weights), 500):
        part = weights[start : start + 500]
        own, both = ((part @ fit.cov) * part).sum(1), part @ value.shared
        estimated = own * of_fit**2 + value.variance * of_value**2 - 2 * both * of_fit * of_value
        t = (errors[:, :-1] @ part.T - errors[:, -1:]) / np.sqrt(np.where(estimated > 0, estimated, np.inf))
        largest = np.maximum(largest, np.abs(t).max(1))
    return float(np.quantile(largest, surface.confidence))


def frozen(surface: Surface, baseline: Mapping[str, float]) -> Value | str:
    """Return B0's mean over data sets; one training, which shares no run with the fit."""
    values = surface.runs.drop_duplicates("dataset")[f"baseline_{surface.response}"]
    if values.isna().any():
        return f"the baseline has no {surface.response}"
    if surface.pure_error_sd is None:
        return NO_SEEDS
    variance, df = noise_at(surface, [baseline])[0]
    return Value(float(values.mean()), variance, df, np.zeros(len(surface.names)))


def retrained(surface: Surface, baseline: Mapping[str, float]) -> Value | str:
    """Return B1's mean over its runs, which are among the fit's."""
    own = at_baseline(surface.runs)
    if not own.any():
        return NO_B1
    squares, df = saturated_cells(surface)
    if df < 1:
        return NO_SEEDS
    variance, worth = float(squares[0]) / df, float(df)
    if surface.has_own_noise:
        variance, worth = noise_at(surface, [baseline])[0]
    fit = surface.fit
    shared = variance * fit.bread @ fit.matrix[own].mean(0)
    return Value(float(fit.values[own].mean()), variance / int(own.sum()), worth, shared)


def at_baseline(runs: pd.DataFrame) -> np.ndarray:
    """Return which runs have the baseline's own hyperparameters [runs]."""
    return runs["is_baseline_point"].fillna(False).to_numpy(bool)


def matched_rows(surface: Surface) -> Rows:
    """Return what is left unexplained with and without matching, and the tests of its slope of one."""
    runs, response = with_retrained(surface), surface.response
    values, frozen_column = runs[response].to_numpy(float), f"baseline_{response}"
    matrix = model_matrix(surface.coded(runs), surface.columns)
    rows: Rows = []
    for name, subtracted in (("absolute", 0.0), ("minus_b0", runs[frozen_column]), ("minus_b1", runs["retrained"])):
        left = values - np.asarray(subtracted, dtype=float)
        found = {"reason": NO_RUN} if np.isnan(left).any() else spread(fit_ols(left, matrix, CLASSICAL))
        rows.append({"analysis": name} | found)
    rows.append({"analysis": "blocks"} | spread(surface.fit))
    rows.append({"analysis": "ancova_b0"} | ancova(surface, runs, frozen_column, ["dataset"]))
    rows.append({"analysis": "ancova_b1"} | ancova(surface, runs, "retrained", ["dataset", "seed"]))
    return [{"response": response} | row for row in rows]


def fit_matched(surface: Surface, baseline: Mapping[str, float]) -> Surface | None:
    """Fit y - B1, matched by data set and seed, about the baseline's levels; None where it cannot be had.

    The genuinely relative analysis: a data set and a seed together are a block, whose own B1 is subtracted. The
    intercept, the change at the baseline's own levels, carries the variance of B1's mean. B1's own runs are left out.
    """
    runs = with_retrained(surface)
    squares, df = saturated_cells(surface)
    if runs["retrained"].isna().any() or df < 1:
        return None
    joint = runs.assign(dataset=runs["dataset"] + " seed " + runs["seed"].astype(str), seed=0)
    matrix, names = design_matrix(joint, surface.codings, surface.columns, baseline)
    errors = errors_of(runs)
    if obstacle(matrix, errors):
        return None
    fit = fit_ols((runs[surface.response] - runs["retrained"]).to_numpy(float), matrix, errors)
    cov = fit.cov.copy()
    cov[0, 0] += float(squares[0]) / df / int(at_baseline(surface.runs).sum())
    return dataclasses.replace(surface, names=names, fit=dataclasses.replace(fit, cov=cov), errors=errors, runs=joint)


def with_retrained(surface: Surface) -> pd.DataFrame:
    """Return the runs but B1's, the value of B1 of the same data set and seed beside each."""
    runs = surface.runs
    own = at_baseline(runs)
    twins = runs[own].groupby(["dataset", "seed"])[surface.response].mean().rename("retrained")
    return runs[~own if own.any() else slice(None)].merge(twins, how="left", on=["dataset", "seed"])


def spread(fit: Fit) -> dict[str, Any]:
    """Return the residual standard deviation of a fit and its degrees of freedom."""
    if not fit.df_resid:
        return {"df": 0.0, "reason": "as many parameters as runs leave no residuals"}
    return {"residual_sd": math.sqrt(fit.ssr / fit.df_resid), "df": fit.df_resid}


def ancova(surface: Surface, runs: pd.DataFrame, covariate: str, block: list[str]) -> dict[str, Any]:
    """Test whether a metric moves one for one with its baseline, from block to block.

    Subtracting a baseline supposes a slope of one. A baseline is the same for all runs of its block (data set, or data
    set and seed), so blocks are what counts: their means, adjusted for the terms, are regressed on their baselines,
    within data sets where blocks are seeds.
    """
    if runs[covariate].isna().any():
        return {"reason": NO_RUN}
    labels = runs.groupby(block, sort=True).ngroup().to_numpy()
    dummies = np.eye(labels.max() + 1)[labels]
    matrix = np.column_stack([dummies, model_matrix(surface.coded(runs), surface.columns[1:])])
    means = fit_ols(runs[surface.response].to_numpy(float), matrix, CLASSICAL).params
    groups = runs.assign(block=labels).drop_duplicates("block").sort_values("block")
    within = pd.factorize(groups["dataset"])[0] if "seed" in block else np.zeros(len(groups), dtype=int)
    exog = np.column_stack([groups[covariate].to_numpy(float), np.eye(within.max() + 1)[within]])
    if obstacle(exog, CLASSICAL):
        what = "pairs of data set and seed" if "seed" in block else "data sets"
        return {"reason": f"not testable: there are too few {what} ({len(exog)}) to leave a degree of freedom"}
    fit = fit_ols(means[: len(exog)], exog, CLASSICAL)
    slope = next(contrasts(fit, np.eye(exog.shape[1])[:1], surface.confidence, null=1.0))
    return slope._asdict() | {"df": fit.df}
