"""Fits as tidy rows: coefficients in coded and natural units, effects with verdicts, quality of fit, predictions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.additions import Addition, with_first_stages
from finevar.analyses.baselines import OWN_BASELINES, fit_matched, have_own_baselines
from finevar.analyses.effects import judged_effects, leave_open
from finevar.analyses.gates import obstacle_sentence, stop_reason
from finevar.jobs.forks import in_forks
from finevar.metrics import RESPONSES, smallest_effect
from finevar.reasons import FAILED, MISSING, Reason, Stop
from finevar.statistics.bounds import Limits, bounds_of, limits
from finevar.statistics.estimability import Obstacle
from finevar.statistics.grids import profile_rows, surface_rows
from finevar.statistics.ladder import ladder_rows, quality
from finevar.statistics.regression import (
    NEW_SENTENCES,
    THESE_SENTENCES,
    Forbids,
    Sentences,
    Surface,
    estimates,
    fit_relative,
    fit_surface,
)
from finevar.statistics.stored import stored_rows
from finevar.statistics.suspects import suspects, without_suspects
from finevar.statistics.verdicts import adjust_families, columns_key, verdict
from finevar.study.coding import (
    Codings,
    Term,
    codings_of,
    factor_of,
    step_unit,
    term_group,
    term_name,
    term_of,
    terms,
)
from finevar.study.conditions import forbidden_places
from finevar.study.goals import SPAN, span_of
from finevar.tables import Rows, baseline_keys

SEPARATE = Reason(Stop.OWN_BASELINES, f"{OWN_BASELINES}.")
FEW_RUNS = 10  # a parameter
FEW_CLUSTERS = 40
Claim = Mapping[str, Any]  # a statement made before the study, see workflow/schemas/claims.schema.yaml


@dataclass(frozen=True)
class Plan:
    """What to fit and how to judge it, as the config says."""

    codings: Codings
    baseline: Mapping[str, Any]  # the baseline's level of each factor, natural
    responses: Sequence[str]
    order: str
    confidence: float
    claims: Sequence[Claim] = ()
    smallest_effect: Mapping[str, float] = field(default_factory=dict)  # as the config sets it, by response
    tradeoffs: Mapping[str, Any] = field(default_factory=dict)  # responses and weights, each with a default
    primary: str | None = None  # the metric that recommends, where the config names one
    where: str | None = None  # the condition that the design's settings fulfil
    additions: Sequence[Addition] = ()  # runs that were added after a look at the results

    @classmethod
    def of(cls, params: Any) -> Plan:
        """Read a rule's params: factors, baseline and analysis."""
        analysis = params.analysis
        return cls(
            codings=codings_of(params.factors),
            baseline=params.baseline,
            responses=analysis["responses"],
            order=analysis["model"],
            confidence=analysis["confidence"],
            claims=analysis["claims"],
            smallest_effect=analysis["smallest_effect"],
            tradeoffs=analysis.get("tradeoffs", {}),
            primary=analysis.get("primary"),
            where=analysis.get("where"),
            additions=analysis.get("additions", ()),
        )

    @property
    def forbids(self) -> Forbids | None:
        """Return what the condition says of coded places; None without one."""
        return partial(forbidden_places, self.where, self.codings) if self.where is not None else None

    @property
    def columns(self) -> list[Term]:
        """Return the terms of the surface."""
        return terms(self.codings, self.order)


def finished_runs(metrics: pd.DataFrame, response: str) -> pd.DataFrame:
    """Return the runs that finished, have not collapsed and have a value of a response."""
    return metrics[(metrics["status"] == "ok") & metrics[response].notna()].reset_index(drop=True)


def failed_settings(metrics: pd.DataFrame, codings: Codings) -> pd.DataFrame:
    """Return the natural levels of the settings [settings, factors] at which every run of a data set failed."""
    runs = metrics[metrics["status"] != MISSING]
    failed = runs["status"].isin(FAILED).groupby([runs["dataset"], runs["point_id"]]).transform("all")
    return runs.loc[failed, list(codings)].drop_duplicates()


Outcomes = Callable[[pd.DataFrame, str], tuple[Sentences, Sentences]]  # of runs, and of the baseline, on a response


def no_outcomes(runs: pd.DataFrame, response: str) -> tuple[Sentences, Sentences]:
    """Return no outcomes: for found models, or a metric without contributions of single sentences."""
    return {}, {}


@dataclass(frozen=True)
class FittedStudy:
    """A study's runs, its plan, and its surfaces: one for each response, or the reason why there is none."""

    metrics: pd.DataFrame  # columns.STUDY_METRICS
    plan: Plan
    surfaces: Sequence[Surface]  # of the responses that pass the gates
    stopped: Mapping[str, Reason]  # what stopped every other response
    outcomes: Outcomes
    judged: Rows | None = None  # the table effects, where it was made before
    processes: int = 1  # that may make it

    @classmethod
    def of(cls, metrics: pd.DataFrame, plan: Plan, outcomes: Outcomes = no_outcomes) -> FittedStudy:
        """Fit every response of the plan; outcomes: of runs and baseline, sentence by sentence."""
        surfaces, stopped, excluded = [], {}, failed_settings(metrics, plan.codings)
        for response in plan.responses:
            used = finished_runs(metrics, response)
            if reason := stop_reason(metrics, used, response, plan.codings, plan.columns):
                stopped[response] = reason
                continue
            sentences, frozen = outcomes(used, response)
            known = {"smallest_effect": bound_of(metrics, plan, response), "sentences": sentences, "frozen": frozen}
            known |= {"excluded": excluded, "forbids": plan.forbids}
            surface = fit_surface(used, response, plan.codings, plan.columns, plan.confidence, **known)
            surfaces.append(with_first_stages(surface, plan.additions))
        return cls(metrics, plan, surfaces, stopped, outcomes)

    @cached_property
    def effects(self) -> Rows:
        """Return the rows of the table effects, with verdicts."""
        if self.judged is not None:
            return self.judged
        calls = (partial(judged_effects, self.surfaces), self.judged_again)
        rows, (found, again) = in_forks(calls, self.processes)
        leave_open(rows, again, ("response", "factor", "dataset"), found)
        return rows

    def judged_again(self) -> tuple[dict[str, list[str]], Rows]:
        """Return the suspect runs of each response that has some, and the rows of the table effects without them."""
        return self.suspects, judged_effects(self.without_suspects().surfaces) if self.suspects else []

    @cached_property
    def suspects(self) -> dict[str, list[str]]:
        """Return the suspect runs of each response that has some."""
        found = {each.response: each.runs.loc[suspects(each), "run_id"].tolist() for each in self.surfaces}
        return {name: runs for name, runs in found.items() if runs}

    def without_suspects(self) -> FittedStudy:
        """Return the study with each response fitted without the runs that are suspect in it."""
        found = {surface.response: (surface, without_suspects(surface)) for surface in self.surfaces}
        stopped = {
            name: Reason(other.code, obstacle_sentence(other, surface.runs, surface.errors))
            for name, (surface, other) in found.items()
            if isinstance(other, Obstacle)
        }
        surfaces = [other for _, other in found.values() if isinstance(other, Surface)]
        return FittedStudy(self.metrics, self.plan, surfaces, {**self.stopped, **stopped}, self.outcomes)

    def rows(self, function: Callable[[Surface], Rows]) -> Rows:
        """Return the rows that a function gives of every surface."""
        return [row for surface in self.surfaces for row in function(surface)]

    def of_responses(self, responses: Sequence[str], metrics: pd.DataFrame | None = None) -> FittedStudy:
        """Return the study of other responses, fitting those that are not; metrics: with columns for them."""
        new = [name for name in responses if name not in self.plan.responses]
        metrics = self.metrics if metrics is None else metrics
        more = FittedStudy.of(metrics, dataclasses.replace(self.plan, responses=new), self.outcomes)
        known = {surface.response: surface for surface in (*self.surfaces, *more.surfaces)}
        surfaces = [known[name] for name in responses if name in known]
        stopped = {name: why for name, why in (self.stopped | more.stopped).items() if name in responses}
        plan = dataclasses.replace(self.plan, responses=responses)
        return FittedStudy(metrics, plan, surfaces, stopped, self.outcomes)


def bound_of(metrics: pd.DataFrame, plan: Plan, response: str) -> float | None:
    """Return the smallest change of a response that matters; None of a part of the loss."""
    if response not in RESPONSES:
        return None
    return smallest_effect(response, plan.smallest_effect, baseline_value(metrics, response)).value


def fit_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of coefficients, covariances, effects, fits, ladder, profiles and surface.

    A response that a gate stops has rows in fits, with the sentence under gate, and nowhere else.
    """
    metrics, plan = study.metrics, study.plan
    coefficients: Rows = []
    fits = [
        stopped_fit(metrics, response, framework, reason)
        for response, reason in study.stopped.items()
        for framework in ("absolute", "relative")
    ]
    for surface in study.surfaces:
        coefficients += coefficient_rows(surface, "absolute")
        fits.append(fit_row(surface, metrics, "absolute"))
        lacks = lacks_relative(surface.runs, plan, surface.response)
        if lacks:
            fits.append(stopped_fit(metrics, surface.response, "relative", lacks))
        else:
            relative, deviation = fit_relative(surface, plan.baseline)
            coefficients += coefficient_rows(relative, "relative")
            fits.append(fit_row(relative, metrics, "relative") | {"largest_identity_deviation": deviation})
        if lacks and lacks.code == Stop.NO_BASELINE:
            continue
        matched = fit_matched(surface, plan.baseline)
        coefficients += [] if isinstance(matched, str) else coefficient_rows(matched, "matched")
    judge_coefficients(coefficients, plan, study.surfaces)
    return {
        "coefficients": coefficients,
        "covariances": study.rows(stored_rows),
        "effects": study.effects,
        "fits": sorted(fits, key=lambda row: plan.responses.index(row["response"])),
        "ladder": study.rows(lambda surface: ladder_rows(surface, plan.order, surface.unequal)),
        "profiles": study.rows(profile_rows),
        "surface": study.rows(surface_rows),
    }


def lacks_relative(runs: pd.DataFrame, plan: Plan, response: str) -> Reason | None:
    """Return why a response's surface has no reading relative to one baseline, or None."""
    if runs[f"baseline_{response}"].isna().any() or not plan.baseline:
        return Reason(Stop.NO_BASELINE, f"the baseline has no {response if plan.baseline else 'settings'}.")
    return SEPARATE if have_own_baselines(runs) else None


def judge_coefficients(rows: Rows, plan: Plan, surfaces: Sequence[Surface]) -> None:
    """Add, in place, adjusted p-values within each framework and population, and verdicts on second-order terms.

    One test counts once: only coded rows are counted, and those in natural units take theirs; a relative term that the
    origin does not move is the absolute one, and takes its. A factor as a whole has its verdict in the table effects.
    """
    unmoved = {term_name(term) for term in plan.columns if not moves_with_origin(term, plan.columns)}

    def test_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
        same = row["framework"] == "relative" and row["term"] in unmoved
        return row["response"], row["term"], "absolute" if same else row["framework"], row["population"]

    judged = [row for row in rows if row["group"] in SPAN]
    counted = [row for row in judged if row["units"] == "coded" and test_of(row)[2] == row["framework"]]
    for framework in ("absolute", "relative", "matched"):
        own = [row for row in counted if row["framework"] == framework]
        adjust_families(own, columns_key(("population",)), "fdr_bh", f"{framework} term")
    by_response = {surface.response: surface for surface in surfaces}
    for row in counted:
        span, surface = span_of(term_of(row["term"])), by_response[row["response"]]
        least, most = span * row["ci_low"], span * row["ci_high"]
        is_whole = row["group"] == "first_order"
        row["verdict"] = None if is_whole else verdict(surface, row["p_adjusted"], least, most)
    columns = ("p_adjusted", "family", "verdict")
    found = {test_of(row): {name: row.get(name) for name in columns} for row in counted}
    for row in judged:
        row |= found[test_of(row)]


def moves_with_origin(term: Term, columns: Sequence[Term]) -> bool:
    """Say whether a term's coefficient depends on where zero is: some other term of the model holds it."""
    return any(other != term and all(other.count(name) >= term.count(name) for name in term) for other in columns)


def coefficient_rows(surface: Surface, framework: str) -> Rows:
    """Return a row per parameter but seeds' blocks, for each population, in coded and in natural units."""
    rows = []
    kept = np.flatnonzero(surface.unblocked)
    own = np.eye(len(surface.names))[kept]
    for population, new_sentences in populations(surface):
        read = surface.read(own, new_sentences=new_sentences)
        for number, found, df in zip(kept, estimates(read, surface.confidence), read.df.tolist(), strict=True):
            term = surface.columns[number] if number < len(surface.columns) else None
            row = found.within(*coefficient_limits(surface, framework, term))
            start = {"response": surface.response, "framework": framework, "population": population}
            start |= {"term": surface.names[number], "group": "block" if term is None else term_group(term)}
            start |= {"df": df, "t_value": found.estimate / (found.std_error or math.nan)}
            for units in ("coded", "natural"):
                scale, unit = term_unit(surface.codings, term, units)
                rows.append(start | {"units": units, "unit": unit} | row.scaled(scale))
    return rows


def coefficient_limits(surface: Surface, framework: str, term: Term | None) -> Limits:
    """Return what a coefficient in coded units can be: that by which its term changes the metric over its range.

    Of the intercept it is the metric itself or, relative to a baseline, a difference. In a cubic none follows, nor of
    levels that are names.
    """
    if term == () and framework == "absolute":
        return bounds_of(surface.response)
    if any(len(each) > 2 for each in surface.columns) or (term and not are_numbers(term)):
        return -math.inf, math.inf
    least, most = limits(surface.response)
    span = span_of(term) if term else 1.0
    return least / span, most / span


def are_numbers(term: Term) -> bool:
    """Say whether all factors of a term are numbers."""
    return all(axis == factor_of(axis) for axis in term)


def populations(surface: Surface) -> list[tuple[str | None, bool]]:
    """Return whom a surface's estimates can be read for, the widest first, and whether sentences are redrawn."""
    wide = [(surface.population, True)]
    return [*wide, (THESE_SENTENCES, False)] if surface.population == NEW_SENTENCES else wide


def term_unit(codings: Codings, term: Term | None, units: str) -> tuple[float, str]:
    """Return the coded units in one unit of a term, and what that is; None is a block."""
    if not term:
        return 1.0, "value" if term is not None else "deviation from the mean of its blocks"
    if units == "coded":
        return 1.0, "per coded unit" if len(term) == 1 else "per squared coded unit"
    scale = math.prod(codings[factor_of(axis)].step for axis in term)
    steps = [step_unit(axis, codings[factor_of(axis)].scale) for axis in term]
    return scale, f"{steps[0]}, squared" if len(term) == 2 and term[0] == term[1] else ", ".join(steps)


def fit_row(surface: Surface, metrics: pd.DataFrame, framework: str) -> dict[str, Any]:
    """Return how well a surface fits, and what it rests on."""
    fit, errors = surface.fit, surface.reported_errors
    return counts(metrics, surface.response, framework) | {
        "runs": len(surface.runs),
        "parameters": len(surface.names),
        "df_residual": float(fit.df_resid),
        **{name: value for name, value in quality(fit).items() if name.startswith("r2")},
        "residual_sd": math.sqrt(fit.ssr / fit.df_resid),
        "pure_error_sd": surface.pure_error_sd,
        "pure_error_df": float(surface.pure_error_df),
        "test_set_se": surface.test_set_se,
        "smallest_effect": surface.smallest_effect,
        "covariance": errors.kind,
        "covariance_reason": errors.reason + caution(surface),
        "clusters": errors.count,
    }


def caution(surface: Surface) -> str:
    """Say how the covariance behaves where runs, or trajectories, are few for the parameters (see make calibrate)."""
    clusters = surface.errors.count
    if surface.is_by_seed:
        return ""
    what = "runs for the parameters" if clusters is None else "trajectories"
    if (len(surface.runs) >= FEW_RUNS * len(surface.names)) if clusters is None else (clusters >= FEW_CLUSTERS):
        return ""
    return f"; with so few {what} its tests are cautious, and find something in 2 to 4% of studies without effects"


def stopped_fit(metrics: pd.DataFrame, response: str, framework: str, gate: Reason) -> dict[str, Any]:
    """Return the row of a response that a gate stopped."""
    return counts(metrics, response, framework) | {"gate": gate.sentence, "gate_code": gate.code}


def counts(metrics: pd.DataFrame, response: str, framework: str) -> dict[str, Any]:
    """Return the facts of a study that hold whether or not a surface is fitted."""
    return {
        "response": response,
        "framework": framework,
        "points": metrics["point_id"].nunique(),
        "seeds": metrics["seed"].nunique(),
        "datasets": metrics["dataset"].nunique(),
        "baseline_value": baseline_value(metrics, response),
        **{status: int((metrics["status"] == status).sum()) for status in (*FAILED, MISSING)},
    }


def baseline_value(metrics: pd.DataFrame, response: str) -> float | None:
    """Return the baseline's mean over data sets, and models, None where it lacks one."""
    values = metrics.drop_duplicates(baseline_keys(metrics))[f"baseline_{response}"]
    return float(values.mean()) if values.notna().all() else None
