"""How much a metric varies between seeds at given settings: pooled, or a setting's own where noise differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from finevar.statistics.checks import saturated_cells
from finevar.statistics.regression import Surface


def noise_at(surface: Surface, places: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """Return, for each place in natural levels, the variance between seeds and its degrees of freedom.

    Pooled over all cells, unless noise differs between settings. The surface has a second seed.
    """
    if surface.has_own_noise:
        return modelled_noise(surface, places)
    return [(surface.pure_error_sd**2, surface.noise_df)] * len(places)


@dataclass(frozen=True)
class NoiseModel:
    """The logarithm of the variance between seeds, linear in a constant and the coded factors."""

    coefficients: np.ndarray  # [1 + factors]
    cov: np.ndarray  # of the coefficients [1 + factors, 1 + factors]


def noise_model(surface: Surface) -> NoiseModel | None:
    """Return how the variance between seeds depends on the settings, or None where there is nothing to compare.

    A gamma regression of the cells' variances between seeds, each of 2 / df dispersion (Smyth 1989). Seeds' common
    shifts are taken out, and may leave nothing.
    """
    runs = surface.runs
    cells = runs.groupby(["dataset", "point_id"], sort=False)
    within = runs[surface.response] - cells[surface.response].transform("mean")
    within = within - within.groupby(runs["seed"]).transform("mean")
    size = cells.size()
    kept = (size > 1).to_numpy()
    df = size.to_numpy()[kept] - 1
    rest = saturated_cells(surface)[1]
    squares = (within**2).groupby([runs["dataset"], runs["point_id"]], sort=False).sum().to_numpy()[kept]
    if rest < 1 or squares.sum() < 1e-12 * max(float(runs[surface.response].var()), 1e-300):
        return None
    variances = squares / df * df.sum() / rest
    variances = np.maximum(variances, 1e-6 * variances.mean())  # seeds may tie, and a variance of zero has no logarithm
    exog = coded_rows(surface, cells[list(surface.codings)].first()[kept].to_dict("list"))
    return NoiseModel(log_variances(variances, df, exog), np.linalg.inv(exog.T @ (exog * df[:, None] / 2)))


def modelled_noise(surface: Surface, places: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """Return the variance between seeds by the model of it, and its degrees of freedom, for places in natural levels.

    Levels beyond the design's are taken for its nearest. The degrees of freedom are those of a chi-square with the same
    relative error. The pooled variance where there is no model.
    """
    model = noise_model(surface)
    if model is None:
        return [(surface.pure_error_sd**2, surface.noise_df)] * len(places)
    z = coded_rows(surface, {name: [place[name] for place in places] for name in surface.codings})
    spreads = ((z @ model.cov) * z).sum(1)
    return list(zip(np.exp(z @ model.coefficients).tolist(), (2 / spreads).tolist(), strict=True))


def coded_rows(surface: Surface, levels: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Return a constant and the coded factors [places, 1 + factors], within the design's range."""
    coded = [np.clip(coding.coded(levels[name]), -1, 1) for name, coding in surface.codings.items()]
    return np.column_stack([np.ones(len(coded[0])), *coded])


def log_variances(variances: np.ndarray, df: np.ndarray, exog: np.ndarray) -> np.ndarray:
    """Return the coefficients of a log-linked gamma regression of variances [cells] on exog [cells, terms].

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
