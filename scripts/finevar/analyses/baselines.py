"""Against the baseline: differences that carry its own variance, and what matching it by data set and seed gains.

B0 is the baseline as it is, evaluated on each data set. B1 is its own hyperparameters trained within the study, with
the study's seeds: the runs marked is_baseline_point. Where the model is a factor, each model has a B0 and a B1 of its
own, the runs marked is_own_baseline_point, and every run is compared with those of its model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.statistics import covariance
from finevar.statistics.bounds import limits, within
from finevar.statistics.checks import saturated_cells
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.covariance import CLASSICAL, Fit, errors_of, fit_ols
from finevar.statistics.estimability import obstacle
from finevar.statistics.optimum import compared_points
from finevar.statistics.regression import Surface, contrasts
from finevar.statistics.setting_means import misses_settings
from finevar.study.coding import design_matrix, model_matrix
from finevar.study.settings import MODEL
from finevar.tables import Rows, baseline_keys

NO_RUN = "a data set or seed has no run of this baseline"
NO_B1 = "no finished run of this study has the baseline's own hyperparameters (B1)"
OWN = "this setting is the baseline's own"
OWN_BASELINES = "each model has a baseline of its own"
FEW_TWINS = (
    f"with fewer than {FEW_SEEDS} seeds the noise of each model's own B1 is not known apart from the model's effect"
)
NO_SEEDS = "without a second seed the baseline's own variance is unknown"


def against_baseline_rows(surface: Surface) -> Rows:
    """Return, for each tried setting, prediction minus baseline with its interval, and one for all settings at once.

    B0 is one model, which other sentences would treat otherwise and other seeds would not. B1 is subtracted run by run,
    seed by seed and sentence by sentence, so that what both have in common cancels; its own setting has no difference
    from itself. Where the surface misses the settings, differences are of their own means.
    """
    by_means, rows = misses_settings(surface), []
    names = ("estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high")
    for name, found, mean_of in (
        ("B0", against_frozen(surface), frozen_mean),
        ("B1", fit_matched(surface), own_mean),
    ):
        who = {"response": surface.response, "baseline": name}
        if isinstance(found, str):
            rows.append(who | {"reason": found})
            continue
        found, points, own = compared_points(found, surface.points, by_means=by_means)
        judged = found.family(own)
        low, high = (ends.tolist() for ends in judged.interval(surface.confidence))
        itself = set(points.loc[at_own_baseline(points), "point_id"]) if name == "B1" else set()
        means = means_by_model(surface, mean_of, points)
        known = zip(points["point_id"], contrasts(found, own), means, low, high, strict=True)
        for point, each, mean, *ends in known:
            at = who | {"point_id": point, "population": found.population}
            if point in itself:  # a fit without its runs would only extrapolate to it
                rows.append(at | {"reason": OWN})
                continue
            one = {name: value for name, value in each._asdict().items() if name != "p_value"}
            wider = dict(zip(("simultaneous_low", "simultaneous_high"), ends, strict=True))
            rows.append(within(at | one | wider, names, limits(surface.response, mean)))
    return rows


def means_by_model(
    surface: Surface, mean_of: Callable[[pd.DataFrame, str], float], points: pd.DataFrame
) -> list[float]:
    """Return a baseline's mean for each of some points [points]: that of its own model, where there are several."""
    if not have_own_baselines(surface.runs):
        return [mean_of(surface.runs, surface.response)] * len(points)
    means = {model: mean_of(runs, surface.response) for model, runs in surface.runs.groupby(MODEL)}
    return [means[model] for model in points[MODEL]]


def frozen_mean(runs: pd.DataFrame, response: str) -> float:
    """Return the mean over data sets of the baseline as it is."""
    return float(runs.drop_duplicates("dataset")[f"baseline_{response}"].mean())


def own_mean(runs: pd.DataFrame, response: str) -> float:
    """Return the mean over data sets of the runs with the baseline's own hyperparameters; NaN without any."""
    return float(runs[at_own_baseline(runs)].groupby("dataset")[response].mean().mean())


def against_frozen(surface: Surface) -> Surface | str:
    """Return the surface of the runs' differences from B0, or why there is none."""
    frozen = surface.runs[f"baseline_{surface.response}"].to_numpy(float)
    if np.isnan(frozen).any():
        return f"the baseline has no {surface.response}"
    if surface.seeds < 2 and surface.population:
        return NO_SEEDS
    fit = fit_ols(surface.fit.values - frozen, surface.fit.matrix, surface.errors)
    return dataclasses.replace(surface, fit=fit, sentences=surface.against_frozen())


def at_baseline(runs: pd.DataFrame) -> np.ndarray:
    """Return which runs have the baseline's own hyperparameters [runs]."""
    return runs["is_baseline_point"].fillna(False).to_numpy(bool)


def at_own_baseline(runs: pd.DataFrame) -> np.ndarray:
    """Return which runs have the hyperparameters of their own model's baseline [runs]."""
    marked = "is_own_baseline_point" if "is_own_baseline_point" in runs else "is_baseline_point"
    return runs[marked].fillna(False).to_numpy(bool)


def matched_rows(surface: Surface) -> Rows:
    """Return what is left unexplained with and without matching, and the tests of its slope of one."""
    runs, response = with_retrained(surface), surface.response
    values, frozen_column = runs[response].to_numpy(float), f"baseline_{response}"
    matrix = model_matrix(surface.coded(runs), surface.columns)
    rows: Rows = []
    for name, subtracted in (("absolute", 0.0), ("minus_b0", runs[frozen_column]), ("minus_b1", runs["retrained"])):
        left = values - np.asarray(subtracted, dtype=float)
        found = {"reason": NO_RUN} if np.isnan(left).any() else spread(fit_ols(left, matrix, CLASSICAL))
        rows.append({"analysis": name} | found)
    rows.append({"analysis": "blocks"} | spread(surface.fit))
    rows.append({"analysis": "ancova_b0"} | ancova(surface, runs, frozen_column, ["dataset"]))
    rows.append({"analysis": "ancova_b1"} | ancova(surface, runs, "retrained", ["dataset", "seed"]))
    return [{"response": response} | row for row in rows]


def fit_matched(surface: Surface, origin: Mapping[str, float] | None = None) -> Surface | str:
    """Fit y - B1, matched by data set, seed and model, about some levels; why not, where it cannot be had.

    The genuinely relative analysis: each run's own B1 is subtracted, and B1's runs are left out. With few seeds a data
    set and a seed together are a block, and the intercept, the change at the baseline's own levels, carries the
    variance of B1's mean.
    """
    own, runs = at_own_baseline(surface.runs), with_retrained(surface)
    squares, df = saturated_cells(surface)
    if not own.any():
        return NO_B1
    if df < 1:
        return NO_SEEDS
    if runs["retrained"].isna().any():
        return NO_RUN
    few, blocks = surface.seeds < FEW_SEEDS, runs
    if few and have_own_baselines(runs):
        return FEW_TWINS
    if few:
        blocks = runs.assign(dataset=runs["dataset"] + " seed " + runs["seed"].astype(str), seed=0)
    matrix, names = design_matrix(blocks, surface.codings, surface.columns, origin)
    errors = errors_of(runs)
    if obstacle(matrix, errors):
        return "the runs but B1's own cannot estimate the surface"
    fit = fit_ols((runs[surface.response] - runs["retrained"]).to_numpy(float), matrix, errors)
    if few:
        cov = fit.cov.copy()
        cov[0, 0] += float(squares[0]) / df / int(own.sum())
        fit = dataclasses.replace(fit, cov=cov)
    sentences = {name: matched_sentences(surface, name, each) for name, each in surface.sentences.items()}
    return dataclasses.replace(surface, names=names, fit=fit, errors=errors, runs=runs, sentences=sentences)


def matched_sentences(surface: Surface, dataset: str, each: np.ndarray) -> np.ndarray:
    """Return the contributions [runs but B1's, sentences] of one data set's runs less those of B1 of the same seed."""
    here = surface.runs[surface.runs["dataset"] == dataset]
    own, pairs = at_own_baseline(here), here.groupby([*baseline_keys(here), "seed"]).ngroup().to_numpy()
    twins = {pair: each[own & (pairs == pair)].mean(0) for pair in np.unique(pairs[own])}
    return each[~own] - np.stack([twins[pair] for pair in pairs[~own]])


def with_retrained(surface: Surface) -> pd.DataFrame:
    """Return the runs but B1's, the value of B1 of the same data set, seed and model beside each."""
    runs = surface.runs
    own, shared = at_own_baseline(runs), [*baseline_keys(runs), "seed"]
    twins = runs[own].groupby(shared)[surface.response].mean().rename("retrained")
    return runs[~own if own.any() else slice(None)].merge(twins, how="left", on=shared)


def have_own_baselines(runs: pd.DataFrame) -> bool:
    """Say whether runs are of several models, of which each is compared with a baseline of its own."""
    return len(baseline_keys(runs)) > 1


def spread(fit: Fit) -> dict[str, Any]:
    """Return the residual standard deviation of a fit and its degrees of freedom."""
    if not fit.df_resid:
        return {"df": 0.0, "reason": "as many parameters as runs leave no residuals"}
    return {"residual_sd": math.sqrt(fit.ssr / fit.df_resid), "df": fit.df_resid}


def ancova(surface: Surface, runs: pd.DataFrame, covariate: str, block: list[str]) -> dict[str, Any]:
    """Test whether a metric moves one for one with its baseline, from block to block.

    Subtracting a baseline supposes a slope of one. A baseline is the same for all runs of its block (data set, or data
    set and seed), so blocks are what counts: their means, adjusted for the terms, are regressed on their baselines,
    within data sets where blocks are seeds.
    """
    if runs[covariate].isna().any():
        return {"reason": NO_RUN}
    if have_own_baselines(runs):  # whose differences are those of the models
        return {"reason": OWN_BASELINES}
    labels = runs.groupby(block, sort=True).ngroup().to_numpy()
    dummies = np.eye(labels.max() + 1)[labels]
    matrix = np.column_stack([dummies, model_matrix(surface.coded(runs), surface.columns[1:])])
    means = fit_ols(runs[surface.response].to_numpy(float), matrix, CLASSICAL).params
    groups = runs.assign(block=labels).drop_duplicates("block").sort_values("block")
    within = pd.factorize(groups["dataset"])[0] if "seed" in block else np.zeros(len(groups), dtype=int)
    exog = np.column_stack([groups[covariate].to_numpy(float), np.eye(within.max() + 1)[within]])
    if obstacle(exog, CLASSICAL):
        what = "pairs of data set and seed" if "seed" in block else "data sets"
        return {"reason": f"not testable: there are too few {what} ({len(exog)}) to leave a degree of freedom"}
    fit = fit_ols(means[: len(exog)], exog, CLASSICAL)
    slope = next(covariance.contrasts(fit, np.eye(exog.shape[1])[:1], surface.confidence, null=1.0))
    return slope._asdict() | {"df": fit.df}
