"""How much a metric varies between seeds at a setting: a model of the variances within settings, always.

One odd run must not decide it. A setting's variance that is larger than the model has it by more than three standard
deviations of normal noise would explain, counts as that large, and the model is fitted again until nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import minimize

from finevar.statistics.checks import saturated_cells
from finevar.statistics.regression import Surface
from finevar.statistics.robust import CELLS, WINSOR, winsorised
from finevar.study.coding import coded_of

MOST_FITS = 50
FLOOR = 1e-6  # of the mean variance, as which smaller ones count

Noise = list[tuple[float, float]]  # variance and its degrees of freedom of each place


@dataclass(frozen=True)
class NoiseModel:
    """The logarithm of the variance between seeds, linear in a constant and the coded axes."""

    coefficients: np.ndarray  # [1 + axes]
    cov: np.ndarray  # of the coefficients [1 + axes, 1 + axes]
    shift: float  # variance of what a seed does to all of its runs


def noise_at(surface: Surface, places: Sequence[Mapping[str, float]]) -> Noise:
    """Return, for each place in natural levels, the variance of a run at a new seed and its degrees of freedom.

    The place's own, and that of what a seed does to all of its runs. df by Satterthwaite (1946). The surface has a
    second seed.
    """
    found, model = modelled_noise(surface, places), noise_model(surface)
    if model is None:
        return found
    shift, others = model.shift, surface.seeds - 1
    return [(own + shift, (own + shift) ** 2 / (own**2 / df + shift**2 / others)) for own, df in found]


def modelled_noise(surface: Surface, places: Sequence[Mapping[str, float]]) -> Noise:
    """Return, for each place in natural levels, its variance between seeds by the model and its degrees of freedom.

    What a seed does to all of its runs is left out. Levels beyond the design's are taken for its nearest. The degrees
    of freedom are those of a chi-square with the same relative error, fewer where runs share trajectories. The pooled
    variance where there is no model.
    """
    model = noise_model(surface)
    if model is None:
        return [(surface.pure_error_sd**2, surface.noise_df)] * len(places)
    z = coded_rows(surface, {name: [place[name] for place in places] for name in surface.codings})
    worth = 1.0 if surface.errors.count is None else surface.errors.count / len(surface.runs)
    df = worth * 2 / ((z @ model.cov) * z).sum(1)
    return list(zip(np.exp(z @ model.coefficients).tolist(), df.tolist(), strict=True))


@lru_cache(maxsize=16)
def noise_model(surface: Surface) -> NoiseModel | None:
    """Return how the variance between seeds depends on the settings, or None where too few have a second run.

    A gamma regression of the settings' variances between seeds, each of 2 / df dispersion (Smyth 1989). Seeds' common
    shifts are taken out, and may leave nothing; their variance is what they add to the mean of the settings' variances.
    """
    runs, response = surface.runs, surface.response
    cells, rest = runs.groupby(CELLS, sort=False), saturated_cells(surface)[1]
    within = (runs[response] - cells[response].transform("mean")).to_numpy(float)
    cell, seed = cells.ngroup().to_numpy(), pd.factorize(runs["seed"])[0]
    several = np.bincount(cell) > 1
    df = np.bincount(cell)[several] - 1
    tame = winsorised(within)
    left = within - shifts(tame, seed)
    if rest < 1 or left @ left < 1e-12 * max(float(runs[response].var()), 1e-300):
        return None
    exog = coded_rows(surface, cells[list(surface.codings)].first()[several].to_dict("list"))
    if np.linalg.matrix_rank(exog) < exog.shape[1]:
        return None
    cov = np.linalg.inv(exog.T @ (exog * df[:, None] / 2))
    most, weight = stats.chi2.isf(stats.chi2.sf(WINSOR**2, 1), df) / df, df / 2 * ((exog @ cov) * exog).sum(1)
    alone = weight > 1 - 1e-9  # no other setting says what its variance should be
    pull = np.divide(weight, 1 - weight, out=np.zeros_like(weight), where=~alone)

    def variances(deviations: np.ndarray) -> np.ndarray:
        found = np.bincount(cell, deviations**2)[several] / df * (df.sum() / rest)
        return np.maximum(found, FLOOR * found.mean())  # seeds may tie, and a variance of zero has no logarithm

    kept = variances(tame - shifts(tame, seed))
    coefficients = log_variances(kept, df, exog)
    for _ in range(MOST_FITS):
        own, before = variances(within - shifts(tame, seed)), kept
        fitted = np.exp(exog @ coefficients)
        # What the other settings would make of it, to first order: else an odd corner raises its own limit.
        others = fitted * np.exp(-pull * (kept / fitted - 1))
        kept = np.where(alone, own, np.minimum(own, most * others))
        if np.allclose(kept, before, rtol=1e-9, atol=0):
            break
        coefficients = log_variances(kept, df, exog)
        shares = np.ones(len(several))
        shares[several] = np.sqrt(kept / own)
        tame = within * shares[cell]
    added = (tame @ tame - df @ kept) / df.sum()
    return NoiseModel(coefficients, cov, max(float(added), 0.0))


def shifts(deviations: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Return for each run [runs] the mean deviation of its seed's runs; seed: number of each run's [runs]."""
    return (np.bincount(seed, deviations) / np.bincount(seed))[seed]


def coded_rows(surface: Surface, levels: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Return a constant and the coded axes [places, 1 + axes], within the design's range."""
    coded = [np.clip(column, -1, 1) for column in coded_of(surface.codings, levels).values()]
    return np.column_stack([np.ones(len(coded[0])), *coded])


def log_variances(variances: np.ndarray, df: np.ndarray, exog: np.ndarray) -> np.ndarray:
    """Return the coefficients of a log-linked gamma regression of variances [settings] on exog [settings, terms].

    The deviance is convex, so that a search by trust region finds its minimum where reweighted least squares, which
    statsmodels' GLM uses, may overflow: variances of one degree of freedom each differ by orders of magnitude.
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
