"""Predictions and differences of bounded metrics: no estimate and no interval beyond what the metric can be."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import special
from test_regression import CODINGS, study

from finevar.statistics import optimum, regression
from finevar.statistics.bounds import limits, within
from finevar.statistics.ranking import rank_settings, regret_of
from finevar.study.coding import model_matrix, terms

GRID = dict(zip(CODINGS, np.array(list(itertools.product(np.linspace(-1, 1, 9), repeat=3))).T, strict=True))
SENTENCES = 200


def surface(metrics: pd.DataFrame, response: str, **known) -> regression.Surface:
    return regression.fit_surface(metrics, response, CODINGS, terms(list(CODINGS), "quadratic"), 0.95, **known)


def predictions(fitted: regression.Surface) -> pd.DataFrame:
    return pd.DataFrame(regression.predicted(fitted, GRID))


def easy_study(seeds: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return a study whose accuracy is exactly 1 at all lower learning rates, with each run's answers by sentence."""
    metrics, draw = study(seeds=seeds), np.random.default_rng(5)
    hard = (metrics["learning_rate"] == metrics["learning_rate"].max()).to_numpy()
    right = np.where(hard[:, None], draw.random((len(metrics), SENTENCES)) < 0.97, True).astype(float)
    return metrics.assign(accuracy=right.mean(1)), {metrics["dataset"].iloc[0]: right}


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("with_sentences", [True, False])
def test_accuracy_of_one_in_most_cells_is_never_beyond_one(seeds, with_sentences):
    metrics, sentences = easy_study(seeds)
    assert (metrics.groupby("point_id")["accuracy"].mean() == 1).mean() > 0.5
    fitted = surface(metrics, "accuracy", sentences=sentences if with_sentences else {})
    linear = model_matrix(GRID, fitted.columns) @ fitted.fit.params[: len(fitted.columns)]
    assert linear.max() > 1
    found = predictions(fitted)
    assert set(found["scale"]) == {"logit"}
    assert found[["predicted", "ci_low", "ci_high"]].stack().between(0, 1).all()
    assert (found["ci_low"] <= found["predicted"]).all()
    assert (found["predicted"] <= found["ci_high"]).all()
    best, _ = optimum.predicted_best(fitted)
    assert 0 <= best["ci_low"] <= best["predicted"] <= best["ci_high"] <= 1
    assert best["scale"] == "logit"


def test_near_a_bound_predictions_are_the_logits_surface():
    metrics, draw = study(), np.random.default_rng(2)
    logits = 3 + 0.5 * draw.normal(size=len(metrics))
    metrics = metrics.assign(accuracy=special.expit(logits), logits=logits)
    found, on_logits = predictions(surface(metrics, "accuracy")), predictions(surface(metrics, "logits"))
    for column in ("predicted", "ci_low", "ci_high"):
        np.testing.assert_allclose(found[column], special.expit(on_logits[column]), rtol=1e-9)
    slope = found["predicted"] * (1 - found["predicted"])
    np.testing.assert_allclose(found["std_error"], slope * on_logits["std_error"], rtol=1e-9)
    assert set(on_logits["scale"]) == {"linear"}


def test_sentences_move_logits_by_the_derivative():
    """Against the difference that leaving each sentence out makes, which the delta method is the first order of."""
    metrics, draw = study(), np.random.default_rng(7)
    right = (draw.random((len(metrics), 2000)) < 0.96).astype(float)
    fitted = surface(metrics.assign(accuracy=right.mean(1)), "accuracy", sentences={metrics["dataset"].iloc[0]: right})
    (found,) = regression.on_scale(fitted).sentences.values()
    without = (right.sum(1, keepdims=True) - right) / (right.shape[1] - 1)
    jackknife = special.logit(right.mean(1))[:, None] - special.logit(without)
    np.testing.assert_allclose(found.mean(1), special.logit(right.mean(1)), rtol=1e-12)
    np.testing.assert_allclose((found - found.mean(1, keepdims=True)) / (right.shape[1] - 1), jackknife, rtol=0.01)


def test_bands_of_a_metric_with_one_bound_are_clipped_there():
    metrics, draw = study(), np.random.default_rng(1)
    fitted = surface(metrics.assign(loss=np.abs(draw.normal(scale=0.1, size=len(metrics)))), "loss")
    found = predictions(fitted)
    assert set(found["scale"]) == {"linear", "clipped"}
    clipped = found["scale"] == "clipped"
    assert (found.loc[clipped, "ci_low"] == 0).all()
    assert (found.loc[~clipped, "ci_low"] > 0).all()


def test_far_from_its_bounds_a_metric_is_predicted_as_it_is():
    metrics = study(noise=0.002)
    fitted = surface(metrics.assign(accuracy=0.5 + (metrics["loss"] - metrics["loss"].mean())), "accuracy")
    found = predictions(fitted)
    weights = fitted.padded(model_matrix(GRID, fitted.columns))
    assert set(found["scale"]) == {"linear"}
    np.testing.assert_allclose(found["predicted"], weights @ fitted.fit.params, rtol=1e-12)


@pytest.mark.parametrize(
    ("response", "reference", "expected"),
    [
        ("accuracy", None, (-1, 1)),
        ("accuracy", 0.9, (-0.9, 0.1)),
        ("accuracy", 1.2, (-1, 0)),  # as a linear surface may predict
        ("mcc", None, (-2, 2)),
        ("mcc", 0.5, (-1.5, 0.5)),
        ("loss", None, (-np.inf, np.inf)),
        ("loss", 0.4, (-0.4, np.inf)),
        ("refinement", 0.4, (-np.inf, np.inf)),  # a part of the loss, of which nothing is known
    ],
)
def test_what_a_difference_can_be(response, reference, expected):
    assert limits(response, reference) == pytest.approx(expected)


def test_a_row_is_cut_at_its_limits_and_has_them():
    row = {"estimate": 0.3, "ci_low": -0.6, "ci_high": 2.4, "reason": None, "p_value": 0.2}
    found = within(row, ("estimate", "ci_low", "ci_high", "simultaneous_low"), limits("f1", 0.2))
    assert found == {**row, "ci_low": -0.2, "ci_high": 0.8, "least": -0.2, "most": 0.8}
    assert within({"estimate": None}, ("estimate",), limits("loss", 0.4)) == {
        "estimate": None, "least": -0.4, "most": None
    }  # fmt: skip


def test_differences_from_the_best_and_regret_leave_room_for_what_can_be():
    """Of accuracies anywhere between 0 and 1 at two seeds: the best mean leaves less than its distance from 1."""
    metrics, draw = study(seeds=2), np.random.default_rng(3)
    fitted = surface(metrics.assign(accuracy=draw.uniform(0.02, 0.98, len(metrics))), "accuracy")
    table, means = rank_settings(fitted), fitted.runs.groupby("point_id", sort=False)["accuracy"].mean()
    assert table["most"].unique() == pytest.approx([1 - means.max()])
    assert table["least"].unique() == pytest.approx([-means.max()])
    assert (table["simultaneous_high"] == table["most"]).any()
    assert table["simultaneous_low"].min() == pytest.approx(-means.max())
    worst = means.idxmin()
    regret = regret_of(fitted, worst)
    assert 0 < regret.expected < regret.bound <= 1 - means[worst] + 1e-12
