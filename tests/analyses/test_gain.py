"""The recommended setting's gain divided among the factors: by hand on a known quadratic, and seed by seed."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_failed_settings import at, fitted
from test_regression import CODINGS, study

from finevar.analyses.gain import gain_tables
from finevar.statistics.gain import shapley_weights
from finevar.study.coding import terms


def point_at(runs: pd.DataFrame, **levels: float) -> list[dict[str, str]]:
    """Return the table recommendation that names a setting."""
    point = runs.loc[at(runs, **levels), "point_id"].iloc[0]
    return [{"role": "tied", "point_id": "other"}, {"role": "recommended", "point_id": point}]


def test_shares_of_a_known_quadratic():
    """Surface 2a + 3b + 4ab + 5a^2 from (0, 1) to (1, -1): a alone first adds 11, last 3; b -6, then -14."""
    columns = terms(["a", "b"], "quadratic")
    known = {("a",): 2.0, ("b",): 3.0, ("a", "b"): 4.0, ("a", "a"): 5.0}
    shares = shapley_weights({"a": 0.0, "b": 1.0}, {"a": 1.0, "b": -1.0}, columns) @ [
        known.get(t, 0.0) for t in columns
    ]
    assert shares == pytest.approx([(11 + 3) / 2, (-6 - 14) / 2])


def test_shares_are_averages_over_all_orders():
    """A cubic of three factors with any coefficients, one factor at a time in each of six orders."""
    names, draw = ["learning_rate", "batch_size", "epochs"], np.random.default_rng(3)
    columns = terms(names, "cubic")
    start, end = (dict(zip(names, draw.uniform(-1, 1, 3), strict=True)) for _ in range(2))
    params = draw.normal(size=len(columns))

    def value(place: dict[str, float]) -> float:
        return sum(b * np.prod([place[name] for name in term]) for b, term in zip(params, columns, strict=True))

    expected = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        place = dict(start)
        for name in order:
            before = value(place)
            place[name] = end[name]
            expected[name] += (value(place) - before) / 6
    assert shapley_weights(start, end, columns) @ params == pytest.approx(list(expected.values()))


def test_shares_add_up_and_have_the_t_intervals_of_their_seeds():
    """Of five seeds: the means, standard errors and t intervals of the shares of each seed's own fit."""
    runs = study(seeds=5)
    found = fitted(runs, "loss")
    end = {"learning_rate": 4e-4, "batch_size": 8, "epochs": 3}
    rows = pd.DataFrame(gain_tables(found, point_at(runs, **end))["gain_shares"]).set_index("factor")
    start = found.plan.baseline
    (surface,) = found.surfaces
    coded = [{name: float(CODINGS[name].coded(levels[name])) for name in CODINGS} for levels in (start, end)]
    own = []
    for _, part in runs.groupby("seed"):
        x = np.column_stack([np.prod([surface.coded(part)[name] for name in term] or [np.ones(len(part))], axis=0)
                             for term in surface.columns])  # fmt: skip
        own.append(shapley_weights(*coded, surface.columns) @ np.linalg.lstsq(x, part["loss"], rcond=None)[0])
    shares = rows.loc[list(CODINGS)]
    assert shares["estimate"].tolist() == pytest.approx(np.mean(own, axis=0).tolist())
    assert shares["estimate"].sum() == pytest.approx(rows.loc["", "estimate"])
    assert rows.loc["", "std_error"] == pytest.approx(stats.sem(np.sum(own, axis=1)))
    for name, each in zip(CODINGS, np.transpose(own), strict=True):
        if start[name] == end[name]:
            assert shares.loc[name, ["estimate", "ci_low", "simultaneous_high"]].tolist() == [0, 0, 0]
            continue
        interval = stats.ttest_1samp(each, 0).confidence_interval(0.95)
        assert shares.loc[name, ["ci_low", "ci_high"]].tolist() == pytest.approx([*interval])
        assert shares.loc[name, "simultaneous_low"] < interval.low
    means = runs.groupby("point_id")["loss"].mean()
    own_point = runs.loc[runs["is_baseline_point"], "point_id"].iloc[0]
    assert rows.loc["", "measured"] == pytest.approx(means[rows.loc["", "point_id"]] - means[own_point])


def test_the_baselines_own_settings_gain_nothing():
    runs = study(seeds=4)
    found = fitted(runs, "loss")
    rows = pd.DataFrame(gain_tables(found, point_at(runs, **found.plan.baseline))["gain_shares"])
    assert (rows[["estimate", "std_error", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_without_a_recommendation_or_a_surface_at_the_baseline_there_are_no_shares():
    runs = study(seeds=4)
    found = fitted(runs, "loss")
    assert gain_tables(found, []) == {"gain_shares": []}
    far = dataclasses.replace(found, plan=dataclasses.replace(found.plan, baseline=found.plan.baseline | {"epochs": 9}))
    (row,) = gain_tables(far, point_at(runs, epochs=3))["gain_shares"]
    assert row["factor"] == ""
    assert "epochs = 9" in row["reason"]
    assert "estimate" not in row
