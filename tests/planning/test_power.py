"""A design's power against statsmodels, against simulated studies and against hand calculation."""

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

from finevar.planning import power
from finevar.reasons import Stop
from finevar.statistics.covariance import errors_of, fit_ols
from finevar.study.coding import Coding
from finevar.study.config import read_config

STUDIES = 20_000
REACH = 4 * (0.8 * 0.2 / STUDIES) ** 0.5  # four binomial standard errors


def design(raw: dict[str, Any], **changes: Any) -> power.Design:
    """Return the design of a study with other parts of its sweep, training or analysis."""
    raw = copy.deepcopy(raw)
    for path, value in changes.items():
        section, _, key = path.partition("__")
        raw.setdefault(section, {})[key] = value
    return power.planned_design(read_config(raw))


# A design -------------------------------------------------------------------------------------------------------------


def simulated_power(planned: power.Design, found: power.Detectable, *, seed: int) -> np.ndarray:
    """Return, for each parameter, the share of studies that find it when it is as large as told (HC3 and t)."""
    x = planned.matrix
    noise = np.random.default_rng(seed).standard_normal((STUDIES, len(x)))
    weights = x @ np.linalg.inv(x.T @ x)
    estimates = noise @ weights
    residuals = noise - estimates @ x.T
    leverages = (weights * x).sum(1)
    errors = np.sqrt((residuals / (1 - leverages)) ** 2 @ weights**2)
    return (np.abs((estimates + found.effects) / errors) > stats.t.isf(0.025, found.df)).mean(0)


@pytest.mark.parametrize(
    "changes",
    [{}, {"sweep__seeds": [0, 1, 2, 3], "sweep__design": {"kind": "box_behnken"}}, {"analysis__model": "first_order"}],
)
def test_the_studys_own_tests_find_what_is_told(raw_config, changes):
    """HC3 errors vary more than the ordinary ones, which the noncentral t does not know of: within 1.5 points."""
    planned = design(raw_config, **changes)
    found = power.detectable_effects(planned, alpha=0.05)
    rates = simulated_power(planned, found, seed=5)
    assert np.abs(rates - 0.8).max() < 0.015 + REACH


def test_ordinary_errors_would_promise_too_much(raw_config):
    """What the ordinary error promises is found less often by the study's tests: the simulation can tell."""
    planned = design(raw_config)
    found = power.detectable_effects(planned, alpha=0.05)
    ordinary = found.std_errors * power.detectable(found.df, 0.05)
    promised = power.Detectable(found.std_errors, ordinary, found.df, 0.05, 0.8)
    assert simulated_power(planned, promised, seed=5).max() < 0.76


def test_clustered_errors_are_those_of_the_fits(raw_config):
    """The mean of CR3 over studies of independent noise is what the design says it is."""
    changes = {"training__schedule": "constant", "training__warmup": 0.0, "sweep__seeds": [0, 1, 2, 3]}
    planned = design(raw_config, **changes)
    found = power.detectable_effects(planned, alpha=0.05)
    errors = errors_of(planned.runs)
    assert found.df == errors.count - 1 == 35
    draw = np.random.default_rng(3)
    fits = [fit_ols(draw.standard_normal(len(planned.runs)), planned.matrix, errors) for _ in range(400)]
    mean = np.sqrt(np.mean([np.diag(fit.cov) for fit in fits], axis=0))
    t, wanted = stats.t.isf(0.025, 35), stats.norm.ppf(0.8)
    told = found.effects / found.std_errors
    widening = mean / found.std_errors
    assert told == pytest.approx([power.detectable(35, 0.05, widening=wide) for wide in widening], rel=0.05)
    assert (told > t + wanted).all()


def test_a_two_level_factor_by_hand():
    """Four runs a level, noise 0.01: standard error 0.01 / sqrt(8), six degrees of freedom."""
    matrix = np.column_stack([np.ones(8), np.repeat([-1.0, 1.0], 4)])
    runs = pd.DataFrame({"trajectory_id": range(8)})
    codings = {"epochs": Coding((1.0, 3.0), "identity")}
    planned = power.Design(runs, codings, [(), ("epochs",)], matrix, ["intercept", "epochs"])
    found = power.detectable_effects(planned, alpha=0.05)
    row, *others = power.term_rows(planned, found, noise_sd=0.01)
    assert not others
    assert found.std_errors == pytest.approx([8**-0.5] * 2)
    coded = 0.01 * 8**-0.5 * power.detectable(6, 0.05, widening=(1 - 1 / 4) ** -0.5)
    assert row["coded"] == pytest.approx(coded)
    assert row["change"] == pytest.approx(2 * coded)
    assert row["natural"] == pytest.approx(coded)  # one coded unit is one epoch
    assert row["unit"] == "per epoch"


def test_natural_units_are_per_doubling(raw_config):
    planned = design(raw_config)
    rows = {row["term"]: row for row in power.term_rows(planned, power.detectable_effects(planned, 0.05), 0.004)}
    assert rows["learning_rate"]["natural"] == pytest.approx(rows["learning_rate"]["coded"] / 2)  # 16-fold: 4 doublings
    assert rows["batch_size:epochs"]["natural"] == pytest.approx(rows["batch_size:epochs"]["coded"])
    assert rows["learning_rate^2"]["natural"] == pytest.approx(rows["learning_rate^2"]["coded"] / 4)
    assert rows["learning_rate^2"]["change"] == pytest.approx(rows["learning_rate^2"]["coded"])


def test_four_times_the_runs_halve_what_is_found(raw_config):
    """But for degrees of freedom, which are many in both."""
    few = power.detectable_effects(design(raw_config, sweep__seeds=list(range(10))), 0.05)
    many = power.detectable_effects(design(raw_config, sweep__seeds=list(range(40))), 0.05)
    assert many.effects[:10] == pytest.approx(few.effects[:10] / 2, rel=0.03)


def test_strictness_is_that_of_bonferroni(raw_config):
    found = power.detectable_effects(design(raw_config, sweep__seeds=list(range(40))), 0.05)
    ratio = (stats.norm.isf(0.025 / 27) + stats.norm.ppf(0.8)) / (stats.norm.isf(0.025) + stats.norm.ppf(0.8))
    assert power.strictness(found, 27) == pytest.approx(ratio, rel=0.005)


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
    noise = power.expected_noise("accuracy", finished([[0.80, 0.82]] * 5), eval_examples=500)
    assert (noise.sd, noise.df) == (pytest.approx(0.0002**0.5), 5)
    low, high = noise.interval(0.95)
    assert low == pytest.approx(0.0002**0.5 * 0.6242, rel=1e-3)  # sqrt(5 / 12.8325), from a table of chi-squared
    assert high == pytest.approx(0.0002**0.5 * 2.4526, rel=1e-3)  # sqrt(5 / 0.831212)


def test_the_prior_is_taken_before():
    for runs in (pd.DataFrame(), finished([[0.80, 0.82]] * 4), finished([[0.8]] * 20).assign(status="diverged")):
        noise = power.expected_noise("accuracy", runs, eval_examples=500)
        assert (noise.sd, noise.df, noise.interval(0.95)) == (0.0045, None, None)
    fresh = power.expected_noise("accuracy", pd.DataFrame(), eval_examples=500)
    assert fresh.test_set_se == pytest.approx(0.01597, abs=1e-5)  # sqrt(0.85 0.15 / 500)


def test_a_response_without_a_prior_has_no_noise():
    noise = power.expected_noise("mcc", pd.DataFrame(), eval_examples=500)
    assert noise.sd is None


def test_detection_rests_on_ordinary_least_squares(raw_config):
    planned = design(raw_config)
    fit = sm.OLS(np.random.default_rng(1).standard_normal(54), planned.matrix).fit()
    assert power.detectable_effects(planned, 0.05).std_errors == pytest.approx(fit.bse / np.sqrt(fit.mse_resid))
