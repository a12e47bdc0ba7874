"""How often trade-offs of simulated studies err: points of the true front, and intervals of what is known."""

from __future__ import annotations

import numpy as np
import pytest
from tests.calibration import simulate as studies
from tests.calibration import tradeoffs as calibration

STUDIES = 25
REACH = 3 * (0.05 * 0.95 / STUDIES) ** 0.5  # of a rate of 5 %

pytestmark = pytest.mark.usefixtures("fewer_draws")


def test_the_true_front_is_hardly_ever_called_dominated_where_noise_grows():
    shape = studies.DESIGNS["small"]
    draws = (np.random.default_rng([17, number]) for number in range(STUDIES))
    false = [calibration.called_dominated(shape, "growing", generator) for generator in draws]
    assert np.mean(false) <= 0.05 + REACH


@pytest.mark.parametrize("noise", ["independent", "trajectories"])
def test_intervals_of_trade_offs_hold_the_truth(noise):
    shape, held = studies.DESIGNS["small"], {}
    for number in range(STUDIES):
        for kind, success in calibration.intervals(shape, noise, np.random.default_rng([18, number])):
            held.setdefault(kind, []).append(success)
    for kind, found in held.items():
        assert np.mean(found) > 0.95 - REACH, kind
