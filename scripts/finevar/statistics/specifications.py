"""Other reasonable analyses of the same runs: codings, degrees, covariances and scales, and when two of them agree.

All of them at once are a multiverse (Steegen, Tuerlinckx, Gelman & Vanpaemel 2016). Those that are known to be wrong
for these runs, such as independent errors where runs share a trajectory, are left out.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from finevar.metrics import RESPONSES
from finevar.statistics.covariance import CLASSICAL, Errors, clustered_by, fit_ols
from finevar.statistics.estimability import Obstacle, model_obstacle, obstacle
from finevar.statistics.regression import Surface
from finevar.study.coding import TERM_ORDER, Codings, Term, design_matrix, numbers_of, terms

CONFIGURED = "as configured"
RAW, UNBOUNDED = "raw", "unbounded"
TRAJECTORY_BEYOND_EPOCHS = ("dataset", "seed")


def specifications(surface: Surface) -> list[tuple[dict[str, Any], Surface | Obstacle]]:
    """Return the specifications by what sets them apart: the reported one, others, those that the runs do not support.

    A specification is the surface that it gives, or what keeps its coding and degree from being estimated.
    """
    found: list[tuple[dict[str, Any], Surface | Obstacle]] = []
    free = unbounded(surface)
    scales = {RAW: surface.fit.values} | ({} if free is None else {UNBOUNDED: free})
    forms = itertools.product(codings_to_try(surface.codings).items(), degrees_to_try(surface.codings).items())
    for (coding, codings), (degree, columns) in forms:
        names = {"coding": coding, "degree": degree, "reported": False}
        if lacking := model_obstacle(surface.runs, codings, columns, surface.errors):
            found.append((names, lacking))
            continue
        matrix, parameters = design_matrix(surface.runs, codings, columns)
        form = dataclasses.replace(surface, codings=codings, columns=columns, names=parameters)
        same = codings == surface.codings and columns == surface.columns
        others = other_errors(surface, matrix).values()
        covariances = [surface.errors, *(errors for errors in others if isinstance(errors, Errors))]
        for (scale, values), errors in itertools.product(scales.items(), covariances):
            as_reported = scale == RAW and errors is surface.errors
            fit = fit_ols(values, matrix, errors)
            fitted = dataclasses.replace(form, fit=fit, errors=errors, own_errors=True)
            reported = same and as_reported
            found.append((names | {"covariance": errors.kind, "scale": scale, "reported": reported}, fitted))
    return sorted(found, key=lambda each: (isinstance(each[1], Obstacle), not each[0]["reported"]))


def agreement(row: Mapping[str, Any], reported: Mapping[str, Any], alpha: float) -> bool | None:
    """Say whether a p-value agrees with the reported one on the sign and on the side of the error rate.

    A range of p-values, p_low to p_high, must lie on one side. None where there is no p-value.
    """
    below = reported["p_value"] < alpha
    if row.get("p_high") is not None:
        return row["p_high"] < alpha if below else row["p_low"] >= alpha
    if row.get("p_value") is None:
        return None
    same_sign = row.get("estimate") is None or row["estimate"] * reported["estimate"] >= 0
    return bool((row["p_value"] < alpha) == below and (same_sign or not below))


def codings_to_try(configured: Codings) -> dict[str, Codings]:
    """Return the codings to try, by name, each once: the config's, all levels as they are, and their logarithms.

    Of which base a logarithm is makes no difference in coded units.
    """
    numbers = numbers_of(configured)
    positive = {name: own for name, own in numbers.items() if min(own.levels) > 0}
    plain = configured | {name: dataclasses.replace(own, scale="identity") for name, own in numbers.items()}
    logs = configured | {name: dataclasses.replace(own, scale="log2") for name, own in positive.items()}
    found = {CONFIGURED: configured}
    for name, codings in {"identity": plain, "log2": logs}.items():
        if any(codings[factor].logarithmic != own.logarithmic for factor, own in configured.items()):
            found[name] = codings
    return found


def degrees_to_try(codings: Codings) -> dict[str, list[Term]]:
    """Return the degrees to try, each with its terms; one that adds none to the degree before is left out."""
    found: dict[str, list[Term]] = {}
    for degree in TERM_ORDER:
        columns = terms(codings, degree)
        if columns not in found.values():
            found[degree] = columns
    return found


def other_errors(surface: Surface, matrix: np.ndarray) -> dict[str, Errors | str]:
    """Return the errors to try beside the surface's own for a matrix [runs, parameters], or why each is left out.

    Clustered as if runs that differ in epochs only, at one seed, shared a trajectory.
    """
    clustered: Errors | str = "clusters are the default's, or epochs are no factor"
    if surface.errors.clusters is None and "epochs" in surface.codings:
        same = [*(name for name in surface.codings if name != "epochs"), *TRAJECTORY_BEYOND_EPOCHS]
        clustered = clustered_by(surface.runs.groupby(same, sort=False, dropna=False).ngroup().to_numpy(), "")
        clustered = "too few clusters" if obstacle(matrix, clustered) else clustered
    return {"classical": surface.unequal or CLASSICAL, "clustered": clustered}


def unbounded(surface: Surface) -> np.ndarray | None:
    """Return the response on its unbounded scale, the logarithm or the logit, or None where a run lies on a bound."""
    values = surface.fit.values
    low, high = RESPONSES[surface.response].bounds
    if values.min() <= low or values.max() >= high:
        return None
    if high == np.inf:
        return np.log(values - low)
    share = (values - low) / (high - low)
    return np.log(share / (1 - share))
