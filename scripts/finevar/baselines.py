"""Against the baseline: differences that carry its own variance, and what matching it by data set and seed buys.

B0 is the baseline as it is, evaluated on each data set. B1 is its own hyperparameters trained within the study, with
the study's seeds: the runs marked is_baseline_point.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import minimize

from finevar.checks import saturated_cells, unequal_noise
from finevar.coding import Codings, aliased_terms, design_matrix, leverages, model_matrix
from finevar.covariance import errors_of, fit_ols
from finevar.optimum import design_points
from finevar.regression import Surface

NO_B1 = "no finished run of this study has the baseline's own hyperparameters (B1)"
FEW_SEEDS = 10  # with fewer, what a seed does to all of its runs is hardly known (see make calibrate)
NO_SEEDS = "without a second seed the baseline's own variance is unknown"

Rows = list[dict[str, Any]]


def against_baseline_rows(surface: Surface, baseline: Mapping[str, float]) -> Rows:
    """Return, for each tried point, prediction minus baseline with an interval that carries the baseline's variance.

    SE2 = q'Vq + s2/m - 2 cov. B0 is one training (m = 1) whose noise is taken to be that between seeds. B1 is m runs of
    the study, so its mean and the prediction rest on some of the same runs, which the covariance allows for; the seeds'
    common shifts cancel, and s2 is what cell means and seeds leave. Where noise differs between settings, s2 is that of
    the baseline's own.
    """
    points, coded = design_points(surface)
    weights = surface.padded(model_matrix(dict(zip(surface.codings, coded.T, strict=True)), surface.columns))
    rows = []
    for name, found in (("B0", frozen(surface, baseline)), ("B1", retrained(surface, baseline))):
        who = {"response": surface.response, "baseline": name}
        if isinstance(found, str):
            rows.append(who | {"reason": found})
            continue
        seeds = surface.runs["seed"].nunique()
        if name == "B0" and seeds < FEW_SEEDS:
            who["reason"] = (
                f"with {seeds} seeds it is hardly known what a seed does to all of its runs; where that is much, these "
                "intervals hold the truth in 88 to 93 % of studies instead of 95"
            )
        value, variance, df, shared = found
        for point, q in zip(points["point_id"], weights, strict=True):
            rows.append(who | {"point_id": point} | difference(surface, q, value, variance, df, shared))
    return rows


def difference(
    surface: Surface, q: np.ndarray, value: float, variance: float, df: float, shared: np.ndarray
) -> dict[str, float]:
    """Return q'b minus a baseline's value with its t interval; df by Welch and Satterthwaite.

    shared: covariance of the parameters' estimates with the baseline's value [parameters].
    """
    own = float(q @ surface.fit.cov @ q)
    total = max(own + variance - 2 * float(q @ shared), 0.0)
    freedom = (own + variance) ** 2 / (own**2 / surface.fit.df + variance**2 / df)
    reach = float(stats.t.ppf((1 + surface.confidence) / 2, freedom)) * math.sqrt(total)
    gap = float(q @ surface.fit.params) - value
    return {"estimate": gap, "std_error": math.sqrt(total), "ci_low": gap - reach, "ci_high": gap + reach}


def frozen(surface: Surface, baseline: Mapping[str, float]) -> tuple[float, float, float, np.ndarray] | str:
    """Return B0's mean over data sets, its variance, that variance's degrees of freedom and no covariance."""
    values = surface.runs.drop_duplicates("dataset")[f"baseline_{surface.response}"]
    if values.isna().any():
        return f"the baseline has no {surface.response}"
    if surface.pure_error_sd is None:
        return NO_SEEDS
    variance, df = surface.pure_error_sd**2, surface.noise_df
    if unequal_noise(surface) and surface.errors.clusters is None:
        variance, df = own_noise(surface, baseline)
    return float(values.mean()), variance, df, np.zeros(len(surface.names))


def retrained(surface: Surface, baseline: Mapping[str, float]) -> tuple[float, float, float, np.ndarray] | str:
    """Return B1's mean, its variance, that variance's degrees of freedom and its covariance with the estimates."""
    own = at_baseline(surface.runs)
    squares, df = saturated_cells(surface)
    error = float(squares[0]) / max(df, 1)
    if not own.any():
        return NO_B1
    if df < 1:
        return NO_SEEDS
    variance, worth = error, float(df)
    if unequal_noise(surface) and surface.errors.clusters is None:
        variance, worth = own_noise(surface, baseline)
    fit = surface.fit
    shared = variance * fit.bread @ fit.matrix[own].mean(0)
    return float(fit.values[own].mean()), variance / int(own.sum()), worth, shared


def own_noise(surface: Surface, baseline: Mapping[str, float]) -> tuple[float, float]:
    """Return the variance between seeds at the baseline's levels and its degrees of freedom, where noise is unequal.

    The logarithm of the variance is linear in the coded factors: a gamma regression of the cells' variances between
    seeds, each of 2 / df dispersion (Smyth 1989), seeds' common shifts taken out. Levels beyond the design's are taken
    for its nearest. The degrees of freedom are those of a chi-square with the same relative error.
    """
    runs = surface.runs
    cells = runs.groupby(["dataset", "point_id"], sort=False)
    within = runs[surface.response] - cells[surface.response].transform("mean")
    within = within - within.groupby(runs["seed"]).transform("mean")
    size = cells.size()
    kept = (size > 1).to_numpy()
    df = size.to_numpy()[kept] - 1
    rest = saturated_cells(surface)[1]
    squares = (within**2).groupby([runs["dataset"], runs["point_id"]], sort=False).sum().to_numpy()[kept]
    if rest < 1 or squares.sum() < 1e-12 * max(float(runs[surface.response].var()), 1e-300):  # nothing to compare
        return surface.pure_error_sd**2, surface.noise_df
    variances = squares / df * df.sum() / rest
    variances = np.maximum(variances, 1e-6 * variances.mean())  # seeds may tie, and a variance of zero has no logarithm
    levels = cells[list(surface.codings)].first()[kept]
    exog = np.column_stack(
        [np.ones(len(df)), *(coding.coded(levels[name]) for name, coding in surface.codings.items())]
    )
    place = [float(np.clip(coding.coded(baseline[name]), -1, 1)) for name, coding in surface.codings.items()]
    z = np.array([1.0, *place])
    spread = z @ np.linalg.solve(exog.T @ (exog * df[:, None] / 2), z)
    return float(np.exp(z @ log_variances(variances, df, exog))), float(2 / spread)


def log_variances(variances: np.ndarray, df: np.ndarray, exog: np.ndarray) -> np.ndarray:
    """Return the coefficients of a log-linked gamma regression of variances [cells] on exog [cells, terms].

    The deviance is convex, so that a search by trust region finds its minimum where reweighted least squares, the usual
    way, may overflow: variances of one degree of freedom each differ by orders of magnitude.
    """
    scale = variances.mean()

    def share(coefficients: np.ndarray) -> np.ndarray:
        return variances / scale * np.exp(-np.clip(exog @ coefficients, -500, 500))

    def deviance(coefficients: np.ndarray) -> float:
        return float((df * (exog @ coefficients + share(coefficients))).sum())

    found = minimize(
        deviance,
        np.zeros(exog.shape[1]),
        jac=lambda at: exog.T @ (df * (1 - share(at))),
        hess=lambda at: exog.T @ (exog * (df * share(at))[:, None]),
        method="trust-exact",
        options={"gtol": 1e-8},
    )
    return found.x + np.array([np.log(scale), *np.zeros(exog.shape[1] - 1)])


def at_baseline(runs: pd.DataFrame) -> np.ndarray:
    """Return which runs have the baseline's own hyperparameters [runs]."""
    return runs["is_baseline_point"].fillna(False).to_numpy(bool)


# Matching -------------------------------------------------------------------------------------------------------------


def matched_rows(surface: Surface) -> Rows:
    """Return what is left unexplained with and without matching, and the tests of its slope of one."""
    runs = with_retrained(surface)
    response, fit = surface.response, surface.fit
    values = runs[response].to_numpy(float)
    analyses = {
        "absolute": values,
        "minus_b0": values - runs[f"baseline_{response}"].to_numpy(float),
        "minus_b1": values - runs["retrained"].to_numpy(float),
    }
    rows: Rows = []
    for name, left in analyses.items():
        rows.append({"analysis": name} | unexplained(left, runs, surface.codings, surface))
    rows.append({"analysis": "blocks", "residual_sd": math.sqrt(fit.ssr / fit.df_resid), "df": fit.df_resid})
    rows.append({"analysis": "ancova_b0"} | ancova(surface, runs, f"baseline_{response}", ["dataset"]))
    rows.append({"analysis": "ancova_b1"} | ancova(surface, runs, "retrained", ["dataset", "seed"]))
    return [{"response": response} | row for row in rows]


def fit_matched(surface: Surface, baseline: Mapping[str, float]) -> Surface | None:
    """Fit y - B1, matched by data set and seed, about the baseline's levels; None where it cannot be had.

    The genuinely relative analysis: a data set and a seed together are a block, whose own B1 is subtracted. The
    intercept, the change at the baseline's own levels, carries the variance of B1's mean. B1's own runs are left out.
    """
    runs = with_retrained(surface)
    squares, df = saturated_cells(surface)
    error = float(squares[0]) / max(df, 1)
    if runs["retrained"].isna().any() or df < 1:
        return None
    joint = runs.assign(dataset=runs["dataset"] + " seed " + runs["seed"].astype(str), seed=0)
    matrix, names = design_matrix(joint, surface.codings, surface.columns, baseline)
    if len(matrix) <= len(names) or aliased_terms(matrix, names) or leverages(matrix).max() > 1 - 1e-8:
        return None
    change = runs[surface.response] - runs["retrained"]
    errors = errors_of(runs)
    fit = fit_ols(change.to_numpy(float), matrix, errors)
    cov = fit.cov.copy()
    cov[0, 0] += error / int(at_baseline(surface.runs).sum())
    return dataclasses.replace(surface, names=names, fit=dataclasses.replace(fit, cov=cov), errors=errors, runs=joint)


def with_retrained(surface: Surface) -> pd.DataFrame:
    """Return the runs but B1's, the value of B1 of the same data set and seed beside each."""
    runs = surface.runs
    own = at_baseline(runs)
    twins = runs[own].groupby(["dataset", "seed"])[surface.response].mean().rename("retrained")
    return runs[~own if own.any() else slice(None)].merge(twins, how="left", on=["dataset", "seed"])


def unexplained(values: np.ndarray, runs: pd.DataFrame, codings: Codings, surface: Surface) -> dict[str, Any]:
    """Return the residual standard deviation of a surface without blocks, and its degrees of freedom."""
    if np.isnan(values).any():
        return {"reason": "a data set or seed has no run of this baseline"}
    matrix = model_matrix({name: coding.coded(runs[name]) for name, coding in codings.items()}, surface.columns)
    fit = sm.OLS(values, matrix).fit()
    return {"residual_sd": math.sqrt(fit.scale), "df": float(fit.df_resid)}


def ancova(surface: Surface, runs: pd.DataFrame, covariate: str, block: list[str]) -> dict[str, Any]:
    """Test whether a metric moves one for one with its baseline, from block to block.

    Subtracting a baseline supposes a slope of one. A baseline is the same for all runs of its block (data set, or data
    set and seed), so blocks are what counts: their means, adjusted for the terms, are regressed on their baselines,
    within data sets where seeds tell blocks apart.
    """
    if runs[covariate].isna().any():
        return {"reason": "a data set or seed has no run of this baseline"}
    labels = runs.groupby(block, sort=True).ngroup().to_numpy()
    dummies = np.eye(labels.max() + 1)[labels]
    coded = {name: coding.coded(runs[name]) for name, coding in surface.codings.items()}
    terms_only = model_matrix(coded, surface.columns[1:])
    means = sm.OLS(runs[surface.response].to_numpy(float), np.column_stack([dummies, terms_only])).fit().params
    groups = runs.assign(block=labels).drop_duplicates("block").sort_values("block")
    within = pd.factorize(groups["dataset"])[0] if "seed" in block else np.zeros(len(groups), dtype=int)
    exog = np.column_stack([groups[covariate].to_numpy(float), np.eye(within.max() + 1)[within]])
    df = len(exog) - exog.shape[1]
    if df < 1 or np.linalg.matrix_rank(exog) < exog.shape[1]:
        what = "pairs of data set and seed" if "seed" in block else "data sets"
        return {"reason": f"not testable: there are too few {what} ({len(exog)}) to leave a degree of freedom"}
    fit = sm.OLS(means[: len(exog)], exog).fit()
    slope, error = float(fit.params[0]), float(fit.bse[0])
    reach = float(stats.t.ppf((1 + surface.confidence) / 2, df)) * error
    p = float(2 * stats.t.sf(abs(slope - 1) / error, df))
    found = {"estimate": slope, "std_error": error, "df": float(df), "p_value": p}
    return found | {"ci_low": slope - reach, "ci_high": slope + reach}
