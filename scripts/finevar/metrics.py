"""Metrics from logits and labels, and what each example contributes to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

ECE_BINS = 15
ON_CARDS = ("loss", "accuracy", "f1")  # responses that model cards state

Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """What a model said of some examples."""

    logits: np.ndarray  # [examples, classes]
    labels: np.ndarray  # [examples]

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """Return the class of largest logit [examples]."""
        return self.logits.argmax(1)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Return probabilities, float64 [examples, classes]."""
        return softmax(self.logits)

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """Return the counts of true and predicted classes [classes, classes]."""
        return confusion_matrix(self.predicted, self.labels, self.logits.shape[1])


@dataclass(frozen=True)
class Response:
    """A metric that a study may fit: its score, None where it is not defined, and what the analyses know of it."""

    score: Callable[[Evaluated], float | None]
    words: str
    lower_is_better: bool = False
    bounds: tuple[float, float] = (0.0, 1.0)


# A further metric is one more entry here. Raise ENGINES["metrics"] with it, so that the predictions of finished runs
# are scored again: in seconds, without a training or an evaluation.
RESPONSES = {
    "accuracy": Response(lambda told: float((told.predicted == told.labels).mean()), "accuracy"),
    "f1": Response(lambda told: averaged(told.confusion)["f1"], "F1"),
    "loss": Response(
        lambda told: float(cross_entropies(told.logits, told.labels).mean()),
        "loss",
        lower_is_better=True,
        bounds=(0.0, np.inf),
    ),
    "precision": Response(lambda told: averaged(told.confusion)["precision"], "precision"),
    "recall": Response(lambda told: averaged(told.confusion)["recall"], "recall"),
    "mcc": Response(lambda told: matthews(told.confusion), "MCC", bounds=(-1.0, 1.0)),
    "roc_auc": Response(lambda told: roc_auc(told.logits, told.labels), "ROC AUC"),
    "ece": Response(lambda told: calibration_error(told.probabilities, told.labels), "ECE", lower_is_better=True),
    "brier": Response(lambda told: brier(told.probabilities, told.labels), "Brier score", lower_is_better=True),
}
LOWER_IS_BETTER = frozenset(name for name, response in RESPONSES.items() if response.lower_is_better)
SECONDS = "seconds"  # of training a run: what trade-offs weigh beside the metrics


def towards(metric: str) -> float:
    """Return the sign that makes more of a metric, or of seconds, better."""
    return -1.0 if metric in LOWER_IS_BETTER or metric == SECONDS else 1.0


def metrics(logits: np.ndarray, labels: np.ndarray) -> Row:
    """Return every response from logits [examples, classes] and labels [examples].

    One that is not defined (a precision where nothing was predicted positive) is None, with the reason under `reason`.
    """
    told, classes = Evaluated(logits, labels), logits.shape[1]
    values: Row = {name: response.score(told) for name, response in RESPONSES.items()}
    errors = sampling_errors(logits, labels, told.confusion)
    undefined = [name for name, value in (values | errors).items() if value is None]
    errors = {name: error if values[name.removesuffix("_se")] is not None else None for name, error in errors.items()}
    return (
        values
        | errors
        | {
            "reason": f"not defined for these predictions: {', '.join(undefined)}" if undefined else None,
            "f1_average": f1_average(classes),
            "classes": classes,
        }
    )


def f1_average(classes: int) -> str:
    """Return how F1, precision and recall are averaged: of the second class for two, over all classes for more."""
    return "binary" if classes == 2 else "macro"


def averaged_classes(classes: int) -> range:
    """Return the classes over which F1, precision and recall are averaged."""
    return range(1, 2) if classes == 2 else range(classes)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, float64 [examples, classes]."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return -log p(label) of each example, float64 [examples]."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the counts of examples [classes, classes]: rows are true classes, columns predicted ones."""
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return confusion


def averaged(confusion: np.ndarray) -> Mapping[str, float | None]:
    """Return precision, recall and F1 of the second of two classes, or their means over more classes."""
    hits, predicted, true = np.diag(confusion), confusion.sum(0), confusion.sum(1)
    chosen = np.array(averaged_classes(len(confusion)))
    scores = {"precision": (hits, predicted), "recall": (hits, true), "f1": (2 * hits, predicted + true)}
    return {
        name: float((part[chosen] / whole[chosen]).mean()) if whole[chosen].all() else None
        for name, (part, whole) in scores.items()
    }


# What each example contributes ----------------------------------------------------------------------------------------


def contributions(response: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """Return what each example contributes to a metric, float64 [examples], so that their mean is the metric.

    Accuracy, loss and Brier score are means over examples. F1, precision and recall are ratios: the metric plus each
    example's influence on it. None for a metric of neither kind, and for one that these predictions leave undefined.
    """
    predicted = logits.argmax(1)
    if response == "accuracy":
        return (predicted == labels).astype(np.float64)
    if response == "loss":
        return cross_entropies(logits, labels)
    if response == "brier":
        return squared_errors(softmax(logits), labels)
    confusion = confusion_matrix(predicted, labels, logits.shape[1])
    value = averaged(confusion).get(response)
    return None if value is None else value + len(labels) * influences(response, predicted, labels, confusion)


def influences(name: str, predicted: np.ndarray, labels: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Return the influence of each example [examples] on precision, recall or F1: a sum of zero.

    Each is a ratio of two sums over examples, A / B, and to first order an example moves it by (a - A / B b) / B (delta
    method, the linearised ratio estimator of survey sampling; Cochran 1977, ch. 6).
    """
    total, chosen = np.zeros(len(labels)), averaged_classes(len(confusion))
    for k in chosen:
        part, whole = ratio_parts(name, predicted == k, labels == k)
        sum_part, sum_whole = part.sum(), max(whole.sum(), 1)
        total += (part - sum_part / sum_whole * whole) / sum_whole / len(chosen)
    return total


def ratio_parts(name: str, predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return numerator and denominator [examples] of a class's precision, recall or F1, from who is in the class."""
    hits = (predicted & true).astype(int)
    wholes = {"precision": predicted.astype(int), "recall": true.astype(int), "f1": predicted.astype(int) + true}
    return (2 * hits if name == "f1" else hits), wholes[name]


def sampling_errors(logits: np.ndarray, labels: np.ndarray, confusion: np.ndarray) -> Mapping[str, float | None]:
    """Return the standard errors that accuracy, F1 and loss have from the choice of test examples alone."""
    count, predicted = len(labels), logits.argmax(1)
    accuracy = (predicted == labels).mean()
    moved = influences("f1", predicted, labels, confusion)
    return {
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / count)),
        "f1_se": float(np.sqrt((moved**2).sum())),
        "loss_se": float(cross_entropies(logits, labels).std(ddof=1) / np.sqrt(count)) if count > 1 else None,
    }


# Single metrics -------------------------------------------------------------------------------------------------------


def matthews(confusion: np.ndarray) -> float | None:
    """Return the multi-class Matthews correlation coefficient (Gorodkin 2004)."""
    counts = confusion.astype(np.float64)
    total, hits, predicted, true = counts.sum(), np.trace(counts), counts.sum(0), counts.sum(1)
    scale = np.sqrt((total**2 - predicted @ predicted) * (total**2 - true @ true))
    return float((hits * total - predicted @ true) / scale) if scale > 0 else None


def roc_auc(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the area under the ROC curve; for more than two classes, the mean of each class against the rest."""
    areas = [rank_area(log_odds(logits, k), labels == k) for k in averaged_classes(logits.shape[1])]
    return None if None in areas else float(np.mean(areas))


def log_odds(logits: np.ndarray, k: int) -> np.ndarray:
    """Return the log-odds of class k, float64 [examples]: in the order of its probability, which rounds to 1 early."""
    others = np.sort(np.delete(logits.astype(np.float64), k, axis=1), axis=1)  # so that equal odds stay equal
    return (logits[:, k] - others[:, -1]) - np.log(np.exp(others - others[:, -1:]).sum(1))


def rank_area(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the share of (positive, negative) pairs in order, ties counted half (Mann-Whitney)."""
    pairs = int(positive.sum()) * int((~positive).sum())
    if pairs == 0:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mid_ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    smallest = positive.sum() * (positive.sum() + 1) / 2
    return float((mid_ranks[positive].sum() - smallest) / pairs)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error over equal-width bins of confidence (Guo et al. 2017)."""
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the Brier score: mean squared error of the probabilities, summed over classes, halved for two."""
    return float(squared_errors(probabilities, labels).mean())


def squared_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each example's squared error of the probabilities [examples], summed over classes, halved for two."""
    squared = ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(1)
    return squared / 2 if probabilities.shape[1] == 2 else squared
