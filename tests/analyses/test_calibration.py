"""The loss in its parts: against scipy's search and statsmodels' logistic fit, closed forms and hand calculation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special, stats
from scipy.optimize import minimize_scalar

import report_fixtures as fx
from finevar.analyses import calibration
from finevar.analyses.predictions import compare_predictions
from finevar.figures import calibration as calibration_chart
from finevar.figures import drawing
from finevar.report.sections import calibration as calibration_section
from finevar.results.predictions import Predictions
from finevar.tables import TABLES
from prediction_fixtures import compared, model_logits, write_study
from prose import MISSING, numbers

LABELS = {"accuracy": "accuracy", "loss": "loss"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Return the tables of a study of 54 runs whose learning rate sets the temperature."""
    found = compared(tmp_path_factory.mktemp("study"))
    return found | fx.as_read(
        fx.fit_study(fx.FittedStudy.of(found["metrics"], fx.plan_of(fx.FACTORS, ["accuracy", "loss"])))
    )


# Temperature ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 4])
def test_the_best_temperature_is_that_of_scipys_search(classes):
    draw = np.random.default_rng(classes)
    labels = draw.integers(0, classes, 300)
    heats = np.array([0.2, 1.0, 7.0])
    own = draw.normal(size=(3, 300, classes)) + 1.5 * np.eye(classes)[labels]
    logits = (heats[:, None, None] * own).astype(np.float32)
    found = [calibration.best_temperature(own, labels) for own in logits]

    def loss(log_temperature: float, z: np.ndarray) -> float:
        scaled = z.astype(float) / np.exp(log_temperature)
        return float((special.logsumexp(scaled, axis=1) - scaled[np.arange(300), labels]).mean())

    for z, temperature in zip(logits, found, strict=True):
        best = minimize_scalar(loss, bracket=(-2, 2), args=(z,), options={"xtol": 1e-10})
        assert np.log(temperature) == pytest.approx(best.x, abs=1e-6)


def test_with_two_classes_it_is_a_logistic_regression_without_a_constant():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 400)
    logits = model_logits(labels, 1.0, 3.0, draw)
    slope = sm.Logit(labels, logits[:, 1].astype(float) - logits[:, 0]).fit(disp=False).params[0]
    assert calibration.best_temperature(logits, labels) == pytest.approx(1 / slope, rel=1e-6)


def test_where_no_temperature_is_best_it_is_the_nearer_end():
    labels = np.array([0, 1, 1])
    right = np.array([[2, 0], [0, 1], [0, 3]], dtype=np.float32)  # the colder the better
    ends = [calibration.best_temperature(logits, labels) for logits in (right, -right)]
    np.testing.assert_allclose(ends, [calibration.LOWEST, calibration.HIGHEST], rtol=1e-9)
    parts = calibration.loss_parts(right, labels)
    assert parts["reason"] == calibration.BEYOND
    assert parts["refinement"] == pytest.approx(0, abs=1e-20)


def test_a_model_that_says_nothing_keeps_its_temperature():
    """Logits that are equal everywhere have the loss log 2 at every temperature."""
    parts = calibration.loss_parts(np.ones((4, 2), dtype=np.float32), np.array([0, 1, 0, 0]))
    assert (parts["temperature"], parts["reason"]) == (1.0, None)
    assert parts["loss"] == parts["refinement"] == pytest.approx(np.log(2))


def test_parts_by_hand():
    """With logits +-2 in favour, 3 of 4 right: the best odds are 3 to 1, so T = 2 / log 3 and refinement is entropy."""
    logits = np.array([[2, 0], [2, 0], [2, 0], [2, 0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 1])
    parts = calibration.loss_parts(logits, labels)
    entropy = stats.entropy([0.75, 0.25])
    loss = np.log1p(np.exp(-2)) + 2 / 4
    assert parts["temperature"] == pytest.approx(2 / np.log(3))
    assert (parts["refinement"], parts["loss"]) == (pytest.approx(entropy), pytest.approx(loss))
    assert parts["calibration_loss"] == pytest.approx(loss - entropy)
    assert parts["ece"] == pytest.approx(1 / (1 + np.exp(-2)) - 0.75)


def test_a_calibrated_model_shows_one_over_twice_its_sentences():
    """Twice the gain in log-likelihood of one parameter is chi-square of 1 degree of freedom (Wilks 1938)."""
    draw = np.random.default_rng(2)
    gains = []
    for _ in range(400):
        labels = draw.integers(0, 2, 400)
        logits = model_logits(labels, 1.0, 1.0, draw)
        gains.append(calibration.loss_parts(logits, labels)["calibration_loss"])
    assert 2 * 400 * np.mean(gains) == pytest.approx(1, abs=3 * np.sqrt(2 / 400))


# Tables ---------------------------------------------------------------------------------------------------------------


def test_every_run_has_its_parts_beside_its_metrics(tables):
    parts, metrics = tables["calibration"], tables["metrics"].set_index("run_id")
    runs = parts[parts["role"] == "run"].set_index("run_id")
    for name in ("loss", "accuracy", "ece", "brier"):
        pd.testing.assert_series_equal(runs[name], metrics[name].astype(float), check_like=True)
    assert (parts["calibration_loss"] >= 0).all()
    np.testing.assert_allclose(parts["loss"], parts["refinement"] + parts["calibration_loss"], rtol=1e-12)
    heat = runs["temperature"] / (metrics["learning_rate"] / 1e-4) ** 0.5
    assert heat.between(0.6, 1.6).all(), "the heat that the logits were simulated with, up to the test set's noise"


def test_the_change_of_the_loss_is_the_sum_of_its_parts(tables):
    changes = tables["calibration_effects"].pivot(index="factor", columns="response", values="change")
    np.testing.assert_allclose(changes["loss"], changes["refinement"] + changes["calibration_loss"], atol=1e-12)
    effects = tables["effects"].query("response == 'loss'").set_index("factor")
    pd.testing.assert_series_equal(changes["loss"], effects["change"], check_names=False, check_like=True)


def test_the_parts_tell_what_each_factor_was_simulated_to_do(tables):
    rows = tables["calibration_effects"].set_index(["factor", "response"])
    assert rows.loc[("epochs", "refinement"), "ci_high"] < 0
    assert rows.loc[("batch_size", "refinement"), "ci_low"] < 0 < rows.loc[("batch_size", "refinement"), "ci_high"]
    calibrated = rows.loc[("learning_rate", "calibration_loss")]
    refined = rows.loc[("learning_rate", "refinement")]
    assert refined["ci_low"] < 0 < refined["ci_high"]
    assert abs(calibrated["change"]) < 0.1, "as hot at the highest rate as cold at the lowest"


def test_reliability_by_hand():
    """Two models on four sentences: confidences 0.95 and 0.65, of which 5 of 6 and 1 of 2 are right."""
    sure, unsure = np.log(0.95 / 0.05), np.log(0.65 / 0.35)
    logits = np.array([[[sure, 0]] * 3 + [[unsure, 0]], [[sure, 0]] * 2 + [[0, sure], [0, unsure]]])
    rows = pd.DataFrame(calibration.reliability_curve(logits, np.array([0, 0, 1, 1]), 0.95)).set_index("bin")
    assert rows["count"].to_dict() == {6: 2, 9: 6}
    assert rows.loc[9, "correct_share"] == pytest.approx(5 / 6)
    assert rows.loc[6, "confidence_mean"] == pytest.approx(0.65)
    # Wilson's interval of 5/6 with n = 3, a model's share of the predictions in the bin.
    n, p, z = 3, 5 / 6, stats.norm.ppf(0.975)
    centre, reach = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - reach) / (1 + z**2 / n), (centre + reach) / (1 + z**2 / n)
    assert rows.loc[9, ["ci_low", "ci_high"]].tolist() == pytest.approx([low, high])


def test_the_groups_are_the_points_with_the_best_means(tables):
    places = tables["reliability"].drop_duplicates("group").set_index("group")["point_id"]
    means = tables["metrics"].groupby("point_id")[["accuracy", "loss"]].mean().astype(float)
    assert places["best accuracy"] in set(means.index[means["accuracy"] == means["accuracy"].max()])
    assert places["best loss"] == means["loss"].idxmin()
    assert places["highest loss"] == means["loss"].idxmax()
    assert (tables["reliability"].groupby("group")["count"].sum() == [240, 480, 480, 480]).all()


# Hostile studies ------------------------------------------------------------------------------------------------------


def test_a_class_that_is_never_predicted_is_no_obstacle():
    labels = np.array([0, 1, 0, 1, 0])
    logits = np.array([[[3, 0], [2, 0], [1, 0], [2, 1], [4, 0]]], dtype=np.float32)
    models = pd.DataFrame([{"role": "run", "run_id": "r", "dataset": "d", "point_id": "p", "seed": 0}])
    (row,) = calibration.calibration_rows(models, {"d": Predictions(np.arange(5), labels, logits)})
    assert row["accuracy"] == 0.6
    assert 0 <= row["calibration_loss"] < row["loss"]


def test_one_seed_diverged_runs_and_several_data_sets(tmp_path):
    tables = compared(tmp_path, seeds=(0,), datasets=("amazon", "tweets"), diverged=2)
    parts = tables["calibration"]
    assert parts["role"].value_counts().to_dict() == {"run": 52, "baseline": 2}
    assert tables["calibration_effects"]["change"].notna().all(), "the other cells are fitted"
    assert set(tables["reliability"]["dataset"]) == {"amazon", "tweets"}
    assert {52, 2} <= set(numbers(report_of(tables))), "runs, and those that diverged"


def test_a_study_without_finished_runs_has_a_sentence(tmp_path):
    metrics, files, root = write_study(tmp_path)
    none = metrics.assign(status="missing", **dict.fromkeys(("accuracy", "loss"), np.nan))
    plan = fx.plan_of(fx.FACTORS, ["accuracy", "loss"])
    tables = {"metrics": none, "effects": pd.DataFrame(columns=list(TABLES["effects"].columns))}
    tables |= fx.as_read(compare_predictions(fx.FittedStudy.of(none, plan), files, root))
    found = calibration_section.section(tables, {}, list(fx.FACTORS), 0.95)
    assert found["groups"] == []


def report_of(tables: dict[str, pd.DataFrame]) -> str:
    """Return the section's sentences."""
    whole = {"effects": pd.DataFrame(columns=list(TABLES["effects"].columns))} | tables
    found = calibration_section.section(whole, LABELS, list(fx.FACTORS), 0.95)
    sentences = [sentence["text"] for part in found["groups"] for sentence in part["sentences"]]
    text = " ".join([found["finding"], *sentences])
    assert not MISSING.search(text)
    return text


# Words and figure -----------------------------------------------------------------------------------------------------


def test_the_section_says_which_part_rose(tables):
    changes = tables["calibration_effects"].copy()
    rows = changes["factor"] == "learning_rate"
    changes.loc[rows, ["change", "ci_low", "ci_high"]] = [[0.2, 0.1, 0.3], [0.0, -0.1, 0.1], [0.2, 0.1, 0.3]]
    edited = tables | {"calibration_effects": changes}
    accuracy = tables["effects"].query("response == 'accuracy' and factor == 'learning_rate'").iloc[0]
    assert accuracy["ci_high"] > 0
    assert calibration_section.parted_factors(edited, LABELS)["learning_rate"] == "confidence"
    assert report_of(edited).count("+0.20 (0.10 to 0.30)") == 2, "of the loss and of the calibration loss"


def test_the_figure_draws_factors_and_every_data_set(tables):
    several = pd.concat([tables["reliability"].assign(dataset=name) for name in ("amazon", "tweets")])
    chart = calibration_chart.calibration_chart(tables["calibration_effects"], several, fx.CODINGS)
    drawn = drawing.specification(chart)
    titles = [panel["title"] for row in drawn["vconcat"] for panel in row["hconcat"]]
    assert titles == ["Change of the loss and its parts", "Reliability on amazon", "Reliability on tweets"]
    assert {54, 95} <= set(numbers(calibration_chart.caption(several, 54, 0.95)))


def test_where_there_is_nothing_to_draw_a_sentence_stands_alone(tables):
    none = tables["calibration_effects"].head(0), tables["reliability"].head(0)
    assert drawing.specification(calibration_chart.calibration_chart(*none, fx.CODINGS))["mark"]["type"] == "text"
