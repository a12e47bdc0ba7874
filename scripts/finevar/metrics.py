"""Metrics from logits and labels: one record says all that finevar knows of a metric."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

ECE_BINS = 15
SMALLEST_SHARE = 0.01  # of a bounded metric's range: the smallest change that matters, where the study sets none
SMALLEST_SHARE_OF_BASELINE = 0.05  # of the baseline's value of any other metric, likewise
SECONDS = "seconds"  # of training a run: what trade-offs weigh beside the metrics

Row = dict[str, Any]


class Positive(NamedTuple):
    """The one of two classes that F1, precision and recall are of."""

    label: int
    name: str | None = None


SECOND = Positive(1)  # where nothing says which


@dataclass(frozen=True)
class Evaluated:
    """Some examples' labels, and the logits that a model gave them."""

    logits: np.ndarray  # [examples, classes]
    labels: np.ndarray  # [examples]
    positive: int = SECOND.label  # of two classes

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """Return the class of largest logit [examples]."""
        return self.logits.argmax(1)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Return probabilities, float64 [examples, classes]."""
        return softmax(self.logits)

    @property
    def averaged(self) -> range:
        """Return the classes over which F1, precision and recall are averaged."""
        classes = self.logits.shape[1]
        return range(self.positive, self.positive + 1) if classes == 2 else range(classes)

    @functools.cached_property
    def by_class(self) -> dict[str, np.ndarray]:
        """Return precision, recall and F1 of each averaged class [classes]; NaN where one is not defined."""
        scores = scikit_learn().precision_recall_fscore_support(
            self.labels, self.predicted, labels=self.averaged, zero_division=np.nan
        )
        return dict(zip(("precision", "recall", "f1", "support"), scores, strict=True))


@dataclass(frozen=True)
class Response:
    """A metric that a study may fit: how it is computed, and what all analyses, figures and pages need to know of it.

    A metric that is a mean over examples has `each` alone. One of another kind has `score`, and `each` only where its
    examples' contributions are known.
    """

    words: str
    each: Callable[[Evaluated], np.ndarray] | None = None  # float64 [examples], whose mean is the metric
    score: Callable[[Evaluated], float] | None = None  # NaN where it is not defined
    standard_error: Callable[[Evaluated], float] | None = None  # from the choice of test examples alone; NaN likewise
    bounds: tuple[float, float] = (0.0, 1.0)
    unit: str = ""
    lower_is_better: bool = False
    is_averaged: bool = False  # over classes, as the column f1_average says
    is_of_calibration: bool = False  # shown beside the metrics that a study fits
    card_names: tuple[str, ...] = ()  # that model cards call it by, in lower case
    usual_sd: float | None = None  # between two seeds of one setting, for a study that has none of its own yet
    usual_sentence_sd: float | None = None  # between test sentences, of what a factor's whole range changes

    def value(self, evaluated: Evaluated) -> float:
        """Return the metric; NaN where it is not defined."""
        return float(self.each(evaluated).mean() if self.score is None else self.score(evaluated))


def metrics(logits: np.ndarray, labels: np.ndarray, positive: Positive | None = None) -> Row:
    """Return every response and standard error from logits [examples, classes] and labels [examples].

    positive: of two classes; else None.
    One that is not defined (a precision where nothing was predicted positive) is None, with the reason under `reason`.
    """
    evaluated = Evaluated(logits, labels, (positive or SECOND).label)
    values = {name: response.value(evaluated) for name, response in RESPONSES.items()}
    values |= {column: RESPONSES[name].standard_error(evaluated) for column, name in STANDARD_ERRORS.items()}
    undefined = [name for name, value in values.items() if math.isnan(value)]
    unsaid = {*undefined, *(column for column, name in STANDARD_ERRORS.items() if name in undefined)}
    return {
        **{name: None if name in unsaid else value for name, value in values.items()},
        "reason": f"not defined for these predictions: {', '.join(undefined)}" if undefined else None,
        **averaging(logits.shape[1], positive),
        "chance": chance(evaluated),
    }


def chance(evaluated: Evaluated) -> float:
    """Return the accuracy to expect of answers with the same share of each class that say nothing of the text."""
    classes, both = evaluated.logits.shape[1], (evaluated.predicted, evaluated.labels)
    answered, true = (np.bincount(labels, minlength=classes) / len(labels) for labels in both)
    return float(answered @ true)


def averaging(classes: int, positive: Positive | None) -> Row:
    """Return how F1, precision and recall are averaged: of the positive class for two, over all classes for more."""
    label, name = (positive or SECOND) if classes == 2 else (None, None)
    average = "binary" if classes == 2 else "macro"
    return {"f1_average": average, "positive": name, "positive_label": label, "classes": classes}


def scikit_learn() -> ModuleType:
    """Return scikit-learn's metrics, imported only where one is computed: a dry run needs no more than their names."""
    from sklearn import metrics

    return metrics


# Means over examples --------------------------------------------------------------------------------------------------


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, float64 [examples, classes]."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def losses(evaluated: Evaluated) -> np.ndarray:
    """Return each example's cross-entropy, -log p(label), in nats, float64 [examples].

    From logits, since scikit-learn's log_loss takes probabilities and clips them: a sure mistake would cost 36 at most.
    """
    wide = evaluated.logits.astype(np.float64)
    shifted = wide - wide.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(shifted)), evaluated.labels]


def hits(evaluated: Evaluated) -> np.ndarray:
    """Return 1 for each example whose class was predicted and 0 for the others, float64 [examples]."""
    return (evaluated.predicted == evaluated.labels).astype(np.float64)


def squared_errors(evaluated: Evaluated) -> np.ndarray:
    """Return each example's squared error of the probabilities [examples], summed over classes, halved for two."""
    classes = evaluated.logits.shape[1]
    squared = ((evaluated.probabilities - np.eye(classes)[evaluated.labels]) ** 2).sum(1)
    return squared / 2 if classes == 2 else squared


def error_of_share(evaluated: Evaluated) -> float:
    """Return the binomial standard error of accuracy."""
    accuracy = hits(evaluated).mean()
    return float(np.sqrt(accuracy * (1 - accuracy) / len(evaluated.labels)))


def error_of_loss(evaluated: Evaluated) -> float:
    """Return the standard error of the mean cross-entropy; NaN of one example, which has no spread."""
    count = len(evaluated.labels)
    return float(losses(evaluated).std(ddof=1) / np.sqrt(count)) if count > 1 else math.nan


# Ratios of two sums over examples -------------------------------------------------------------------------------------

Parts = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def ratio(words: str, name: str, parts: Parts, *, has_error: bool = False, **known: Any) -> Response:
    """Return the record of precision, recall or F1, by its name in Evaluated.by_class.

    parts: what each example adds to numerator and denominator of a class, from whether it is predicted and is truly in
    that class, 0 or 1 [examples].
    """

    def score(evaluated: Evaluated) -> float:
        return evaluated.by_class[name].mean()

    def each(evaluated: Evaluated) -> np.ndarray:
        value, influences = linearised(evaluated, parts)
        return value + len(evaluated.labels) * influences

    def error(evaluated: Evaluated) -> float:
        return float(np.sqrt((linearised(evaluated, parts)[1] ** 2).sum()))

    return Response(words, each, score, error if has_error else None, is_averaged=True, **known)


def linearised(evaluated: Evaluated, parts: Parts) -> tuple[float, np.ndarray]:
    """Return precision, recall or F1, NaN where 0 / 0, and each example's influence on it [examples]: a sum of zero.

    Each is a ratio of two sums over examples, A / B, and to first order an example moves it by (a - A / B b) / B (delta
    method, the linearised ratio estimator of survey sampling; Cochran 1977, ch. 6). Ours, as scikit-learn has scores
    alone: paired comparisons and the ledger of variance need to know what each sentence adds to them. The value is its
    score, without its checks of the input, which take fifty times as long as the counts.
    """
    total, ratios = np.zeros(len(evaluated.labels)), []
    for k in evaluated.averaged:
        part, whole = parts((evaluated.predicted == k).astype(int), (evaluated.labels == k).astype(int))
        sum_part, sum_whole = part.sum(), max(whole.sum(), 1)
        total += (part - sum_part / sum_whole * whole) / sum_whole / len(evaluated.averaged)
        ratios.append(sum_part / sum_whole if whole.any() else math.nan)
    return float(np.mean(ratios)), total


# Others ---------------------------------------------------------------------------------------------------------------


def matthews(evaluated: Evaluated) -> float:
    """Return the multi-class Matthews correlation coefficient (Gorodkin 2004).

    NaN, where scikit-learn says 0, if all labels or all predictions are one class.
    """
    if min(len(np.unique(evaluated.labels)), len(np.unique(evaluated.predicted))) < 2:
        return math.nan
    return scikit_learn().matthews_corrcoef(evaluated.labels, evaluated.predicted)


def matthews_each(evaluated: Evaluated) -> np.ndarray:
    """Return each example's contribution to the correlation coefficient [examples], by the delta method.

    With shares p_k of examples predicted as class k, and t_k truly in it, it is (accuracy - p't) over the root of
    (1 - p'p)(1 - t't), and each example moves these shares.
    """
    predicted, true, classes = evaluated.predicted, evaluated.labels, evaluated.logits.shape[1]
    p, t = (np.bincount(labels, minlength=classes) / len(true) for labels in (predicted, true))
    right, together, own_p, own_t = predicted == true, p @ t, 1 - p @ p, 1 - t @ t
    value, root = matthews(evaluated), math.sqrt(own_p * own_t)
    if math.isnan(value):
        return np.full(len(true), math.nan)
    joint = (right - right.mean()) - (t[predicted] - together) - (p[true] - together)
    spread = (p[predicted] - p @ p) / own_p + (t[true] - t @ t) / own_t
    return value + joint / root + value * spread


def roc_auc(evaluated: Evaluated) -> float:
    """Return the area under the ROC curve; for more than two classes, the mean of each class against the rest."""
    logits, labels = evaluated.logits, evaluated.labels
    return float(np.mean([roc_area(log_odds(logits, k), labels == k) for k in evaluated.averaged]))


def roc_auc_each(evaluated: Evaluated) -> np.ndarray:
    """Return each example's contribution to the area under the ROC curve [examples], the mean over averaged classes."""
    classes = ((log_odds(evaluated.logits, k), evaluated.labels == k) for k in evaluated.averaged)
    return np.mean([roc_area_each(*one) for one in classes], axis=0)


def roc_area_each(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return each example's contribution to one class's area, by its placement value (DeLong et al. 1988).

    That is the share of the other kind's examples that it is on the right side of, ties counting half.
    """
    area, out = roc_area(scores, positive), np.empty(len(scores))
    for kind, others, sign in ((positive, ~positive, 1), (~positive, positive, -1)):
        against = np.sort(sign * scores[others])
        below = sum(np.searchsorted(against, sign * scores[kind], side) for side in ("left", "right"))
        out[kind] = area + (below / (2 * max(len(against), 1)) - area) / max(kind.mean(), 1 / len(kind))
    return out


def log_odds(logits: np.ndarray, k: int) -> np.ndarray:
    """Return the log-odds of class k, float64 [examples]: in the order of its probability, which rounds to 1 early."""
    others = np.sort(np.delete(logits.astype(np.float64), k, axis=1), axis=1)  # so that equal odds stay equal
    return (logits[:, k] - others[:, -1]) - np.log(np.exp(others - others[:, -1:]).sum(1))


def roc_area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under one class's ROC curve; NaN without a positive or a negative.

    The curve is of counts, which are exact; roc_auc_score adds rates, and their rounding.
    """
    _, negatives, _, positives, _ = scikit_learn().confusion_matrix_at_thresholds(positive, scores)
    pairs = negatives[-1] * positives[-1]
    return scikit_learn().auc(np.append(0, negatives), np.append(0, positives)) / pairs if pairs else math.nan


def calibration_error(evaluated: Evaluated) -> float:
    """Return the expected calibration error over equal-width bins of confidence (Guo et al. 2017).

    Ours, since scikit-learn's calibration_curve gives the bins' means without their sizes.
    """
    confidence = evaluated.probabilities.max(1)
    correct = evaluated.probabilities.argmax(1) == evaluated.labels
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(evaluated.labels))


# A further metric is one more entry here. Raise ENGINES["metrics"] with it, so that the predictions of finished runs
# are scored again: in seconds, without a training or an evaluation.
RESPONSES = {
    "accuracy": Response(
        "accuracy",
        each=hits,
        standard_error=error_of_share,
        card_names=("accuracy", "eval accuracy", "validation accuracy", "val accuracy", "acc", "eval acc"),
        usual_sd=0.0045,  # the middle of 0.003 to 0.006, within which 88 published runs at identical settings lie
        usual_sentence_sd=0.13,  # of the default study's three factors, 0.06 to 0.19
    ),
    "f1": ratio(
        "F1",
        "f1",
        lambda predicted, true: (2 * predicted * true, predicted + true),
        has_error=True,
        card_names=("f1", "eval f1", "validation f1", "val f1", "f1 score", "eval f1 score"),
        usual_sd=0.0045,
        usual_sentence_sd=0.13,
    ),
    "loss": Response(
        "loss",
        each=losses,
        standard_error=error_of_loss,
        bounds=(0.0, np.inf),
        unit="nats",
        lower_is_better=True,
        card_names=("loss", "eval loss", "validation loss", "val loss", "evaluation loss"),
        usual_sd=0.012,  # a rule of thumb
        usual_sentence_sd=0.18,  # likewise, 0.10 to 0.24
    ),
    "precision": ratio("precision", "precision", lambda predicted, true: (predicted * true, predicted)),
    "recall": ratio("recall", "recall", lambda predicted, true: (predicted * true, true)),
    "mcc": Response("MCC", each=matthews_each, score=matthews, bounds=(-1.0, 1.0)),
    "roc_auc": Response("ROC AUC", each=roc_auc_each, score=roc_auc),
    "ece": Response("ECE", score=calibration_error, lower_is_better=True, is_of_calibration=True),
    "brier": Response("Brier score", each=squared_errors, lower_is_better=True, is_of_calibration=True),
}
STANDARD_ERRORS = {f"{name}_se": name for name, response in RESPONSES.items() if response.standard_error}
LOWER_IS_BETTER = frozenset(name for name, response in RESPONSES.items() if response.lower_is_better)
ON_CARDS = tuple(name for name, response in RESPONSES.items() if response.card_names)  # that model cards state
OF_CALIBRATION = tuple(name for name, response in RESPONSES.items() if response.is_of_calibration)


def towards(metric: str) -> float:
    """Return the sign that makes more of a metric, or of seconds, better."""
    return -1.0 if metric in LOWER_IS_BETTER or metric == SECONDS else 1.0


# What matters ---------------------------------------------------------------------------------------------------------


class SmallestEffect(NamedTuple):
    """The smallest change of a metric that matters to the user."""

    value: float | None  # None where it is a share of a baseline's value that is not known
    is_default: bool


def smallest_effect(response: str, chosen: Mapping[str, float], baseline: float | None) -> SmallestEffect:
    """Return the smallest change of a response that matters, as analysis.smallest_effect says or by default.

    chosen: that part of the config. baseline: the baseline's mean value of the response, None where it has none.
    """
    if response in chosen:
        return SmallestEffect(chosen[response], is_default=False)
    low, high = RESPONSES[response].bounds
    if math.isfinite(high - low):
        return SmallestEffect(SMALLEST_SHARE * (high - low), is_default=True)
    known = baseline is not None and math.isfinite(baseline)
    return SmallestEffect(SMALLEST_SHARE_OF_BASELINE * abs(baseline) if known else None, is_default=True)
