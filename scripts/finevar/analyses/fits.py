"""Fits as tidy rows: coefficients in coded and natural units, effects with verdicts, quality of fit, predictions."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.baselines import fit_matched
from finevar.analyses.gates import obstacle_sentence, stop_reason
from finevar.metrics import SmallestEffect, smallest_effect
from finevar.reasons import FAILED, MISSING, Reason, Stop
from finevar.statistics.estimability import Obstacle
from finevar.statistics.ladder import ladder_rows, quality
from finevar.statistics.regression import Surface, contrast, contrasts, fit_relative, fit_surface, predicted
from finevar.statistics.suspects import without_suspects
from finevar.statistics.verdicts import adjust_families, columns_key, equivalence, judge
from finevar.study.coding import Codings, Term, codings_of, model_matrix, step_unit, term_group, term_name, terms

PROFILE_POINTS = 41
SURFACE_POINTS = 25
# The change of the response over a term's whole range, per unit of its coded coefficient: low to high for a first-order
# term or a cube, the customary half difference of effects for an interaction, centre to edge for a square.
SPAN = {"first_order": 2.0, "two_way": 2.0, "quadratic": 1.0, "cubic": 2.0}

FEW_RUNS = 10  # a parameter
FEW_CLUSTERS = 40

Rows = list[dict[str, Any]]
Claim = Mapping[str, Any]  # a statement made before the study, see workflow/schemas/claims.schema.yaml


@dataclass(frozen=True)
class Plan:
    """What to fit and how to judge it, as the config says; what a function needs of it, it takes from here."""

    codings: Codings
    baseline: Mapping[str, float]  # the baseline's level of each factor, natural
    responses: Sequence[str]
    order: str
    confidence: float
    claims: Sequence[Claim] = ()
    smallest_effect: Mapping[str, float] = field(default_factory=dict)  # as the config sets it, by response
    tradeoffs: Mapping[str, Any] = field(default_factory=dict)  # responses and weights, each with a default

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
        )

    @property
    def columns(self) -> list[Term]:
        """Return the terms of the surface."""
        return terms(list(self.codings), self.order)


def finished_runs(metrics: pd.DataFrame, response: str) -> pd.DataFrame:
    """Return the runs that finished, have not collapsed and have a value of a response."""
    return metrics[(metrics["status"] == "ok") & metrics[response].notna()].reset_index(drop=True)


def failed_settings(metrics: pd.DataFrame, codings: Codings) -> pd.DataFrame:
    """Return the natural levels of the settings [settings, factors] at which every run of a data set failed."""
    runs = metrics[metrics["status"] != MISSING]
    failed = runs["status"].isin(FAILED).groupby([runs["dataset"], runs["point_id"]]).transform("all")
    return runs.loc[failed, list(codings)].drop_duplicates()


@dataclass(frozen=True)
class FittedStudy:
    """A study's runs, what to do with them, and what they give: a surface of each response, or why there is none."""

    metrics: pd.DataFrame  # columns.STUDY_METRICS
    plan: Plan
    surfaces: Sequence[Surface]  # of the responses that pass the gates
    stopped: Mapping[str, Reason]  # what stopped every other response

    @classmethod
    def of(cls, metrics: pd.DataFrame, plan: Plan) -> FittedStudy:
        """Fit every response of the plan."""
        surfaces, stopped = [], {}
        for response in plan.responses:
            used = finished_runs(metrics, response)
            if reason := stop_reason(metrics, used, response, plan.codings, plan.columns):
                stopped[response] = reason
            else:
                surface = fit_surface(used, response, plan.codings, plan.columns, plan.confidence)
                surfaces.append(dataclasses.replace(surface, excluded=failed_settings(metrics, plan.codings)))
        return cls(metrics, plan, surfaces, stopped)

    def smallest_effect(self, response: str) -> SmallestEffect:
        """Return the smallest change of a response that matters."""
        return smallest_effect(response, self.plan.smallest_effect, baseline_value(self.metrics, response))

    def without_suspects(self) -> FittedStudy:
        """Return the study with each response fitted without the runs that are suspect in it."""
        found = {surface.response: (surface, without_suspects(surface)) for surface in self.surfaces}
        stopped = {
            name: Reason(other.code, obstacle_sentence(other, surface.runs, surface.errors))
            for name, (surface, other) in found.items()
            if isinstance(other, Obstacle)
        }
        surfaces = [other for _, other in found.values() if isinstance(other, Surface)]
        return FittedStudy(self.metrics, self.plan, surfaces, {**self.stopped, **stopped})

    def of_responses(self, responses: Sequence[str], metrics: pd.DataFrame | None = None) -> FittedStudy:
        """Return the study of other responses, fitting those that are not; metrics: with columns for them."""
        known = {surface.response: surface for surface in self.surfaces}
        new = [name for name in responses if name not in known and name not in self.stopped]
        metrics = self.metrics if metrics is None else metrics
        more = FittedStudy.of(metrics, dataclasses.replace(self.plan, responses=new))
        known |= {surface.response: surface for surface in more.surfaces}
        stopped = self.stopped | more.stopped
        plan = dataclasses.replace(self.plan, responses=responses)
        surfaces = [known[name] for name in responses if name in known]
        return FittedStudy(metrics, plan, surfaces, {name: stopped[name] for name in responses if name in stopped})


def fit_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of coefficients, covariances, effects, fits, ladder, profiles and surface.

    A response that a gate stops has rows in fits, with the sentence under gate, and nowhere else.
    """
    names = ("coefficients", "covariances", "effects", "fits", "ladder", "profiles", "surface")
    tables: dict[str, Rows] = {name: [] for name in names}
    metrics, plan = study.metrics, study.plan
    for response, reason in study.stopped.items():
        tables["fits"] += [stopped_fit(metrics, response, name, reason) for name in ("absolute", "relative")]
    for surface in study.surfaces:
        tables["coefficients"] += coefficient_rows(surface, "absolute")
        tables["fits"].append(fit_row(surface, metrics, "absolute"))
        if surface.runs[f"baseline_{surface.response}"].isna().any():
            lacks = Reason(Stop.NO_BASELINE, f"the baseline has no {surface.response}.")
            tables["fits"].append(stopped_fit(metrics, surface.response, "relative", lacks))
        else:
            relative, deviation = fit_relative(surface, plan.baseline)
            tables["coefficients"] += coefficient_rows(relative, "relative")
            row = fit_row(relative, metrics, "relative")
            tables["fits"].append(row | {"largest_identity_deviation": deviation})
            matched = fit_matched(surface, plan.baseline)
            tables["coefficients"] += coefficient_rows(matched, "matched") if matched else []
        tables["covariances"] += covariance_rows(surface)
        tables["ladder"] += ladder_rows(surface, plan.order, surface.unequal)
        tables["profiles"] += profile_rows(surface)
        tables["surface"] += surface_rows(surface)
    judge_coefficients(tables["coefficients"], plan)
    tables["effects"] = judged_effects(study.surfaces)
    tables["fits"].sort(key=lambda row: plan.responses.index(row["response"]))
    return tables


def judge_coefficients(rows: Rows, plan: Plan) -> None:
    """Add, in place, adjusted p-values and verdicts: claims by Holm, a framework's other terms by Benjamini-Hochberg.

    One test counts once: only coded rows are counted, and those in natural units take theirs; a relative term that the
    origin does not move is the absolute one, and takes its.
    """
    unmoved = {term_name(term) for term in plan.columns if not moves_with_origin(term, plan.columns)}

    def test_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
        framework = row.get("framework") or "absolute"
        same = framework == "relative" and row["term"] in unmoved
        return row["response"], row["term"], "absolute" if same else framework

    claimed = {test_of(claim) for claim in plan.claims}
    judged = [row for row in rows if row["group"] in SPAN]
    counted = [row for row in judged if row["units"] == "coded" and test_of(row)[2] == row["framework"]]
    adjust_families([row for row in counted if test_of(row) in claimed], columns_key(()), "holm", "claim")
    for framework in ("absolute", "relative", "matched"):
        others = [row for row in counted if row["framework"] == framework and test_of(row) not in claimed]
        adjust_families(others, columns_key(()), "fdr_bh", f"{framework} term")
    judge(counted, 1 - plan.confidence)
    found = {test_of(row): {name: row[name] for name in ("p_adjusted", "family", "verdict")} for row in counted}
    for row in judged:
        row |= found[test_of(row)]


def moves_with_origin(term: Term, columns: Sequence[Term]) -> bool:
    """Say whether a term's coefficient depends on where zero is: some other term of the model holds it."""
    return any(other != term and all(other.count(name) >= term.count(name) for name in term) for other in columns)


def coefficient_rows(surface: Surface, framework: str) -> Rows:
    """Return a row per parameter in coded and in natural units."""
    rows = []
    found = contrasts(surface, np.eye(len(surface.names)))
    for number, (name, own) in enumerate(zip(surface.names, found, strict=True)):
        term = surface.columns[number] if number < len(surface.columns) else None
        group = "block" if term is None else term_group(term)
        equal = equivalence(surface, SPAN[group] * own.estimate, SPAN[group] * own.std_error) if group in SPAN else {}
        for units in ("coded", "natural"):
            scale = 1.0 if units == "coded" or term is None else natural_scale(surface.codings, term)
            row = {
                "response": surface.response,
                "framework": framework,
                "units": units,
                "term": name,
                "group": group,
                "unit": term_unit(surface.codings, term, units),
                "df": surface.fit.df,
                "t_value": own.estimate / own.std_error,
            }
            rows.append(row | own.scaled(scale) | equal)
    return rows


def covariance_rows(surface: Surface) -> Rows:
    """Return the covariance of every pair of the terms' absolute coefficients, in coded units."""
    count = len(surface.columns)
    pairs = itertools.product(range(count), repeat=2)
    return [
        {
            "response": surface.response,
            "term": surface.names[i],
            "other": surface.names[j],
            "covariance": float(surface.fit.cov[i, j]),
        }
        for i, j in pairs
    ]


def natural_scale(codings: Codings, term: Term) -> float:
    """Return the coded units in one natural step of every factor of a term, multiplied."""
    return float(np.prod([codings[name].step for name in term]))


def term_unit(codings: Codings, term: Term | None, units: str) -> str:
    """Say what one unit of a term is."""
    if not term:
        return "value" if term is not None else "deviation from the mean of its blocks"
    if units == "coded":
        return "per coded unit" if len(term) == 1 else "per squared coded unit"
    steps = [step_unit(name, codings[name].scale) for name in term]
    return f"{steps[0]}, squared" if len(term) == 2 and term[0] == term[1] else ", ".join(steps)


def effect_rows(surface: Surface) -> Rows:
    """Return the change of the response from each factor's lowest to highest level, the others at the centre."""
    rows = []
    for name, coding in surface.codings.items():
        change = contrast(surface, change_weights(surface, name))
        steps = 2 / coding.step
        rows.append(
            {
                "response": surface.response,
                "factor": name,
                "from_level": float(min(coding.levels)),
                "to_level": float(max(coding.levels)),
                "change": change.estimate,
                "std_error": change.std_error,
                "ci_low": change.ci_low,
                "ci_high": change.ci_high,
                "per_unit": change.estimate / steps,
                "per_unit_ci_low": change.ci_low / steps,
                "per_unit_ci_high": change.ci_high / steps,
                "unit": step_unit(name, coding.scale),
                "p_value": change.p_value,
                "smallest_effect": surface.smallest_effect,
                **equivalence(surface, change.estimate, change.std_error),
            }
        )
    return rows


def judged_effects(surfaces: Sequence[Surface]) -> Rows:
    """Return the effects of all surfaces with verdicts, p-values adjusted over all of them."""
    rows = [row for surface in surfaces for row in effect_rows(surface)]
    if rows:
        adjust_families(rows, columns_key(()), "fdr_bh", "effect")
        judge(rows, surfaces[0].alpha)
    return rows


def change_weights(surface: Surface, name: str) -> np.ndarray:
    """Return the weights [parameters] of the change along a factor, lowest to highest, the others at the centre."""
    ends = {other: np.array([-1.0, 1.0]) * (other == name) for other in surface.codings}
    low, high = surface.padded(model_matrix(ends, surface.columns))
    return high - low


def fit_row(surface: Surface, metrics: pd.DataFrame, framework: str) -> dict[str, Any]:
    """Return how well a surface fits, and what it rests on."""
    fit, errors = surface.fit, surface.errors
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
    few = len(surface.runs) < FEW_RUNS * len(surface.names)
    if surface.errors.count is not None:
        few = surface.errors.count < FEW_CLUSTERS
    if not few:
        return ""
    what = "runs for the parameters" if surface.errors.count is None else "trajectories"
    return f"; with so few {what} its tests are cautious, and find something in 2 to 4 % of studies without effects"


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
    """Return the baseline's mean over data sets, None where it lacks one."""
    values = metrics.drop_duplicates("dataset")[f"baseline_{response}"]
    return float(values.mean()) if values.notna().all() else None


def profile_rows(surface: Surface) -> Rows:
    """Return the predicted response along each factor, the others at the centre."""
    x = np.linspace(-1, 1, PROFILE_POINTS)
    rows = []
    for name, coding in surface.codings.items():
        coded = {other: x if other == name else np.zeros_like(x) for other in surface.codings}
        for value, row in zip(coding.natural(x), predicted(surface, coded), strict=True):
            rows.append({"response": surface.response, "factor": name, "value": float(value)} | row)
    return rows


def surface_rows(surface: Surface) -> Rows:
    """Return the predicted response over each pair of factors, the others at the centre."""
    grid_x, grid_y = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, SURFACE_POINTS)] * 2))
    rows = []
    for first, second in itertools.combinations(surface.codings, 2):
        others = [name for name in surface.codings if name not in (first, second)]
        centre = {name: np.zeros_like(grid_x) for name in others}
        values = predicted(surface, centre | {first: grid_x, second: grid_y})
        held = ", ".join(f"{name} = {float(surface.codings[name].natural(0.0)):.4g}" for name in others)
        places = zip(
            surface.codings[first].natural(grid_x), surface.codings[second].natural(grid_y), values, strict=True
        )
        for x, y, row in places:
            place = {"factor_x": first, "value_x": float(x), "factor_y": second, "value_y": float(y), "held": held}
            rows.append({"response": surface.response, **place, **row})
    return rows
