"""Where the variance of a study's runs comes from, as tidy rows: the ledger of sources, the importance of factors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from finevar.analyses.fits import FittedStudy
from finevar.statistics.anova import DATASET, DATASET_SETTINGS, HIGHER_ORDER, SEED, SEED_POINT, Grid
from finevar.statistics.crossed import DEPENDENT, crossed_parts
from finevar.statistics.ledger import Ledger, grid_ledger, seed_shift, sentence_columns, sentence_shift
from finevar.statistics.regression import Surface
from finevar.statistics.surface_ledger import surface_ledger
from finevar.tables import Rows

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
        if crossed_parts(surface.runs):
            ledger, shifts = dataclasses.replace(ledger, drawn=None, cautious=None), []
        why = DEPENDENT if crossed_parts(surface.runs) else ONE_SEED
        rows = source_rows(ledger, plan.confidence, method, why)
        if not ledger.known:
            reason = TRAJECTORIES if known else NO_MEAN
            rows[-1] = {"component": TEST_SET, "kind": KINDS[TEST_SET], "reason": reason}
        if known:
            df = float(sum(values.shape[1] - 1 for values in known.values()))
            shifts = [*shifts, shift_row(OTHER_SENTENCES, sentence_shift(known), df)]
        start = {"response": surface.response, "method": method}
        tables["variability"] += [start | row for row in rows + shifts]
        tables["importance"] += [
            start | row for row in importance_rows(ledger, list(plan.codings), plan.confidence, why)
        ]
    return tables


def usable(contributions: Contributions, runs: pd.DataFrame) -> Contributions:
    """Return contributions that measure the sampling of every data set: of at least two sentences each; else none."""
    measured = {name for name, values in contributions.items() if values.shape[1] > 1}
    return contributions if measured == set(runs[DATASET]) else {}


def ledger_of(surface: Surface, contributions: Contributions) -> tuple[Ledger, str, Rows]:
    """Return a response's ledger, its method, and the row on other seeds, with a chi-square interval.

    A baseline's setting beside a complete grid is left out. Runs that share trajectories are no balanced grid: their
    errors are correlated between settings.
    """
    columns, alone = sentence_columns(surface.runs, contributions), surface.errors.clusters is None
    for kept in (np.ones(len(surface.runs), dtype=bool), ~surface.runs["is_baseline_point"].to_numpy(bool)):
        runs = surface.runs[kept]
        grid = Grid.of(runs, list(surface.codings)) if len(runs) and alone else None
        if grid:
            ledger = grid_ledger(grid, runs[surface.response].to_numpy(float), [column[:, kept] for column in columns])
            if not grid.replicated:
                return ledger, "grid", []
            variance, df = seed_shift(runs, surface.response)
            low, high = np.sqrt(variance * df / stats.chi2.isf([surface.alpha / 2, 1 - surface.alpha / 2], df)).tolist()
            return ledger, "grid", [shift_row(OTHER_SEEDS, variance, float(df)) | {"sd_low": low, "sd_high": high}]
    return surface_ledger(surface, columns if alone else []), "surface", []


def shift_row(component: str, variance: float, df: float) -> dict[str, Any]:
    """Return the row on what other seeds, or other test sentences, would do to the mean of all runs."""
    return {"component": component, "kind": "shift", "variance": variance, "sd": math.sqrt(variance), "df": df}


def source_rows(ledger: Ledger, confidence: float, method: str, why: str) -> Rows:
    """Return a row a source of the ledger, that of test-set sampling last; why: there are no intervals, if so."""
    ends = ledger.share_limits(confidence)
    names, variances = (*ledger.sources, TEST_SET), [*ledger.variances.tolist(), ledger.sampling]
    rows = []
    for number, (source, variance, share) in enumerate(zip(names, variances, ledger.shares().tolist(), strict=True)):
        kind = KINDS.get(source, "interaction" if ":" in source else "factor")
        row = {"component": source, "kind": kind, "variance": variance, "sd": math.sqrt(variance), "share": share}
        row |= {} if ends is None else {"ci_low": float(ends[0, number]), "ci_high": float(ends[1, number])}
        if source != TEST_SET:
            row |= {"df": float(ledger.df[number]), "test_set_share": finite(ledger.sampling_shares[number])}
            rest = SURFACE_REST if method == "surface" and source == SEED_POINT else None
            row["reason"] = why if ends is None else rest
        rows.append(row)
    missing = [source for source in (SEED, SEED_POINT) if source not in ledger.sources and ends is None]
    rows[-1:-1] = [{"component": source, "kind": KINDS[source], "reason": ONE_SEED} for source in missing]
    return rows


def importance_rows(ledger: Ledger, factors: list[str], confidence: float, why: str) -> Rows:
    """Return a row a factor: its shares of the variance between settings, data sets averaged."""
    ends = ledger.shapley_limits(confidence)
    rows = []
    for number, (factor, *values) in enumerate(zip(factors, *ledger.importance(), strict=True)):
        row = {"factor": factor} | dict(zip(("first_order", "total", "shapley"), map(finite, values), strict=True))
        if row["shapley"] is None or ends is None:
            row["reason"] = NO_SETTINGS if row["shapley"] is None else why
        else:
            row |= {"shapley_ci_low": float(ends[0, number]), "shapley_ci_high": float(ends[1, number])}
        rows.append(row)
    return rows


def finite(value: float) -> float | None:
    """Return a number, or None where it is none."""
    return float(value) if math.isfinite(value) else None
