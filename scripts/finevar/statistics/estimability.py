"""Whether runs can estimate a model's parameters and their errors: one check, which each caller puts in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from finevar.reasons import Stop
from finevar.statistics.covariance import CLASSICAL, Errors, jackknifes
from finevar.study.coding import Codings, Shortfall, Term, design_matrix, too_few_levels
from finevar.study.matrices import aliased_terms, leverages


class Obstacle(NamedTuple):
    """The first thing that keeps a model from being estimated."""

    code: Stop  # FEW_LEVELS to CLUSTER_LEVERAGE
    parameters: int = 0  # how many there are, but for FEW_LEVELS
    levels: Shortfall | None = None  # of FEW_LEVELS
    aliased: tuple[str, ...] = ()  # names of the parameters, of ALIASED


def model_obstacle(runs: pd.DataFrame, codings: Codings, columns: Sequence[Term], errors: Errors) -> Obstacle | None:
    """Return what first keeps runs from estimating a surface of these terms, or None."""
    short = too_few_levels({name: runs[name].nunique() for name in codings}, columns)
    if short:
        return Obstacle(Stop.FEW_LEVELS, levels=short)
    matrix, names = design_matrix(runs, codings, columns)
    return obstacle(matrix, errors, names=names)


def obstacle(
    matrix: np.ndarray, errors: Errors, *, names: Sequence[str] | None = None, tested: int | None = None
) -> Obstacle | None:
    """Return what first keeps the parameters of a matrix [runs, parameters] from being estimated, or None.

    HC3 and CR3 are jackknives: each parameter must be estimable without any one run or cluster, and clusters must
    outnumber the parameters that are tested; without a number, all of them are.
    """
    runs, parameters = matrix.shape
    if aliased := aliased_terms(matrix, names or [""] * parameters):
        return Obstacle(Stop.ALIASED, parameters, aliased=tuple(aliased))
    if runs <= parameters:
        return Obstacle(Stop.NO_RESIDUAL, parameters)
    if errors.kind == CLASSICAL.kind:
        return None
    if errors.clusters is not None and errors.count <= (tested or parameters):
        return Obstacle(Stop.FEW_CLUSTERS, parameters)
    if leverages(matrix).max() > 1 - 1e-8:
        return Obstacle(Stop.LEVERAGE, parameters)
    if errors.clusters is not None and not jackknifes(matrix, errors.clusters):
        return Obstacle(Stop.CLUSTER_LEVERAGE, parameters)
    return None
