"""Noise between seeds: its model against statsmodels, and what one odd run, ties and bounds do to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_regression import CODINGS, study

from finevar.statistics import noise, regression, robust
from finevar.study.coding import terms

PLACES = study()[list(CODINGS)].drop_duplicates().to_dict("records")


def surface(metrics: pd.DataFrame) -> regression.Surface:
    return regression.fit_surface(metrics, "accuracy", CODINGS, terms(list(CODINGS), "quadratic"), 0.95)


def normal(seeds: int, seed: int, growth: float = 0.0) -> pd.DataFrame:
    """Return a study of 27 points with normal noise of 0.01 that grows with the learning rate."""
    metrics, draw = study(seeds=seeds), np.random.default_rng(seed)
    sd = 0.01 * np.exp(growth * CODINGS["learning_rate"].coded(metrics["learning_rate"]))
    return metrics.assign(accuracy=0.9 + sd * draw.normal(size=len(metrics)))


def sds(metrics: pd.DataFrame) -> np.ndarray:
    return np.sqrt([variance for variance, _ in noise.modelled_noise(surface(metrics), PLACES)])


def test_the_scale_is_that_of_normal_deviations_and_an_odd_run_is_cut():
    draw = np.random.default_rng(1).normal(scale=3, size=100_000)
    assert robust.scale(draw) == pytest.approx(3, rel=0.02)
    cut = robust.winsorised(np.append(draw, 500.0))
    assert cut[-1] == pytest.approx(9, rel=0.02)
    assert np.mean(cut[:-1] != draw) == pytest.approx(2 * stats.norm.sf(3), rel=0.3)
    assert robust.winsorised(np.array([0.0] * 9 + [1.0]))[-1] == 1, "no scale where most deviations are zero"


@pytest.mark.parametrize("row", [0, 30])
def test_one_odd_run_of_54_does_not_decide_the_noise(row):
    """A run 40 standard deviations off: plain pooling would give sqrt(0.4^2 / 2 / 27), five times the noise."""
    metrics = normal(2, 3)
    odd = metrics.assign(accuracy=metrics["accuracy"] - 0.4 * (np.arange(54) == row))
    plain, before, after = 0.4 / np.sqrt(54), surface(metrics).pure_error_sd, surface(odd).pure_error_sd
    assert before <= after < 1.3 * before < plain / 3
    growth = sds(odd) / sds(metrics)
    assert growth.max() < 3
    assert growth.min() > 1 / 3


def test_noise_that_grows_is_found_beside_an_odd_run():
    """Over 20 studies the noise at the ends of the learning rate's range is e^-1 and e times that at the centre.

    The odd run, 140 standard deviations off, is at the lowest.
    """
    found = []
    for seed in range(20):
        metrics = normal(4, seed, growth=1.0)
        metrics.loc[17, "accuracy"] -= 0.5
        by_place = pd.Series(sds(metrics)).groupby([place["learning_rate"] for place in PLACES]).mean()
        found.append(by_place.to_numpy())
    assert np.median(found, axis=0) == pytest.approx(0.01 * np.exp([-1, 0, 1]), rel=0.45)


def test_a_shift_of_all_runs_of_a_seed_counts_for_a_new_seed():
    """Seeds shifted by -0.1, 0 and 0.1, whose variance is 0.01; by hand."""
    metrics = normal(3, 4)
    fitted = surface(metrics.assign(accuracy=metrics["accuracy"] + 0.1 * (metrics["seed"] - 1)))
    (variance, df), (own, _) = noise.noise_at(fitted, PLACES[:1])[0], noise.modelled_noise(fitted, PLACES[:1])[0]
    assert variance == pytest.approx(0.01, rel=0.1)
    assert own < 0.0005
    assert df == pytest.approx(2, rel=0.05)


def test_ties_and_values_at_the_bound_leave_a_noise():
    """Half of the cells at an accuracy of 1 exactly: the others' noise is theirs, and the pooled one half of it."""
    metrics = normal(2, 5)
    metrics.loc[metrics["learning_rate"] == 4e-4, "accuracy"] = 1.0
    metrics.loc[(metrics["learning_rate"] == 1e-4) & (metrics["batch_size"] == 8), "accuracy"] = 1.0
    fitted = surface(metrics)
    table = metrics.pivot(index=list(CODINGS), columns="seed", values="accuracy")
    plain = np.sqrt((table[0] - table[1]).pow(2).sum() / 2 / 27)
    assert fitted.pure_error_sd == pytest.approx(plain, rel=0.15)
    assert np.isfinite(sds(metrics)).all()


def test_one_seed_has_no_noise():
    fitted = surface(study(seeds=1))
    assert (fitted.pure_error_sd, noise.noise_model(fitted)) == (None, None)


def test_runs_of_shared_trajectories_are_worth_less():
    metrics = normal(4, 6)
    names = metrics["batch_size"].astype(str) + metrics["seed"].astype(str)  # 12 trajectories of 9 runs
    own, df = noise.modelled_noise(surface(metrics), PLACES[:1])[0]
    same, fewer = noise.modelled_noise(surface(metrics.assign(trajectory_id=names)), PLACES[:1])[0]
    assert same == pytest.approx(own)
    assert fewer == pytest.approx(df * 12 / 108)
