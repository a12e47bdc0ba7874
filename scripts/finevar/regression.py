"""Response surfaces: one fit per response, read as absolute and as relative to the baseline.

y = Q(x) b + blocks + e, Q the terms of the surface in coded units, seeds and data sets as fixed blocks coded to sum to
zero, so that every other estimate is a mean over them. Ordinary least squares with HC3 standard errors and t
(MacKinnon & White 1985; Long & Ervin 2000).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.regression.linear_model import RegressionResultsWrapper

from finevar.coding import Codings, Term, design_matrix, model_matrix


@dataclass(frozen=True)
class Surface:
    """A fitted response surface and what its verdicts are measured against."""

    response: str
    codings: Codings
    columns: list[Term]
    names: list[str]  # of all parameters: terms, then blocks
    fit: RegressionResultsWrapper
    runs: pd.DataFrame
    confidence: float
    pure_error_sd: float | None
    pure_error_df: int
    test_set_se: float | None

    @property
    def smallest_effect(self) -> float | None:
        """Return the smallest effect of interest: twice the seeds' noise or the test set's, whichever is larger."""
        noise = [2 * self.pure_error_sd] if self.pure_error_sd is not None else []
        noise += [self.test_set_se] if self.test_set_se is not None else []
        return max(noise, default=None)

    def quantile(self, confidence: float) -> float:
        """Return the t quantile of a two-sided interval."""
        return float(stats.t.ppf((1 + confidence) / 2, self.fit.df_resid))


def fit_surface(runs: pd.DataFrame, response: str, codings: Codings, columns: list[Term], confidence: float) -> Surface:
    """Fit the absolute surface of a response."""
    matrix, names = design_matrix(runs, codings, columns)
    fit = sm.OLS(runs[response].to_numpy(), matrix).fit(cov_type="HC3", use_t=True)
    error, error_df = pure_error(runs, response)
    se = f"{response}_se"
    test_set = float(runs[se].median()) if se in runs and runs[se].notna().any() else None
    return Surface(response, codings, columns, names, fit, runs, confidence, error, error_df, test_set)


def pure_error(runs: pd.DataFrame, response: str) -> tuple[float | None, int]:
    """Return the standard deviation among the seeds of one cell, pooled over cells, and its degrees of freedom."""
    cells = runs.groupby(["dataset", "point_id"])[response]
    within = runs[response] - cells.transform("mean")
    df = len(runs) - cells.ngroups
    return (float(np.sqrt((within**2).sum() / df)) if df > 0 else None), df


def fit_relative(surface: Surface, baseline: Mapping[str, float]) -> tuple[Surface, float]:
    """Fit y - y0 about the baseline's levels; return it with the largest deviation from the absolute fit's reading.

    The two are one fit (fitted values, residuals, second-order terms; first-order terms are the absolute surface's
    slopes at the baseline), which the deviation checks on every quantity: relative to the largest of its kind.
    """
    frozen = surface.runs[f"baseline_{surface.response}"].to_numpy()
    change = surface.runs[surface.response].to_numpy() - frozen
    matrix, names = design_matrix(surface.runs, surface.codings, surface.columns, baseline)
    fit = sm.OLS(change, matrix).fit(cov_type="HC3", use_t=True)
    relative = Surface(
        surface.response,
        surface.codings,
        surface.columns,
        names,
        fit,
        surface.runs,
        surface.confidence,
        surface.pure_error_sd,
        surface.pure_error_df,
        surface.test_set_se,
    )
    slopes = slopes_at(surface, baseline)
    kept = [number for number, term in enumerate(surface.columns) if term]
    read = surface.fit.t_test(slopes[kept])
    pairs = [
        (fit.resid, surface.fit.resid),
        (fit.params[kept], read.effect),
        (fit.bse[kept], read.sd.ravel() if np.ndim(read.sd) == 1 else np.sqrt(np.diag(read.cov_params()))),
    ]
    return relative, max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def slopes_at(surface: Surface, levels: Mapping[str, float]) -> np.ndarray:
    """Return the contrasts [terms, parameters] that read each term of the surface about other levels as its origin.

    The slope of x_j at x0 is b_j + 2 b_jj x0_j + sum_k b_jk x0_k; a second-order term stays what it is.
    """
    x0 = {name: float(coding.coded(levels[name])) for name, coding in surface.codings.items()}
    contrasts = np.zeros((len(surface.columns), len(surface.names)))
    for row, term in enumerate(surface.columns):
        for column, other in enumerate(surface.columns):
            contrasts[row, column] = shift_weight(term, other, x0)
    return contrasts


def shift_weight(term: Term, other: Term, x0: Mapping[str, float]) -> float:
    """Return the weight of `other`'s coefficient in `term`'s after moving the origin to x0.

    Expand prod(d_k + x0_k) over the factors of `other`: the part whose d-product is `term`.
    """
    rest = list(other)
    for name in term:
        if name not in rest:
            return 0.0
        rest.remove(name)
    ways = 2 if len(term) == 1 and len(other) == 2 and other[0] == other[1] else 1
    return ways * float(np.prod([x0[name] for name in rest]))


def predicted(surface: Surface, coded: Mapping[str, np.ndarray]) -> Iterator[dict[str, float]]:
    """Yield prediction, standard error and interval of the mean response at coded points, blocks averaged."""
    terms_only = model_matrix(coded, surface.columns)
    rows = np.column_stack([terms_only, np.zeros((len(terms_only), len(surface.names) - len(surface.columns)))])
    values = rows @ surface.fit.params
    errors = np.sqrt(np.einsum("ij,jk,ik->i", rows, surface.fit.cov_params(), rows))
    t = surface.quantile(surface.confidence)
    for value, error in zip(values, errors, strict=True):
        low, high = value - t * error, value + t * error
        yield {"predicted": float(value), "std_error": float(error), "ci_low": float(low), "ci_high": float(high)}
