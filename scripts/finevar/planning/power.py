"""What a design can find, before any of its runs: how well it separates its terms, and the effects it would detect.

A coefficient estimated with noise of standard deviation s has the standard error s sqrt(c_jj), C = (X'X)^-1, and its
t-test the power of a noncentral t whose noncentrality is the coefficient over that error. The study's own errors, HC3
or CR3, are wider than that in a small design; by how much on average follows from the design alone, and counts here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from finevar.analyses.fits import SPAN, term_unit
from finevar.analyses.gates import stop_reason
from finevar.metrics import RESPONSES
from finevar.reasons import OK, Reason
from finevar.results.aggregation import trajectory_id
from finevar.statistics.covariance import errors_of, jackknife_weights
from finevar.statistics.detectable import POWER, detectable
from finevar.statistics.regression import pure_error
from finevar.study.coding import Codings, Term, aliased_terms, codings_of, design_matrix, term_group, term_name, terms
from finevar.study.design import design_points, plan_runs

ENOUGH_DF = 5  # degrees of freedom from which the study's own noise is taken instead of the prior

Config = Mapping[str, Any]


# The design -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Design:
    """The model matrix of the runs that a config plans."""

    runs: pd.DataFrame  # dataset, point_id, seed, trajectory_id and all settings
    codings: Codings
    columns: list[Term]
    matrix: np.ndarray  # [runs, parameters]
    names: list[str]  # of all parameters: terms, then blocks

    @property
    def parameters(self) -> int:
        """Return the number of parameters: terms and blocks."""
        return len(self.names)

    @property
    def df_residual(self) -> int:
        """Return the residual degrees of freedom of a fit to all runs."""
        return len(self.runs) - self.parameters


@dataclass(frozen=True)
class Diagnosis:
    """How well a design separates its parameters."""

    rank: int
    aliased: list[str]
    vif: dict[str, float]  # of every parameter but the intercept; infinite for those in an alias
    condition: float
    worst_pair: tuple[str, str, float] | None  # the two parameters of largest correlation


def planned_design(config: Config) -> Design:
    """Return the design of a checked config, with everything finished."""
    rows = [
        {"run_id": run.run_id, "point_id": run.point_id, "dataset": run.dataset, "seed": run.seed, **run.settings}
        for run in plan_runs(config, design_points(config)).values()
    ]
    runs = pd.DataFrame([row | {"trajectory_id": trajectory_id(row)} for row in rows])
    codings = codings_of(config["sweep"]["factors"])
    columns = terms(list(codings), config["analysis"]["model"])
    return Design(runs, codings, columns, *design_matrix(runs, codings, columns))


def diagnose(matrix: np.ndarray, names: list[str]) -> Diagnosis:
    """Return how well a matrix [runs, parameters] separates its columns, the first of which is the intercept.

    Variance inflation against a column that is orthogonal to all others; condition number of the columns scaled to
    length 1 (Belsley, Kuh & Welsch 1980).
    """
    singular = np.linalg.svd(matrix / np.linalg.norm(matrix, axis=0), compute_uv=False)
    aliased, others = aliased_terms(matrix, names), names[1:]
    deviations = matrix[:, 1:] - matrix[:, 1:].mean(0)
    correlations = np.corrcoef(deviations, rowvar=False).reshape(len(others), -1)
    inflation = np.diag(np.linalg.inv(correlations)) if not aliased else np.full(len(others), math.inf)
    upper = np.triu(np.abs(correlations), k=1)
    first, second = np.unravel_index(int(upper.argmax()), upper.shape)
    worst = others[first], others[second], float(correlations[first, second])
    return Diagnosis(
        rank=len(names) - len(aliased),
        aliased=aliased,
        vif=dict(zip(others, map(float, inflation), strict=True)),
        condition=math.inf if aliased else float(singular[0] / singular[-1]),
        worst_pair=worst if len(others) > 1 else None,
    )


def planned_gate(design: Design) -> Reason | None:
    """Return why the study's tables would stop even with every run finished, or None."""
    runs = design.runs.assign(planned=np.arange(len(design.runs), dtype=float), dtype_used="planned", status=OK)
    return stop_reason(runs, runs, "planned", design.codings, design.columns)


# Power ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Detectable:
    """The smallest effects that a design finds with a power, in standard deviations of the noise between runs."""

    std_errors: np.ndarray  # [parameters], for noise of standard deviation 1
    effects: np.ndarray  # [parameters]: coded coefficients, for noise of standard deviation 1
    df: float
    alpha: float
    power: float


def detectable_effects(design: Design, alpha: float, power: float = POWER) -> Detectable:
    """Return what a design that passes its gate detects, if runs' errors are independent and of equal spread.

    Each term is tested with the study's own errors: sum_g W_g' (I - H_gg)^-1 W_g is the mean of HC3 (clusters g of one
    run) and, times (G - 1) / G, of CR3 for such noise, since Var(e_g) = (I - H_gg) s^2.
    """
    bread, errors = np.linalg.inv(design.matrix.T @ design.matrix), errors_of(design.runs)
    used = jackknife_weights(design.matrix, bread, errors.clusters).T @ (design.matrix @ bread)
    df = float(design.df_residual)
    if errors.clusters is not None:
        df = errors.count - 1.0
        used *= df / errors.count
    std_errors = np.sqrt(np.diag(bread))
    widening = np.sqrt(np.diag(used)) / std_errors
    effects = std_errors * [detectable(df, alpha, power, wide) for wide in widening.tolist()]
    return Detectable(std_errors, effects, df, alpha, power)


def strictness(found: Detectable, tests: int) -> float:
    """Return how much larger an effect must be where adjusting for several tests asks the strictest p of one."""
    return detectable(found.df, found.alpha / tests, found.power) / detectable(found.df, found.alpha, found.power)


def term_rows(design: Design, found: Detectable, noise_sd: float) -> list[dict[str, Any]]:
    """Return a row per term: the coefficient detected, coded and natural, and the change that it makes over the range.

    The change is that of the report's verdicts: low to high for a first-order term, centre to edge for a square.
    """
    rows = []
    for term, coded in zip(design.columns, (found.effects * noise_sd).tolist(), strict=False):
        if term:
            (scale, unit), group = term_unit(design.codings, term, "natural"), term_group(term)
            row = {"term": term_name(term), "group": group, "coded": coded, "natural": coded * scale}
            rows.append(row | {"unit": unit, "change": coded * SPAN[group]})
    return rows


# Noise ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """What is known of the spread between seeds before, or while, a study runs."""

    sd: float | None
    df: int | None  # degrees of freedom where it is measured; None for a prior
    test_set_se: float | None

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Return the chi-squared interval of a measured standard deviation; None for a prior."""
        if self.sd is None or self.df is None:
            return None
        low, high = stats.chi2.interval(confidence, self.df)
        return self.sd * math.sqrt(self.df / high), self.sd * math.sqrt(self.df / low)


def expected_noise(response: str, finished: pd.DataFrame, eval_examples: int) -> Noise:
    """Return the noise of the study's own finished runs where they have enough seeds in common, else the prior.

    finished: rows of columns.METRICS, perhaps none. eval_examples: of the smallest evaluation set, from which the prior
    of the test set's error follows for accuracy, and roughly for F1; there is none for others.
    What a seed shifts all runs by is part of it, though the fits take that out: the power is then cautious.
    """
    used, error, usual = finished, f"{response}_se", RESPONSES[response]
    sd, df, test_set_se = None, 0, None
    if len(finished):
        used = finished[(finished["status"] == "ok") & finished[response].notna()]
        sd, df = pure_error(used, response)
    if error in used and used[error].notna().any():
        test_set_se = float(used[error].median())
    elif (share := usual.usual_value) is not None:
        test_set_se = math.sqrt(share * (1 - share) / eval_examples)
    return Noise(*((sd, df) if df >= ENOUGH_DF else (usual.usual_sd, None)), test_set_se)
