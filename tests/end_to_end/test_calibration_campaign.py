"""Simulated studies of known truth, a smaller version of `make calibrate`: seeds are fixed, so rates repeat exactly.

Over N studies the rate of a test at 5 % lies within three standard errors, 3 sqrt(0.05 0.95 / N), unless it is wrong.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from tests.calibration import simulate

from finevar.statistics import covariance, regression
from finevar.study.coding import terms

STUDIES = 100
REACH = 3 * (0.05 * 0.95 / STUDIES) ** 0.5

pytestmark = pytest.mark.usefixtures("fewer_draws")


@pytest.fixture(scope="module", params=simulate.NOISES)
def rates(request, fewer_draws) -> tuple[str, dict[str, float], dict[str, float]]:
    """Return, for a kind of noise, the mean share of p below 5 % and of intervals that hold the truth, by kind."""
    shape = simulate.DESIGNS["small"]
    below, hold = defaultdict(list), defaultdict(list)
    for number in range(STUDIES):
        runs = simulate.simulate(shape, request.param, np.random.default_rng([11, number]))
        for kind, _, p in simulate.p_values(runs, shape, draws=99):
            if p is not None:
                below[kind].append(p < simulate.ALPHA)
        for kind, _, held in simulate.intervals(runs, shape):
            hold[kind].append(held)
    means = ({kind: float(np.mean(found)) for kind, found in counts.items()} for counts in (below, hold))
    return request.param, *means


def test_no_p_value_finds_too_much(rates):
    noise, below, _ = rates
    false = {kind: rate for kind, rate in below.items() if rate > 0.05 + REACH}
    looked_for = {"check: breusch_pagan", "check: normality"} if noise == "growing" else set()
    # What is withheld under growing noise is seen only in the few studies where the noise passes for equal.
    rare = {"ladder, sequential F", "sensitivity: classical", "check: reset"}
    assert set(false) - (rare if noise == "growing" else set()) == looked_for


def test_tests_that_need_independent_runs_are_withheld_where_runs_share_trajectories(rates):
    noise, below, _ = rates
    needing = {"ladder, sequential F", "sensitivity: classical", "check: lack_of_fit", "check: normality"}
    assert needing & set(below) == (set() if noise == "trajectories" else needing)


def test_intervals_hold_the_truth(rates):
    noise, _, hold = rates
    # What seeds do to all of their runs is part of a prediction for new ones, and two seeds cannot tell how much it is.
    predictions = [] if noise == "shared_seeds" else ["predicted means"]
    for kind in ("coefficients", "effects", "slopes: baseline", "slopes: simple", *predictions):
        assert 0.95 - REACH < hold[kind] < 0.99, kind
    assert hold["bound of the regret (at least)"] > 0.95
    for name in ("B1",) if noise == "shared_seeds" else ("B0", "B1"):  # B0's shift is one that few seeds cannot tell
        assert hold[f"difference from {name}, all settings at once"] > 0.95 - REACH, name


def test_the_counting_sees_errors_that_are_wrong():
    """Take runs that share trajectories for independent: the rate of false findings must show it."""
    shape = simulate.DESIGNS["small"]
    columns = terms(list(shape.codings), "quadratic")
    false = []
    for number in range(STUDIES):
        runs = simulate.simulate(shape, "trajectories", np.random.default_rng([11, number]))
        alone = covariance.Errors("HC3", None, "")
        surface = regression.fit_surface(runs, "null", shape.codings, columns, 0.95, alone)
        between = [
            columns.index(term) for term in (("learning_rate",), ("batch_size",), ("learning_rate", "batch_size"))
        ]
        false.append(surface.fit.pvalues[between] < simulate.ALPHA)
    assert np.mean(false) > 0.05 + REACH
