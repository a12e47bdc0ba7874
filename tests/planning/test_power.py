"""A design's power against statsmodels and hand calculation; tests/calibration/power.py simulates whole studies."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.stats.power import TTestPower

from finevar.planning import power
from finevar.reasons import Stop
from finevar.study.coding import Coding
from finevar.study.config import read_config


def design(raw: dict[str, Any], **changes: Any) -> power.Design:
    """Return the design of a study with other parts of its sweep, training or analysis."""
    raw = copy.deepcopy(raw)
    for path, value in changes.items():
        section, _, key = path.partition("__")
        raw.setdefault(section, {})[key] = value
    return power.planned_design(read_config(raw))


# A design -------------------------------------------------------------------------------------------------------------


ALPHA = 0.05
NOISE = power.Noise(sd=0.005, df=None, sentence_sd=0.0, sentences=500)


def test_the_variance_of_a_change_is_that_of_least_squares(raw_config):
    """Without seeds' blocks: what a seed shifts is part of the population, and cancels in a balanced design."""
    planned = design(raw_config, sweep__design={"kind": "central_composite", "include_baseline": False})
    kept = [number for number, name in enumerate(planned.names) if not name.startswith("seed[")]
    fit = sm.OLS(np.random.default_rng(1).standard_normal(len(planned.runs)), planned.matrix[:, kept]).fit()
    for factor in planned.codings:
        twice = 2 * np.eye(len(kept))[planned.columns.index((factor,))]
        expected = (fit.t_test(twice).sd.item()) ** 2 / fit.mse_resid
        assert power.change_variance(planned, factor) == pytest.approx(expected)


def test_a_two_level_factor_by_hand():
    """Four seeds at each level: four differences of variance 2 x 0.01^2, three degrees of freedom, one direction."""
    matrix = np.column_stack([np.ones(8), np.repeat([-1.0, 1.0], 4)])
    runs = pd.DataFrame({"seed": [*range(4)] * 2, "dataset": "amazon"})
    codings = {"epochs": Coding((1.0, 3.0), "identity")}
    planned = power.Design(runs, codings, [(), ("epochs",)], matrix, ["intercept", "epochs"])
    (found,) = power.found_changes(planned, power.Noise(0.01, None, 0.0, 500), ALPHA)
    expected = 0.01 * math.sqrt(2) * TTestPower().solve_power(nobs=4, alpha=ALPHA, power=0.8)
    assert (found.change, found.slope) == (pytest.approx(expected, rel=1e-5), pytest.approx(expected / 2, rel=1e-5))
    assert (found.factor, found.unit, found.seed_share) == ("epochs", "per epoch", 1.0)
    assert (found.seeds, found.sentences) == (None, None)  # nothing is wanted


def test_a_factor_is_tested_as_often_as_it_has_terms(raw_config):
    """In a quadratic of three factors four times: a slope, a curvature and two interactions."""
    planned = design(raw_config, sweep__seeds=list(range(40)))
    quadratic, *_ = power.found_changes(planned, NOISE, ALPHA)
    linear, *_ = power.found_changes(
        design(raw_config, sweep__seeds=list(range(40)), analysis__model="first_order"), NOISE, ALPHA
    )
    ratio = TTestPower().solve_power(nobs=40, alpha=ALPHA / 4, power=0.8)
    ratio /= TTestPower().solve_power(nobs=40, alpha=ALPHA, power=0.8)
    assert quadratic.change / linear.change == pytest.approx(ratio, rel=1e-4)


def test_crossed_seeds_find_no_more_than_as_many_as_there_are_of_one_part(raw_config):
    """Sixteen runs of a setting that share four orders: where all noise is of the order, four seeds find as much."""
    several = ({"init": 5, "order": 4}, [0, 1, 2, 3], {"init": 5})
    crossed, alone, *others = (design(raw_config, sweep__seeds=seeds) for seeds in several)
    assert [each.seeds for each in (crossed, alone, *others)] == [4, 4, 5]
    for one, other in zip(*(power.found_changes(each, NOISE, ALPHA) for each in (crossed, alone)), strict=True):
        assert one.change == pytest.approx(other.change)


def test_natural_units_are_per_doubling(raw_config):
    rate, _, epochs = power.found_changes(design(raw_config), NOISE, ALPHA)
    assert rate.slope == pytest.approx(rate.change / 4)  # 16-fold: 4 doublings
    assert epochs.slope == pytest.approx(epochs.change / 2)


def test_four_times_the_seeds_halve_what_is_found(raw_config):
    """But for degrees of freedom, which are many in both."""
    few, many = (
        power.found_changes(design(raw_config, sweep__seeds=list(range(count))), NOISE, ALPHA) for count in (40, 160)
    )
    for less, more in zip(few, many, strict=True):
        assert more.change == pytest.approx(less.change / 2, rel=0.05)


def test_sentences_needed_are_those_of_each_data_set(raw_config):
    """Sentences alone, 0.1 apart: 0.1 (z + z') / sqrt(N) = 0.01, shared by two data sets."""
    noise = power.Noise(1e-9, None, 0.1, 1000)
    raw = copy.deepcopy(raw_config)
    raw["sweep"]["datasets"] = ["amazon", "movies"]
    found, *_ = power.found_changes(power.planned_design(read_config(raw)), noise, ALPHA, wanted=0.01)
    whole = (0.1 * (stats.norm.isf(ALPHA / 4 / 2) + stats.norm.ppf(0.8)) / 0.01) ** 2
    assert 2 * found.sentences == pytest.approx(whole, rel=0.1)
    assert found.seed_share == pytest.approx(0, abs=1e-9)


def test_unknown_noise_finds_nothing(raw_config):
    assert power.found_changes(design(raw_config), power.Noise(None, None, 0.1, 500), ALPHA) == []
    assert power.found_changes(design(raw_config), power.Noise(0.01, None, None, 500), ALPHA) == []


def test_strictness_is_that_of_bonferroni():
    ratio = (stats.norm.isf(0.025 / 9) + stats.norm.ppf(0.8)) / (stats.norm.isf(0.025) + stats.norm.ppf(0.8))
    assert power.strictness(1e6, ALPHA, 9) == pytest.approx(ratio, rel=1e-4)


# Terms apart ----------------------------------------------------------------------------------------------------------


def test_variance_inflation_agrees_with_statsmodels(raw_config):
    planned = design(raw_config, sweep__design={"kind": "latin_hypercube", "points": 20, "include_baseline": False})
    found = power.diagnose(planned.matrix, planned.names)
    theirs = [variance_inflation_factor(planned.matrix, column) for column in range(1, planned.parameters)]
    assert list(found.vif.values()) == pytest.approx(theirs, rel=1e-9)
    assert found.rank == planned.parameters == 11
    assert planned.df_residual == 40 - 11
    assert found.aliased == []
    scaled = planned.matrix / np.linalg.norm(planned.matrix, axis=0)
    assert found.condition == pytest.approx(np.linalg.cond(scaled), rel=1e-9)
    first, second, r = found.worst_pair
    columns = {name: planned.matrix[:, number] for number, name in enumerate(planned.names)}
    assert r == pytest.approx(stats.pearsonr(columns[first], columns[second])[0])
    correlations = np.abs(pd.DataFrame(planned.matrix[:, 1:]).corr().to_numpy() - np.eye(planned.parameters - 1))
    assert abs(r) == pytest.approx(correlations.max())


def test_aliases_are_named():
    x = np.array([-1.0, -1, 1, 1, 0, 0])
    matrix = np.column_stack([np.ones(6), x, 2 * x, [0, 1, 0, 1, 0, 1]])
    found = power.diagnose(matrix, ["intercept", "a", "b", "c"])
    assert (found.rank, found.aliased) == (3, ["b"])
    assert set(found.vif.values()) == {math.inf}
    assert found.worst_pair == ("a", "b", pytest.approx(1))


def test_one_factor_has_no_pair():
    matrix = np.column_stack([np.ones(4), [-1.0, 1, -1, 1]])
    found = power.diagnose(matrix, ["intercept", "a"])
    assert found.worst_pair is None
    assert found.vif == {"a": pytest.approx(1)}


def test_the_gate_is_told_before_any_run(raw_config):
    assert power.planned_gate(design(raw_config)) is None
    shared = {"training__schedule": "constant", "training__warmup": 0.0, "sweep__seeds": [0]}
    assert power.planned_gate(design(raw_config, **shared)).code == Stop.FEW_CLUSTERS


# Noise ----------------------------------------------------------------------------------------------------------------


def finished(values: list[list[float]]) -> pd.DataFrame:
    """Return finished runs: accuracies of the seeds of each point."""
    rows = [
        {"status": "ok", "dataset": "amazon", "point_id": point, "seed": seed, "accuracy": value, "accuracy_se": 0.012}
        for point, seeds in enumerate(values)
        for seed, value in enumerate(seeds)
    ]
    return pd.DataFrame(rows)


def test_the_studys_own_noise_is_taken_once_there_is_enough():
    """Five pairs that differ by 0.02: a variance of 0.0002 each, five degrees of freedom."""
    noise = power.expected_noise("accuracy", finished([[0.80, 0.82]] * 5), [500])
    assert (noise.sd, noise.df) == (pytest.approx(0.0002**0.5), 5)
    low, high = noise.interval(0.95)
    assert low == pytest.approx(0.0002**0.5 * 0.6242, rel=1e-3)  # sqrt(5 / 12.8325), from a table of chi-squared
    assert high == pytest.approx(0.0002**0.5 * 2.4526, rel=1e-3)  # sqrt(5 / 0.831212)


def test_the_prior_is_taken_before():
    for runs in (pd.DataFrame(), finished([[0.80, 0.82]] * 4), finished([[0.8]] * 20).assign(status="diverged")):
        noise = power.expected_noise("accuracy", runs, [500])
        assert (noise.sd, noise.df, noise.interval(0.95)) == (0.0045, None, None)
        assert (noise.sentence_sd, noise.sentences) == (0.13, 500)


def test_a_small_data_set_tells_less_than_its_share():
    """The mean over data sets of 100 and 300 has the error of one with 4 / (1/100 + 1/300)."""
    assert power.expected_noise("accuracy", pd.DataFrame(), [100, 300]).sentences == pytest.approx(300)
    assert power.expected_noise("accuracy", pd.DataFrame(), [500, 500]).sentences == pytest.approx(1000)


def test_a_response_without_a_prior_has_no_noise():
    noise = power.expected_noise("mcc", pd.DataFrame(), [500])
    assert noise.sd is None
