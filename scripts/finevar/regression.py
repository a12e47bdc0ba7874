"""Response surfaces: one fit per response, read as absolute and as relative to the baseline.

y = Q(x) b + blocks + e, Q the terms of the surface in coded units, seeds and data sets as fixed blocks coded to sum to
zero, so that every other estimate is a mean over them. Ordinary least squares with HC3 standard errors and t
(MacKinnon & White 1985; Long & Ervin 2000). A gate stops a table with a sentence before any p-value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.regression.linear_model import RegressionResultsWrapper
from statsmodels.stats.multitest import multipletests

from finevar.coding import Coding, Term, model_matrix, step_unit, term_group, term_name, terms

PROFILE_POINTS = 41
SURFACE_POINTS = 25
# The change of the response over a term's whole range, per unit of its coded coefficient: low to high for a first-order
# term, the customary half difference of effects for an interaction, centre to edge for a square.
SPAN = {"first_order": 2.0, "two_way": 2.0, "quadratic": 1.0}

Codings = Mapping[str, Coding]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Surface:
    """A fitted response surface and what its verdicts are measured against."""

    response: str
    codings: Codings
    columns: list[Term]
    names: list[str]  # of all parameters: terms, then blocks
    fit: RegressionResultsWrapper
    runs: pd.DataFrame
    confidence: float
    pure_error_sd: float | None
    pure_error_df: int
    test_set_se: float | None

    @property
    def smallest_effect(self) -> float | None:
        """Return the smallest effect of interest: twice the seeds' noise or the test set's, whichever is larger."""
        noise = [2 * self.pure_error_sd] if self.pure_error_sd is not None else []
        noise += [self.test_set_se] if self.test_set_se is not None else []
        return max(noise, default=None)

    def quantile(self, confidence: float) -> float:
        """Return the t quantile of a two-sided interval."""
        return float(stats.t.ppf((1 + confidence) / 2, self.fit.df_resid))


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


# Gates ----------------------------------------------------------------------------------------------------------------


def gate_sentence(
    metrics: pd.DataFrame, used: pd.DataFrame, response: str, codings: Codings, columns: Sequence[Term]
) -> str | None:
    """Return why this response's table must stop, or None."""
    cells = ["dataset", "point_id"]
    empty = set(metrics[cells].itertuples(index=False)) - set(used[cells].itertuples(index=False))
    if empty:
        told = ", ".join(sorted(f"{point} on {dataset}" for dataset, point in empty)[:5])
        return (
            f"{len(empty)} of {metrics.groupby(cells).ngroups} cells have no finished run with a {response} ({told}): "
            "a surface through the rest would be extrapolated there. Drop the level that causes this, or mend the runs."
        )
    repeated = used.duplicated([*cells, "seed"]).sum()
    if repeated:
        return f"{repeated} rows repeat another row's point, data set and seed: replicates that are not independent."
    if np.ptp(used[response]) == 0:
        return f"{response} is {used[response].iloc[0]:g} in every run: there is nothing to explain."
    matrix, names = design_matrix(used, codings, columns)
    aliased = aliased_terms(matrix, names)
    if aliased:
        return (
            f"the design cannot tell these terms from the ones before them: {', '.join(aliased)}. "
            "Add points or levels, or choose a smaller analysis.model."
        )
    if len(used) <= len(names):
        return f"{len(used)} runs leave no residual degree of freedom for {len(names)} parameters. Add seeds or points."
    if leverages(matrix).max() > 1 - 1e-8:
        return "one run alone decides a parameter (leverage 1), so its error cannot be estimated. Add seeds or points."
    return None


def aliased_terms(matrix: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the columns that are linear combinations of those before them."""
    basis, aliased = np.empty((len(matrix), 0)), []
    for column, name in zip(matrix.T, names, strict=True):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if np.linalg.norm(rest) <= 1e-9 * max(np.linalg.norm(column), 1e-300):
            aliased.append(name)
        else:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return aliased


def leverages(matrix: np.ndarray) -> np.ndarray:
    """Return the diagonal of the hat matrix."""
    q, _ = np.linalg.qr(matrix)
    return (q**2).sum(1)


# Fits -----------------------------------------------------------------------------------------------------------------


def design_matrix(
    runs: pd.DataFrame, codings: Codings, columns: Sequence[Term], origin: Mapping[str, float] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Return the matrix [runs, parameters] and the parameters' names.

    origin: natural levels that become zero; the design's centre without it.
    """
    coded = {name: coding.coded(runs[name]) for name, coding in codings.items()}
    if origin is not None:
        coded = {name: x - codings[name].coded(origin[name]) for name, x in coded.items()}
    parts, names = [model_matrix(coded, columns)], [term_name(term) for term in columns]
    for block in ("seed", "dataset"):
        levels = sorted(runs[block].unique())
        last = (runs[block] == levels[-1]).to_numpy(float)
        for level in levels[:-1]:
            parts.append((runs[block] == level).to_numpy(float) - last)
            names.append(f"{block}[{level}]")
    return np.column_stack(parts), names


def fit_surface(runs: pd.DataFrame, response: str, codings: Codings, columns: list[Term], confidence: float) -> Surface:
    """Fit the absolute surface of a response."""
    matrix, names = design_matrix(runs, codings, columns)
    fit = sm.OLS(runs[response].to_numpy(), matrix).fit(cov_type="HC3", use_t=True)
    error, error_df = pure_error(runs, response)
    se = f"{response}_se"
    test_set = float(runs[se].median()) if se in runs and runs[se].notna().any() else None
    return Surface(response, codings, columns, names, fit, runs, confidence, error, error_df, test_set)


def pure_error(runs: pd.DataFrame, response: str) -> tuple[float | None, int]:
    """Return the standard deviation among the seeds of one cell, pooled over cells, and its degrees of freedom."""
    cells = runs.groupby(["dataset", "point_id"])[response]
    within = runs[response] - cells.transform("mean")
    df = len(runs) - cells.ngroups
    return (float(np.sqrt((within**2).sum() / df)) if df > 0 else None), df


def fit_relative(surface: Surface, baseline: Mapping[str, float]) -> tuple[Surface, float]:
    """Fit y - y0 about the baseline's levels; return it with the largest deviation from the absolute fit's reading.

    The two are one fit (fitted values, residuals, second-order terms; first-order terms are the absolute surface's
    slopes at the baseline), which the deviation checks on every quantity: relative to the largest of its kind.
    """
    frozen = surface.runs[f"baseline_{surface.response}"].to_numpy()
    change = surface.runs[surface.response].to_numpy() - frozen
    matrix, names = design_matrix(surface.runs, surface.codings, surface.columns, baseline)
    fit = sm.OLS(change, matrix).fit(cov_type="HC3", use_t=True)
    relative = Surface(
        surface.response,
        surface.codings,
        surface.columns,
        names,
        fit,
        surface.runs,
        surface.confidence,
        surface.pure_error_sd,
        surface.pure_error_df,
        surface.test_set_se,
    )
    slopes = slopes_at(surface, baseline)
    kept = [number for number, term in enumerate(surface.columns) if term]
    read = surface.fit.t_test(slopes[kept])
    pairs = [
        (fit.resid, surface.fit.resid),
        (fit.params[kept], read.effect),
        (fit.bse[kept], read.sd.ravel() if np.ndim(read.sd) == 1 else np.sqrt(np.diag(read.cov_params()))),
    ]
    return relative, max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def slopes_at(surface: Surface, levels: Mapping[str, float]) -> np.ndarray:
    """Return the contrasts [terms, parameters] that read each term of the surface about other levels as its origin.

    The slope of x_j at x0 is b_j + 2 b_jj x0_j + sum_k b_jk x0_k; a second-order term stays what it is.
    """
    x0 = {name: float(coding.coded(levels[name])) for name, coding in surface.codings.items()}
    contrasts = np.zeros((len(surface.columns), len(surface.names)))
    for row, term in enumerate(surface.columns):
        for column, other in enumerate(surface.columns):
            contrasts[row, column] = shift_weight(term, other, x0)
    return contrasts


def shift_weight(term: Term, other: Term, x0: Mapping[str, float]) -> float:
    """Return the weight of `other`'s coefficient in `term`'s after moving the origin to x0.

    Expand prod(d_k + x0_k) over the factors of `other`: the part whose d-product is `term`.
    """
    rest = list(other)
    for name in term:
        if name not in rest:
            return 0.0
        rest.remove(name)
    ways = 2 if len(term) == 1 and len(other) == 2 and other[0] == other[1] else 1
    return ways * float(np.prod([x0[name] for name in rest]))


# Rows -----------------------------------------------------------------------------------------------------------------


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


def predicted(surface: Surface, coded: Mapping[str, np.ndarray]) -> Iterator[dict[str, float]]:
    """Yield prediction, standard error and interval of the mean response at coded points, blocks averaged."""
    terms_only = model_matrix(coded, surface.columns)
    rows = np.column_stack([terms_only, np.zeros((len(terms_only), len(surface.names) - len(surface.columns)))])
    values = rows @ surface.fit.params
    errors = np.sqrt(np.einsum("ij,jk,ik->i", rows, surface.fit.cov_params(), rows))
    t = surface.quantile(surface.confidence)
    for value, error in zip(values, errors, strict=True):
        low, high = value - t * error, value + t * error
        yield {"predicted": float(value), "std_error": float(error), "ci_low": float(low), "ci_high": float(high)}


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
