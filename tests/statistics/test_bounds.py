"""Predictions of bounded metrics: inside their bounds, on logits where cells are near one, clipped or as they are."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import special
from test_regression import CODINGS, study

from finevar.statistics import optimum, regression
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
