"""What a loss is made of: how well classes are told apart, and how well confidences are set.

A model's logits divided by one temperature keep every predicted class. The loss at the temperature that suits the test
set best is called refinement here: what no setting of the confidence could mend. The rest is calibration loss (Guo et
al. 2017, temperature scaling; the split of a proper score in two is DeGroot and Fienberg 1983).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from finevar import metrics as scores
from finevar.analyses.fits import FittedStudy, effect_rows
from finevar.results.predictions import Predictions

PARTS = ("loss", "refinement", "calibration_loss")
LOWEST, HIGHEST = 0.01, 100.0  # temperatures that are searched
BEYOND = f"the best temperature lies beyond {LOWEST:g} to {HIGHEST:g}; the nearer end is used"
STEPS = 100  # of Newton and bisection; fewer than 10 are needed in practice
PRECISE = 1e-9  # of the logarithm of a temperature
CHUNK = 100_000  # logits at a time, which stay in a processor's cache
BINS = 10  # of confidence
REPORTED = ("response", "factor", "change", "std_error", "ci_low", "ci_high", "p_value")

Rows = list[dict[str, Any]]


# Temperature ----------------------------------------------------------------------------------------------------------


def best_temperatures(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the temperatures [models] at which logits [models, examples, classes] have the least mean cross-entropy.

    The cross-entropy is convex in the inverse temperature; its slope's root is found in logarithms by Newton's steps,
    and by halving where a step leaves the bracket. Where no root lies between LOWEST and HIGHEST the nearer one is
    returned: all sentences are told right, or the model does not beat chance.
    """
    chunk = max(1, CHUNK // logits[0].size) if len(logits) else 1
    parts = [logits[start : start + chunk] for start in range(0, len(logits), chunk)]
    return np.concatenate([chunk_temperatures(part, labels) for part in parts]) if parts else np.empty(0)


def chunk_temperatures(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the best temperatures [models] of some models at once."""
    z = np.ascontiguousarray(np.moveaxis(logits, 2, 0), dtype=np.float64)  # sums over classes are then fast
    z -= np.take_along_axis(z, labels[None, None], 0)  # so that the slope is the mean of z under the model
    at = np.zeros(len(logits))
    low, high = at - np.log(HIGHEST), at - np.log(LOWEST)
    here, colder, hotter = (slope_and_curvature(z, np.exp(place))[0] for place in (at, high, low))
    endless = [(here < 0) & (colder <= 0), (here > 0) & (hotter >= 0)]
    low, high = np.where(endless[0], high, low), np.where(endless[1], low, high)
    at = np.select(endless, [high, low], at)
    for _ in range(STEPS):
        slope, curvature = slope_and_curvature(z, np.exp(at))
        high, low = np.where(slope >= 0, at, high), np.where(slope <= 0, at, low)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = at - slope / (curvature * np.exp(at))
        close = np.abs(newton - at) < PRECISE
        inside = (newton > low) & (newton < high)
        at = np.where(close | (low == high), at, np.where(inside, newton, (low + high) / 2))
        if (close | (low == high)).all():
            break
    return np.exp(-at)


def slope_and_curvature(z: np.ndarray, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second derivative [models] of the mean cross-entropy by the inverse temperature [models].

    z: logits [classes, models, examples] less that of the label.
    """
    scaled = z * inverse[:, None]
    weights = np.exp(scaled - scaled.max(0))
    weights /= weights.sum(0)
    weights *= z
    mean = weights.sum(0)
    weights *= z
    return mean.mean(1), (weights.sum(0) - mean**2).mean(1)


# Tables ---------------------------------------------------------------------------------------------------------------


def calibration_rows(models: pd.DataFrame, found: Mapping[str, Predictions]) -> Rows:
    """Return the parts of the loss of each model, a row a run and a row a data set for the baseline.

    models: run_id, dataset, point_id, seed and role (baseline or run), by data set in the order of the predictions.
    """
    rows: Rows = []
    for dataset, who in models.groupby("dataset", sort=False):
        labels, logits = found[dataset].labels, found[dataset].logits
        told = zip(who.to_dict("records"), logits, best_temperatures(logits, labels).tolist(), strict=True)
        rows += [identity(model) | loss_parts(own, labels, best) for model, own, best in told]
    return rows


def identity(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names a model; the baseline has no seed of the study."""
    named = {name: model[name] for name in ("role", "run_id", "dataset", "point_id")}
    return named | {"seed": None if model["role"] == "baseline" else int(model["seed"])}


def loss_parts(logits: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, Any]:
    """Return loss, refinement and calibration loss of one model at its best temperature, and the metrics beside them.

    logits: [examples, classes].
    """
    probabilities = scores.softmax(logits)
    loss = float(scores.cross_entropies(logits, labels).mean())
    scaled = logits.astype(np.float64) / temperature
    refinement = min(float(scores.cross_entropies(scaled, labels).mean()), loss)
    return {
        "loss": loss,
        "refinement": refinement,
        "calibration_loss": loss - refinement,
        "temperature": temperature,
        "accuracy": float((logits.argmax(1) == labels).mean()),
        "ece": scores.calibration_error(probabilities, labels),
        "brier": scores.brier(probabilities, labels),
        "reason": None if LOWEST * 1.000001 < temperature < HIGHEST / 1.000001 else BEYOND,
    }


def calibration_effect_rows(study: FittedStudy, parts: pd.DataFrame) -> Rows:
    """Return the change of loss, refinement and calibration loss from each factor's lowest to its highest level.

    Each by the study's own surface, the other factors at their centre. The fits are linear in the response, so the
    change of the loss is the sum of those of its parts. A part that a gate stops has one row with the reason.
    parts: the table of calibration.
    """
    runs = parts.loc[parts["role"] == "run", ["dataset", "run_id", *PARTS[1:]]]
    whole = study.of_responses(PARTS, study.metrics.merge(runs, how="left", on=["dataset", "run_id"]))
    rows = [{name: row[name] for name in REPORTED} for surface in whole.surfaces for row in effect_rows(surface)]
    return rows + [{"response": name, "reason": gate} for name, gate in whole.stopped.items()]


# Reliability ----------------------------------------------------------------------------------------------------------


def reliability_rows(parts: pd.DataFrame, found: Mapping[str, Predictions], confidence: float) -> Rows:
    """Return, by data set, how often four groups of models are right at each confidence.

    The groups are the baseline and three points with all their seeds: best accuracy, best loss and highest loss, by
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
    told = np.concatenate([scores.softmax(own) for own in logits])
    right, confidences = told.argmax(1) == np.tile(labels, models), told.max(1)
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        count, correct = int(inside.sum()), int(right[inside].sum())
        low, high = proportion_confint(correct / models, count / models, alpha=1 - confidence, method="wilson")
        row = {"bin": int(number), "confidence_mean": float(confidences[inside].mean())}
        row |= {"correct_share": correct / count, "ci_low": float(low), "ci_high": float(high)}
        rows.append(row | {"count": count, "models": models})
    return rows
