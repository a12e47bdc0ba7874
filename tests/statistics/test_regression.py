"""Fits against a published example and closed forms; the two readings of one fit; gates before any p-value."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finevar.analyses import fits as readings
from finevar.analyses import surfaces as analyses
from finevar.reasons import Stop
from finevar.statistics import regression
from finevar.study.coding import Coding, design_matrix, model_matrix, term_name, terms
from finevar.study.matrices import aliased_terms

# ChemReact: Myers, Montgomery & Anderson-Cook (2009), table 7.6, as distributed with R's rsm.
CHEMREACT = [
    (80, 170, 1, 80.5), (80, 180, 1, 81.5), (90, 170, 1, 82.0), (90, 180, 1, 83.5), (85, 175, 1, 83.9),
    (85, 175, 1, 84.3), (85, 175, 1, 84.0), (85, 175, 2, 79.7), (85, 175, 2, 79.8), (85, 175, 2, 79.5),
    (92.07, 175, 2, 78.4), (77.93, 175, 2, 75.6), (85, 182.07, 2, 78.5), (85, 167.93, 2, 77.0),
]  # fmt: skip
CHEM_CODINGS = {"time": Coding((80, 90), "identity"), "temp": Coding((170, 180), "identity")}
CODINGS = {
    "learning_rate": Coding((2.5e-5, 1e-4, 4e-4), "log2"),
    "batch_size": Coding((8, 16, 32), "log2"),
    "epochs": Coding((1, 2, 3), "identity"),
}
BASELINE = {"learning_rate": 1e-4, "batch_size": 32, "epochs": 1}


def chemreact() -> pd.DataFrame:
    runs = pd.DataFrame(CHEMREACT, columns=["time", "temp", "dataset", "yield"])
    runs["point_id"] = [f"{time}-{temp}" for time, temp in zip(runs["time"], runs["temp"], strict=True)]
    names = [f"run{number}" for number in range(len(runs))]
    return runs.assign(seed=0, status="ok", baseline_yield=80.0, run_id=names, trajectory_id=names)


fitted = readings.FittedStudy.of


def study(*, seeds: int = 2, datasets: tuple[str, ...] = ("amazon",), noise: float = 0.01) -> pd.DataFrame:
    """Return a study whose loss is a known quadratic in coded units plus noise; accuracy and f1 are noise alone."""
    draw = np.random.default_rng(1)
    rows = []
    for dataset, levels, seed in itertools.product(
        datasets, itertools.product(*(coding.levels for coding in CODINGS.values())), range(seeds)
    ):
        point = dict(zip(CODINGS, levels, strict=True))
        x = {name: float(CODINGS[name].coded(level)) for name, level in point.items()}
        loss = 0.4 + 0.1 * x["learning_rate"] + 0.05 * x["epochs"] + 0.03 * x["learning_rate"] ** 2
        loss += 0.02 * x["learning_rate"] * x["epochs"] + 0.01 * seed + 0.2 * (dataset == "tweets")
        rows.append(
            {
                **point,
                "point_id": str(levels),
                "dataset": dataset,
                "seed": seed,
                "run_id": f"{dataset}{levels}{seed}",
                "status": "ok",
                "loss": loss + draw.normal(scale=noise),
                "accuracy": 0.9 + draw.normal(scale=noise),
                "loss_se": 0.01,
                "accuracy_se": 0.012,
                "dtype_used": "bfloat16",
                "trajectory_id": f"{dataset}{levels}{seed}",
                "is_baseline_point": point == BASELINE,
                "baseline_loss": 0.35 + 0.1 * (dataset == "tweets"),
                "baseline_accuracy": 0.85,
            }
        )
    return pd.DataFrame(rows)


def fit(metrics: pd.DataFrame, responses=("loss", "accuracy"), order: str = "quadratic") -> dict[str, pd.DataFrame]:
    tables = readings.fit_study(fitted(metrics, readings.Plan(CODINGS, BASELINE, list(responses), order, 0.95)))
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def test_chemreact_is_reproduced():
    columns = terms(["time", "temp"], "quadratic")
    surface = regression.fit_surface(chemreact(), "yield", CHEM_CODINGS, columns, 0.95)
    estimates = dict(zip(surface.names, surface.fit.params, strict=True))
    block2 = -2 * estimates.pop("dataset[1]")  # deviation coding: half the difference of two blocks
    estimates["intercept"] += -block2 / 2
    expected = {
        "intercept": 84.0954, "time": 0.9325, "temp": 0.5777, "time:temp": 0.1250, "time^2": -1.3086, "temp^2": -0.9334,
    }  # fmt: skip
    assert estimates == pytest.approx(expected, abs=5e-5)
    assert block2 == pytest.approx(-4.4575, abs=5e-5)
    row = readings.fit_row(surface, chemreact(), "absolute")
    fits = (row["r2"], row["r2_adjusted"], row["r2_predicted"])
    assert fits == pytest.approx((0.9981, 0.9964, 0.9922), abs=5e-5)
    assert row["pure_error_df"] == 4
    assert row["pure_error_sd"] ** 2 * 4 == pytest.approx(0.1333, abs=5e-5)


def test_standard_errors_of_few_seeds_are_hc3():
    metrics = study(seeds=3)
    matrix, _ = design_matrix(metrics, CODINGS, terms(list(CODINGS), "quadratic"))
    inverse = np.linalg.inv(matrix.T @ matrix)
    residuals = metrics["loss"].to_numpy() - matrix @ inverse @ matrix.T @ metrics["loss"].to_numpy()
    leverage = np.einsum("ij,jk,ik->i", matrix, inverse, matrix)
    meat = matrix.T @ np.diag((residuals / (1 - leverage)) ** 2) @ matrix
    expected = np.sqrt(np.diag(inverse @ meat @ inverse))[:10]  # of the terms; the others are of seeds' blocks
    found = fit(metrics)["coefficients"].query("response == 'loss' and framework == 'absolute' and units == 'coded'")
    np.testing.assert_allclose(found["std_error"], expected, rtol=1e-9)
    df = len(metrics) - matrix.shape[1]
    np.testing.assert_allclose(found["p_value"], 2 * stats.t.sf(np.abs(found["t_value"]), df), rtol=1e-9)


def test_coefficients_find_the_truth_in_coded_and_natural_units():
    table = fit(study(noise=1e-6))["coefficients"].query("response == 'loss' and framework == 'absolute'")
    coded = table.query("units == 'coded'").set_index("term")["estimate"]
    truth = {
        "learning_rate": 0.1,
        "batch_size": 0,
        "epochs": 0.05,
        "learning_rate:epochs": 0.02,
        "learning_rate^2": 0.03,
    }
    assert {term: coded[term] for term in truth} == pytest.approx(truth, abs=1e-6)
    assert set(coded.index) == {"intercept", *map(term_name, terms(list(CODINGS), "quadratic"))}, "no seeds' blocks"
    natural = table.query("units == 'natural'").set_index("term")
    assert natural.loc["learning_rate", "estimate"] == pytest.approx(0.1 / 2, abs=1e-6)  # four doublings, two a unit
    assert natural.loc["learning_rate", "unit"] == "per doubling of learning_rate"
    assert natural.loc["epochs", "estimate"] == pytest.approx(0.05, abs=1e-6)
    assert natural.loc["learning_rate^2", "estimate"] == pytest.approx(0.03 / 4, abs=1e-6)


@pytest.mark.parametrize("datasets", [("amazon",), ("amazon", "tweets")])
def test_absolute_and_relative_are_one_fit(datasets):
    metrics = study(datasets=datasets)
    columns = terms(list(CODINGS), "quadratic")
    absolute = regression.fit_surface(metrics, "loss", CODINGS, columns, 0.95)
    relative, deviation = regression.fit_relative(absolute, BASELINE)
    assert deviation < 1e-8
    np.testing.assert_allclose(relative.fit.resid, absolute.fit.resid, atol=1e-10)
    assert relative.fit.ssr == pytest.approx(absolute.fit.ssr, rel=1e-10)
    second = [number for number, term in enumerate(columns) if len(term) == 2]
    np.testing.assert_allclose(relative.fit.params[second], absolute.fit.params[second], atol=1e-10)
    np.testing.assert_allclose(relative.fit.pvalues[second], absolute.fit.pvalues[second], rtol=1e-6)
    # Slope at the baseline by finite differences of the absolute surface's predictions.
    x0 = {name: float(CODINGS[name].coded(level)) for name, level in BASELINE.items()}
    for number, name in enumerate(CODINGS, 1):
        ends = [{key: np.array([x + step * (key == name)]) for key, x in x0.items()} for step in (1e-4, -1e-4)]
        high, low = (next(regression.predicted(absolute, end))["predicted"] for end in ends)
        assert relative.fit.params[number] == pytest.approx((high - low) / 2e-4, abs=1e-8)


@pytest.mark.parametrize("shared", [False, True])
def test_subtracting_the_baseline_moves_the_intercept_and_the_data_sets_only(shared):
    metrics = study(datasets=("amazon", "tweets"))
    if shared:
        course = metrics.groupby(["dataset", "learning_rate", "batch_size", "seed"]).ngroup()
        metrics["trajectory_id"] = course.astype(str)
    columns = terms(list(CODINGS), "quadratic")
    absolute = regression.fit_surface(metrics, "loss", CODINGS, columns, 0.95)
    less = metrics.assign(change=metrics["loss"] - metrics["baseline_loss"])
    change = regression.fit_surface(less, "change", CODINGS, columns, 0.95)
    assert absolute.errors.kind == change.errors.kind == ("CR3" if shared else "HC3")
    kept = [n for n, name in enumerate(absolute.names) if name != "intercept" and not name.startswith("dataset")]
    assert len(kept) == len(absolute.names) - 2
    for name in ("params", "bse"):
        np.testing.assert_allclose(getattr(change.fit, name)[kept], getattr(absolute.fit, name)[kept], atol=1e-12)
    np.testing.assert_allclose(change.fit.pvalues[kept], absolute.fit.pvalues[kept], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(change.fit.resid, absolute.fit.resid, atol=1e-12)
    assert change.fit.params[0] == pytest.approx(absolute.fit.params[0] - 0.4, abs=1e-12)  # mean of 0.35 and 0.45


def test_a_percent_change_rescales_and_a_ratio_of_levels_only_shifts():
    metrics, columns = study(), terms(list(CODINGS), "quadratic")
    absolute = regression.fit_surface(metrics, "loss", CODINGS, columns, 0.95)
    percent = metrics.assign(percent=100 * (metrics["loss"] / 0.35 - 1))
    scaled = regression.fit_surface(percent, "percent", CODINGS, columns, 0.95)
    for name in ("params", "bse"):
        rescaled = getattr(absolute.fit, name)[1:] * 100 / 0.35
        np.testing.assert_allclose(getattr(scaled.fit, name)[1:], rescaled, rtol=1e-10, atol=1e-10)
    ratios = metrics.assign(**{name: metrics[name] / BASELINE[name] for name in ("learning_rate", "batch_size")})
    shifted = {
        name: Coding(tuple(level / BASELINE[name] for level in coding.levels), "log2") if name in ratios and
        coding.scale == "log2" else coding
        for name, coding in CODINGS.items()
    }  # fmt: skip
    as_ratios = regression.fit_surface(ratios, "loss", shifted, columns, 0.95)
    np.testing.assert_allclose(as_ratios.fit.params, absolute.fit.params, atol=1e-12)
    np.testing.assert_allclose(as_ratios.fit.bse, absolute.fit.bse, atol=1e-12)


def test_a_second_order_term_is_one_test_in_both_readings():
    table = fit(study(noise=0.05))["coefficients"].query("units == 'coded'")
    sides = {
        name: table.query("framework == @name").set_index(["response", "term"]) for name in ("absolute", "relative")
    }
    second = sides["absolute"].query("group in ['two_way', 'quadratic']").index
    for column in ("p_adjusted", "family", "verdict"):
        assert list(sides["relative"].loc[second, column]) == list(sides["absolute"].loc[second, column])
    first = sides["relative"].query("group == 'first_order'")
    assert set(first["family"]) == {"6 relative terms, Benjamini-Hochberg"}
    expected = stats.false_discovery_control(first["p_value"], method="bh")
    np.testing.assert_allclose(first["p_adjusted"], expected, rtol=1e-12)


def test_where_no_term_holds_another_the_two_readings_are_the_same_tests():
    assert not readings.moves_with_origin(("epochs",), terms(list(CODINGS), "first_order"))
    assert readings.moves_with_origin(("epochs",), terms(list(CODINGS), "interactions"))
    assert not readings.moves_with_origin(("learning_rate", "epochs"), terms(list(CODINGS), "quadratic"))
    assert readings.moves_with_origin(("learning_rate", "learning_rate"), terms(list(CODINGS), "cubic"))
    table = fit(study(), order="first_order")["coefficients"].query("group == 'first_order'")
    assert set(table["family"]) == {"6 absolute terms, Benjamini-Hochberg", "6 matched terms, Benjamini-Hochberg"}


def test_the_relative_intercept_is_the_change_at_the_baselines_own_hyperparameters():
    coefficients = fit(study(noise=1e-7))["coefficients"].query("framework == 'relative' and units == 'coded'")
    intercept = coefficients.query("response == 'loss' and term == 'intercept'")["estimate"].item()
    expected = 0.4 - 0.05 + 0.005 - 0.35  # coded baseline: learning rate 0, batch 1, epochs -1; mean of two seeds
    assert intercept == pytest.approx(expected, abs=1e-6)


def test_standard_errors_of_enough_seeds_are_those_of_the_seeds_own_fits():
    """On a balanced design: an estimate is the mean of those of the seeds alone, with their t interval."""
    metrics = study(seeds=5)
    columns = terms(list(CODINGS), "quadratic")
    own = []
    for _, runs in metrics.groupby("seed"):
        x = {name: coding.coded(runs[name]) for name, coding in CODINGS.items()}
        own.append(np.linalg.lstsq(model_matrix(x, columns), runs["loss"], rcond=None)[0])
    by_scipy = stats.ttest_1samp(own, 0)
    found = fit(metrics)["coefficients"].query("response == 'loss' and framework == 'absolute' and units == 'coded'")
    np.testing.assert_allclose(found["estimate"], np.mean(own, axis=0), atol=1e-12)
    np.testing.assert_allclose(found["std_error"], stats.sem(own), rtol=1e-9)
    np.testing.assert_allclose(found["df"], 4, rtol=1e-9)
    np.testing.assert_allclose(found["p_value"], by_scipy.pvalue, rtol=1e-6)
    low, high = by_scipy.confidence_interval(0.95)
    np.testing.assert_allclose(found[["ci_low", "ci_high"]], np.column_stack([low, high]), rtol=1e-9)
    assert set(found["population"]) == {regression.THESE_SENTENCES}, "of single sentences nothing is known"


def test_adjusted_p_values_are_benjamini_hochberg_over_terms_and_responses():
    coefficients = fit(study())["coefficients"]
    family = coefficients.query("framework == 'absolute' and units == 'coded' and group not in ['intercept', 'block']")
    assert set(family["family"]) == {"18 absolute terms, Benjamini-Hochberg"}
    expected = stats.false_discovery_control(family["p_value"], method="bh")
    np.testing.assert_allclose(family["p_adjusted"], expected, rtol=1e-12)
    assert coefficients.query("group in ['intercept', 'block']")["p_adjusted"].isna().all()


def test_profiles_and_surfaces_are_predictions_with_the_others_at_the_centre():
    tables = fit(study(noise=1e-7))
    profile = tables["profiles"].query("response == 'loss' and factor == 'learning_rate'")
    ends = [profile["predicted"].iloc[number] for number in (0, len(profile) // 2, -1)]
    assert ends == pytest.approx([0.405 - 0.1 + 0.03, 0.405, 0.405 + 0.1 + 0.03], abs=1e-6)
    surface = tables["surface"].query("response == 'loss' and factor_x == 'learning_rate' and factor_y == 'epochs'")
    assert set(surface["held"]) == {"batch_size = 16"}
    corner = surface[(surface["value_x"] > 3.99e-4) & (surface["value_y"] > 2.99)]
    assert corner["predicted"].item() == pytest.approx(0.405 + 0.1 + 0.05 + 0.03 + 0.02, abs=1e-6)


def gate_of(metrics: pd.DataFrame, order: str = "quadratic") -> str:
    """Return the code of what stopped the loss."""
    tables = fit(metrics, ["loss"], order)
    assert all(tables[name].empty for name in tables if name != "fits"), "a gated response prints nothing else"
    (code,) = set(tables["fits"]["gate_code"])
    assert tables["fits"]["gate"].notna().all()
    return code


def test_gates():
    assert gate_of(study().assign(loss=0.4)) == Stop.CONSTANT
    mixed = ["float32"] * 5 + ["bfloat16"] * 49
    assert gate_of(study().assign(dtype_used=mixed)) == Stop.MIXED_DTYPES
    assert gate_of(pd.concat([study(), study().head(4)])) == Stop.REPEATED_RUNS
    tied = study()
    tied = tied[tied["batch_size"] == tied["epochs"].map({1: 8, 2: 16, 3: 32})]
    assert gate_of(tied) == Stop.ALIASED
    corners = [str(levels) for levels in ((2.5e-5, 8, 1), (4e-4, 8, 1), (2.5e-5, 32, 1), (2.5e-5, 8, 3))]
    few = study(seeds=1)[study(seeds=1)["point_id"].isin(corners)]
    assert gate_of(few, "first_order") == Stop.NO_RESIDUAL


def test_aliased_batch_times_epochs_is_named_and_has_no_p():
    metrics = study()
    corner = (metrics["batch_size"] == 32) & (metrics["epochs"] == 3)
    ends = metrics["batch_size"].isin([8, 32]) & metrics["epochs"].isin([1, 3])
    tied = metrics[ends & ~corner].reset_index(drop=True)  # three of four corners: the product follows from the factors
    assert gate_of(tied, "interactions") == Stop.ALIASED
    matrix, names = design_matrix(tied, CODINGS, terms(list(CODINGS), "interactions"))
    assert aliased_terms(matrix, names) == ["batch_size:epochs"]
    plan = readings.Plan(CODINGS, BASELINE, ["loss"], "interactions", 0.95)
    for analyse in (analyses.check_study, analyses.explore_study, analyses.compare_study):
        assert all(not rows for rows in analyse(fitted(tied, plan)).values())


def test_too_few_levels_are_named():
    metrics = study()
    two = metrics[metrics["epochs"] != 2].reset_index(drop=True)
    assert gate_of(two) == Stop.FEW_LEVELS


def test_too_few_trajectories_stop_the_table():
    metrics = study(seeds=2)
    shared = metrics.assign(trajectory_id=metrics["learning_rate"].astype(str) + metrics["seed"].astype(str))
    assert gate_of(shared) == Stop.FEW_CLUSTERS


def test_the_covariance_and_its_reason_are_told():
    row = fit(study())["fits"].iloc[0]
    assert row["covariance"] == "HC3"
    assert row["covariance_reason"].startswith("every run is trained by itself")
    assert "its tests are cautious" in row["covariance_reason"], "54 runs are few for 11 parameters"
    for seeds, expected in ((3, ("CR3", 27)), (4, ("CR2", 4))):  # four seeds have a variance of their own
        metrics = study(seeds=seeds)
        course = metrics.groupby(["learning_rate", "batch_size", "seed"]).ngroup().astype(str)
        shared = fit(metrics.assign(trajectory_id=course))["fits"].iloc[0]
        assert (shared["covariance"], shared["clusters"]) == expected
        assert ("trajectory" in shared["covariance_reason"]) == (seeds == 3)


def test_a_cell_without_a_finished_run_stops_the_table_and_is_named():
    metrics = study()
    metrics.loc[metrics["point_id"] == metrics["point_id"][0], "status"] = "missing"
    assert gate_of(metrics) == Stop.EMPTY_CELLS


def test_one_diverged_seed_leaves_the_cell_and_is_counted():
    metrics = study()
    metrics.loc[0, "status"] = "diverged"
    fits = fit(metrics, ["loss"])["fits"]
    assert fits["gate"].isna().all() if "gate" in fits else True
    assert (fits["runs"].iloc[0], fits["diverged"].iloc[0]) == (53, 1)


def test_a_baseline_without_the_response_stops_the_relative_table_only():
    tables = fit(study().assign(baseline_loss=np.nan), ["loss"])
    assert set(tables["coefficients"]["framework"]) == {"absolute"}
    assert tables["fits"].query("framework == 'relative'")["gate_code"].item() == Stop.NO_BASELINE


def test_aliased_terms_are_those_that_depend_on_earlier_ones():
    x = {name: np.array([-1.0, 0, 1, -1, 0, 1]) for name in "ab"}
    columns = terms(["a", "b"], "interactions")
    names = ["intercept", "a", "b", "a:b"]
    assert aliased_terms(model_matrix(x, columns), names) == ["b"]
