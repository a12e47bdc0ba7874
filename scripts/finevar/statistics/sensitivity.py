"""Whether a term's p-value survives other reasonable ways to compute it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from finevar.metrics import RESPONSES
from finevar.statistics.covariance import Errors, cluster_sums, clustered_by, fit_ols, jackknife_weights, jackknifes
from finevar.statistics.regression import Surface
from finevar.study.coding import aliased_terms, design_matrix, leverages

PERMUTATIONS = 999
PERMUTATION_SEED = 20250102
LARGEST_PART = 1_000_000  # rearranged residuals held at once
MOST_CELLS = 200  # refits without a cell: all of them up to here, beyond it the most influential
SEEDS_FOR_MIXED = 6  # with fewer, the variance between seeds is hardly estimated
TRAJECTORY_BEYOND_EPOCHS = ("dataset", "seed")

Rows = list[dict[str, Any]]


def sensitivity_rows(surface: Surface, unequal: str | None) -> Rows:
    """Return a row per term and specification, the default first.

    unequal: why specifications that need independent errors of one variance have no p-value, or None.
    """
    numbers = [number for number, term in enumerate(surface.columns) if term]
    names = [surface.names[number] for number in numbers]
    rows = estimates("default", surface.fit.params, surface.fit.bse, surface.fit.pvalues, numbers)
    default = [dict(row) for row in rows]
    rows += classical(surface, numbers, unequal) + clustered(surface, numbers)
    rows += mixed_model(surface, numbers, unequal) + transformed(surface, numbers)
    rows += permutation(surface, numbers)
    for column in ("cell", "seed", "dataset"):
        rows += leave_out(surface, column, numbers)
    told = []
    for number, row in zip([*range(len(names))] * (len(rows) // len(names)), rows, strict=True):
        agrees = agreement(row, default[number], surface.alpha)
        told.append({"response": surface.response, "term": names[number], "agrees": agrees} | row)
    return told


def estimates(
    specification: str, params: np.ndarray, errors: np.ndarray, p_values: np.ndarray, numbers: Sequence[int]
) -> Rows:
    """Return one specification's rows, a term each."""
    return [
        {
            "specification": specification,
            "estimate": float(params[number]),
            "std_error": float(errors[number]),
            "p_value": float(p_values[number]),
        }
        for number in numbers
    ]


def without(specification: str, numbers: Sequence[int], reason: str) -> Rows:
    """Return a specification's rows where it cannot be used."""
    return [{"specification": specification, "reason": reason} for _ in numbers]


def agreement(row: dict[str, Any], default: dict[str, Any], alpha: float) -> bool | None:
    """Say whether a specification agrees with the default on the sign and on the side of the error rate."""
    below = default["p_value"] < alpha
    if row.get("p_high") is not None:
        return row["p_high"] < alpha if below else row["p_low"] >= alpha
    if row.get("p_value") is None:
        return None
    same_sign = row.get("estimate") is None or row["estimate"] * row.get("orientation", 1) * default["estimate"] >= 0
    return bool((row["p_value"] < alpha) == below and (same_sign or not below))


def classical(surface: Surface, numbers: Sequence[int], unequal: str | None) -> Rows:
    """Return p-values by classical errors: independent, of one variance."""
    if unequal:
        return without("classical", numbers, unequal)
    fit = surface.fit
    errors = np.sqrt(np.diag(fit.bread) * fit.ssr / fit.df_resid)
    p_values = 2 * stats.t.sf(np.abs(fit.params / errors), fit.df_resid)
    return estimates("classical", fit.params, errors, p_values, numbers)


def clustered(surface: Surface, numbers: Sequence[int]) -> Rows:
    """Return p-values as if runs that differ in epochs only, at one seed, shared their errors."""
    if surface.errors.clusters is not None or "epochs" not in surface.codings:
        return without("clustered", numbers, "clusters are the default's, or epochs are no factor")
    errors = as_trajectories(surface)
    if not estimable(surface.fit.matrix, errors):
        return without("clustered", numbers, "too few clusters")
    fit = fit_ols(surface.fit.values, surface.fit.matrix, errors)
    return estimates("clustered", fit.params, fit.bse, fit.pvalues, numbers)


def as_trajectories(surface: Surface) -> Errors:
    """Return the errors of runs of which those that differ in epochs only, at one seed, share a trajectory."""
    others = [name for name in surface.codings if name != "epochs"]
    return clustered_by(surface.runs.groupby([*others, *TRAJECTORY_BEYOND_EPOCHS], sort=False).ngroup().to_numpy(), "")


def estimable(matrix: np.ndarray, errors: Errors) -> bool:
    """Say whether clusters are enough, and each dispensable, to estimate the errors of a matrix's parameters."""
    return (errors.count or 0) > matrix.shape[1] and jackknifes(matrix, errors.clusters)


def mixed_model(surface: Surface, numbers: Sequence[int], unequal: str | None) -> Rows:
    """Return p-values of a mixed model: seeds, or trajectories where runs share them, as random intercepts (REML)."""
    shared = surface.errors.clusters is not None
    seeds = surface.runs["seed"].nunique()
    if not shared and unequal:
        return without("mixed_model", numbers, unequal)
    if not shared and seeds < SEEDS_FOR_MIXED:
        return without("mixed_model", numbers, f"{seeds} seeds are too few: it takes {SEEDS_FOR_MIXED}")
    groups = surface.runs["trajectory_id" if shared else "seed"].to_numpy()
    kept = [n for n, name in enumerate(surface.names) if shared or not name.startswith("seed[")]
    fixed = surface.fit.matrix[:, kept]
    scale = float(np.std(surface.fit.values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance of zero is an answer: the fit is then ordinary least squares
        try:
            fit = sm.MixedLM(surface.fit.values / scale, fixed, groups).fit(reml=True)
        except np.linalg.LinAlgError:
            return without("mixed_model", numbers, "its likelihood has no proper maximum on these runs")
    params, errors = fit.fe_params * scale, fit.bse_fe * scale
    # Terms that differ between trajectories only have no more degrees of freedom than trajectories leave.
    df = len(np.unique(groups)) - fixed.shape[1] if shared else len(fixed) - fixed.shape[1] - len(np.unique(groups))
    p_values = 2 * stats.t.sf(np.abs(params / errors), df)
    return estimates("mixed_model", params, errors, p_values, numbers)


def transformed(surface: Surface, numbers: Sequence[int]) -> Rows:
    """Return p-values on a scale without bounds: the logit, or the logarithm of a metric without an upper bound."""
    values = unbounded(surface)
    if values is None:
        return without("transformed", numbers, f"{surface.response} reaches a bound of its scale")
    fit = fit_ols(values, surface.fit.matrix, surface.errors)
    return estimates("transformed", fit.params, fit.bse, fit.pvalues, numbers)


def unbounded(surface: Surface) -> np.ndarray | None:
    """Return the response on its unbounded scale, the logarithm or the logit, or None where a run lies on a bound."""
    values = surface.fit.values
    low, high = RESPONSES[surface.response].bounds
    if values.min() <= low or values.max() >= high:
        return None
    if high == np.inf:
        return np.log(values - low)
    share = (values - low) / (high - low)
    return np.log(share / (1 - share))


# Permutation ----------------------------------------------------------------------------------------------------------


def permutation(surface: Surface, numbers: Sequence[int], draws: int = PERMUTATIONS) -> Rows:
    """Return Freedman and Lane's (1983) p-values: residuals without the term, permuted within seed and data set.

    The statistic is t by the default covariance, which keeps the test right where noise differs between settings
    (DiCiccio & Romano 2017). Where runs share trajectories, whole trajectories change sign instead of place.
    """
    fit = surface.fit
    projection = fit.bread @ fit.matrix.T
    weights = jackknife_weights(fit.matrix, fit.bread, surface.errors.clusters)
    observed = [studentised(surface, fit.values[:, None], projection, weights, number)[0] for number in numbers]
    reduced = [without_term(fit.values, fit.matrix, number) for number in numbers]
    larger = np.zeros(len(observed))
    for move in shuffles(surface, draws):
        for row, (number, (fitted, residual)) in enumerate(zip(numbers, reduced, strict=True)):
            t = studentised(surface, fitted[:, None] + move(residual), projection, weights, number)
            larger[row] += (np.abs(t) >= abs(observed[row]) * (1 - 1e-12)).sum()
    return [
        {"specification": "permutation", "p_value": float(count + 1) / (draws + 1), "refits": draws} for count in larger
    ]


def without_term(values: np.ndarray, matrix: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fitted values and residuals [runs] of the model without one term."""
    basis = np.linalg.qr(np.delete(matrix, number, axis=1))[0]
    fitted = basis @ (basis.T @ values)
    return fitted, values - fitted


def studentised(
    surface: Surface, values: np.ndarray, projection: np.ndarray, weights: np.ndarray, number: int
) -> np.ndarray:
    """Return t of one parameter in the fits of many responses [runs, draws], by the default covariance."""
    params = projection @ values
    scores = values - surface.fit.matrix @ params
    scores *= weights[:, number, None]
    clusters = surface.errors.clusters
    if clusters is not None:
        scores = cluster_sums(scores, clusters)
        scores *= math.sqrt((len(scores) - 1) / len(scores))
    return params[number] / np.sqrt(np.einsum("ij,ij->j", scores, scores))


def shuffles(surface: Surface, draws: int) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Yield functions from residuals [runs] to their rearrangements [runs, draws], in parts that stay small."""
    generator = np.random.default_rng(PERMUTATION_SEED)
    runs, clusters = surface.runs, surface.errors.clusters
    part = max(1, min(draws, LARGEST_PART // len(runs)))
    blocks = list(runs.groupby(["dataset", "seed"], sort=False).indices.values())
    for start in range(0, draws, part):
        count = min(part, draws - start)
        if clusters is not None:
            signs = generator.choice([-1.0, 1.0], (int(clusters.max()) + 1, count))[clusters]
            yield lambda residual, signs=signs: residual[:, None] * signs
            continue
        places = np.empty((len(runs), count), dtype=np.intp)
        for rows in blocks:
            places[rows] = rows[np.argsort(generator.random((len(rows), count), dtype=np.float32), axis=0)]
        yield lambda residual, places=places: residual[places]


# Leaving parts out ----------------------------------------------------------------------------------------------------


def leave_out(surface: Surface, column: str, numbers: Sequence[int]) -> Rows:
    """Return the range of each term's p-value over fits without one cell, seed or data set."""
    specification = f"without_one_{column}"
    labels = cell_labels(surface) if column == "cell" else surface.runs[column].to_numpy()
    levels = pd.unique(labels)
    if len(levels) < 2:
        return without(specification, numbers, f"the study has one {column.replace('dataset', 'data set')}")
    if column == "cell":
        levels = most_influential(surface, labels, levels)
    found = [p for level in levels if (p := p_without(surface, labels != level)) is not None]
    if not found:
        return without(specification, numbers, f"without any one {column} the terms cannot be told apart")
    p_values = np.stack(found)[:, list(numbers)]
    return [
        {"specification": specification, "p_low": float(low), "p_high": float(high), "refits": len(found)}
        for low, high in zip(p_values.min(0), p_values.max(0), strict=True)
    ]


def cell_labels(surface: Surface) -> np.ndarray:
    """Return the cell of each run: data set and point."""
    return (surface.runs["dataset"].astype(str) + " " + surface.runs["point_id"].astype(str)).to_numpy()


def most_influential(surface: Surface, labels: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the cells to leave out: all, or those whose residuals and leverages weigh most."""
    if len(levels) <= MOST_CELLS:
        return levels
    fit = surface.fit
    cook = fit.resid**2 * fit.leverages / (1 - fit.leverages) ** 2
    return pd.Series(cook).groupby(labels).sum().nlargest(MOST_CELLS).index.to_numpy()


def p_without(surface: Surface, kept: np.ndarray) -> np.ndarray | None:
    """Return the terms' p-values of a fit on some of the runs [runs], or None where it cannot be made."""
    runs = surface.runs[kept]
    matrix, names = design_matrix(runs, surface.codings, surface.columns)
    if len(matrix) <= len(names) or aliased_terms(matrix, names) or leverages(matrix).max() > 1 - 1e-8:
        return None
    clusters = surface.errors.clusters
    errors = surface.errors if clusters is None else clustered_by(clusters[kept], "")
    return fit_ols(surface.fit.values[kept], matrix, errors).pvalues
