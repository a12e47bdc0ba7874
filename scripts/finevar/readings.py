"""Fits as tidy rows: coefficients in coded and natural units, effects with verdicts, quality of fit, predictions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from finevar.coding import Codings, Term, step_unit, term_group, terms
from finevar.gates import gate_sentence, leverages
from finevar.regression import Surface, fit_relative, fit_surface, predicted

PROFILE_POINTS = 41
SURFACE_POINTS = 25
# The change of the response over a term's whole range, per unit of its coded coefficient: low to high for a first-order
# term, the customary half difference of effects for an interaction, centre to edge for a square.
SPAN = {"first_order": 2.0, "two_way": 2.0, "quadratic": 1.0}

Rows = list[dict[str, Any]]


def fit_study(
    metrics: pd.DataFrame,
    codings: Codings,
    baseline: Mapping[str, float],
    *,
    responses: Sequence[str],
    order: str,
    confidence: float,
) -> dict[str, Rows]:
    """Fit every response; return rows of the tables coefficients, effects, fits, profiles and surface.

    metrics: a study's runs (records.STUDY_METRICS). baseline: the baseline's level of each factor, natural.
    A response that a gate stops has rows in fits, with the sentence under gate, and nowhere else.
    """
    tables: dict[str, Rows] = {name: [] for name in ("coefficients", "effects", "fits", "profiles", "surface")}
    for response in responses:
        columns = terms(list(codings), order)
        used = metrics[(metrics["status"] == "ok") & metrics[response].notna()].reset_index(drop=True)
        gate = gate_sentence(metrics, used, response, codings, columns)
        if gate:
            tables["fits"] += [stopped_fit(metrics, response, name, gate) for name in ("absolute", "relative")]
            continue
        surface = fit_surface(used, response, codings, columns, confidence)
        tables["coefficients"] += coefficient_rows(surface, "absolute")
        tables["fits"].append(fit_row(surface, metrics, "absolute"))
        if used[f"baseline_{response}"].isna().any():
            tables["fits"].append(stopped_fit(metrics, response, "relative", f"the baseline has no {response}."))
        else:
            relative, deviation = fit_relative(surface, baseline)
            tables["coefficients"] += coefficient_rows(relative, "relative")
            row = fit_row(relative, metrics, "relative")
            tables["fits"].append(row | {"largest_identity_deviation": deviation})
        tables["effects"] += effect_rows(surface)
        tables["profiles"] += profile_rows(surface)
        tables["surface"] += surface_rows(surface)
    adjust(tables["coefficients"], ("framework", "units"), 1 - confidence)
    adjust(tables["effects"], (), 1 - confidence)
    return tables


def coefficient_rows(surface: Surface, framework: str) -> Rows:
    """Return a row per parameter in coded and in natural units."""
    rows = []
    t = surface.quantile(surface.confidence)
    for number, name in enumerate(surface.names):
        term = surface.columns[number] if number < len(surface.columns) else None
        estimate, error = float(surface.fit.params[number]), float(surface.fit.bse[number])
        group = "block" if term is None else term_group(term)
        for units in ("coded", "natural"):
            scale = 1.0 if units == "coded" or term is None else natural_scale(surface.codings, term)
            row = {
                "response": surface.response,
                "framework": framework,
                "units": units,
                "term": name,
                "group": group,
                "unit": term_unit(surface.codings, term, units),
                "estimate": estimate * scale,
                "std_error": error * scale,
                "df": surface.fit.df_resid,
                "t_value": estimate / error,
                "ci_low": (estimate - t * error) * scale,
                "ci_high": (estimate + t * error) * scale,
                "p_value": float(surface.fit.pvalues[number]),
            }
            if group in SPAN:
                row |= verdict_facts(surface, SPAN[group] * estimate, SPAN[group] * error)
            rows.append(row)
    return rows


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


def verdict_facts(surface: Surface, change: float, error: float) -> dict[str, Any]:
    """Return what a verdict needs besides the adjusted p: whether the change is shown to be below the smallest effect.

    Two one-sided tests (Schuirmann 1987): the interval of twice the error rate lies within +- the smallest effect.
    """
    smallest = surface.smallest_effect
    if smallest is None:
        return {"negligible": False, "reason": "no noise floor: give two seeds or more"}
    reach = abs(change) + surface.quantile(2 * surface.confidence - 1) * error
    return {"negligible": bool(reach < smallest)}


def effect_rows(surface: Surface) -> Rows:
    """Return the change of the response from each factor's lowest to highest level, the others at the centre."""
    t = surface.quantile(surface.confidence)
    rows = []
    for name, coding in surface.codings.items():
        number = surface.columns.index((name,))
        slope, error = float(surface.fit.params[number]), float(surface.fit.bse[number])
        rows.append(
            {
                "response": surface.response,
                "factor": name,
                "from_level": float(min(coding.levels)),
                "to_level": float(max(coding.levels)),
                "change": 2 * slope,
                "std_error": 2 * error,
                "ci_low": 2 * (slope - t * error),
                "ci_high": 2 * (slope + t * error),
                "per_unit": slope * coding.step,
                "per_unit_ci_low": (slope - t * error) * coding.step,
                "per_unit_ci_high": (slope + t * error) * coding.step,
                "unit": step_unit(name, coding.scale),
                "p_value": float(surface.fit.pvalues[number]),
                "smallest_effect": surface.smallest_effect,
                **verdict_facts(surface, 2 * slope, 2 * error),
            }
        )
    return rows


def adjust(rows: Rows, families: Sequence[str], alpha: float) -> None:
    """Add, in place, Benjamini-Hochberg adjusted p-values within each family, and the verdicts made from them.

    A family is all rows with a verdict (no intercept, no block) that agree in the named columns.
    """
    judged = [row for row in rows if "negligible" in row]
    groups = itertools.groupby(sorted(judged, key=family_of(families)), key=family_of(families))
    for _, members in groups:
        family = list(members)
        adjusted = multipletests([row["p_value"] for row in family], method="fdr_bh")[1]
        for row, p in zip(family, adjusted, strict=True):
            row["p_adjusted"] = float(p)
            negligible = row.pop("negligible")
            row["verdict"] = "negligible" if negligible else "effect" if p < alpha else "undecided"


def family_of(columns: Sequence[str]) -> Any:
    """Return a function that gives a row's family."""
    return lambda row: tuple(row[column] for column in columns)


def fit_row(surface: Surface, metrics: pd.DataFrame, framework: str) -> dict[str, Any]:
    """Return how well a surface fits, and what it rests on."""
    fit, runs = surface.fit, surface.runs
    leave_out = fit.resid / (1 - leverages(fit.model.exog))
    return counts(metrics, surface.response, framework) | {
        "runs": len(runs),
        "parameters": len(surface.names),
        "df_residual": float(fit.df_resid),
        "r2": float(fit.rsquared),
        "r2_adjusted": float(fit.rsquared_adj),
        "r2_predicted": float(1 - (leave_out**2).sum() / fit.centered_tss),
        "residual_sd": float(np.sqrt(fit.ssr / fit.df_resid)),
        "pure_error_sd": surface.pure_error_sd,
        "pure_error_df": float(surface.pure_error_df),
        "test_set_se": surface.test_set_se,
        "smallest_effect": surface.smallest_effect,
        "covariance": "HC3",
    }


def stopped_fit(metrics: pd.DataFrame, response: str, framework: str, gate: str) -> dict[str, Any]:
    """Return the row of a response that a gate stopped."""
    return counts(metrics, response, framework) | {"gate": gate}


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
