"""Ladder, checks, slopes and optimum: a published example, closed forms, and surfaces whose truth is known."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from test_regression import BASELINE, CHEM_CODINGS, CODINGS, chemreact, study

from finevar.statistics import (
    checks,
    covariance,
    ladder,
    optimum,
    regression,
    sensitivity,
    slopes,
    specifications,
)
from finevar.study.coding import Coding, model_matrix, terms


def surface(metrics: pd.DataFrame, response: str = "loss", order: str = "quadratic") -> regression.Surface:
    return regression.fit_surface(metrics, response, CODINGS, terms(list(CODINGS), order), 0.95)


def chem_surface() -> regression.Surface:
    return regression.fit_surface(chemreact(), "yield", CHEM_CODINGS, terms(["time", "temp"], "quadratic"), 0.95)


# ChemReact: Myers, Montgomery & Anderson-Cook (2009), table 7.6, and what R's rsm prints for it


def test_chemreact_predictive_quality():
    found = ladder.quality(chem_surface().fit)
    expected = {"r2": 0.9981, "r2_adjusted": 0.9964, "r2_predicted": 0.9922, "press": 0.7603}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=5e-5)


def test_chemreact_stationary_point_and_eigenvalues():
    kind, point, values, _ = optimum.canonical_analysis(*optimum.quadratic_form(chem_surface()))
    assert kind == "maximum"
    assert point == pytest.approx([0.3723, 0.3344], abs=5e-5)
    assert sorted(values) == pytest.approx([-1.3187, -0.9233], abs=5e-5)
    natural = [float(CHEM_CODINGS[name].natural(x)) for name, x in zip(CHEM_CODINGS, point, strict=True)]
    assert natural == pytest.approx([86.86, 176.67], abs=5e-3)
    rows = optimum.optimum_rows(chem_surface())
    assert rows["optima"][0]["inside"]
    assert [row["stationary_coded"] for row in rows["optimum_factors"]] == pytest.approx([0.3723, 0.3344], abs=5e-5)


def test_chemreact_lack_of_fit():
    row = checks.lack_of_fit(chem_surface())
    assert (row["df_numerator"], row["df_denominator"]) == (3, 4)
    assert (row["statistic"], row["p_value"]) == pytest.approx((0.5307, 0.6851), abs=5e-5)
    assert row["sum_sq_error"] == pytest.approx(0.1333, abs=5e-5)
    assert chem_surface().fit.ssr == pytest.approx(0.1864, abs=5e-5)


# The model ladder


def test_ladder_sums_of_squares_add_up_to_what_the_top_rung_explains():
    metrics = study(seeds=3)
    rows = ladder.ladder_rows(surface(metrics), "quadratic", None)
    assert [row["rung"] for row in rows] == ["first_order", "interactions", "quadratic"]
    assert [row["df"] for row in rows] == [3, 3, 3]
    assert [row["chosen"] for row in rows] == [False, False, True]
    blocks = metrics["loss"] - metrics.groupby("seed")["loss"].transform("mean")
    top = surface(metrics).fit.ssr
    assert sum(row["sum_sq"] for row in rows) == pytest.approx(float((blocks**2).sum()) - top, rel=1e-9)
    f = rows[0]["sum_sq"] / 3 / (top / (81 - 12))
    assert rows[0]["f_value"] == pytest.approx(f, rel=1e-9)
    assert rows[0]["p_value"] == pytest.approx(stats.f.sf(f, 3, 69), rel=1e-9)


def test_ladder_has_a_cubic_rung_from_four_learning_rates_and_withholds_p_with_a_reason():
    codings = CODINGS | {"learning_rate": Coding((2.5e-5, 5e-5, 1e-4, 2e-4), "log2")}
    metrics = study()
    more = metrics[metrics["learning_rate"] == 1e-4].assign(learning_rate=2e-4, point_id=lambda t: t["point_id"] + "x")
    metrics = pd.concat([metrics.replace({"learning_rate": {4e-4: 5e-5}}), more], ignore_index=True)
    metrics["trajectory_id"] = metrics["run_id"] = [f"run{number}" for number in range(len(metrics))]
    fitted = regression.fit_surface(metrics, "loss", codings, terms(list(codings), "quadratic"), 0.95)
    rows = ladder.ladder_rows(fitted, "quadratic", "noise differs")
    assert [row["rung"] for row in rows] == ["first_order", "interactions", "quadratic", "cubic"]
    assert {row["p_value"] for row in rows} == {None}
    assert {row["reason"] for row in rows} == {"noise differs"}
    assert all(0 <= row["p_robust"] <= 1 for row in rows)


# Checks


def test_pure_error_leaves_out_what_seeds_share():
    metrics = study(seeds=3)
    squares, df = checks.saturated_cells(surface(metrics))
    table = metrics.pivot(index="point_id", columns="seed", values="loss")
    residual = table.sub(table.mean(axis=1), axis=0) - table.mean() + table.to_numpy().mean()
    assert squares[0] == pytest.approx(float((residual**2).to_numpy().sum()), rel=1e-9)
    assert df == 26 * 2


def test_lack_of_fit_is_not_testable_without_replicates():
    row = checks.lack_of_fit(surface(study(seeds=1)))
    assert "p_value" not in row
    assert row["reason"] == "not testable: no setting has two seeds"


def test_lack_of_fit_sees_a_cliff_that_a_plane_cannot_follow():
    metrics = study(noise=0.002)
    metrics["loss"] += 0.1 * (metrics["learning_rate"] == 4e-4)
    assert checks.lack_of_fit(surface(metrics, order="interactions"))["p_value"] < 1e-6


@pytest.mark.parametrize("seeds", [2, 4])
def test_growing_noise_withholds_what_needs_equal_noise(seeds):
    metrics = growing(seeds)
    rows = {row["check"]: row for row in checks.check_rows(surface(metrics))}
    assert rows["breusch_pagan"]["p_value"] < 0.01
    assert rows["reset"]["p_value"] is None
    assert "noise differs between settings" in rows["reset"]["reason"]
    assert rows["lack_of_fit"]["p_value"] > 0.05
    assert rows["lack_of_fit"]["reason"].startswith("with each setting's own noise")


def growing(seeds: int, draw: int = 4) -> pd.DataFrame:
    """Return a study of 27 settings whose noise grows sixfold along epochs."""
    metrics, noise = study(seeds=seeds), np.random.default_rng(draw)
    growth = 6 ** metrics["epochs"].map({1: 0, 2: 0.5, 3: 1})
    return metrics.assign(loss=0.4 + noise.normal(size=len(metrics)) * 0.01 * growth)


def test_lack_of_fit_with_own_noise_is_the_f_of_brunner_dette_and_munk():
    """Of the cell means, as they write it, where seeds shift nothing: T the projection on what the surface misses."""
    fitted = surface(growing(4))
    runs = fitted.runs.assign(loss=fitted.fit.values)
    by_cell = runs.groupby("point_id", sort=False)["loss"]
    means = by_cell.mean().to_numpy()
    terms = fitted.fit.matrix[:: len(runs) // len(means), : len(fitted.columns)]
    projection = np.eye(len(means)) - terms @ np.linalg.pinv(terms)
    shifts = runs.groupby("seed")["loss"].mean() - runs["loss"].mean()
    within = runs["loss"] - by_cell.transform("mean") - runs["seed"].map(shifts)
    cov = np.diag((within**2).groupby(runs["point_id"], sort=False).sum()) / 3 / 4 * 27 / 26
    product = projection @ cov
    expected = np.trace(product)
    first = expected**2 / np.trace(product @ product)
    second = expected**2 / np.trace(np.diag(np.diag(projection)) ** 2 @ cov**2 / 3)
    row = checks.own_noise_lack_of_fit(fitted)
    found = (row["statistic"], row["df_numerator"], row["df_denominator"])
    assert found == pytest.approx((means @ projection @ means / expected, first, second), rel=1e-9)


def test_lack_of_fit_with_own_noise_leaves_out_settings_of_one_run():
    metrics = growing(2)
    alone = metrics["point_id"].iloc[0]
    kept = metrics[(metrics["point_id"] != alone) | (metrics["seed"] == metrics["seed"].iloc[0])]
    without = metrics[metrics["point_id"] != alone]
    rows = [checks.own_noise_lack_of_fit(surface(part.reset_index(drop=True))) for part in (kept, without)]
    assert rows[0].pop("reason") == rows[1].pop("reason")
    assert rows[0] == pytest.approx(rows[1], rel=1e-9)


def test_influence_is_what_refitting_without_each_run_shows():
    fitted = surface(study())
    table = checks.influence_table(fitted)
    matrix, values = fitted.fit.matrix, fitted.fit.values
    for run in (0, 17, 53):
        kept = np.arange(len(values)) != run
        params, residuals, *_ = np.linalg.lstsq(matrix[kept], values[kept], rcond=None)
        error = values[run] - matrix[run] @ params
        df = kept.sum() - matrix.shape[1]
        hat = matrix[run] @ np.linalg.inv(matrix.T @ matrix) @ matrix[run]
        assert table["leverage"][run] == pytest.approx(hat, rel=1e-9)
        assert table["studentised"][run] == pytest.approx(error * np.sqrt((1 - hat) / (residuals[0] / df)), rel=1e-9)
        moved = matrix @ (params - fitted.fit.params)
        variance = fitted.fit.ssr / fitted.fit.df_resid
        assert table["cook"][run] == pytest.approx((moved @ moved) / variance / matrix.shape[1], rel=1e-8)


# Clusters


def test_clusters_of_one_run_are_hc3_but_for_the_jackknifes_factor():
    fitted = surface(study())
    runs = len(fitted.runs)
    alone = covariance.fit_ols(fitted.fit.values, fitted.fit.matrix, covariance.clustered_by(np.arange(runs), ""))
    np.testing.assert_allclose(alone.cov * runs / (runs - 1), fitted.fit.cov, rtol=1e-9)


def test_cr3_is_the_jackknife_over_clusters():
    metrics = study(seeds=3)
    labels = metrics.groupby(["learning_rate", "batch_size", "seed"]).ngroup().to_numpy()
    fit = surface(metrics.assign(trajectory_id=labels.astype(str))).fit
    shifts = []
    for cluster in range(labels.max() + 1):
        kept = labels != cluster
        shifts.append(np.linalg.lstsq(fit.matrix[kept], fit.values[kept], rcond=None)[0] - fit.params)
    count = labels.max() + 1
    np.testing.assert_allclose(fit.cov, np.transpose(shifts) @ np.array(shifts) * (count - 1) / count, rtol=1e-8)
    assert fit.df == count - 1


# Slopes


def finite_difference(fitted: regression.Surface, place: dict[str, float], factor: str) -> float:
    ends = [{name: np.array([x + step * (name == factor)]) for name, x in place.items()} for step in (1e-4, -1e-4)]
    high, low = (next(regression.predicted(fitted, end))["predicted"] for end in ends)
    return (high - low) / 2e-4


def test_slopes_are_derivatives_of_the_surface_in_coded_and_natural_units():
    fitted = surface(study())
    rows = pd.DataFrame(slopes.slope_rows(fitted, BASELINE)).set_index(["factor", "place", "units"])
    own = {name: float(CODINGS[name].coded(level)) for name, level in BASELINE.items()}
    for factor, coding in CODINGS.items():
        at_centre = finite_difference(fitted, dict.fromkeys(CODINGS, 0.0), factor)
        assert rows.loc[(factor, "centre", "coded"), "estimate"].item() == pytest.approx(at_centre, abs=1e-8)
        at_own = finite_difference(fitted, own, factor)
        assert rows.loc[(factor, "baseline", "coded"), "estimate"].item() == pytest.approx(at_own, abs=1e-8)
        natural = rows.loc[(factor, "baseline", "natural"), "estimate"].item()
        assert natural == pytest.approx(at_own * coding.step, abs=1e-8)
    simple = pd.DataFrame(slopes.slope_rows(fitted, BASELINE)).query("place == 'simple' and units == 'coded'")
    assert len(simple) == 6 * 3
    row = simple.query("factor == 'epochs' and moderator == 'learning_rate' and moderator_level == 4e-4").iloc[0]
    place = dict.fromkeys(CODINGS, 0.0) | {"learning_rate": 1.0}
    assert row["estimate"] == pytest.approx(finite_difference(fitted, place, "epochs"), abs=1e-8)


def test_johnson_neyman_ends_where_the_interval_touches_zero():
    fitted = surface(study(noise=0.04).assign(loss=lambda t: t["loss"] + 0.05 * (t["batch_size"] == 32) * t["epochs"]))
    ranges = pd.DataFrame(slopes.johnson_neyman_rows(fitted))
    inner = 0
    for (factor, moderator), rows in ranges.groupby(["factor", "moderator"]):
        coding = CODINGS[moderator]
        assert rows["value_low"].iloc[0] == pytest.approx(min(coding.levels))
        assert rows["value_high"].iloc[-1] == pytest.approx(max(coding.levels))
        for edge in rows["value_high"].iloc[:-1]:
            inner += 1
            weights = slopes.gradient_along(fitted, factor, moderator, coding.coded([edge]))
            found = next(regression.contrasts(fitted, weights))
            assert found.p_value == pytest.approx(0.05, abs=1e-6)
    assert inner > 0, "an edge inside the range is what this test is about"


# Optimum


def test_best_at_radius_agrees_with_a_general_optimiser():
    draw = np.random.default_rng(5)
    for _ in range(10):
        slope, root = draw.normal(size=3), draw.normal(size=(3, 3))
        curves = (root + root.T) / 2
        x = optimum.best_at_radius(slope, curves, 0.8)
        assert np.linalg.norm(x) == pytest.approx(0.8, abs=1e-6)
        sphere = {"type": "eq", "fun": lambda p: p @ p - 0.64}
        starts = draw.normal(size=(8, 3))
        found = min(
            optimize.minimize(lambda p, b=slope, c=curves: -(p @ b + p @ c @ p), 0.8 * s / np.linalg.norm(s),
                              constraints=sphere).fun
            for s in starts
        )  # fmt: skip
        assert x @ slope + x @ curves @ x == pytest.approx(-found, abs=1e-6)


def test_canonical_analysis_names_a_saddle_and_a_ridge():
    assert optimum.canonical_analysis(np.array([1.0, 1]), np.diag([1.0, -1]))[0] == "saddle"
    kind, point, *_ = optimum.canonical_analysis(np.array([1.0, 0.001]), np.diag([-1.0, -0.01]))
    assert kind == "ridge"
    assert point == pytest.approx([0.5, 0.0]), "the flat axis is left out of the inversion"


def test_the_hull_of_a_simplex_leaves_out_its_mirror_image():
    corners = np.array([[-1.0, -1], [1, -1], [-1, 1]])
    assert optimum.within_hull(corners, np.array([-0.5, -0.5]))
    assert not optimum.within_hull(corners, np.array([0.5, 0.5]))
    assert not optimum.within_hull(corners[:0], np.array([0.0, 0.0]))  # of levels that no setting combines


def test_the_region_encloses_a_clear_maximum_and_covers_a_plane_without_one():
    metrics = study(noise=0.002)
    coded = {name: coding.coded(metrics[name]) for name, coding in CODINGS.items()}
    peak = -sum(0.1 * (x - 0.2) ** 2 for x in coded.values())
    noise = metrics["accuracy"] - 0.9
    sharp = surface(metrics.assign(loss=0.8 + peak + noise))
    clear = optimum.confidence_region(sharp, optimum.canonical_analysis(*optimum.quadratic_form(sharp))[1])
    assert clear["closed"]
    assert (np.abs(clear["ends"] - 0.2) < 0.15).all()
    flat = optimum.confidence_region(surface(metrics, "accuracy"), np.zeros(3))
    assert not flat["closed"]


def test_the_predicted_best_is_the_best_tried_point_and_its_cost_grows_with_noise():
    costs = []
    for noise in (0.001, 0.03):
        fitted = surface(study(noise=noise))
        row, alike = optimum.predicted_best(fitted)
        costs.append(row["expected_regret"])
        if noise == 0.001:
            for name, lowest in {"learning_rate": 2.5e-5, "epochs": 1}.items():  # loss is best where it is lowest
                assert optimum.rival_levels(alike, fitted.codings, name, None)["best"] == lowest
            assert 0 < row["rivals"] < row["candidates"] == 27
            assert row["ci_low"] < 0.4 - 0.1 - 0.05 + 0.03 + 0.02 + 0.005 < row["ci_high"]
        assert 0 <= row["expected_regret"] <= row["regret_bound"]
    assert costs[1] > 5 * costs[0]


# Sensitivity


def test_permutations_give_the_share_of_larger_statistics():
    fitted = surface(study(noise=0.05))
    numbers = [number for number, term in enumerate(fitted.columns) if term]
    rows = sensitivity.permutation(fitted, numbers)
    by_term = {fitted.names[number]: row["p_value"] for number, row in zip(numbers, rows, strict=True)}
    assert by_term["learning_rate"] == pytest.approx(1 / 1000), "no permutation reaches a clear effect"
    hc3 = dict(zip(fitted.names, fitted.fit.pvalues, strict=True))
    for term in ("batch_size", "batch_size^2", "learning_rate:batch_size"):
        assert by_term[term] == pytest.approx(hc3[term], abs=0.08)


@pytest.mark.parametrize(("part", "column"), [("seed", "seed"), ("cell", "point_id")])
def test_leaving_parts_out_gives_the_range_of_refits(part, column):
    metrics = study(seeds=3, noise=0.05)
    fitted = surface(metrics)
    number = fitted.columns.index(("epochs",))
    row = sensitivity.leave_out(fitted, part, [number])[0]
    others = [metrics[metrics[column] != level].reset_index(drop=True) for level in metrics[column].unique()]
    refits = [surface(runs).fit.pvalues[number] for runs in others]
    assert (row["p_low"], row["p_high"]) == pytest.approx((min(refits), max(refits)))
    assert row["refits"] == len(refits)
    assert sensitivity.leave_out(fitted, "dataset", [number])[0]["reason"] == "the study has one data set"


def test_a_mixed_model_takes_six_seeds():
    fitted = surface(study(seeds=2))
    assert sensitivity.mixed_model(fitted, [1], None)[0]["reason"] == "2 seeds are too few: it takes 6"
    row = sensitivity.mixed_model(surface(study(seeds=6)), [1], None)[0]
    assert row["estimate"] == pytest.approx(surface(study(seeds=6)).fit.params[1], rel=1e-6), "the design is balanced"


def test_transformed_scales():
    metrics = study()
    fitted = surface(metrics)
    np.testing.assert_allclose(specifications.unbounded(fitted), np.log(metrics["loss"]))
    shares = surface(metrics, "accuracy")
    np.testing.assert_allclose(
        specifications.unbounded(shares), np.log(metrics["accuracy"] / (1 - metrics["accuracy"]))
    )
    metrics.loc[0, "accuracy"] = 1.0
    row = sensitivity.transformed(surface(metrics, "accuracy"), [1])[0]
    assert row["reason"] == "accuracy reaches a bound of its scale"


def test_noise_shared_by_a_seeds_runs_counts_once_a_seed():
    metrics = study(seeds=3)
    errors = covariance.errors_of(metrics)
    alone = regression.noise_df(metrics, "accuracy", errors)
    assert 30 < alone <= 54
    shifted = metrics.assign(accuracy=metrics["accuracy"] + metrics["seed"])
    assert regression.noise_df(shifted, "accuracy", errors) == pytest.approx(2, abs=0.01)


def test_combinations_of_terms_have_the_variance_of_their_weights():
    fitted = surface(study())
    weights = np.zeros(len(fitted.names))
    weights[[1, 4]] = 2, -1
    found = regression.contrast(fitted, weights)
    cov = fitted.fit.cov
    assert found.std_error**2 == pytest.approx(4 * cov[1, 1] + cov[4, 4] - 4 * cov[1, 4], rel=1e-9)
    assert found.estimate == pytest.approx(2 * fitted.fit.params[1] - fitted.fit.params[4], rel=1e-9)


def test_a_cubic_surface_keeps_the_identity_of_its_two_readings():
    codings = {"learning_rate": Coding((1, 2, 3, 4), "identity"), "epochs": Coding((1, 2, 3), "identity")}
    draw = np.random.default_rng(8)
    rows = [
        {"learning_rate": rate, "epochs": epochs, "seed": seed, "dataset": "a", "point_id": f"{rate} {epochs}"}
        for rate, epochs, seed in itertools.product((1, 2, 3, 4), (1, 2, 3), range(3))
    ]
    runs = pd.DataFrame(rows).assign(loss=draw.normal(size=36), baseline_loss=0.3)
    runs["trajectory_id"] = [str(number) for number in range(36)]
    columns = terms(list(codings), "cubic")
    assert ("learning_rate",) * 3 in columns
    fitted = regression.fit_surface(runs, "loss", codings, columns, 0.95)
    relative, deviation = regression.fit_relative(fitted, {"learning_rate": 2, "epochs": 3})
    assert deviation < 1e-8
    place = {"learning_rate": -1 / 3, "epochs": 1.0}
    assert relative.fit.params[1] == pytest.approx(finite_difference_of(fitted, place), abs=1e-6)


def finite_difference_of(fitted: regression.Surface, place: dict[str, float]) -> float:
    rate = place["learning_rate"]
    ends = [{name: np.array([x]) for name, x in (place | {"learning_rate": rate + d}).items()} for d in (1e-4, -1e-4)]
    high, low = (model_matrix(end, fitted.columns) @ fitted.fit.params[: len(fitted.columns)] for end in ends)
    return float((high - low)[0] / 2e-4)


def test_a_surface_is_read_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        surface(study()).response = "accuracy"
