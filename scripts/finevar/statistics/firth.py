"""Logistic regression with Firth's penalty: finite where a factor separates the outcomes, as failed runs often do.

The log-likelihood plus half the logarithm of the information's determinant, Jeffreys' prior, takes the first-order bias
out of the estimates (Firth 1993). p-values are of likelihood ratios with that penalty: Wald's would be far too large
where outcomes are separated, since the estimates' distribution is then skewed (Heinze & Schemper 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

MOST_STEPS = 200
SMALLEST_SCORE = 1e-10


@dataclass(frozen=True)
class FirthFit:
    """A penalised maximum."""

    params: np.ndarray  # [parameters]: log odds; zero where they were held
    cov: np.ndarray  # [parameters, parameters]: the inverse of the information
    log_likelihood: float  # with the penalty


def fit_firth(outcomes: np.ndarray, matrix: np.ndarray, held: Sequence[int] = ()) -> FirthFit:
    """Fit outcomes of 0 or 1 [runs] on a matrix [runs, parameters] of full rank; held: parameters that stay zero.

    Scoring with halved steps. The penalty is that of all parameters, held or not. Raises ArithmeticError where no
    maximum is found.
    """
    free = np.setdiff1d(np.arange(matrix.shape[1]), held)
    params = np.zeros(matrix.shape[1])
    for _ in range(MOST_STEPS):
        chances = special.expit(matrix @ params)
        information = (matrix.T * (chances * (1 - chances))) @ matrix
        leverages = chances * (1 - chances) * ((matrix @ np.linalg.inv(information)) * matrix).sum(1)
        score = matrix.T @ (outcomes - chances + leverages * (0.5 - chances))
        if np.abs(score[free]).max(initial=0.0) < SMALLEST_SCORE * len(outcomes):
            return FirthFit(params, np.linalg.inv(information), penalised(outcomes, matrix, params))
        step = np.zeros_like(params)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        params = params + halved(outcomes, matrix, params, step)
    raise ArithmeticError("Firth's logistic regression found no maximum")


def halved(outcomes: np.ndarray, matrix: np.ndarray, params: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return a step, halved until the penalised likelihood does not fall by it."""
    before = penalised(outcomes, matrix, params)
    for _ in range(30):
        if penalised(outcomes, matrix, params + step) >= before - 1e-12 * abs(before):
            break
        step = step / 2
    return step


def penalised(outcomes: np.ndarray, matrix: np.ndarray, params: np.ndarray) -> float:
    """Return the log-likelihood with Firth's penalty."""
    linear = matrix @ params
    chances = special.expit(linear)
    determinant = np.linalg.slogdet((matrix.T * (chances * (1 - chances))) @ matrix)[1]
    return float(outcomes @ linear - np.logaddexp(0, linear).sum() + determinant / 2)


def likelihood_ratio_p(outcomes: np.ndarray, matrix: np.ndarray, fit: FirthFit, *numbers: int) -> float:
    """Return the p-value of the hypothesis that parameters are zero: chi-squared of as many degrees of freedom."""
    without = fit_firth(outcomes, matrix, held=numbers)
    return float(stats.chi2.sf(max(2 * (fit.log_likelihood - without.log_likelihood), 0.0), len(numbers)))
