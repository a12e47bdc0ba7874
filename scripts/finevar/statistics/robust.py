"""A scale and a sum of squares that one odd run does not decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

SHARE = 0.8  # of the deviations, whose largest is the scale: the median would be 0 where half of the cells tie
WINSOR = 3.0  # scales, as which larger deviations count

CELLS = ["dataset", "point_id"]


def scale(deviations: np.ndarray) -> float:
    """Return a standard deviation of deviations about zero from their 80 % quantile, as normal ones would have."""
    return float(np.quantile(np.abs(deviations), SHARE) / stats.norm.ppf((1 + SHARE) / 2))


def winsorised(deviations: np.ndarray) -> np.ndarray:
    """Return deviations, those beyond three scales as three (Tukey 1962); as they are where most are zero."""
    limit = WINSOR * scale(deviations)
    return np.clip(deviations, -limit, limit) if limit else deviations


def within_cells(runs: pd.DataFrame, response: str) -> np.ndarray:
    """Return each run's deviation [runs] from its cell's mean, enlarged to the spread of the noise; NaN of one run."""
    cells = runs.groupby(CELLS)[response]
    size = cells.transform("size").to_numpy(float)
    with np.errstate(divide="ignore"):
        enlarged = np.sqrt(size / (size - 1))
    return (runs[response] - cells.transform("mean")).to_numpy(float) * np.where(size > 1, enlarged, np.nan)
