"""Settings compared by their own means: where a surface misses them, and with t intervals of seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_regression import CODINGS, study

from finevar.analyses import baselines
from finevar.statistics import optimum, regression
from finevar.statistics.setting_means import mean_contrasts, misses_settings, settings_surface
from finevar.study.coding import terms


def cliff(seeds: int, depth: float = 0.5) -> pd.DataFrame:
    """Return a study whose loss rises at one corner."""
    runs = study(seeds=seeds, noise=0.002)
    corner = (runs["learning_rate"] == 4e-4) & (runs["batch_size"] == 16) & (runs["epochs"] == 3)
    return runs.assign(loss=runs["loss"] + depth * corner)


def surface(runs: pd.DataFrame) -> regression.Surface:
    return regression.fit_surface(runs, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95)


def test_means_replace_a_surface_that_is_found_to_miss_them():
    assert misses_settings(surface(cliff(seeds=4)))
    assert not misses_settings(surface(cliff(seeds=4, depth=0)))
    assert not misses_settings(surface(cliff(seeds=3))), "HC3 counts what the surface misses as noise"


def test_a_setting_of_one_seed_has_no_mean_that_says_anything_of_others():
    runs = cliff(seeds=4)
    alone = (runs["point_id"] == runs["point_id"].iloc[0]) & (runs["seed"] > 0)
    assert not misses_settings(surface(runs[~alone].reset_index(drop=True)))


def test_means_have_the_t_intervals_of_their_seeds():
    runs = cliff(seeds=5)
    means = settings_surface(surface(runs))
    found = means.read(mean_contrasts(means))
    own = runs.groupby("point_id", sort=False)["loss"]
    assert found.estimate == pytest.approx(own.mean().to_numpy())
    assert found.std_error == pytest.approx((own.std() / np.sqrt(5)).to_numpy())
    assert found.interval(0.95)[1] - found.estimate == pytest.approx(stats.t.isf(0.025, 4) * found.std_error)


def test_beside_a_cliff_the_predicted_best_and_its_gain_are_those_of_the_means():
    runs = cliff(seeds=4)
    own = runs.groupby("point_id", sort=False)["loss"].mean()
    row, _ = optimum.predicted_best(surface(runs))
    assert row["by_means"]
    assert row["point_id"] == own.idxmin()
    assert row["predicted"] == pytest.approx(row["observed"])
    gains = pd.DataFrame(baselines.against_baseline_rows(surface(runs))).set_index(["baseline", "point_id"])["estimate"]
    assert gains["B0"][own.idxmin()] == pytest.approx(own.min() - runs["baseline_loss"].iloc[0])
    retrained = runs[runs["is_baseline_point"]]
    assert gains["B1"][own.idxmin()] == pytest.approx(own.min() - retrained["loss"].mean())
    assert retrained["point_id"].iloc[0] not in gains["B1"].index
