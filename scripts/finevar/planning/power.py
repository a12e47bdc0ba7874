"""What a design can find, before any of its runs: how well it separates its terms, and the changes it would detect.

For new seeds and new sentences, as the report judges them: noise between seeds, of S seeds with S - 1 degrees of
freedom, as they may change slopes, and the test sentences, each of which a factor moves by a little more or less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from finevar.analyses.fits import term_unit
from finevar.analyses.gates import stop_reason
from finevar.metrics import RESPONSES
from finevar.reasons import OK, Reason
from finevar.results.aggregation import trajectory_id
from finevar.statistics.crossed import independent_seeds
from finevar.statistics.detectable import Change, detectable
from finevar.statistics.regression import pure_error
from finevar.study.coding import (
    Codings,
    Term,
    changes_of,
    codings_of,
    design_matrix,
    factor_of,
    range_weights,
    terms,
    unblocked,
)
from finevar.study.design import design_points, plan_runs
from finevar.study.matrices import aliased_terms

CODED_RANGE = 2.0
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

    @property
    def seeds(self) -> int:
        """Return how many seeds are independent of each other."""
        return independent_seeds(self.runs)


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
    rows = [run.record for run in plan_runs(config, design_points(config)).values()]
    runs = pd.DataFrame([row | {"trajectory_id": trajectory_id(row)} for row in rows])
    codings = codings_of(config["sweep"]["factors"])
    columns = terms(codings, config["analysis"]["model"])
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


# Noise ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """What is known of seeds and test sentences before, or while, a study runs."""

    sd: float | None  # between two seeds of one setting
    df: int | None  # degrees of freedom where it is measured; None for a prior
    sentence_sd: float | None  # between sentences, of what a factor's whole range changes
    sentences: float  # of one data set as informative as all of them

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Return the chi-squared interval of a measured standard deviation; None for a prior."""
        if self.sd is None or self.df is None:
            return None
        low, high = stats.chi2.interval(confidence, self.df)
        return self.sd * math.sqrt(self.df / high), self.sd * math.sqrt(self.df / low)


def expected_noise(response: str, finished: pd.DataFrame, eval_examples: Sequence[int]) -> Noise:
    """Return the noise of the study's own finished runs where they have enough seeds in common, else the prior.

    finished: rows of columns.METRICS, perhaps none. eval_examples: of each data set.
    """
    usual, sd, df = RESPONSES[response], None, 0
    if len(finished):
        sd, df = pure_error(finished[(finished["status"] == OK) & finished[response].notna()], response)
    sentences = len(eval_examples) ** 2 / sum(1 / count for count in eval_examples)
    known = (sd, df) if df >= ENOUGH_DF else (usual.usual_sd, None)
    return Noise(*known, usual.usual_sentence_sd, sentences)


# Power ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The smallest change over a factor's whole range found with POWER, and what would find a wanted one."""

    factor: str
    change: float
    slope: float  # in natural units: per doubling, per epoch
    unit: str
    seed_share: float  # of the change's variance; the rest comes from sentences
    seeds: int | None  # that find the smallest effect of interest, as planned but for them; None where none do
    sentences: int | None  # likewise, on each data set
    both: tuple[int, int] | None  # seeds and sentences that do together


def found_changes(design: Design, noise: Noise, alpha: float, wanted: float | None = None) -> list[Found]:
    """Return what a design that passes its gate finds of each factor; none where the noise is not known."""
    if noise.sd is None or noise.sentence_sd is None:
        return []
    return [found_change(design, noise, alpha, wanted, name) for name in changes_of(design.codings)]


def found_change(design: Design, noise: Noise, alpha: float, wanted: float | None, factor: str) -> Found:
    """Return what a design finds of a factor: of its change from one end to the other, the others mid-range.

    factor: or a change between levels that are names, see changes_of(). It is found by the largest of its simple
    effects, which vary in as many directions as it has terms: the test is as strict as so many.
    """
    axes = design.codings[factor_of(factor)].axes(factor_of(factor))
    directions = sum(axes[0] in term for term in design.columns)
    seeds, datasets = design.seeds, design.runs["dataset"].nunique()
    change = Change(
        seed=design.runs["seed"].nunique() * noise.sd**2 * change_variance(design, factor),
        sentence=noise.sentence_sd**2,
        alpha=alpha / directions,
        few_df=design.df_residual,
    )
    found = change.found(seeds, noise.sentences)
    per_step, unit = step_of(design.codings, factor)
    needed = needed_for(change, wanted, seeds, noise.sentences, datasets) if wanted else (None, None, None)
    share = change.seed_share(seeds, noise.sentences)
    return Found(factor, found, found * per_step, unit, share, *needed)


def step_of(codings: Codings, name: str) -> tuple[float, str]:
    """Return the share of a change that one natural step of a number makes, and what that step is."""
    change = changes_of(codings)[name]
    if change.factor != name:
        return 1.0, f"{change.end} instead of {change.start}"
    scale, unit = term_unit(codings, (name,), "natural")
    return scale / CODED_RANGE, unit


def needed_for(
    change: Change, wanted: float, seeds: int, sentences: float, datasets: int
) -> tuple[int | None, int | None, tuple[int, int] | None]:
    """Return the seeds, the sentences of each data set, or both together, that find a wanted change."""
    alone, both = change.sentences_needed(wanted, seeds), change.both_needed(wanted)
    return (
        change.seeds_needed(wanted, sentences),
        alone and math.ceil(alone / datasets),
        both and (both[0], math.ceil(both[1] / datasets)),
    )


def change_variance(design: Design, factor: str) -> float:
    """Return the variance of a factor's change over its range, the others mid-range, for noise of 1 between runs."""
    matrix = design.matrix[:, unblocked(design.names)]
    weights = np.zeros(matrix.shape[1])
    weights[: len(design.columns)] = range_weights(changes_of(design.codings)[factor], design.codings, design.columns)
    return float(weights @ np.linalg.solve(matrix.T @ matrix, weights))


def strictness(df: float, alpha: float, tests: int) -> float:
    """Return how much larger an effect must be where adjusting for several tests asks the strictest p of one."""
    return detectable(df, alpha / tests) / detectable(df, alpha)
