"""How uncertain an estimate is: HC3 where runs are independent, CR3 clustered by trajectory where they are not.

Runs that differ in epochs only share a trajectory when neither schedule nor warm-up depends on the number of steps: the
longer run passes through the shorter one, and their errors go together. The aggregate names a run's trajectory.

Both covariances are sums over clusters of s_g s_g', s_g = W_g' (I - H_gg)^-1 e_g with W = X (X'X)^-1 and H the hat
matrix; HC3 (MacKinnon & White 1985) is the case of clusters of one run. CR3 (Bell & McCaffrey 2002) carries the
jackknife's factor (G - 1) / G and t with G - 1 degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats


@dataclass(frozen=True)
class Errors:
    """What is known of the runs' errors, and the covariance that follows from it."""

    kind: str  # HC3 or CR3
    clusters: np.ndarray | None  # cluster number of each run [runs], for CR3
    reason: str

    @property
    def count(self) -> int | None:
        """Return the number of clusters."""
        return None if self.clusters is None else int(self.clusters.max()) + 1


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

    @property
    def resid(self) -> np.ndarray:
        """Return the residuals [runs]."""
        return self.values - self.matrix @ self.params

    @property
    def leverages(self) -> np.ndarray:
        """Return the diagonal of the hat matrix [runs]."""
        return np.einsum("ij,jk,ik->i", self.matrix, self.bread, self.matrix)

    @property
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
        return 2 * stats.t.sf(np.abs(self.params / self.bse), self.df)


def errors_of(runs: pd.DataFrame) -> Errors:
    """Choose the covariance from the runs, and say why."""
    if "owner" in runs:  # models that others trained
        return clustered_by(
            runs["trajectory_id"].to_numpy(),
            "models of one owner share code, data and habits, so their errors go together",
        )
    trajectories = runs["trajectory_id"]
    if not trajectories.duplicated().any():
        return Errors("HC3", None, "every run is trained by itself, so runs are independent given their seed's block")
    return clustered_by(
        trajectories.to_numpy(),
        "runs that differ in epochs only share a trajectory, so their errors go together",
    )


def clustered_by(labels: np.ndarray, reason: str) -> Errors:
    """Return errors that go together where labels [runs] agree."""
    return Errors("CR3", pd.factorize(labels)[0], reason)


def fit_ols(values: np.ndarray, matrix: np.ndarray, errors: Errors) -> Fit:
    """Fit values [runs] on a matrix [runs, parameters] of full rank."""
    if errors.clusters is None:
        fit = sm.OLS(values, matrix).fit(cov_type="HC3", use_t=True)
        return Fit(values, matrix, fit.params, fit.cov_params(), fit.normalized_cov_params, fit.df_resid, fit.df_resid)
    fit = sm.OLS(values, matrix).fit()
    bread = fit.normalized_cov_params
    scores = cluster_sums(jackknife_weights(matrix, bread, errors.clusters) * fit.resid[:, None], errors.clusters)
    count = len(scores)
    cov = scores.T @ scores * (count - 1) / count
    return Fit(values, matrix, fit.params, cov, bread, float(count - 1), fit.df_resid)


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


def cluster_sums(rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return the sums of rows [runs, columns] within clusters [clusters, columns]."""
    sums = np.zeros((int(clusters.max()) + 1, rows.shape[1]))
    np.add.at(sums, clusters, rows)
    return sums


def wald_test(fit: Fit, columns: list[int]) -> tuple[float, float]:
    """Return F and p of the hypothesis that these parameters are zero, under the fit's covariance.

    With clusters the covariance has few degrees of freedom, so F is Hotelling's: scaled by (df - q + 1) / df.
    """
    estimate, cov = fit.params[columns], fit.cov[np.ix_(columns, columns)]
    count = len(columns)
    f_value = float(estimate @ np.linalg.solve(cov, estimate)) / count
    rest = fit.df - count + 1
    if fit.df < fit.df_resid:
        f_value *= rest / fit.df
    return f_value, float(stats.f.sf(f_value, count, rest if fit.df < fit.df_resid else fit.df))
