"""How uncertain an estimate is: HC3 where runs are independent, CR3 clustered by trajectory where they are not.

Runs that differ in epochs only share a trajectory when neither schedule nor warm-up depends on the number of steps: the
longer run passes through the shorter one, and their errors are correlated. The aggregate names a run's trajectory.

Both covariances are sums over clusters of s_g s_g', s_g = W_g' (I - H_gg)^-1 e_g with W = X (X'X)^-1 and H the hat
matrix; HC3 (MacKinnon & White 1985) is the case of clusters of one run. CR3 (Bell & McCaffrey 2002) carries the
jackknife's factor (G - 1) / G and t with G - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Errors:
    """What is known of the runs' errors, and the covariance that follows from it."""

    kind: str  # HC3, CR3, CR2 or classical
    clusters: np.ndarray | None  # cluster number of each run [runs], for CR3 and CR2
    reason: str

    @property
    def count(self) -> int | None:
        """Return the number of clusters."""
        return None if self.clusters is None else int(self.clusters.max()) + 1


INDEPENDENT = Errors("HC3", None, "every run is trained by itself, so runs are independent given their seed's block")
BY_SEED = "what a seed shifts counts as error"
BY_PART = "what a seed of a part, such as the order of the examples, shifts counts as error, parts being crossed"
CLASSICAL = Errors("classical", None, "runs are independent and their noise has one variance")


@dataclass(frozen=True)
class FirstStage:
    """What a two-stage rule (see two_stage) added seeds by, of one contrast."""

    weights: np.ndarray  # [parameters], in whatever scale
    sd: float  # of a run, as the contrast showed it
    df: float

    def shows(self, weights: np.ndarray) -> np.ndarray:
        """Say which contrasts [rows, parameters] are this one, in whatever scale [rows]."""
        lengths = np.linalg.norm(weights, axis=1) * np.linalg.norm(self.weights)
        return np.abs(weights @ self.weights) > (1 - 1e-9) * np.where(lengths > 0, lengths, np.inf)


@dataclass(frozen=True)
class Fit:
    """Ordinary least squares with a covariance that suits the errors."""

    values: np.ndarray  # [runs]
    matrix: np.ndarray  # [runs, parameters]
    params: np.ndarray  # [parameters]
    cov: np.ndarray  # [parameters, parameters]
    bread: np.ndarray  # (X'X)^-1
    df: float  # degrees of freedom of t and F
    df_resid: float
    first_stages: tuple[FirstStage, ...] = ()  # of contrasts whose seeds a two-stage rule added

    @cached_property
    def resid(self) -> np.ndarray:
        """Return the residuals [runs]."""
        return self.values - self.matrix @ self.params

    @cached_property
    def leverages(self) -> np.ndarray:
        """Return the diagonal of the hat matrix [runs]."""
        return ((self.matrix @ self.bread) * self.matrix).sum(1)

    @cached_property
    def ssr(self) -> float:
        """Return the sum of squared residuals."""
        return float((self.resid**2).sum())

    @property
    def bse(self) -> np.ndarray:
        """Return the standard errors [parameters]."""
        return np.sqrt(np.diag(self.cov))

    @property
    def pvalues(self) -> np.ndarray:
        """Return the two-sided p-values of each parameter against zero."""
        return self.p_values(self.params, self.bse)

    def p_values(self, estimates: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return the two-sided p-values of estimates with these standard errors against zero; NaN where both are 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * stats.t.sf(np.abs(estimates / errors), self.df)

    def std_errors(self, weights: np.ndarray) -> np.ndarray:
        """Return the standard errors [rows] of linear combinations [rows, parameters] of the parameters."""
        return np.sqrt(np.maximum(((weights @ self.cov) * weights).sum(1), 0))

    def quantile(self, confidence: float) -> float:
        """Return the t quantile of a two-sided interval."""
        return float(stats.t.ppf((1 + confidence) / 2, self.df))


class Estimate(NamedTuple):
    """A linear combination of a fit's parameters."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    p_value: float

    def within(self, least: float, most: float) -> Estimate:
        """Return it with its estimate and the ends of its interval within limits."""
        ends = (self.estimate, self.ci_low, self.ci_high)
        value, low, high = (min(max(each, least), most) for each in ends)
        return self._replace(estimate=value, ci_low=low, ci_high=high)

    def scaled(self, scale: float) -> dict[str, float]:
        """Return the columns of a table, in other units; p is the same in all."""
        scaled = {name: value * scale for name, value in self._asdict().items()}
        return scaled | {"p_value": self.p_value}


def contrasts(fit: Fit, weights: np.ndarray, confidence: float, *, null: float = 0.0) -> Iterator[Estimate]:
    """Yield linear combinations [rows, parameters] of the parameters with t intervals and p-values against a value."""
    values, errors = weights @ fit.params, fit.std_errors(weights)
    reach = fit.quantile(confidence) * errors
    for row in zip(values, errors, values - reach, values + reach, fit.p_values(values - null, errors), strict=True):
        yield Estimate(*map(float, row))


def errors_of(runs: pd.DataFrame) -> Errors:
    """Choose the covariance from the runs, and say why."""
    if "owner" in runs:  # models that others trained
        shared = "models of one owner share code, data and habits, so their errors are correlated"
        return clustered_by(runs["trajectory_id"].to_numpy(), shared)
    if not runs["trajectory_id"].duplicated().any():
        return INDEPENDENT
    shared = "runs that differ in epochs only share a trajectory, so their errors are correlated"
    return clustered_by(runs["trajectory_id"].to_numpy(), shared)


def clustered_by(labels: np.ndarray, reason: str) -> Errors:
    """Return errors that are correlated where labels [runs] agree."""
    return Errors("CR3", pd.factorize(labels)[0], reason)


def fit_ols(values: np.ndarray, matrix: np.ndarray, errors: Errors) -> Fit:
    """Fit values [runs] on a matrix [runs, parameters] of full rank by least squares.

    Written out rather than statsmodels', which has no CR3: its clustered errors (CR1) find too much with few clusters.
    """
    inverse = np.linalg.pinv(matrix)
    params, bread = inverse @ values, inverse @ inverse.T
    residual, rest = values - matrix @ params, float(len(values) - matrix.shape[1])
    if errors.kind == CLASSICAL.kind:
        variance = float(residual @ residual) / rest if rest else np.nan  # as many parameters as runs leave none
        return Fit(values, matrix, params, bread * variance, bread, rest, rest)
    added = scores(matrix, bread, residual, errors.clusters)
    df = rest if errors.clusters is None else len(added) - 1.0
    return Fit(values, matrix, params, added.T @ added, bread, df, rest)


def scores(matrix: np.ndarray, bread: np.ndarray, residual: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Return what each run, or cluster, adds to the parameters' errors [clusters, parameters].

    Their cross products are the covariance: HC3, or CR3 with its factor (G - 1) / G.
    """
    rows = jackknife_weights(matrix, bread, clusters) * residual[:, None]
    return rows if clusters is None else jackknife_sums(rows, clusters)


def jackknife_weights(matrix: np.ndarray, bread: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Return weights [runs, parameters] whose products with the residuals, summed by cluster, are the scores s_g."""
    weights = matrix @ bread
    if clusters is None:
        return weights / (1 - (weights * matrix).sum(1))[:, None]
    out = np.empty_like(weights)
    for rows in cluster_rows(clusters):
        own = np.eye(len(rows)) - matrix[rows] @ weights[rows].T
        out[rows] = np.linalg.solve(own, weights[rows])
    return out


def cluster_rows(clusters: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each cluster, in the clusters' order."""
    order = np.argsort(clusters, kind="stable")
    return np.split(order, np.cumsum(np.bincount(clusters))[:-1])


def jackknifes(matrix: np.ndarray, clusters: np.ndarray) -> bool:
    """Say whether every parameter can still be estimated without any one cluster: no cluster has a leverage of 1."""
    basis = np.linalg.qr(matrix)[0]
    return all(np.linalg.eigvalsh(basis[rows].T @ basis[rows])[-1] < 1 - 1e-8 for rows in cluster_rows(clusters))


def jackknife_sums(rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return the sums of rows [runs, columns] within clusters [clusters, columns], times sqrt((G - 1) / G)."""
    sums = np.stack([rows[members].sum(0) for members in cluster_rows(clusters)])
    return sums * math.sqrt((len(sums) - 1) / len(sums))


def wald_test(fit: Fit, columns: list[int]) -> tuple[float, float]:
    """Return F and p of the hypothesis that these parameters are zero, under the fit's covariance.

    With clusters the covariance has few degrees of freedom, so F is Hotelling's: scaled by (df - q + 1) / df.
    """
    estimate, cov = fit.params[columns], fit.cov[np.ix_(columns, columns)]
    count = len(columns)
    rest = wald_df(fit, count)
    f_value = float(estimate @ np.linalg.solve(cov, estimate)) / count * (rest / fit.df)
    return f_value, float(stats.f.sf(f_value, count, rest))


def wald_df(fit: Fit, count: int) -> float:
    """Return the denominator's degrees of freedom of wald_test() of so many parameters."""
    return fit.df - count + 1 if fit.df < fit.df_resid else fit.df
