"""The model ladder: what each order of terms adds to those before it."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from finevar.statistics.covariance import Fit, fit_ols, wald_test
from finevar.statistics.estimability import obstacle
from finevar.statistics.regression import Rows, Surface
from finevar.study.coding import TERM_ORDER, Term, design_matrix, term_group, terms

GROUP_OF_RUNG = dict(zip(TERM_ORDER, ("first_order", "two_way", "quadratic", "cubic"), strict=True))


def ladder_rows(surface: Surface, order: str, unequal: str | None) -> Rows:
    """Return a row per rung: sequential F against the largest rung's residual, Wald F, and the quality of its model.

    unequal: why the sequential F has no p-value, where noise is unequal or runs are not independent.
    """
    rungs = climb(surface)
    largest = rungs[-1][2]
    before = fit_ols(surface.fit.values, design_matrix(surface.runs, surface.codings, [()])[0], surface.errors)
    rows = []
    for rung, columns, fit in rungs:
        row = {"response": surface.response, "rung": rung, "parameters": len(fit.params), "chosen": rung == order}
        df, sum_sq = before.df_resid - fit.df_resid, before.ssr - fit.ssr
        f_value = sum_sq / df / (largest.ssr / largest.df_resid)
        row |= {"df": df, "sum_sq": sum_sq, "f_value": f_value, "df_residual": largest.df_resid}
        row |= {"p_value": None if unequal else float(stats.f.sf(f_value, df, largest.df_resid)), "reason": unequal}
        added = [number for number, term in enumerate(columns) if term_group(term) == GROUP_OF_RUNG[rung]]
        row |= dict(zip(("f_robust", "p_robust"), wald_test(fit, added), strict=True))
        rows.append(row | quality(fit))
        before = fit
    return rows


def climb(surface: Surface) -> list[tuple[str, list[Term], Fit]]:
    """Return the rungs that the surface's runs can estimate, lowest first: name, terms and fit."""
    kept: list[tuple[str, list[Term], Fit]] = []
    for rung in TERM_ORDER:
        columns = terms(surface.codings, rung)
        matrix, _ = design_matrix(surface.runs, surface.codings, columns)
        nothing_new = kept and len(columns) == len(kept[-1][1])
        if not nothing_new and not obstacle(matrix, surface.errors):
            kept.append((rung, columns, fit_ols(surface.fit.values, matrix, surface.errors)))
    return kept


def quality(fit: Fit) -> dict[str, float]:
    """Return R2, adjusted and predictive R2, PRESS and AICc of a fit.

    PRESS sums the squared errors of predicting each run from all others. AICc counts the error variance as a parameter
    (Hurvich & Tsai 1989).
    """
    total = float(((fit.values - fit.values.mean()) ** 2).sum())
    runs, parameters = fit.matrix.shape
    press = float(((fit.resid / (1 - fit.leverages)) ** 2).sum())
    k = parameters + 1
    log_likelihood = -runs / 2 * (math.log(2 * math.pi * fit.ssr / runs) + 1)
    aicc = 2 * k - 2 * log_likelihood + 2 * k * (k + 1) / (runs - k - 1) if runs > k + 1 else np.nan
    r2 = 1 - fit.ssr / total
    return {
        "r2": r2,
        "r2_adjusted": 1 - (1 - r2) * (runs - 1) / (runs - parameters),
        "r2_predicted": 1 - press / total,
        "press": press,
        "aicc": aicc,
    }
