"""Any two settings compared: paired t-tests over seeds, and sentences counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_failed_settings import fitted
from test_regression import CODINGS, study

from finevar.analyses.setting_pairs import MOST_SETTINGS, pair_tables, sentence_rows
from finevar.statistics.regression import fit_surface
from finevar.study.coding import terms


def ranked(runs: pd.DataFrame) -> list[dict[str, str]]:
    """Return the settings as the table recommendation lists them, the lowest loss first."""
    return [{"point_id": name} for name in runs.groupby("point_id")["loss"].mean().sort_values().index]


def test_a_pairs_difference_is_the_paired_t_test_over_seeds():
    runs = study(seeds=5)
    names = [row["point_id"] for row in ranked(runs)]
    table = pd.DataFrame(pair_tables(fitted(runs, "loss"), ranked(runs))["setting_pairs"])
    assert list(zip(table["point_id"], table["other"], strict=True)) == list(itertools.combinations(names, 2))
    by_seed = runs.pivot(index="seed", columns="point_id", values="loss")
    for row in table.iloc[[0, 40, 350]].to_dict("records"):
        expected = stats.ttest_rel(by_seed[row["point_id"]], by_seed[row["other"]])
        interval = expected.confidence_interval(0.95)
        assert row["estimate"] == pytest.approx((by_seed[row["point_id"]] - by_seed[row["other"]]).mean())
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
        assert row["simultaneous_low"] < row["ci_low"] < row["ci_high"] < row["simultaneous_high"]


def test_equal_means_differ_by_nothing():
    """Their sums differ in the last bit, as do those of settings that are right on as many sentences."""
    runs = study(seeds=5)
    names = runs["point_id"].unique()[:2]
    for name, losses in zip(names, ([0.1, 0.2, 0.3, 0.7, 0.9], [0.9, 0.7, 0.1, 0.3, 0.2]), strict=True):
        runs.loc[runs["point_id"] == name, "loss"] = losses
    rows = pair_tables(fitted(runs, "loss"), ranked(runs))["setting_pairs"]
    assert [row["estimate"] for row in rows if {row["point_id"], row["other"]} == {*names}] == [0]


def test_only_the_best_settings_are_compared_and_none_without_a_ranking():
    runs = study(seeds=4)
    rows = [{"point_id": f"{number}"} for number in range(MOST_SETTINGS)]
    assert pair_tables(fitted(runs, "loss"), [*rows, *ranked(runs)])["setting_pairs"] == []
    assert pair_tables(fitted(runs, "loss"), [])["setting_pairs"] == []


def test_sentences_are_gained_and_lost_by_the_majority_of_each_settings_runs():
    """Of three seeds: settings right on 2 of 3, on 1 of 3 and on all runs of the first, second and third sentence."""
    runs = study(seeds=3)
    first, second = runs["point_id"].unique()[:2]
    right = np.ones((len(runs), 3))
    right[(runs["point_id"] == first) & (runs["seed"] == 0), 0] = 0
    right[(runs["point_id"] == second) & (runs["seed"] < 2), 0] = 0
    right[(runs["point_id"] == first) & (runs["seed"] > 0), 1] = 0
    runs = runs.assign(accuracy=right.mean(1))
    columns = terms(list(CODINGS), "quadratic")
    surface = fit_surface(runs, "accuracy", CODINGS, columns, 0.95, sentences={"amazon": right})
    (row,) = sentence_rows([first, second, "of no run"], surface)
    assert row == {"point_id": first, "other": second, "sentences": 3, "gained": 1, "lost": 1}
