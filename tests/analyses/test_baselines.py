"""Differences from the baselines and matched analyses, against closed forms on balanced designs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from test_regression import BASELINE, CODINGS, study

from finevar.analyses import baselines
from finevar.statistics import noise, regression
from finevar.statistics.covariance import CLASSICAL, fit_ols
from finevar.study.coding import Coding, model_matrix, terms
from prose import numbers


def surface(metrics: pd.DataFrame) -> regression.Surface:
    return regression.fit_surface(metrics, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95)


def against(fitted: regression.Surface, baseline: str) -> pd.DataFrame:
    rows = pd.DataFrame(baselines.against_baseline_rows(fitted))
    return rows[rows["baseline"] == baseline].reset_index(drop=True)


def place_of(fitted: regression.Surface, point: str) -> np.ndarray:
    """Return the terms of the surface at a point [terms]."""
    run = fitted.runs[fitted.runs["point_id"] == point].iloc[0]
    x = {name: float(coding.coded(run[name])) for name, coding in CODINGS.items()}
    return np.array([np.prod([x[name] for name in term]) for term in fitted.columns])


def test_b0_is_one_model_that_no_seed_changes():
    """The frozen baseline adds no variance of training: the error is that of the prediction, by statsmodels' HC3."""
    fitted = surface(study(seeds=3))
    row = against(fitted, "B0").iloc[4]
    place = np.append(place_of(fitted, row["point_id"]), [0, 0])  # seeds' blocks sum to zero
    model = sm.OLS(fitted.runs["loss"] - 0.35, fitted.fit.matrix).fit(cov_type="HC3", use_t=True)
    expected = model.t_test(place)
    assert (row["estimate"], row["std_error"]) == pytest.approx((expected.effect.item(), expected.sd.item()), rel=1e-9)
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(expected.conf_int().ravel(), rel=1e-9)
    assert row["simultaneous_low"] < row["ci_low"] < row["ci_high"] < row["simultaneous_high"]


def test_sentences_that_are_hard_for_both_cancel_against_b0():
    """Every run finds the same sentences hard, as does the baseline: the difference is as sure as without sentences."""
    metrics = study(seeds=5)
    hard = np.random.default_rng(6).normal(size=200)
    hard -= hard.mean()
    known = {"sentences": {"amazon": metrics["loss"].to_numpy()[:, None] + hard}, "frozen": {"amazon": 0.35 + hard}}
    columns = terms(list(CODINGS), "quadratic")
    fitted = regression.fit_surface(metrics, "loss", CODINGS, columns, 0.95, **known)
    alone = surface(metrics)
    found, expected = against(fitted, "B0"), against(alone, "B0")
    np.testing.assert_allclose(found["std_error"], expected["std_error"], rtol=1e-6)
    assert set(found["population"]) == {regression.NEW_SENTENCES}
    centre = {name: np.zeros(1) for name in CODINGS}
    wide, narrow = (next(regression.predicted(each, centre))["std_error"] for each in (fitted, alone))
    assert wide**2 - narrow**2 == pytest.approx(hard.var(ddof=1) / 200, rel=1e-6)


def test_b1_is_subtracted_seed_by_seed():
    """Of five seeds: the t interval of the seeds' own gaps between the surface of the others and B1."""
    metrics = study(seeds=5)
    fitted = surface(metrics)
    row = against(fitted, "B1").iloc[3]
    place, gaps = place_of(fitted, row["point_id"]), []
    for _, runs in metrics.groupby("seed"):
        own = runs["is_baseline_point"].to_numpy()
        x = model_matrix(fitted.coded(runs[~own]), fitted.columns)
        gaps.append(place @ np.linalg.lstsq(x, runs["loss"][~own] - runs["loss"][own].item(), rcond=None)[0])
    interval = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert (row["estimate"], row["std_error"]) == pytest.approx((np.mean(gaps), stats.sem(gaps)), rel=1e-9)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_the_baselines_own_setting_has_no_difference_from_itself():
    metrics = study(seeds=4)
    found = against(surface(metrics), "B1").set_index("point_id")
    (own,) = metrics.loc[metrics["is_baseline_point"], "point_id"].unique()
    assert found.loc[own, "reason"] == baselines.OWN
    assert np.isnan(found.loc[own, "estimate"])
    assert np.isnan(found.loc[own, "simultaneous_low"])
    assert found["estimate"].notna().sum() == len(found) - 1 == 26


def test_with_few_seeds_b1_carries_the_variance_of_its_mean():
    """HC3 of the others (statsmodels), and a third of the variance that is left within cells without seeds' shifts."""
    metrics = study(seeds=3)
    fitted = surface(metrics)
    row = against(fitted, "B1").iloc[0]
    own = metrics["is_baseline_point"].to_numpy()
    runs = metrics[~own]
    twins = metrics[own].set_index("seed")["loss"]
    shifts = (runs["seed"].to_numpy()[:, None] == [0, 1]).astype(float) - (runs["seed"] == 2).to_numpy()[:, None]
    matrix = np.column_stack([model_matrix(fitted.coded(runs), fitted.columns), shifts])
    model = sm.OLS(runs["loss"] - runs["seed"].map(twins), matrix).fit(cov_type="HC3", use_t=True)
    expected = model.t_test(np.append(place_of(fitted, row["point_id"]), [0, 0]))
    table = metrics.pivot(index="point_id", columns="seed", values="loss")
    left = table.sub(table.mean(axis=1), axis=0)
    variance = ((left - left.mean()) ** 2).to_numpy().sum() / (26 * 2)
    assert row["estimate"] == pytest.approx(expected.effect.item(), rel=1e-9)
    assert row["std_error"] ** 2 == pytest.approx(expected.sd.item() ** 2 + variance / 3, rel=1e-9)


def test_where_noise_is_unequal_the_baselines_own_counts():
    """With one factor of two levels the regression of variances passes through both: the pooled ones, by hand."""
    draw = np.random.default_rng(4)
    rows = [
        {"epochs": epochs, "batch_size": size, "point_id": f"{epochs} {size}", "seed": seed, "dataset": "amazon",
         "loss": draw.normal(scale=0.01 * 5**epochs)}
        for epochs in (0, 1) for size in range(20) for seed in range(4)
    ]  # fmt: skip
    runs = pd.DataFrame(rows)
    runs["run_id"] = runs["trajectory_id"] = [str(number) for number in range(len(runs))]
    codings = {"epochs": Coding((0, 1), "identity")}
    fitted = regression.fit_surface(runs, "loss", codings, terms(["epochs"], "first_order"), 0.95)
    table = runs.pivot(index=["epochs", "point_id"], columns="seed", values="loss")
    rest = table.sub(table.mean(axis=1), axis=0)
    squares = ((rest - rest.mean()) ** 2).sum(axis=1).groupby("epochs").sum()
    for epochs in (0, 1):
        variance, df = noise.modelled_noise(fitted, [{"epochs": epochs}])[0]
        assert variance == pytest.approx(squares[epochs] / 60 * 120 / (160 - 40 - 3), rel=1e-6)
        assert df == pytest.approx(60)
    assert noise.modelled_noise(fitted, [{"epochs": 9}]) == noise.modelled_noise(fitted, [{"epochs": 1}])


def test_where_seeds_shift_all_runs_alike_the_pooled_noise_counts():
    """Without the seeds' common shifts nothing is left whose logarithm could be regressed."""
    rows = [
        {"epochs": epochs, "point_id": str(epochs), "seed": seed, "dataset": "amazon", "loss": epochs + 0.1 * seed}
        for epochs in (0, 1)
        for seed in range(2)
    ]
    runs = pd.DataFrame(rows)
    runs["run_id"] = runs["trajectory_id"] = [str(number) for number in range(len(runs))]
    codings = {"epochs": Coding((0, 1), "identity")}
    fitted = regression.fit_surface(runs, "loss", codings, terms(["epochs"], "first_order"), 0.95)
    assert noise.modelled_noise(fitted, [{"epochs": 0}])[0][0] == pytest.approx(0.1**2 / 2)


def test_a_shift_of_a_seed_cancels_against_b1():
    metrics = study(seeds=3)
    shifted = metrics.assign(loss=metrics["loss"] + 5 * (metrics["seed"] == 2))
    found, again = (against(surface(runs), "B1").drop(columns="least") for runs in (metrics, shifted))
    pd.testing.assert_frame_equal(found, again, rtol=1e-6)


def test_without_seeds_or_a_run_of_its_own_a_baseline_has_a_reason_instead():
    assert against(surface(study(seeds=1)), "B0")["reason"].item() == baselines.NO_SEEDS
    without = study().assign(is_baseline_point=False)
    row = against(surface(without), "B1")
    assert row["reason"].item() == baselines.NO_B1
    assert "estimate" not in row or row["estimate"].isna().all()


def test_matching_by_data_set_removes_what_data_sets_differ_by():
    metrics = study(datasets=("amazon", "tweets"), seeds=3)  # tweets lie 0.2 higher, their baseline 0.1
    rows = pd.DataFrame(baselines.matched_rows(surface(metrics))).set_index("analysis")
    assert rows.loc["absolute", "residual_sd"] == pytest.approx(0.1, abs=0.01), "half of 0.2"
    assert rows.loc["minus_b0", "residual_sd"] == pytest.approx(0.05, abs=0.006)
    assert rows.loc["blocks", "residual_sd"] == pytest.approx(0.01, abs=0.0015), "the simulated noise"
    assert numbers(rows.loc["ancova_b0", "reason"]) == [2], "data sets, too few for a slope"


def test_ancova_is_the_regression_of_block_means_on_their_baselines():
    metrics = study(seeds=6)
    draw = np.random.default_rng(4)
    own = draw.normal(scale=0.1, size=6)
    metrics["loss"] += 0.5 * own[metrics["seed"]]
    at = metrics["is_baseline_point"]
    metrics.loc[at, "loss"] = 0.4 + own[metrics.loc[at, "seed"]]
    row = next(row for row in baselines.matched_rows(surface(metrics)) if row["analysis"] == "ancova_b1")
    others = metrics[~at].groupby("seed")["loss"].mean()
    expected = stats.linregress(metrics[at].sort_values("seed")["loss"], others)
    assert row["estimate"] == pytest.approx(expected.slope, rel=1e-6)
    assert row["std_error"] == pytest.approx(expected.stderr, rel=1e-6)
    p = 2 * stats.t.sf(abs((expected.slope - 1) / expected.stderr), 4)
    assert row["p_value"] == pytest.approx(p, rel=1e-6)


def test_as_many_parameters_as_runs_leave_no_spread_and_a_reason():
    """Four runs: their surface without blocks has four terms, beside which nothing is left."""
    codings = {"learning_rate": Coding((1e-3, 9e-3), "log10"), "batch_size": Coding((8, 16), "log2")}
    runs = study(seeds=1).iloc[:4].assign(learning_rate=[1e-3, 1e-3, 9e-3, 9e-3], batch_size=[8, 16, 8, 16])
    fitted = regression.fit_surface(runs, "loss", codings, terms(list(codings), "first_order"), 0.95)
    saturated = dataclasses.replace(fitted, columns=terms(list(codings), "interactions"))
    matrix = model_matrix(saturated.coded(runs), saturated.columns)
    found = baselines.spread(fit_ols(runs["loss"].to_numpy(), matrix, CLASSICAL))
    assert found["df"] == 0
    assert "residual_sd" not in found
    assert found["reason"]


def test_the_matched_fit_reads_changes_from_b1_at_the_baseline():
    metrics = study(seeds=3, datasets=("amazon", "tweets"), noise=1e-7)
    matched = baselines.fit_matched(surface(metrics), BASELINE)
    estimates = dict(zip(matched.names, matched.fit.params, strict=True))
    assert estimates["intercept"] == pytest.approx(0, abs=1e-6), "at its own levels a run is as good as B1"
    assert estimates["epochs"] == pytest.approx(0.05, abs=1e-5), "the slope at learning rate 0 in coded units"
    assert len(matched.runs) == 2 * 3 * 26, "B1's own runs are left out"


def test_the_regression_of_variances_is_a_gamma_regression():
    draw = np.random.default_rng(4)
    exog = np.column_stack([np.ones(30), draw.uniform(-1, 1, (30, 2))])
    df = draw.integers(2, 9, 30)
    variances = np.exp(exog @ [-7.0, 0.8, -0.4]) * draw.chisquare(df) / df
    theirs = sm.GLM(variances, exog, sm.families.Gamma(sm.families.links.Log()), var_weights=df / 2)
    theirs = theirs.fit(scale=1.0, tol=1e-14)
    np.testing.assert_allclose(noise.log_variances(variances, df, exog), theirs.params, rtol=0, atol=1e-6)


def test_the_regression_of_variances_stands_variances_of_many_magnitudes():
    draw = np.random.default_rng(0)
    for _ in range(200):
        exog = np.column_stack([np.ones(9), draw.uniform(-1, 1, (9, 3))])
        variances = 10.0 ** draw.uniform(-12, 3, 9)
        fitted = np.exp(exog @ noise.log_variances(variances, np.ones(9), exog))
        score = exog.T @ (variances / fitted - 1)  # zero where the deviance is least
        np.testing.assert_allclose(score, 0, atol=1e-3)
