"""Designs compared: average prediction variances against numpy by hand, and what each can estimate."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest

from finevar.planning.comparison import Compared, compared_designs
from finevar.study.config import read_config


def compared(raw: dict[str, Any], model: str = "quadratic", **design: Any) -> dict[str, Compared]:
    raw = copy.deepcopy(raw)
    raw["sweep"]["design"] = {"kind": "full_factorial", "include_baseline": False, **design}
    raw["analysis"] = {"model": model}
    return {each.kind: each for each in compared_designs(read_config(raw))}


def quadratic(places: np.ndarray) -> np.ndarray:
    pairs = itertools.combinations(places.T, 2)
    return np.column_stack([np.ones(len(places)), places, *(one * other for one, other in pairs), places**2])


GRID = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))


def average(places: np.ndarray, predicted: np.ndarray = GRID) -> float:
    matrix, rows = quadratic(places), quadratic(predicted)
    return float(np.mean([row @ np.linalg.inv(matrix.T @ matrix) @ row for row in rows]))


def test_the_own_design_comes_first_and_the_others_are_those_of_its_levels(raw_config):
    found = compared(raw_config, kind="central_composite")
    assert list(found) == ["central_composite", "full_factorial", "box_behnken", "definitive", "optimal"]
    assert [each.settings for each in found.values()] == [15, 27, 13, 9, 15]
    assert [each.runs for each in found.values()] == [30, 54, 26, 18, 30]  # two seeds


def test_beside_all_combinations_an_optimal_design_has_the_fewest_settings_that_carry_the_model(raw_config):
    assert compared(raw_config)["optimal"].settings == 15  # 1.5 for each of ten terms


def test_variances_are_those_of_least_squares_over_the_grid(raw_config):
    """The average over a grid's own settings is terms / settings; two seeds halve each."""
    found = compared(raw_config)
    corners = GRID[np.abs(GRID).sum(1) == 3]
    faces, middles, centre = (GRID[np.abs(GRID).sum(1) == count] for count in (1, 2, 0))
    assert found["full_factorial"].variance == pytest.approx(10 / 27 / 2)
    assert found["central_composite"].variance == pytest.approx(average(np.vstack([corners, faces, centre])) / 2)
    assert found["box_behnken"].variance == pytest.approx(average(np.vstack([middles, centre])) / 2)
    own = found["full_factorial"].runs
    assert found["central_composite"].at(own) == pytest.approx(found["central_composite"].variance * 30 / 54)


def test_an_optimal_design_of_as_many_settings_predicts_no_worse(raw_config):
    found = compared(raw_config, kind="central_composite")
    assert found["optimal"].variance <= found["central_composite"].variance * (1 + 1e-9)


def test_what_is_not_separated_is_named_and_has_no_variance(raw_config):
    screening = compared(raw_config)["definitive"]
    assert screening.aliased
    assert screening.variance is None
    assert screening.at(54) is None
    assert compared(raw_config, model="first_order")["definitive"].aliased == ()


def test_forbidden_settings_are_neither_tried_nor_predicted(raw_config):
    found = compared(raw_config, where="batch_size * epochs <= 64")
    allowed = np.array([place for place in GRID if 2 ** (place[1] + 4) * (place[2] + 2) <= 64])
    assert found["full_factorial"].settings == len(allowed) == 24
    assert found["full_factorial"].variance == pytest.approx(10 / 24 / 2)


def test_levels_that_fit_one_kind_alone_are_compared_with_what_they_allow(raw_config):
    raw_config["sweep"]["factors"]["epochs"]["levels"] = [1, 2, 3, 4]
    assert list(compared(raw_config, kind="optimal", runs=20)) == ["optimal", "full_factorial"]
