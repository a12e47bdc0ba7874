"""Tuning curves: how good the best of some runs is expected to be, and what is left of that at a fresh seed."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pandas as pd
from opda.nonparametric import EmpiricalDistribution
from scipy import stats

from finevar.analyses.fits import FittedStudy
from finevar.metrics import towards
from finevar.reasons import FAILED
from finevar.statistics.crossed import crossed_parts, part_numbers
from finevar.tables import Rows

MOST_DRAWS = 60  # numbers of draws in a curve
BAND_SEED = 20250104
MOST_FOR_TIGHT = 60  # runs; beyond, the simulation behind the tighter band takes seconds
TIGHT, WIDE = "Learned-Miller and DeStefano", "Kolmogorov-Smirnov"
OPDA = {TIGHT: "ld_equal_tailed", WIDE: "ks"}


def tuning_rows(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the table tuning_curves: for each response and data set, a row a number of draws.

    A draw is one of the study's runs, each as likely, with replacement: a setting that was tried, at a seed that was
    tried.
    """
    rows = [
        {"response": response, "dataset": dataset} | row
        for response in study.plan.responses
        for dataset, runs in study.metrics.groupby("dataset", sort=False)
        for row in curve_rows(runs, response, study.plan.confidence)
    ]
    return {"tuning_curves": rows}


def curve_rows(runs: pd.DataFrame, response: str, confidence: float) -> Rows:
    """Return one curve; a run that failed counts as the worst finished one."""
    failed = runs["status"].isin(FAILED)
    runs = runs[runs[response].notna() | failed]
    finished = runs[response].where(~failed)
    if finished.notna().sum() < 2:
        return [{"reason": f"fewer than two finished runs with a value of {response}"}]
    sign, settings = towards(response), runs["point_id"].nunique()
    values = sign * finished.to_numpy(float)
    values = np.where(np.isnan(values), np.nanmin(values), values)
    draws = np.unique(np.geomspace(1, settings, MOST_DRAWS).round().astype(int))
    weights = best_weights(values, draws)
    low, high, method = band(values, draws, confidence)
    again = other_seeds(values, runs)
    known, lost = np.isfinite(again).all(), runs.loc[runs["status"].isin(FAILED), "status"].value_counts()
    few = "no two runs without a seed in common" if crossed_parts(runs) else "one run only"
    reasons = [] if known else [f"a setting has {few}, so its value at a fresh seed is unknown"]
    reasons += [f"{count} {name}, counted as the worst finished run" for name, count in lost.items()]
    columns = {"draws": draws, "expected": sign * weights @ values}
    columns |= dict(zip(("ci_low", "ci_high"), (low, high) if sign > 0 else (-high, -low), strict=True))
    columns |= {"expected_again": sign * weights @ again} if known else {}
    shared = {"settings": settings, "runs": len(runs), "method": method, "reason": "; ".join(reasons) or None}
    return pd.DataFrame(columns).assign(**shared).to_dict("records")


def best_weights(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the probability [draws, runs] that each run is the best of so many drawn with replacement.

    The run of rank i of n is with (i / n)^k - ((i - 1) / n)^k (the V-statistic; Dodge, Gururangan, Card, Schwartz &
    Smith 2019); runs of equal value share theirs.
    """
    last = stats.rankdata(values, "max")
    first = stats.rankdata(values, "min") - 1
    powers = draws[:, None]
    return ((last / len(values)) ** powers - (first / len(values)) ** powers) / (last - first)


def other_seeds(values: np.ndarray, runs: pd.DataFrame) -> np.ndarray:
    """Return for each run [runs] the mean of the other runs at its setting; NaN where there are none.

    Of crossed seeds they are the runs that share no part's seed with it, and so nothing of its luck.
    """
    parts = part_numbers(runs)
    if parts is not None:
        return apart(values, parts, runs["point_id"])
    grouped = pd.Series(values).groupby(runs["point_id"].to_numpy())
    others = grouped.transform("size").to_numpy() - 1
    rest = grouped.transform("sum").to_numpy() - values
    return np.divide(rest, others, out=np.full(len(values), np.nan), where=others > 0)


def apart(values: np.ndarray, parts: np.ndarray, points: pd.Series) -> np.ndarray:
    """Return for each run [runs] the mean of those at its setting that differ from it in every one of parts' seeds."""
    found = np.full(len(values), np.nan)
    for rows in points.reset_index(drop=True).groupby(points.to_numpy()).indices.values():
        others = (parts[rows][:, None] != parts[rows]).all(2)
        count = others.sum(1)
        np.divide(others @ values[rows], count, out=(means := np.full(len(rows), np.nan)), where=count > 0)
        found[rows] = means
    return found


def band(values: np.ndarray, draws: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a band [draws] that holds at all numbers of draws at once, and its method.

    It is that of all distributions of runs that the values are compatible with (Lourie, Cho & He 2024): what other
    seeds of the same settings would change, as if each run were drawn afresh. Settings that are fixed, as they are
    here, and values that repeat only make it cautious; a shift that all runs of a seed share makes it bold. What lies
    beyond the values is not known, so a run that is better than the best or worse than the worst of them counts as that
    one.
    """
    method = TIGHT if len(values) <= MOST_FOR_TIGHT else WIDE
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Duplicates detected")
        below, _, above = EmpiricalDistribution.confidence_bands(
            values,
            confidence,
            values.min(),
            values.max(),
            method=OPDA[method],
            generator=generator(len(values)),
            n_jobs=1,
        )
    return above.average_tuning_curve(draws), below.average_tuning_curve(draws), method


@functools.cache
def generator(runs: int) -> np.random.Generator:
    """Return the generator of the bands of so many runs; the same one, so that opda simulates them once."""
    return np.random.default_rng([BAND_SEED, runs])


def enough_draws(curve: pd.DataFrame, smallest_effect: float | None) -> pd.Series | None:
    """Return the first row of a curve that is within the smallest effect of interest of its last, if that is known."""
    if smallest_effect is None or pd.isna(smallest_effect) or curve["expected"].isna().all():
        return None
    short = (curve["expected"] - curve["expected"].iloc[-1]).abs()
    return curve[short <= smallest_effect].iloc[0]


def smallest_effects(fits: pd.DataFrame) -> dict[str, float]:
    """Return the smallest effect of interest of each response that has one."""
    known = fits[fits["framework"] == "absolute"].dropna(subset="smallest_effect")
    return dict(zip(known["response"], known["smallest_effect"], strict=True))
