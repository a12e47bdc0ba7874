"""Fits as tidy rows: coefficients in coded and natural units, effects with verdicts, quality of fit, predictions."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.baselines import fit_matched
from finevar.analyses.gates import stop_reason
from finevar.reasons import Reason, Stop
from finevar.statistics.ladder import ladder_rows, quality
from finevar.statistics.regression import Surface, contrast, contrasts, fit_relative, fit_surface, predicted
from finevar.statistics.verdicts import adjust_families, columns_key, equivalence, judge
from finevar.study.coding import Codings, Term, codings_of, model_matrix, step_unit, term_group, term_name, terms
from finevar.tables import Rows

PROFILE_POINTS = 41
SURFACE_POINTS = 25
# The change of the response over a term's whole range, per unit of its coded coefficient: low to high for a first-order
# term or a cube, the customary half difference of effects for an interaction, centre to edge for a square.
SPAN = {"first_order": 2.0, "two_way": 2.0, "quadratic": 1.0, "cubic": 2.0}

FEW_RUNS = 10  # a parameter
FEW_CLUSTERS = 40
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
            tradeoffs=analysis.get("tradeoffs", {}),
        )

    @property
    def columns(self) -> list[Term]:
        """Return the terms of the surface."""
        return terms(list(self.codings), self.order)


def finished_runs(metrics: pd.DataFrame, response: str) -> pd.DataFrame:
    """Return the runs that have a value of a response."""
    return metrics[(metrics["status"] == "ok") & metrics[response].notna()].reset_index(drop=True)


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
                surfaces.append(fit_surface(used, response, plan.codings, plan.columns, plan.confidence))
        return cls(metrics, plan, surfaces, stopped)

    def rows(self, function: Callable[[Surface], Rows]) -> Rows:
        """Return the rows that a function gives of every surface."""
        return [row for surface in self.surfaces for row in function(surface)]

    def of_responses(self, responses: Sequence[str], metrics: pd.DataFrame | None = None) -> FittedStudy:
        """Return the study of other responses, fitting those that are not; metrics: with columns for them."""
        new = [name for name in responses if name not in self.plan.responses]
        metrics = self.metrics if metrics is None else metrics
        more = FittedStudy.of(metrics, dataclasses.replace(self.plan, responses=new))
        known = {surface.response: surface for surface in (*self.surfaces, *more.surfaces)}
        surfaces = [known[name] for name in responses if name in known]
        stopped = {name: why for name, why in (self.stopped | more.stopped).items() if name in responses}
        return FittedStudy(metrics, dataclasses.replace(self.plan, responses=responses), surfaces, stopped)


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
        if surface.runs[f"baseline_{surface.response}"].isna().any():
            lacks = Reason(Stop.NO_BASELINE, f"the baseline has no {surface.response}.")
            fits.append(stopped_fit(metrics, surface.response, "relative", lacks))
            continue
        relative, deviation = fit_relative(surface, plan.baseline)
        coefficients += coefficient_rows(relative, "relative")
        fits.append(fit_row(relative, metrics, "relative") | {"largest_identity_deviation": deviation})
        matched = fit_matched(surface, plan.baseline)
        coefficients += coefficient_rows(matched, "matched") if matched else []
    judge_coefficients(coefficients, plan)
    return {
        "coefficients": coefficients,
        "covariances": study.rows(covariance_rows),
        "effects": judged_effects(study),
        "fits": sorted(fits, key=lambda row: plan.responses.index(row["response"])),
        "ladder": study.rows(lambda surface: ladder_rows(surface, plan.order, surface.unequal)),
        "profiles": study.rows(profile_rows),
        "surface": study.rows(surface_rows),
    }


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
    for name, own, term in itertools.zip_longest(surface.names, found, surface.columns):
        group = "block" if term is None else term_group(term)
        row = {"response": surface.response, "framework": framework, "term": name, "group": group}
        row |= {"df": surface.fit.df, "t_value": own.estimate / own.std_error}
        row |= equivalence(surface, SPAN[group] * own.estimate, SPAN[group] * own.std_error) if group in SPAN else {}
        for units in ("coded", "natural"):
            scale, unit = term_unit(surface.codings, term, units)
            rows.append(row | {"units": units, "unit": unit} | own.scaled(scale))
    return rows


def covariance_rows(surface: Surface) -> Rows:
    """Return the covariance of every pair of the terms' absolute coefficients, in coded units."""
    terms = list(enumerate(surface.names[: len(surface.columns)]))
    return [
        {"response": surface.response, "term": term, "other": other, "covariance": float(surface.fit.cov[i, j])}
        for (i, term), (j, other) in itertools.product(terms, repeat=2)
    ]


def term_unit(codings: Codings, term: Term | None, units: str) -> tuple[float, str]:
    """Return the coded units in one unit of a term, and what that is; None is a block."""
    if not term:
        return 1.0, "value" if term is not None else "deviation from the mean of its blocks"
    if units == "coded":
        return 1.0, "per coded unit" if len(term) == 1 else "per squared coded unit"
    scale = math.prod(codings[name].step for name in term)
    steps = [step_unit(name, codings[name].scale) for name in term]
    return scale, f"{steps[0]}, squared" if len(term) == 2 and term[0] == term[1] else ", ".join(steps)


def effect_rows(surface: Surface) -> Rows:
    """Return the change of the response from each factor's lowest to highest level, the others at the centre."""
    rows = []
    for name, coding in surface.codings.items():
        found = contrast(surface, change_weights(surface, name))
        change, step = found._asdict(), found.scaled(coding.step / 2)
        row = {"response": surface.response, "factor": name, "smallest_effect": surface.smallest_effect}
        row |= {"from_level": float(min(coding.levels)), "to_level": float(max(coding.levels))}
        row |= {"change": change.pop("estimate"), **change, "unit": step_unit(name, coding.scale)}
        row |= {"per_unit": step["estimate"], "per_unit_ci_low": step["ci_low"], "per_unit_ci_high": step["ci_high"]}
        rows.append(row | equivalence(surface, found.estimate, found.std_error))
    return rows


def judged_effects(study: FittedStudy) -> Rows:
    """Return the effects of all surfaces with verdicts, p-values adjusted over all of them."""
    rows = study.rows(effect_rows)
    adjust_families(rows, columns_key(()), "fdr_bh", "effect")
    judge(rows, 1 - study.plan.confidence)
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
    clusters = surface.errors.count
    what = "runs for the parameters" if clusters is None else "trajectories"
    if (len(surface.runs) >= FEW_RUNS * len(surface.names)) if clusters is None else (clusters >= FEW_CLUSTERS):
        return ""
    return f"; with so few {what} its tests are cautious, and find something in 2 to 4 % of studies without effects"


def stopped_fit(metrics: pd.DataFrame, response: str, framework: str, gate: Reason) -> dict[str, Any]:
    """Return the row of a response that a gate stopped."""
    return counts(metrics, response, framework) | {"gate": gate.sentence, "gate_code": gate.code}


def counts(metrics: pd.DataFrame, response: str, framework: str) -> dict[str, Any]:
    """Return the facts of a study that hold whether or not a surface is fitted."""
    baseline = metrics.drop_duplicates("dataset")[f"baseline_{response}"]
    return {
        "response": response,
        "framework": framework,
        "points": metrics["point_id"].nunique(),
        "seeds": metrics["seed"].nunique(),
        "datasets": metrics["dataset"].nunique(),
        "baseline_value": float(baseline.mean()) if baseline.notna().all() else None,
        "diverged": int((metrics["status"] == "diverged").sum()),
        "missing": int((metrics["status"] == "missing").sum()),
    }


def profile_rows(surface: Surface) -> Rows:
    """Return the predicted response along each factor, the others at the centre."""
    x = np.linspace(-1, 1, PROFILE_POINTS)
    rows = []
    for name, coding in surface.codings.items():
        found = predicted(surface, {other: x * (other == name) for other in surface.codings})
        values = zip(coding.natural(x).tolist(), found, strict=True)
        rows += [{"response": surface.response, "factor": name, "value": value} | row for value, row in values]
    return rows


def surface_rows(surface: Surface) -> Rows:
    """Return the predicted response over each pair of factors, the others at the centre."""
    grid = [axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, SURFACE_POINTS)] * 2)]
    rows = []
    for pair in itertools.combinations(surface.codings, 2):
        others = {name: coding for name, coding in surface.codings.items() if name not in pair}
        centre = {name: np.zeros_like(grid[0]) for name in others}
        held = ", ".join(f"{name} = {float(coding.natural(0.0)):.4g}" for name, coding in others.items())
        who = {"response": surface.response, "factor_x": pair[0], "factor_y": pair[1], "held": held}
        levels = [surface.codings[name].natural(axis).tolist() for name, axis in zip(pair, grid, strict=True)]
        found = predicted(surface, centre | dict(zip(pair, grid, strict=True)))
        rows += [who | {"value_x": x, "value_y": y} | row for x, y, row in zip(*levels, found, strict=True)]
    return rows
