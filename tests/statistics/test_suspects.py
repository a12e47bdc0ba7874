"""Suspect runs: robust residuals against statsmodels and normal theory, and fits with and without the suspects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.robust.norms import HuberT
from statsmodels.robust.robust_linear_model import RLM
from test_noise import normal, surface
from test_regression import BASELINE, CODINGS

from finevar.analyses.fits import FittedStudy, Plan
from finevar.reasons import Stop
from finevar.statistics import sensitivity
from finevar.statistics.robust import huber_residuals
from finevar.statistics.suspects import robust_residuals, suspects, without_suspects


def odd_by(metrics: pd.DataFrame, row: int, sds: float) -> pd.DataFrame:
    """Return a study with one run so many standard deviations of its noise, 0.01, too low."""
    return metrics.assign(accuracy=metrics["accuracy"] - sds * 0.01 * (np.arange(len(metrics)) == row))


def test_of_normal_noise_residuals_are_standard_normal():
    """Twelve studies of 108 runs: a share of 1 - 2 Phi(-1) within one, hardly any beyond four."""
    found = np.concatenate([robust_residuals(surface(normal(4, seed))) for seed in range(12)])
    assert np.mean(np.abs(found) < 1) == pytest.approx(1 - 2 * stats.norm.sf(1), abs=0.03)
    assert np.abs(found).max() < 5


@pytest.mark.parametrize("seed", range(5))
def test_the_huber_fit_is_that_of_statsmodels(seed):
    """75 runs with t3 noise of 0.01, 14 parameters; in standard deviations of the noise."""
    generator = np.random.default_rng(seed)
    matrix = np.column_stack([np.ones(75), generator.normal(size=(75, 13))])
    values = 0.9 + 0.01 * generator.standard_t(3, size=75)
    theirs = RLM(values, matrix, M=HuberT()).fit(maxiter=200)
    assert huber_residuals(values, matrix) == pytest.approx(theirs.resid, abs=1e-8 * theirs.scale)


def test_a_perfect_fit_leaves_no_residuals():
    matrix = np.column_stack([np.ones(6), np.arange(6.0)])
    assert huber_residuals(matrix @ [1.0, 2.0], matrix) == pytest.approx(np.zeros(6), abs=1e-12)


@pytest.mark.parametrize("seeds", [1, 2, 4])
@pytest.mark.parametrize("row", [0, 13])
def test_an_odd_run_is_found_alone(seeds, row):
    """At a corner and at the centre; with one seed the scale is that of the fit's own residuals."""
    found = suspects(surface(odd_by(normal(seeds, 2), row, 20)))
    assert np.flatnonzero(found).tolist() == [row]


def test_runs_of_a_setting_with_more_noise_are_not_odd():
    """Noise of 0.01 at the middle rate and e^2 times that at the highest."""
    found = [surface(normal(4, seed, growth=2.0)) for seed in range(10)]
    assert sum(suspects(fitted).any() for fitted in found) <= 1


def test_two_odd_runs_do_not_hide_each_other():
    metrics = odd_by(odd_by(normal(2, 2), 20, 40), 40, 40)
    assert np.flatnonzero(suspects(surface(metrics))).tolist() == [20, 40]


def test_suspects_stay_in_the_fit_and_the_other_fit_is_shown_beside():
    metrics = odd_by(normal(2, 2), 0, 60)
    fitted = surface(metrics)
    assert len(fitted.runs) == 54
    again = without_suspects(fitted)
    assert list(again.runs["run_id"]) == list(metrics["run_id"][1:])
    rows = pd.DataFrame(sensitivity.sensitivity_rows(fitted))
    shown = rows[rows["specification"] == "without_suspects"].set_index("term")["estimate"]
    expected = np.linalg.lstsq(again.fit.matrix, metrics["accuracy"][1:], rcond=None)[0]
    assert shown["learning_rate"] == pytest.approx(expected[again.names.index("learning_rate")])
    clean = surface(normal(2, 2))
    assert without_suspects(clean) is clean
    assert "without_suspects" not in {row["specification"] for row in sensitivity.sensitivity_rows(clean)}


def test_a_study_without_its_suspects():
    metrics = odd_by(normal(2, 2), 0, 60)
    study = FittedStudy.of(metrics, Plan(CODINGS, BASELINE, ["accuracy", "loss"], "quadratic", 0.95))
    other = study.without_suspects()
    assert [len(one.runs) for one in other.surfaces] == [53, 54]
    assert other.surfaces[1] is study.surfaces[1]


def test_where_the_rest_estimates_too_little_the_other_fit_is_stopped():
    """One point alone has the third level of epochs: one of its two runs is odd, and which of them none can say."""
    metrics = normal(2, 2)
    metrics = metrics[(metrics["epochs"] < 3) | (metrics["point_id"] == metrics["point_id"].iloc[-1])]
    metrics = odd_by(metrics.reset_index(drop=True), len(metrics) - 1, 60)
    study = FittedStudy.of(metrics, Plan(CODINGS, BASELINE, ["accuracy"], "quadratic", 0.95))
    assert not study.stopped
    assert study.without_suspects().stopped["accuracy"].code == Stop.FEW_LEVELS


def test_ties_make_no_suspects():
    metrics = normal(2, 2)
    metrics.loc[metrics["learning_rate"] < 4e-4, "accuracy"] = 1.0
    assert suspects(surface(metrics)).sum() <= 1
