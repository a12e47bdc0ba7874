"""Simulated studies of nested factors: their truth by hand, and that all of it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from tests.calibration import nested
from tests.calibration.simulate import drawing_less

FULL = {"method": "full", "learning_rate": 1e-4, "batch_size": 32, "schedule": "linear", "lora_rank": None}
LORA = FULL | {"method": "lora", "learning_rate": 2e-3, "lora_rank": 32}


def test_the_truth_of_a_setting_is_the_sum_of_half_its_factors_sizes():
    sizes = {"method": 0.02, "learning_rate": 0.04, "batch_size": 0.06, "schedule": 0.0, "lora_rank": 0.1}
    assert nested.true_mean(sizes, FULL) == pytest.approx(0.36 - 0.01 - 0.02 + 0.03)
    assert nested.true_mean(sizes, LORA) == pytest.approx(0.36 + 0.01 + 0.03 + 0.05)  # the middle of its own rates


def test_simulated_means_are_those_of_the_truth_within_their_errors():
    study = nested.simulated("clean", 4, 0)
    gaps = [row["loss"] - nested.true_mean(study.sizes, row) for row in study.runs.to_dict("records")]
    reach = 4 * (nested.DIFFICULTY**2 + 5 * nested.INTERACTION**2) ** 0.5 / nested.SENTENCES**0.5
    assert np.abs(gaps).max() < reach + 4 * (nested.SHIFT + nested.RUN)
    assert not (study.runs["learning_rate"].isin([2e-3, 4e-3]) & (study.runs["learning_rate"] == 4e-3)
                & (study.runs["schedule"] == "constant")).any()  # fmt: skip


def test_every_score_is_a_share():
    with drawing_less():
        _, _, found = nested.rates(("clean", 4, range(2)))
    assert {name for name in found if name.startswith("simple effects")} == {
        f"simple effects of {name}: covered" for name in nested.FACTORS
    }
    assert all(0 <= value <= 1 for values in found.values() for value in values)
