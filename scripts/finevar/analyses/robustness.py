"""Whether the main conclusions survive other reasonable analyses of the same runs, all of them at once.

A specification is a coding of the factors, a degree of the surface, a covariance of the errors and a scale of the
response (a multiverse: Steegen, Tuerlinckx, Gelman & Vanpaemel 2016). Those that the runs cannot support are named with
the reason; those that are known to be wrong here, such as independent errors for runs that share a trajectory, are left
out.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finevar.analyses.fits import change_weights, effect_rows
from finevar.analyses.gates import flat_squares
from finevar.metrics import towards
from finevar.statistics.checks import unequal_noise
from finevar.statistics.covariance import Errors, Fit, fit_ols
from finevar.statistics.optimum import design_points, point_contrasts
from finevar.statistics.regression import Surface, contrast
from finevar.statistics.sensitivity import agreement, as_trajectories, estimable, unbounded
from finevar.statistics.verdicts import adjust_families, columns_key, judge
from finevar.study.coding import (
    TERM_ORDER,
    Coding,
    Codings,
    Term,
    aliased_terms,
    design_matrix,
    leverages,
    terms,
)

CONFIGURED = "as configured"
RAW, UNBOUNDED = "raw", "unbounded"
CLASSICAL = "classical"

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Specification:
    """One way to analyse a response, with the surface that it gives."""

    coding: str
    degree: str
    covariance: str
    scale: str
    reported: bool
    surface: Surface

    @property
    def names(self) -> dict[str, Any]:
        """Return what tells it apart."""
        names = ("coding", "degree", "covariance", "scale", "reported")
        return {name: getattr(self, name) for name in names}


def robustness_rows(surfaces: Sequence[Surface]) -> Rows:
    """Return rows of the table robustness: for each response and conclusion, a row a specification, the reported first.

    surfaces: the reported ones, of every response that no gate stopped. A conclusion is the verdict on a factor, or
    (factor "") the setting that is recommended.
    """
    reported = [row for surface in surfaces for row in effect_rows(surface)]
    if reported:
        adjust_families(reported, columns_key(()), "fdr_bh", "effect")
        judge(reported, surfaces[0].alpha)
    verdicts = {(row["response"], row["factor"]): row["verdict"] for row in reported}
    return [row for surface in surfaces for row in response_rows(surface, verdicts)]


def response_rows(surface: Surface, verdicts: Mapping[tuple[str, str], str]) -> Rows:
    """Return the rows of one response."""
    tried, untried = specifications(surface)
    tried.sort(key=lambda specification: not specification.reported)
    best = int(np.argmax(oriented_values(tried[0].surface)[0]))
    conclusions = {name: verdicts[surface.response, name] for name in surface.codings}
    conclusions[""] = str(design_points(surface)[0]["point_id"].iloc[best])
    rows = []
    for factor, conclusion in conclusions.items():
        about = {"response": surface.response, "factor": factor, "conclusion": conclusion}
        found = [change_row(each, tried[0], factor) if factor else setting_row(each, best) for each in tried]
        rows += [about | each.names | row for each, row in zip(tried, found, strict=True)]
        rows += [about | row for row in untried]
    return rows


# Specifications -------------------------------------------------------------------------------------------------------


def specifications(surface: Surface) -> tuple[list[Specification], Rows]:
    """Return the specifications that the runs support, and the names of those that they do not, with the reason."""
    tried: list[Specification] = []
    untried: Rows = []
    unequal = unequal_noise(surface) is not None
    degrees = degrees_of(list(surface.codings))
    for (coding, codings), (degree, columns) in itertools.product(codings_of(surface.codings).items(), degrees.items()):
        matrix, names = design_matrix(surface.runs, codings, columns)
        reason = unsupported(surface, columns, matrix, names)
        if reason:
            untried.append({"coding": coding, "degree": degree, "reported": False, "reason": reason})
            continue
        same = codings == surface.codings and columns == surface.columns
        form = dataclasses.replace(surface, codings=codings, columns=columns, names=names)
        for scale, values in scales_of(surface).items():
            for covariance, errors in covariances_of(surface, matrix, unequal=unequal).items():
                fitted = dataclasses.replace(form, fit=fit_with(values, matrix, covariance, errors), errors=errors)
                reported = same and scale == RAW and covariance == surface.errors.kind
                tried.append(Specification(coding, degree, covariance, scale, reported, fitted))
    return tried, untried


def codings_of(configured: Codings) -> dict[str, Codings]:
    """Return the codings to try, by name, each once: the config's, all levels as they are, and their logarithms."""
    plain = {name: Coding(coding.levels, "identity") for name, coding in configured.items()}
    logs = {
        name: Coding(coding.levels, "log2") if min(coding.levels) > 0 else coding for name, coding in configured.items()
    }
    found = {CONFIGURED: configured}
    for name, codings in {"identity": plain, "log2": logs}.items():
        if logarithms(codings) != logarithms(configured):
            found[name] = codings
    return found


def logarithms(codings: Codings) -> list[bool]:
    """Say which factors are on a logarithmic scale; of which base makes no difference in coded units."""
    return [coding.logarithmic for coding in codings.values()]


def degrees_of(factors: Sequence[str]) -> dict[str, list[Term]]:
    """Return the degrees to try, each with its terms; one that adds none to the degree before is left out."""
    found: dict[str, list[Term]] = {}
    for degree in TERM_ORDER:
        columns = terms(factors, degree)
        if columns not in found.values():
            found[degree] = columns
    return found


def unsupported(surface: Surface, columns: Sequence[Term], matrix: np.ndarray, names: Sequence[str]) -> str | None:
    """Say why the runs cannot support a matrix [runs, parameters], or return None."""
    few = flat_squares(surface.runs, columns)
    if few:
        return few
    aliased = aliased_terms(matrix, names)
    if aliased:
        return f"the runs cannot tell these terms from those before them: {', '.join(aliased)}"
    if len(matrix) <= len(names) or leverages(matrix).max() > 1 - 1e-8:
        return "the runs are too few for its terms"
    if surface.errors.clusters is not None and not estimable(matrix, surface.errors):
        return "the trajectories are too few for its terms"
    return None


def scales_of(surface: Surface) -> dict[str, np.ndarray]:
    """Return the response [runs] on the scales to try: as it is, and without bounds where no run lies on one."""
    free = unbounded(surface)
    return {RAW: surface.fit.values} | ({} if free is None else {UNBOUNDED: free})


def covariances_of(surface: Surface, matrix: np.ndarray, *, unequal: bool) -> dict[str, Errors]:
    """Return the covariances to try: only those that do not contradict what is known of the runs' errors."""
    if surface.errors.clusters is not None:
        return {surface.errors.kind: surface.errors}
    found = {surface.errors.kind: surface.errors} | ({} if unequal else {CLASSICAL: surface.errors})
    if "epochs" in surface.codings:
        errors = as_trajectories(surface)
        found |= {errors.kind: errors} if estimable(matrix, errors) else {}
    return found


def fit_with(values: np.ndarray, matrix: np.ndarray, covariance: str, errors: Errors) -> Fit:
    """Fit values [runs] with one of the covariances."""
    fit = fit_ols(values, matrix, errors)
    return dataclasses.replace(fit, cov=fit.bread * fit.ssr / fit.df_resid) if covariance == CLASSICAL else fit


# Conclusions ----------------------------------------------------------------------------------------------------------


def change_row(each: Specification, reported: Specification, factor: str) -> dict[str, Any]:
    """Return the change along a factor, better above zero, and whether it has the same sign and side of the error rate.

    The p-values are single ones: the verdict that is reported counts all effects, so it may be undecided where p is
    below the error rate.
    """
    row, default = (
        {"estimate": towards(found.surface.response) * change.estimate, "p_value": change.p_value}
        for found in (each, reported)
        for change in [contrast(found.surface, change_weights(found.surface, factor))]
    )
    return row | {"agrees": agreement(row, default, each.surface.alpha)}


def setting_row(each: Specification, best: int) -> dict[str, Any]:
    """Return by how much another tried setting is better than the recommended one, and whether it is told from it.

    best: the number of the recommended one. Its p is one-sided and counts all other settings (Bonferroni), since the
    best of them is looked at; there is none where the specification recommends the same setting.
    """
    values, weights = oriented_values(each.surface)
    own = int(np.argmax(values))
    if own == best:
        return {"estimate": 0.0, "agrees": True}
    gap = contrast(each.surface, towards(each.surface.response) * (weights[own] - weights[best]))
    p_value = min(1.0, gap.p_value / 2 * (len(values) - 1))
    return {"estimate": gap.estimate, "p_value": p_value, "agrees": p_value >= each.surface.alpha}


def oriented_values(surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions at the tried settings, higher being better, and their weights [settings, parameters]."""
    weights = point_contrasts(surface, design_points(surface)[1])
    return towards(surface.response) * weights @ surface.fit.params, weights
