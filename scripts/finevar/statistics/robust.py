"""A scale, a sum of squares and a fit that one odd run does not decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

SHARE = 0.8  # of the deviations, whose largest is the scale: the median would be 0 where half of the settings tie
WINSOR = 3.0  # scales, as which larger deviations count

QUARTILE = float(stats.norm.ppf(0.75))
HUBER = 1.345  # scales from which on a residual's weight falls: 95 % efficient under normal noise
MOST_STEPS, TOLERANCE = 200, 1e-8

CELLS = ["dataset", "point_id"]


def scale(deviations: np.ndarray) -> float:
    """Return a standard deviation of deviations about zero from their 80 % quantile, as normal ones would have."""
    return float(np.quantile(np.abs(deviations), SHARE) / stats.norm.ppf((1 + SHARE) / 2))


def winsorised(deviations: np.ndarray) -> np.ndarray:
    """Return deviations, those beyond three scales as three (Tukey 1962); as they are where most are zero."""
    limit = WINSOR * scale(deviations)
    return np.clip(deviations, -limit, limit) if limit else deviations


def cell_numbers(runs: pd.DataFrame) -> np.ndarray:
    """Return the number of each run's setting [runs], data sets apart."""
    dataset, point = (pd.factorize(runs[name])[0] for name in CELLS)
    return np.unique(dataset * len(runs) + point, return_inverse=True)[1]


def huber_residuals(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the residuals [runs] of a Huber fit (1964) of values on a matrix [runs, parameters] of full rank.

    By reweighted least squares, the scale the median absolute residual, until the loss changes by less than TOLERANCE:
    the steps of statsmodels' RLM, which takes ten times as long.
    """
    basis = np.linalg.qr(matrix)[0]
    residual, before = values - basis @ (basis.T @ values), np.inf
    for _ in range(MOST_STEPS):
        spread = np.median(np.abs(residual)) / QUARTILE
        if spread == 0:
            break
        size = np.abs(residual) / spread
        loss = np.where(size <= HUBER, size**2 / 2, HUBER * size - HUBER**2 / 2).sum()
        if abs(loss - before) <= TOLERANCE:
            break
        before, weighted = loss, basis * (HUBER / np.maximum(size, HUBER))[:, None]
        residual = values - basis @ np.linalg.solve(weighted.T @ basis, weighted.T @ values)
    return residual
