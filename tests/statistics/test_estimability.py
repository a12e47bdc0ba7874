"""Every obstacle to a fit is found on the smallest runs that have it, and its absence on runs that do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finevar.statistics import estimability
from finevar.statistics.covariance import CLASSICAL, INDEPENDENT, clustered_by
from finevar.study.coding import Coding, terms

LINE = np.array([-1.0, -1, 0, 0, 1, 1])
STRAIGHT = np.column_stack([np.ones(6), LINE])
ALONE = np.column_stack([np.ones(6), [0.0, 0, 0, 0, 0, 1]])  # the last run alone decides the slope
PAIRS, THREE_AND_THREE = clustered_by(np.array(list("aabbcc")), ""), clustered_by(np.array(list("aaabbb")), "")
ENDS = clustered_by(np.array(list("abcdee")), "")


@pytest.mark.parametrize(
    ("matrix", "errors", "kind"),
    [
        (STRAIGHT, INDEPENDENT, None),
        (STRAIGHT, PAIRS, None),
        (np.column_stack([STRAIGHT, 2 * LINE]), INDEPENDENT, "aliased"),
        (np.eye(3), CLASSICAL, "no_residual"),
        (ALONE, CLASSICAL, None),  # classical errors need no refit without the run
        (ALONE, INDEPENDENT, "leverage"),
        (STRAIGHT, THREE_AND_THREE, "few_clusters"),
        (np.column_stack([np.ones(6), [0.0, 0, 0, 0, 1, 1]]), ENDS, "cluster_leverage"),
    ],
)
def test_each_obstacle_is_found(matrix, errors, kind):
    found = estimability.obstacle(matrix, errors)
    assert (found and found.code) == kind
    assert found is None or found.parameters == matrix.shape[1]


def test_clusters_must_outnumber_what_is_tested_only():
    """Three clusters do for a slope beside its intercept, whatever else the matrix holds."""
    matrix = np.column_stack([STRAIGHT, [1.0, -1, 1, -1, 1, -1]])
    assert estimability.obstacle(matrix, PAIRS).code == "few_clusters"
    assert estimability.obstacle(matrix, PAIRS, tested=2) is None


def test_terms_are_named_and_too_few_levels_come_first():
    codings = {name: Coding((1.0, 2, 3), "identity") for name in ("epochs", "batch_size")}
    runs = pd.DataFrame({"epochs": [1, 1, 3, 3, 1, 3], "batch_size": [1, 2, 3, 1, 2, 3], "seed": 0, "dataset": "a"})
    found = estimability.model_obstacle(runs, codings, terms(list(codings), "quadratic"), INDEPENDENT)
    assert (found.code, found.levels) == ("few_levels", ("epochs", 2, 3, False))
    tied = runs.assign(batch_size=runs["epochs"])
    assert estimability.model_obstacle(tied, codings, terms(list(codings), "first_order"), INDEPENDENT).aliased == (
        "batch_size",
    )
