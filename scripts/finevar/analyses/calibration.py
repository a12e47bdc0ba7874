"""The parts of a loss: how well classes are separated, and how well confidences are set.

A model's logits divided by one temperature keep every predicted class. The loss at the temperature that suits the test
set best is called refinement here: what no rescaling of confidences could improve. The rest is calibration loss (Guo et
al. 2017, temperature scaling; the split of a proper score in two is DeGroot and Fienberg 1983).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from statsmodels.stats.proportion import proportion_confint

from finevar import metrics as scores
from finevar.analyses.effects import change_weights
from finevar.analyses.fits import FittedStudy
from finevar.results.predictions import Predictions
from finevar.statistics.regression import THESE_SENTENCES, Surface, contrasts
from finevar.study.coding import changes_of
from finevar.tables import Rows, as_rows

PARTS = ("loss", "refinement", "calibration_loss")
LOWEST, HIGHEST = 0.01, 100.0  # temperatures that are searched
BEYOND = f"the best temperature lies beyond {LOWEST:g} to {HIGHEST:g}; the nearer end is used"
BESIDE = ("accuracy", "ece", "brier")  # metrics that are shown beside the parts
BINS = 10  # of confidence


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which one model's logits [examples, classes] have the least mean cross-entropy.

    The cross-entropy is convex in the inverse temperature, so its slope has one root. Where that does not lie between
    LOWEST and HIGHEST the nearer one is returned: all predictions are right, or the model is no better than chance.
    """
    z = logits - np.take_along_axis(logits, labels[:, None], 1).astype(np.float64)

    def slope(log_inverse: float) -> float:
        """Return the derivative by the inverse temperature: the mean of z under the model, over examples."""
        return float((scores.softmax(z * np.exp(log_inverse)) * z).sum(1).mean())

    here = slope(0.0)
    if here == 0:
        return 1.0
    end = -np.log(LOWEST if here < 0 else HIGHEST)
    root = end if slope(end) * here >= 0 else brentq(slope, min(0.0, end), max(0.0, end), xtol=1e-12)
    return float(np.exp(-root))


def calibration_rows(models: pd.DataFrame, found: Mapping[str, Predictions]) -> Rows:
    """Return the parts of the loss of each model, a row a run and a row a data set for the baseline.

    models: run_id, dataset, point_id, seed (the baseline has none) and role (baseline or run), by data set in the order
    of the predictions.
    """
    names = as_rows(models[["role", "run_id", "dataset", "point_id", "seed"]])
    parts = [
        loss_parts(logits, found[dataset].labels)
        for dataset in models["dataset"].unique()
        for logits in found[dataset].logits
    ]
    return [name | part for name, part in zip(names, parts, strict=True)]


def loss_parts(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return loss, refinement and calibration loss of one model at its best temperature, and the metrics beside them.

    logits: [examples, classes].
    """
    temperature, response = best_temperature(logits, labels), scores.RESPONSES["loss"]
    evaluated = scores.Evaluated(logits, labels)
    scaled = scores.Evaluated(logits.astype(np.float64) / temperature, labels)
    loss = response.value(evaluated)
    refinement = min(response.value(scaled), loss)
    return {
        "loss": loss,
        "refinement": refinement,
        "calibration_loss": loss - refinement,
        "temperature": temperature,
        **{name: scores.RESPONSES[name].value(evaluated) for name in BESIDE},
        "reason": None if LOWEST * 1.000001 < temperature < HIGHEST / 1.000001 else BEYOND,
    }


def calibration_effect_rows(study: FittedStudy, parts: pd.DataFrame) -> Rows:
    """Return the change of loss, refinement and calibration loss from each factor's lowest to its highest level.

    Each by the study's own surface, the other factors mid-range. The fits are linear in the response, so the
    change of the loss is the sum of those of its parts. A part that a gate stops has one row with the reason.
    parts: the table of calibration.
    """
    runs = parts.loc[parts["role"] == "run", ["dataset", "run_id", *PARTS[1:]]]
    whole = study.of_responses(PARTS, study.metrics.merge(runs, how="left", on=["dataset", "run_id"]))
    rows = [
        {"response": surface.response, "factor": factor} | change_row(surface, factor)
        for surface in whole.surfaces
        for factor in changes_of(surface.codings)
    ]
    return rows + [{"response": name, "reason": reason.sentence} for name, reason in whole.stopped.items()]


def change_row(surface: Surface, factor: str) -> dict[str, Any]:
    """Return the change over a factor's range on these sentences: what a part would be on others is not known."""
    change = next(contrasts(surface, change_weights(surface, factor)[None], new_sentences=False))
    found = {"change" if name == "estimate" else name: value for name, value in change._asdict().items()}
    return found | {"population": THESE_SENTENCES}


def reliability_rows(parts: pd.DataFrame, found: Mapping[str, Predictions], confidence: float) -> Rows:
    """Return, by data set, how often four groups of models are right at each confidence.

    The groups are the baseline and three settings with all their seeds: best accuracy, best loss and highest loss, by
    mean over seeds. parts: the table of calibration, in the order of the predictions.
    """
    rows: Rows = []
    for dataset, models in parts.groupby("dataset", sort=False):
        for group, members in reliability_groups(models.reset_index(drop=True)).items():
            point = str(models["point_id"].iloc[members[0]])
            curve = reliability_curve(found[dataset].logits[members], found[dataset].labels, confidence)
            rows += [{"group": group, "dataset": dataset, "point_id": point} | row for row in curve]
    return rows


def reliability_groups(models: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the numbers of the models in each group, of one data set's models."""
    groups = {"baseline": models["role"] == "baseline"}
    means = models[models["role"] == "run"].groupby("point_id", sort=False)[["accuracy", "loss"]].mean()
    if len(means):
        accuracy, loss = means["accuracy"], means["loss"]
        picked = {"best accuracy": accuracy.idxmax(), "best loss": loss.idxmin(), "highest loss": loss.idxmax()}
        groups |= {name: models["point_id"] == point for name, point in picked.items()}
    return {name: np.flatnonzero(members) for name, members in groups.items() if members.any()}


def reliability_curve(logits: np.ndarray, labels: np.ndarray, confidence: float) -> Rows:
    """Return the share of right predictions in each bin of the predicted class's probability, empty bins left out.

    logits: [models, examples, classes]. The interval is Wilson's (1927). All models meet the same sentences, so
    predictions are no independent cases: a bin counts as many as it has predictions per model.
    """
    models = len(logits)
    probabilities = np.concatenate([scores.softmax(own) for own in logits])
    right, confidences = probabilities.argmax(1) == np.tile(labels, models), probabilities.max(1)
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    grouped = pd.DataFrame({"bin": bins, "confidence": confidences, "right": right}).groupby("bin")
    curve = grouped.agg(confidence_mean=("confidence", "mean"), correct_share=("right", "mean"), count=("bin", "size"))
    count = curve["count"] / models
    low, high = proportion_confint(curve["correct_share"] * count, count, alpha=1 - confidence, method="wilson")
    return curve.assign(ci_low=low, ci_high=high, models=models).reset_index().to_dict("records")
