"""Response surfaces: one fit per response, read as absolute and as relative to the baseline.

y = Q(x) b + blocks + e, Q the terms of the surface in coded units, seeds and data sets as fixed blocks coded to sum to
zero, so that every other estimate is a mean over them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.diagnostic import het_breuschpagan

from finevar.statistics import covariance
from finevar.statistics.covariance import Errors, Estimate, Fit, errors_of, fit_ols, wald_test
from finevar.study.coding import Codings, Term, design_matrix, model_matrix

SHARED = "runs share trajectories, so their errors are not independent"
UNEQUAL = "noise differs between settings (Breusch-Pagan), which this test does not allow for"

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Surface:
    """A fitted response surface and what its verdicts are measured against."""

    response: str
    codings: Codings
    columns: list[Term]
    names: list[str]  # of all parameters: terms, then blocks
    fit: Fit
    errors: Errors
    runs: pd.DataFrame
    confidence: float
    pure_error_sd: float | None
    pure_error_df: int
    noise_df: float  # degrees of freedom that the pure error is worth, see noise_df()
    test_set_se: float | None

    def coded(self, places: pd.DataFrame | None = None) -> dict[str, np.ndarray]:
        """Return the coded level of each factor [places] from natural ones; of all runs without places."""
        places = self.runs if places is None else places
        return {name: coding.coded(places[name]) for name, coding in self.codings.items()}

    @cached_property
    def points(self) -> pd.DataFrame:
        """Return the tried points with a finished run, a row each."""
        return self.runs.drop_duplicates(list(self.codings)).reset_index(drop=True)

    @cached_property
    def cells(self) -> np.ndarray:
        """Return the number of each run's cell, a point on a data set [runs]."""
        return pd.factorize(self.runs["dataset"].astype(str) + " " + self.runs["point_id"].astype(str), sort=True)[0]

    @cached_property
    def breusch_pagan(self) -> tuple[float, float, float]:
        """Return F, denominator df and p of the test whether noise depends on the factors.

        Koenker's (1981) studentised form; with clusters a Wald test under CR3.
        """
        exog = np.column_stack([np.ones(len(self.runs)), *self.coded().values()])
        if self.errors.clusters is None:
            _, _, f_value, p = het_breuschpagan(self.fit.resid, exog)
            return float(f_value), float(len(exog) - exog.shape[1]), float(p)
        f_value, p = wald_test(fit_ols(self.fit.resid**2, exog, self.errors), list(range(1, exog.shape[1])))
        return f_value, self.fit.df, p

    @property
    def unequal(self) -> str | None:
        """Return why tests that need independent errors of one variance cannot be used, or None."""
        if self.errors.clusters is not None:
            return SHARED
        return UNEQUAL if self.breusch_pagan[-1] < self.alpha else None

    @property
    def has_own_noise(self) -> bool:
        """Say whether noise between seeds differs between settings and is known for each: no runs share a course."""
        return self.errors.clusters is None and self.unequal is not None

    @property
    def alpha(self) -> float:
        """Return the error rate that goes with the confidence."""
        return 1 - self.confidence

    @property
    def smallest_effect(self) -> float | None:
        """Return the smallest effect of interest, None where no noise is known."""
        return smallest_effect(self.pure_error_sd, self.test_set_se)

    @property
    def smallest_effect_se(self) -> float:
        """Return the standard error of the smallest effect, where it is measured from seeds: its share 1/sqrt(2 df)."""
        measured = self.pure_error_sd is not None and self.smallest_effect == 2 * self.pure_error_sd
        return 2 * self.pure_error_sd / math.sqrt(2 * self.noise_df) if measured else 0.0

    def padded(self, weights: np.ndarray) -> np.ndarray:
        """Return weights of the terms [..., terms] as weights of all parameters, blocks averaged."""
        blocks = np.zeros((*weights.shape[:-1], len(self.names) - len(self.columns)))
        return np.concatenate([weights, blocks], axis=-1)


def smallest_effect(noise_sd: float | None, test_set_se: float | None) -> float | None:
    """Return the smallest effect of interest: twice the seeds' noise or the test set's error, whichever is larger."""
    known = (None if noise_sd is None else 2 * noise_sd, test_set_se)
    return max((value for value in known if value is not None), default=None)


def fit_surface(
    runs: pd.DataFrame,
    response: str,
    codings: Codings,
    columns: list[Term],
    confidence: float,
    errors: Errors | None = None,
) -> Surface:
    """Fit the absolute surface of a response; errors are read from the runs where they are not given."""
    errors = errors_of(runs) if errors is None else errors
    matrix, names = design_matrix(runs, codings, columns)
    fit = fit_ols(runs[response].to_numpy(float), matrix, errors)
    error, error_df = pure_error(runs, response)
    worth = noise_df(runs, response, errors)
    se = f"{response}_se"
    test_set = float(runs[se].median()) if se in runs and runs[se].notna().any() else None
    return Surface(response, codings, columns, names, fit, errors, runs, confidence, error, error_df, worth, test_set)


def pure_error(runs: pd.DataFrame, response: str) -> tuple[float | None, int]:
    """Return the standard deviation among the seeds of one cell, pooled over cells, and its degrees of freedom."""
    cells = runs.groupby(["dataset", "point_id"])[response]
    within = runs[response] - cells.transform("mean")
    df = len(runs) - cells.ngroups
    return (float(np.sqrt((within**2).sum() / df)) if df > 0 else None), df


def noise_df(runs: pd.DataFrame, response: str, errors: Errors) -> float:
    """Return the degrees of freedom that the pure error is worth (Satterthwaite 1946).

    What all runs of a seed have in common counts once a seed, not once a run; likewise for trajectories.
    """
    within = runs[response] - runs.groupby(["dataset", "point_id"])[response].transform("mean")
    shifts = within.groupby(runs["seed"]).agg(["mean", "size"])
    common, total = float((shifts["mean"] ** 2 * shifts["size"]).sum()), float((within**2).sum())
    df, shared = pure_error(runs, response)[1], len(shifts) - 1
    own = df - shared
    if shared < 1 or own < 1 or total == 0:
        return float(max(df, 1))
    worth = total**2 / (common**2 / shared + (total - common) ** 2 / own)
    return worth if errors.count is None else worth * errors.count / len(runs)


def contrast(surface: Surface, weights: np.ndarray) -> Estimate:
    """Return a linear combination [parameters] of the parameters with its t interval and its p against zero."""
    return next(contrasts(surface, weights[None]))


def contrasts(surface: Surface, weights: np.ndarray) -> Iterator[Estimate]:
    """Yield linear combinations [rows, parameters] of the parameters with t intervals and p-values against zero."""
    return covariance.contrasts(surface.fit, weights, surface.confidence)


def fit_relative(surface: Surface, baseline: Mapping[str, float]) -> tuple[Surface, float]:
    """Fit y - y0 about the baseline's levels; return it with the largest deviation from the absolute fit's reading.

    The two are one fit (fitted values, residuals, second-order terms; first-order terms are the absolute surface's
    slopes at the baseline), which the deviation checks on every quantity: relative to the largest of its kind.
    """
    frozen = surface.runs[f"baseline_{surface.response}"].to_numpy(float)
    change = surface.runs[surface.response].to_numpy(float) - frozen
    matrix, names = design_matrix(surface.runs, surface.codings, surface.columns, baseline)
    fit = fit_ols(change, matrix, surface.errors)
    relative = dataclasses.replace(surface, names=names, fit=fit)
    kept = [number for number, term in enumerate(surface.columns) if term]
    read = slopes_at(surface, baseline)[kept]
    pairs = [
        (fit.resid, surface.fit.resid),
        (fit.params[kept], read @ surface.fit.params),
        (fit.bse[kept], surface.fit.std_errors(read)),
    ]
    return relative, max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def slopes_at(surface: Surface, levels: Mapping[str, float]) -> np.ndarray:
    """Return the contrasts [terms, parameters] that read each term of the surface about other levels as its origin.

    The slope of x_j at x0 is b_j + 2 b_jj x0_j + sum_k b_jk x0_k; a term of the highest order stays what it is.
    """
    x0 = {name: float(coding.coded(levels[name])) for name, coding in surface.codings.items()}
    weights = [[shift_weight(term, other, x0) for other in surface.columns] for term in surface.columns]
    return surface.padded(np.array(weights))


def shift_weight(term: Term, other: Term, x0: Mapping[str, float]) -> float:
    """Return the weight of `other`'s coefficient in `term`'s after moving the origin to x0.

    Expand prod((d_k + x0_k)^n_k) over the factors of `other`: the part whose d-product is `term`.
    """
    if any(term.count(name) > other.count(name) for name in term):
        return 0.0
    powers = [(other.count(name), term.count(name), x0[name]) for name in set(other)]
    return float(math.prod(math.comb(full, kept) * level ** (full - kept) for full, kept, level in powers))


def predicted(surface: Surface, coded: Mapping[str, np.ndarray]) -> Iterator[dict[str, float]]:
    """Yield prediction, standard error and interval of the mean response at coded points, blocks averaged."""
    for row in contrasts(surface, surface.padded(model_matrix(coded, surface.columns))):
        yield {"predicted": row.estimate, "std_error": row.std_error, "ci_low": row.ci_low, "ci_high": row.ci_high}
