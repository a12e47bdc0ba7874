"""Where the variance of a study's runs comes from, as tidy rows: the ledger of sources, the importance of factors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from finevar.analyses.fits import FittedStudy
from finevar.statistics.anova import DATASET, DATASET_SETTINGS, HIGHER_ORDER, SEED, SEED_POINT, Grid
from finevar.statistics.ledger import Ledger, grid_ledger, seed_shift, sentence_columns, sentence_shift
from finevar.statistics.regression import Surface
from finevar.statistics.surface_ledger import surface_ledger

TEST_SET, OTHER_SEEDS, OTHER_SENTENCES = "test_set", "other_seeds", "other_sentences"
KINDS = {
    HIGHER_ORDER: "interaction",
    DATASET: "dataset",
    DATASET_SETTINGS: "dataset",
    SEED: "seed",
    SEED_POINT: "seed",
    TEST_SET: "test_set",
}
ONE_SEED = "one seed: noise cannot be measured, so it is part of the other sources, and there is no interval"
NO_MEAN = "not known for this metric: it is no mean over test sentences whose contributions were kept"
SURFACE_REST = "with what the surface does not follow"
TRAJECTORIES = "not separable where runs share trajectories"
NO_SETTINGS = "beyond noise, settings make no variance to divide"

Rows = list[dict[str, Any]]
Contributions = Mapping[str, np.ndarray]  # data set to [its runs in their order, test sentences]


def variability_rows(study: FittedStudy, contributions: Mapping[str, Contributions]) -> dict[str, Rows]:
    """Return rows of the tables variability and importance, of every response that passes the gates.

    contributions: by response, numbers whose mean over a data set's test sentences is a run's metric up to a constant
    that all runs share; runs in the order of fits.finished_runs. Responses may lack.
    """
    tables: dict[str, Rows] = {"variability": [], "importance": []}
    plan = study.plan
    for surface in study.surfaces:
        known = usable(contributions.get(surface.response, {}), surface.runs)
        ledger, method, shifts = ledger_of(surface, known)
        rows = source_rows(ledger, plan.confidence, method) + unknown_seed_rows(ledger)
        separable = bool(known) and (method == "grid" or surface.errors.clusters is None)
        rows.append(sampling_row(ledger, plan.confidence, bool(known), separable))
        rows += shifts + sentence_rows(known)
        start = {"response": surface.response, "method": method}
        tables["variability"] += [start | row for row in rows]
        tables["importance"] += [start | row for row in importance_rows(ledger, list(plan.codings), plan.confidence)]
    return tables


def usable(contributions: Contributions, runs: pd.DataFrame) -> Contributions:
    """Return contributions that measure the sampling of every data set: of at least two sentences each; else none."""
    measured = {name for name, values in contributions.items() if values.shape[1] > 1}
    return contributions if measured == set(runs[DATASET]) else {}


def ledger_of(surface: Surface, contributions: Contributions) -> tuple[Ledger, str, Rows]:
    """Return a response's ledger, its method, and the row on other seeds.

    A baseline's point beside a complete grid is left out. Runs that share trajectories are no balanced grid: their
    errors go together between points.
    """
    columns, alone = sentence_columns(surface.runs, contributions), surface.errors.clusters is None
    for kept in (np.ones(len(surface.runs), dtype=bool), ~surface.runs["is_baseline_point"].to_numpy(bool)):
        runs = surface.runs[kept]
        grid = Grid.of(runs, list(surface.codings)) if len(runs) and alone else None
        if grid:
            values = runs[surface.response].to_numpy(float)
            ledger = grid_ledger(grid, values, [column[:, kept] for column in columns])
            return ledger, "grid", seed_rows(runs, surface) if grid.replicated else []
    return surface_ledger(surface, columns if alone else []), "surface", []


def source_rows(ledger: Ledger, confidence: float, method: str) -> Rows:
    """Return a row a source of the ledger."""
    shares, ends = ledger.shares(), ledger.share_limits(confidence)
    rows = []
    for number, source in enumerate(ledger.sources):
        row = variance_row(source, ledger.variances[number], shares[number], ends, number)
        row |= {"df": float(ledger.df[number]), "test_set_share": finite(ledger.sampling_shares[number])}
        rest = SURFACE_REST if method == "surface" and source == SEED_POINT else None
        rows.append(row | {"reason": ONE_SEED if ends is None else rest})
    return rows


def sampling_row(ledger: Ledger, confidence: float, known: bool, separable: bool) -> dict[str, Any]:
    """Return the row of test-set sampling; known: contributions are at hand, separable: the ledger has them apart."""
    if not separable:
        return {"component": TEST_SET, "kind": KINDS[TEST_SET], "reason": TRAJECTORIES if known else NO_MEAN}
    return variance_row(TEST_SET, ledger.sampling, ledger.shares()[-1], ledger.share_limits(confidence), -1)


def variance_row(source: str, variance: float, share: float, ends: np.ndarray | None, column: int) -> dict[str, Any]:
    """Return what all rows of the ledger hold."""
    kind = KINDS.get(source, "interaction" if ":" in source else "factor")
    row = {"component": source, "kind": kind, "variance": float(variance), "sd": math.sqrt(variance)}
    row["share"] = float(share)
    return row if ends is None else row | {"ci_low": float(ends[0, column]), "ci_high": float(ends[1, column])}


def unknown_seed_rows(ledger: Ledger) -> Rows:
    """Return the rows of noise where one seed cannot measure it."""
    missing = [source for source in (SEED, SEED_POINT) if source not in ledger.sources and ledger.drawn is None]
    return [{"component": source, "kind": KINDS[source], "reason": ONE_SEED} for source in missing]


def seed_rows(runs: pd.DataFrame, surface: Surface) -> Rows:
    """Return the row on what other seeds would do to a data set's mean: a standard deviation, chi-square interval."""
    variance, df = seed_shift(runs, surface.response)
    quantiles = stats.chi2.ppf([1 - surface.alpha / 2, surface.alpha / 2], df)
    low, high = np.sqrt(variance * df / quantiles)
    ends = {"sd_low": float(low), "sd_high": float(high), "df": float(df)}
    return [{"component": OTHER_SEEDS, "kind": "shift", "variance": variance, "sd": math.sqrt(variance)} | ends]


def sentence_rows(contributions: Contributions) -> Rows:
    """Return the row on what other test sentences would do to all runs together."""
    if not contributions:
        return []
    variance = sentence_shift(contributions)
    df = float(sum(values.shape[1] - 1 for values in contributions.values()))
    return [{"component": OTHER_SENTENCES, "kind": "shift", "variance": variance, "sd": math.sqrt(variance), "df": df}]


def importance_rows(ledger: Ledger, factors: list[str], confidence: float) -> Rows:
    """Return a row a factor: its shares of the variance between settings, data sets averaged."""
    values = ledger.importance()
    ends = ledger.shapley_limits(confidence)
    rows = []
    for number, factor in enumerate(factors):
        first_order, total, shapley = (finite(value[number]) for value in values)
        row = {"factor": factor, "first_order": first_order, "total": total, "shapley": shapley}
        if shapley is None:
            row["reason"] = NO_SETTINGS
        elif ends is None:
            row["reason"] = ONE_SEED
        else:
            row |= {"shapley_ci_low": float(ends[0, number]), "shapley_ci_high": float(ends[1, number])}
        rows.append(row)
    return rows


def finite(value: float) -> float | None:
    """Return a number, or None where it is none."""
    return float(value) if math.isfinite(value) else None
