"""Exchanges against exhaustive search, published designs, and those of another program."""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np
import pytest

from finevar.study import exchange
from finevar.study.exchange import exchanged, improved, start


def quadratic(levels: np.ndarray) -> np.ndarray:
    """Return the matrix [settings, terms] of the full quadratic model in coded levels [settings, factors]."""
    pairs = itertools.combinations(levels.T, 2)
    return np.column_stack([np.ones(len(levels)), levels, *(one * other for one, other in pairs), levels**2])


def grid(factors: int) -> np.ndarray:
    return np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=factors)))


def average_variance(design: np.ndarray, candidates: np.ndarray) -> float:
    covariance = np.linalg.inv(design.T @ design)
    return float(np.mean([row @ covariance @ row for row in candidates]))


def log_determinant(design: np.ndarray, candidates: np.ndarray) -> float:
    return -float(np.linalg.slogdet(design.T @ design)[1])


MEASURES = {"I": average_variance, "D": log_determinant}
RELATIVE = {"I": lambda own, best: own / best - 1, "D": lambda own, best: np.exp((own - best) / 6) - 1}


@pytest.mark.parametrize("criterion", ["I", "D"])
@pytest.mark.parametrize("size", [6, 7, 8])
def test_two_factors_are_as_good_as_the_best_of_all_subsets(size, criterion):
    candidates, measure = quadratic(grid(2)), MEASURES[criterion]
    subsets = (candidates[list(rows)] for rows in itertools.combinations(range(9), size))
    best = min(measure(each, candidates) for each in subsets if np.linalg.matrix_rank(each) == 6)
    own = measure(candidates[exchanged(candidates, size, criterion=criterion)], candidates)
    assert abs(RELATIVE[criterion](own, best)) < 0.01


def test_levels_that_are_not_even_are_as_good_as_the_best_of_all_subsets():
    candidates = quadratic(np.array(list(itertools.product((-1.0, -0.2, 1.0), (-1.0, -0.5, 0.5, 1.0)))))
    subsets = (candidates[list(rows)] for rows in itertools.combinations(range(12), 9))
    best = min(average_variance(each, candidates) for each in subsets if np.linalg.matrix_rank(each) == 6)
    assert average_variance(candidates[exchanged(candidates, 9)], candidates) <= 1.01 * best


def test_rows_that_are_there_already_count():
    candidates = quadratic(grid(2))
    fixed, free = candidates[:4], range(4, 9)
    ways = (np.vstack([fixed, candidates[list(rows)]]) for rows in itertools.combinations(free, 3))
    best = min(average_variance(each, candidates) for each in ways if np.linalg.matrix_rank(each) == 6)
    added = exchanged(candidates, 3, fixed=fixed)
    assert average_variance(np.vstack([fixed, candidates[added]]), candidates) <= 1.01 * best


@pytest.mark.parametrize("size", [1, 2, 3])
def test_settings_for_one_contrast_are_as_good_as_the_best_of_all_subsets(size):
    """Beside five settings that are there: the variance of a slope, and of an interaction, over all subsets."""
    candidates = quadratic(grid(2))
    fixed = candidates[[0, 2, 4, 6, 7, 5]]
    for contrast in (np.array([0, 2.0, 0, 0, 0, 0]), np.array([0, 0, 0, 2.0, 0, 0]), np.array([0, 1.0, 0, 1, 0, 0])):
        variances = [
            float(
                contrast @ np.linalg.inv(fixed.T @ fixed + candidates[list(rows)].T @ candidates[list(rows)]) @ contrast
            )
            for rows in itertools.combinations(range(9), size)
        ]
        added = candidates[exchanged(candidates, size, fixed=fixed, moments=np.outer(contrast, contrast))]
        found = contrast @ np.linalg.inv(fixed.T @ fixed + added.T @ added) @ contrast
        assert found == pytest.approx(min(variances))


def test_the_published_design_of_eight_runs_is_reached():
    """By skpr 0.4638889, by AlgDesign 0.7166667, for X1 + X2 + X1^2 + X2^2, both judged by skpr.

    That is the average variance over the square, not over the candidates, of a design with a repeated centre.
    """
    candidates = np.tile(quadratic(grid(2))[:, [0, 1, 2, 4, 5]], (8, 1))
    moments = np.diag([1, 1 / 3, 1 / 3, 1 / 5, 1 / 5])
    moments[0, 3:] = moments[3:, 0] = 1 / 3
    moments[3, 4] = moments[4, 3] = 1 / 9
    generator, found = np.random.default_rng(0), []
    for _ in range(5):
        first = start(candidates, 8, np.zeros((5, 5)), generator)
        chosen = candidates[improved(candidates, first, np.zeros((5, 5)), moments, "I")]
        found.append(np.trace(np.linalg.inv(chosen.T @ chosen) @ moments))
    assert min(found) == pytest.approx(0.4638889, rel=0.01)


@pytest.mark.parametrize(("factors", "size", "variance"), [(3, 15, 0.69623), (3, 20, 0.50413), (6, 42, 0.66486)])
def test_designs_are_as_good_as_those_of_pyoptex(factors, size, variance):
    """By pyoptex 1.2.1: continuous factors, Iopt(complete=False), full quadratic model, 10 tries, set_seed(1).

    Its settings, all of them at -1, 0 and 1, were judged by their average variance over the grid of three levels.
    """
    candidates = quadratic(grid(factors))
    assert average_variance(candidates[exchanged(candidates, size)], candidates) <= 1.01 * variance


def test_four_numeric_and_two_further_factors_of_three_levels_take_few_exchanges(monkeypatch):
    """About one for each row of a start, so that the time grows as the work of one exchange does."""
    counted = mock.Mock(side_effect=exchange.exchange_gains)
    monkeypatch.setattr(exchange, "exchange_gains", counted)
    monkeypatch.setattr(exchange, "STARTS", 5)
    assert len(set(exchanged(quadratic(grid(6)), 42))) == 42
    assert counted.call_count <= 5 * 2 * 42


def test_levels_that_hardly_differ_end_the_search():
    close = np.array(list(itertools.product((-1.0, -1.0 + 5e-7, 1.0), (-1.0, 0.0, 1.0))))
    assert exchanged(quadratic(close), 9) == list(range(9))
    assert len(exchanged(quadratic(close), 7)) == 7


def test_a_seed_gives_the_same_rows_and_another_may_give_others():
    candidates = quadratic(grid(4))
    assert exchanged(candidates, 23, seed=1) == exchanged(candidates, 23, seed=1)
    assert exchanged(candidates, 23, seed=1) != exchanged(candidates, 23, seed=2)
