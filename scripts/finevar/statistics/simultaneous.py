"""Many contrasts of one fit at once: draws of all estimates' errors."""

from __future__ import annotations

import numpy as np

from finevar.statistics.covariance import CLASSICAL
from finevar.statistics.families import root
from finevar.statistics.regression import Surface

DRAWS = 20_000  # for quantiles of the largest of many t values: standard error 0.15 % of a tail probability of 5 %
DRAW_SEED = 20250101


def parameter_draws(surface: Surface) -> np.ndarray:
    """Return draws [draws, parameters] of the estimates' errors: multivariate t with the fit's covariance."""
    return t_draws(surface.cov, joint_df(surface))


def t_draws(cov: np.ndarray, df: float) -> np.ndarray:
    """Return multivariate t draws [draws, parameters] of mean zero, from a fixed seed."""
    generator = np.random.default_rng(DRAW_SEED)
    normal = generator.standard_normal((DRAWS, len(cov))) @ root(cov).T
    return normal * np.sqrt(df / generator.chisquare(df, DRAWS))[:, None]


def intervals(value: float, error: float, alone: float, at_once: float) -> dict[str, float]:
    """Return an interval for one contrast alone and one for all at once, from the quantiles of their t."""
    reach, wider = alone * error, max(alone, at_once) * error
    ends = {"ci_low": value - reach, "ci_high": value + reach}
    return ends | {"simultaneous_low": value - wider, "simultaneous_high": value + wider}


def joint_df(surface: Surface) -> float:
    """Return the degrees of freedom of the estimates' covariance where many contrasts are read at once.

    With seeds enough to be the clusters, those of the least certain term. Else Hotelling's, df - p + 1 for p
    parameters, but no more than there are tried settings, and than half the clusters: in many directions at once the
    covariance's own uncertainty weighs more than in one (see make calibrate).
    """
    if surface.spread.few is None:
        return surface.df
    if surface.errors == CLASSICAL:  # one variance, whose own uncertainty is the same in all directions
        return surface.fit.df
    limits = [surface.fit.df - len(surface.names) + 1, len(surface.points)]
    limits += [surface.errors.count / 2] if surface.errors.count is not None else []
    return max(min(limits), 1.0)
