"""Tried settings ranked by their means, against pandas and the t interval of seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_regression import CODINGS, study
from test_setting_means import surface

from finevar.statistics.ranking import rank_settings, regret_of
from finevar.statistics.regression import fit_surface
from finevar.study.coding import terms


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return study(seeds=5, noise=0.004)


def test_means_deviations_and_ranks_are_those_of_the_runs(runs):
    table, own = rank_settings(surface(runs)), runs.groupby("point_id")["loss"]
    assert table["mean"].to_dict() == pytest.approx(own.mean().to_dict())
    assert table["sd"].to_dict() == pytest.approx(own.std().to_dict())
    assert table["rank"].to_dict() == own.mean().rank().astype(int).to_dict()
    assert set(table["seeds"]) == set(table["runs"]) == {5}


def test_a_difference_from_the_best_has_the_error_of_paired_seeds(runs):
    """Seeds are the same at all settings; intervals hold for all differences at once, so none is shorter than its t."""
    table, wide = rank_settings(surface(runs)), runs.pivot(index="seed", columns="point_id", values="loss")
    gaps = wide.sub(wide[table["rank"].idxmin()], axis=0)
    assert table["difference"].to_dict() == pytest.approx(gaps.mean().to_dict(), abs=1e-12)
    reach = stats.t.isf(0.025, 4) * gaps.std() / np.sqrt(5)
    found = (table["simultaneous_high"] - table["simultaneous_low"]) / 2
    assert (found >= reach[found.index] * 0.999).all()
    assert set(table.index[table["worse"]]) == set(table.index[table["simultaneous_low"] > 0])


def test_the_best_is_one_without_failed_runs(runs):
    best = rank_settings(surface(runs))["rank"].idxmin()
    table = rank_settings(surface(runs), lost=[best])
    second = table["rank"].eq(2).idxmax()
    assert table.loc[second, ["difference", "simultaneous_low"]].tolist() == [0, 0]
    assert table.loc[best, "difference"] == pytest.approx(table.loc[best, "mean"] - table.loc[second, "mean"])


def test_data_sets_count_alike_under_ids_of_their_own(runs):
    """A setting's id differs between data sets, as it says which data it was trained on."""
    other = runs.assign(dataset="other", point_id=runs["point_id"] + "-other", run_id=runs["run_id"] + "-other")
    other["loss"] += 0.1
    both = pd.concat([runs, other], ignore_index=True)
    table = rank_settings(surface(both))
    assert table["mean"].to_dict() == pytest.approx((runs.groupby("point_id")["loss"].mean() + 0.05).to_dict())
    assert set(table["runs"]) == {10}
    alone = rank_settings(surface(runs))
    assert table["difference"].to_dict() == pytest.approx(alone["difference"].to_dict(), abs=1e-9)


def test_with_one_seed_the_surface_compares(runs):
    first = runs[runs["seed"] == 0].reset_index(drop=True)
    table = rank_settings(fit_surface(first, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95))
    best = table["rank"].idxmin()
    expected = table["predicted"] - table.loc[best, "predicted"]
    assert table["difference"].to_dict() == pytest.approx(expected.to_dict(), abs=1e-9)
    assert table["simultaneous_low"].notna().all()


def test_with_two_seeds_the_mean_regret_of_the_best_is_below_its_bound(runs):
    fitted = surface(runs[runs["seed"] < 2].reset_index(drop=True))
    regret = regret_of(fitted, rank_settings(fitted)["rank"].idxmin())
    assert 0 < regret.expected < regret.bound


def test_the_regret_of_the_best_is_smaller_than_that_of_another(runs):
    fitted = surface(runs)
    table = rank_settings(fitted).sort_values("rank")
    regrets = [regret_of(fitted, name) for name in (table.index[0], table.index[-1])]
    assert regrets[0].expected < regrets[1].expected
    assert regrets[1].bound > table["difference"].iloc[-1]


def test_settings_alike_in_every_run_have_no_gap(runs):
    """Where a metric is at its bound at several settings, nothing differs between them, and there is no error."""
    table = rank_settings(surface(runs)).sort_values("rank")
    best = runs["point_id"].isin(table.index[:2])
    fitted = surface(runs.assign(loss=runs["loss"].where(~best, 0.0)))
    assert regret_of(fitted, table.index[0]).bound == pytest.approx(0, abs=1e-9)
