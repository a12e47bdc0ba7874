"""Whether a fitted surface can be trusted: lack of fit against pure error, residual diagnostics, influential runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

from finevar.statistics.covariance import fit_ols, wald_df, wald_test
from finevar.statistics.regression import SHARED, UNEQUAL, Rows, Surface
from finevar.study.coding import factor_of

SEEDS_FOR_SIGNS = 6  # with fewer, the sign changes find too much (see make calibrate)
SIGN_CHANGES = 999
SIGN_SEED = 20250103


def check_rows(surface: Surface) -> Rows:
    """Return a row per check of a surface; a test whose assumptions do not hold has a reason instead of a p-value."""
    growing = {"p_value": None, "reason": surface.unequal} if surface.has_own_noise else {}
    rows = [
        lack_of_fit(surface, surface.unequal),
        breusch_pagan_row(surface),
        reset(surface) | growing,
        normality(surface),
    ]
    rows += joint_rows(surface)
    influence = influence_table(surface)
    for check, column in (("largest_leverage", "leverage"), ("largest_cook", "cook")):
        worst = influence.loc[influence[column].round(12).idxmax()]  # of a balanced design's ties the first run
        rows.append({"check": check, "statistic": float(worst[column]), "run_id": worst["run_id"]})
    return [{"response": surface.response} | row for row in rows]


def saturated_cells(surface: Surface, values: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Return the residual sums of squares of setting means plus seeds [columns], and their degrees of freedom.

    What is left when every setting has its own mean and every seed its own shift: error that no surface could explain.
    values: responses [runs, columns]; the surface's own without them.
    """
    runs = surface.runs
    values = surface.fit.values[:, None] if values is None else values
    cells, seeds = surface.cells, pd.factorize(runs["seed"])[0]
    members = sparse.csr_array((np.ones(len(cells)), (cells, np.arange(len(cells)))))
    means = members / members.sum(axis=1)[:, None]
    shifts = np.eye(seeds.max() + 1)[seeds][:, 1:]
    shifts = shifts - members.T @ (means @ shifts)
    within = values - members.T @ (means @ values)
    rank = int(np.linalg.matrix_rank(shifts)) if shifts.size else 0
    within = within - shifts @ np.linalg.lstsq(shifts, within, rcond=None)[0] if rank else within
    return (within**2).sum(axis=0), len(runs) - members.shape[0] - rank


def lack_of_fit(surface: Surface, unequal: str | None = None) -> dict[str, Any]:
    """Test whether the surface misses the setting means by more than seeds explain (F; Box & Draper 1987, ch. 3).

    About these sentences. unequal: why errors are not independent of one variance, or None. Where each setting has
    noise of its own, see own_noise_lack_of_fit(). Where runs share trajectories the p-value is, with SEEDS_FOR_SIGNS
    seeds, that of the same F under random changes of the residuals' signs (Wu 1986), with fewer it is withheld.
    """
    row: dict[str, Any] = {"check": "lack_of_fit"}
    squares, error_df = saturated_cells(surface)
    error, df = float(squares[0]), surface.fit.df_resid - error_df
    if error_df < 1:
        return row | {"reason": "not testable: no setting has two seeds"}
    if df < 1:
        return row | {"reason": "not testable: the surface has as many terms as there are settings"}
    missed = surface.fit.ssr - error
    row["statistic"] = f_value = missed / df / (error / error_df)
    row |= {"sum_sq": missed, "sum_sq_error": error, "df_numerator": df, "df_denominator": float(error_df)}
    if not unequal:
        return row | {"p_value": float(stats.f.sf(f_value, df, error_df))}
    if unequal == UNEQUAL:
        return row | own_noise_lack_of_fit(surface)
    if surface.seeds < SEEDS_FOR_SIGNS:
        return row | {"p_value": None, "reason": f"{unequal}; with {SEEDS_FOR_SIGNS} seeds another could be used"}
    return row | {
        "p_value": sign_change_p(surface),
        "reason": f"by {SIGN_CHANGES} random sign changes, since {unequal}",
    }


def own_noise_lack_of_fit(surface: Surface) -> dict[str, Any]:
    """Return the columns of a test of lack of fit in which every setting has a variance of its own.

    What the surface misses of the setting means, over what their variances lead to expect; the degrees of freedom are
    those of chi-squares with the same first two moments (Box 1954; the F of Brunner, Dette & Munk 1997). Settings of
    one run, whose variance is unknown, are left out.

    Chosen by simulation: 15 central composite or 27 factorial settings, 2 to 5 seeds, 4,000 studies each. It finds a
    lack of fit in 1 to 5 % of studies without one where noise grows sixfold along a factor, in 1 to 3 % with t3 tails,
    in 5 to 6 % with sixfold noise in one corner. F of one variance: 4 to 20 %; sign changes with 2 seeds: 8 to 12 %.
    """
    cells = surface.cells
    kept = np.bincount(cells)[cells] > 1
    cell, seed = (
        np.unique(labels[kept], return_inverse=True)[1] for labels in (cells, surface.runs["seed"].to_numpy())
    )
    values, df = surface.fit.values[kept], np.bincount(cell) - 1
    own = orthonormal(np.column_stack([np.eye(cell.max() + 1)[cell], np.eye(seed.max() + 1)[seed]]))
    fitted = orthonormal(surface.fit.matrix[kept])
    if own.shape[1] == fitted.shape[1]:
        few = "not testable: noise differs between settings, and too few of them have two seeds for the surface's terms"
        return {"reason": few}
    within, residual = (values - basis @ (basis.T @ values) for basis in (own, fitted))
    variances = np.bincount(cell, within**2) / df * (df.sum() / (len(values) - own.shape[1]))
    noise = variances[cell][:, None]
    own_own, own_fitted, fitted_fitted = own.T @ (noise * own), own.T @ (noise * fitted), fitted.T @ (noise * fitted)
    expected = np.trace(own_own) - np.trace(fitted_fitted)
    second = (own_own**2).sum() - 2 * (own_fitted**2).sum() + (fitted_fitted**2).sum()
    shares = np.bincount(cell, (own**2).sum(1) - (fitted**2).sum(1)) * variances
    missed = float(residual @ residual - within @ within)
    numbers = (missed / expected, expected**2 / second, expected**2 / (shares**2 / df).sum())
    columns = dict(zip(("statistic", "df_numerator", "df_denominator"), map(float, numbers), strict=True))
    why = "with each setting's own noise, since noise differs between settings"
    return columns | {"p_value": float(stats.f.sf(*numbers)), "reason": why}


def orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis [rows, rank] of a matrix' columns."""
    left, scale, _ = np.linalg.svd(matrix, full_matrices=False)
    return left[:, scale > 1e-9 * scale[0]]


def sign_change_p(surface: Surface) -> float:
    """Return the share of random sign changes of the residuals, whole clusters at once, with a lack of fit as large."""
    generator = np.random.default_rng(SIGN_SEED)
    fit, clusters = surface.fit, surface.errors.clusters
    clusters = np.arange(len(fit.values)) if clusters is None else clusters
    residual = (fit.resid / np.sqrt(1 - fit.leverages))[:, None]
    basis = np.linalg.qr(fit.matrix)[0]

    def statistic(values: np.ndarray) -> np.ndarray:
        error = saturated_cells(surface, values)[0]
        return ((values**2).sum(axis=0) - ((basis.T @ values) ** 2).sum(axis=0)) / error

    signs = generator.choice([-1.0, 1.0], (int(clusters.max()) + 1, SIGN_CHANGES))
    observed = statistic(residual)[0] * (1 - 1e-12)
    parts = np.array_split(signs, max(1, len(residual) * SIGN_CHANGES // 2_000_000), axis=1)
    larger = sum(int((statistic(residual * part[clusters]) >= observed).sum()) for part in parts)
    return (larger + 1) / (SIGN_CHANGES + 1)


def joint_rows(surface: Surface) -> Rows:
    """Return a row for the columns of each category together, and of each of its interactions: a Wald test of all."""
    blocks: dict[str, list[int]] = {}
    for number, term in enumerate(surface.columns):
        if any(axis != factor_of(axis) for axis in term):
            blocks.setdefault(":".join(map(factor_of, term)), []).append(number)
    rows = []
    for name, numbers in blocks.items():
        f_value, p = wald_test(surface.fit, numbers)
        row = {"check": f"joint[{name}]", "statistic": f_value, "p_value": p}
        rows.append(row | {"df_numerator": float(len(numbers)), "df_denominator": wald_df(surface.fit, len(numbers))})
    return rows


def breusch_pagan_row(surface: Surface) -> dict[str, Any]:
    """Test whether the noise depends on the factors."""
    row = {"check": "breusch_pagan", "df_numerator": float(len(surface.coded()))}
    return row | dict(zip(("statistic", "df_denominator", "p_value"), surface.breusch_pagan, strict=True))


def reset(surface: Surface) -> dict[str, Any]:
    """Test whether squares and cubes of the surface's fitted values explain what is left (Ramsey 1969)."""
    fit = surface.fit
    row: dict[str, Any] = {"check": "reset", "df_numerator": 2.0}
    count = len(surface.columns)
    fitted = fit.matrix[:, :count] @ fit.params[:count]
    scaled = (fitted - fitted.mean()) / np.ptp(fitted)
    powers = np.column_stack([scaled**2, scaled**3])
    rest = powers - fit.matrix @ (fit.bread @ (fit.matrix.T @ powers))
    if len(fit.values) - fit.matrix.shape[1] <= 2 or np.linalg.norm(rest, axis=0).min() < 1e-9:
        return row | {"reason": "not testable: powers of the fitted values are combinations of the terms"}
    augmented = fit_ols(fit.values, np.column_stack([fit.matrix, powers]), surface.errors)
    statistic, p = wald_test(augmented, [fit.matrix.shape[1], fit.matrix.shape[1] + 1])
    return row | {"df_denominator": augmented.df, "statistic": statistic, "p_value": p}


def normality(surface: Surface) -> dict[str, Any]:
    """Test whether residuals look normal (Shapiro & Wilk 1965); of more than 5,000 runs, 5,000 spread evenly."""
    residuals = surface.fit.resid / np.sqrt(1 - surface.fit.leverages)
    kept = residuals[np.linspace(0, len(residuals) - 1, min(len(residuals), 5000)).astype(int)]
    statistic, p = stats.shapiro(kept)
    row = {"check": "normality", "statistic": float(statistic)}
    return row | ({"p_value": float(p)} if surface.errors.clusters is None else {"reason": SHARED})


def influence_table(surface: Surface) -> pd.DataFrame:
    """Return fitted value, residual, leverage, externally studentised residual and Cook's distance of every run."""
    fit = surface.fit
    residual, leverage, df = fit.resid, fit.leverages, fit.df_resid
    variance = fit.ssr / df
    internal = residual / np.sqrt(variance * (1 - leverage))
    external = internal * np.sqrt((df - 1) / np.maximum(df - internal**2, 1e-12)) if df > 1 else np.nan
    return pd.DataFrame(
        {
            "response": surface.response,
            "run_id": surface.runs["run_id"].to_numpy(),
            "fitted": fit.values - residual,
            "residual": residual,
            "leverage": leverage,
            "studentised": external,
            "cook": internal**2 * leverage / (1 - leverage) / fit.matrix.shape[1],
        }
    )
