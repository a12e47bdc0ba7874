"""Every metric by its definition, by hand or by a library that it is not computed with, and what examples contribute.

Precision, recall, F1, Matthews' coefficient and the area are scikit-learn's: here they are counted. Accuracy, loss and
Brier score are means of our own: here they are scikit-learn's.
"""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as sk

from finevar import metrics as scores


def random_case(classes: int, *, examples: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, examples)
    logits = draw.normal(size=(examples, classes)).astype(np.float32).round(1)  # rounded: ties in the ROC
    logits[np.arange(examples), labels] += 1
    return logits, labels


def by_definition(labels: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, float]:
    """Return precision, recall and F1 of the second of two classes, or their means over more, as they are defined."""
    rows = []
    for k in [1] if classes == 2 else range(classes):
        hits, said, true = ((predicted == k) & (labels == k)).sum(), (predicted == k).sum(), (labels == k).sum()
        rows.append((hits / said, hits / true, 2 / (said / hits + true / hits)))
    return dict(zip(("precision", "recall", "f1"), np.mean(rows, axis=0), strict=True))


@pytest.mark.parametrize("positive", [0, 1])
def test_binary_f1_is_of_the_positive_class(positive):
    logits, labels = random_case(2, seed=3)
    found, predicted = scores.metrics(logits, labels, scores.Positive(positive, "spam")), logits.argmax(1)
    expected = sk.precision_recall_fscore_support(labels, predicted, pos_label=positive, average="binary")
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert (found["positive"], found["positive_label"], found["f1_average"]) == ("spam", positive, "binary")
    usual = scores.metrics(logits, labels)
    assert {name for name in scores.RESPONSES if found[name] != pytest.approx(usual[name])} == (
        set() if positive else {"precision", "recall", "f1"}
    )


def test_a_run_that_never_answers_the_positive_class_has_f1_zero():
    labels = np.array([0, 1, 1, 1])
    never = np.eye(2, dtype=np.float32)[[1, 1, 1, 1]]
    assert scores.metrics(never, labels, scores.Positive(0, "OFFENSE"))["f1"] == 0
    assert scores.metrics(never, labels)["f1"] == pytest.approx(6 / 7)


def test_chance_is_the_accuracy_of_answers_by_their_shares():
    labels, predicted = np.array([0] * 6 + [1] * 3 + [2]), np.array([0] * 2 + [1] * 5 + [2] * 3)
    found = scores.metrics(np.eye(3, dtype=np.float32)[predicted], labels)
    assert found["chance"] == pytest.approx(0.6 * 0.2 + 0.3 * 0.5 + 0.1 * 0.3)
    agreement = (found["accuracy"] - found["chance"]) / (1 - found["chance"])
    assert agreement == pytest.approx(sk.cohen_kappa_score(labels, predicted))
    assert (found["positive"], found["positive_label"], found["f1_average"]) == (None, None, "macro")


def area(scores_of_class: np.ndarray, positive: np.ndarray) -> float:
    """Return the Mann-Whitney statistic as a share of all pairs, which is the area under the ROC curve."""
    statistic = stats.mannwhitneyu(scores_of_class[positive], scores_of_class[~positive], method="asymptotic").statistic
    return float(statistic / (positive.sum() * (~positive).sum()))


def correlation(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Return the correlation of two categorical variables: covariances of their indicators, summed (Gorodkin 2004)."""
    own, other = np.eye(classes)[labels], np.eye(classes)[predicted]

    def covariance(x: np.ndarray, y: np.ndarray) -> float:
        return float(((x - x.mean(0)) * (y - y.mean(0))).sum())

    return covariance(own, other) / np.sqrt(covariance(own, own) * covariance(other, other))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_metrics_are_what_they_are_defined_as(classes, seed):
    logits, labels = random_case(classes, seed=seed)
    probabilities = special.softmax(logits.astype(float), axis=1)
    predicted = logits.argmax(1)
    ranked = [1] if classes == 2 else range(classes)
    expected = by_definition(labels, predicted, classes) | {
        "accuracy": sk.accuracy_score(labels, predicted),
        "loss": sk.log_loss(labels, probabilities),
        "brier": sk.brier_score_loss(labels, probabilities, labels=range(classes)),
        "mcc": correlation(labels, predicted, classes),
        "roc_auc": np.mean([area(probabilities[:, k], labels == k) for k in ranked]),
    }
    found = scores.metrics(logits, labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found["f1_average"] == ("binary" if classes == 2 else "macro")
    assert found["reason"] is None


def test_three_classes_by_hand():
    confusion = np.array([[5, 2, 1], [1, 6, 3], [0, 2, 4]])  # rows are true classes
    labels, predicted = (np.repeat(side.ravel(), confusion.ravel()) for side in np.indices((3, 3)))
    found = scores.metrics(np.eye(3, dtype=np.float32)[predicted], labels)
    assert found["accuracy"] == pytest.approx(15 / 24)
    assert found["precision"] == pytest.approx((5 / 6 + 6 / 10 + 4 / 8) / 3)
    assert found["recall"] == pytest.approx((5 / 8 + 6 / 10 + 4 / 6) / 3)
    assert found["f1"] == pytest.approx((10 / 14 + 12 / 20 + 8 / 14) / 3)
    # 15 x 24 less the products of margins, 6 x 8 + 10 x 10 + 8 x 6; both scales are 24 squared less 36 + 100 + 64.
    assert found["mcc"] == pytest.approx(164 / 376)


def test_an_area_by_hand():
    """Of 2 x 3 pairs four are in order and one is tied."""
    margins = np.array([0.1, 0.4, 0.4, 0.8, 0.9], dtype=np.float32)
    found = scores.metrics(np.stack([-margins, margins], axis=1), np.array([0, 0, 1, 0, 1]))
    assert found["roc_auc"] == (4 + 1 / 2) / 6


def exact_area(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the area of the ranks that the classes' odds have to 100 digits."""
    areas = []
    with localcontext(prec=200):
        for k in range(1, 2) if logits.shape[1] == 2 else range(logits.shape[1]):
            powers = [[Decimal(value).exp() for value in row] for row in logits.tolist()]
            odds = [(row[k] / (sum(row) - row[k])).ln().quantize(Decimal("1e-100")) for row in powers]
            order = sorted(set(odds))
            areas.append(area(np.array([order.index(value) for value in odds]), labels == k))
    return float(np.mean(areas))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("scale", [1, 10, 30])
def test_roc_auc_of_saturated_logits_is_exact(classes, scale):
    """Beyond a margin of 37 probabilities round to 1, and would tie."""
    draw = np.random.default_rng(scale)
    labels = draw.integers(0, classes, 60)
    logits = (draw.normal(size=(60, classes)) * scale).astype(np.float32)
    logits[np.arange(60), labels] += scale
    swapped = logits[:20, [*range(classes - 2), classes - 1, classes - 2]]  # equal odds of all classes but two
    logits, labels = np.concatenate([logits, swapped]), np.concatenate([labels, labels[:20]])
    assert scores.metrics(logits, labels)["roc_auc"] == pytest.approx(exact_area(logits, labels), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_perfect_ranking_of_saturated_logits_has_an_area_of_one(classes):
    labels = np.array([0, 1, 1, 0] if classes == 2 else [0, 1, 2, 3] * 3)
    logits = np.zeros((len(labels), classes), dtype=np.float32)
    logits[np.arange(len(labels)), labels] = 1e4
    logits[0] = np.linspace(9e3, 0, classes)
    assert scores.metrics(logits, labels)["roc_auc"] == 1
    margins = np.array([[0, 40], [0, 50], [0, 60], [0, 45]], dtype=np.float32)
    assert scores.metrics(margins, np.array([0, 1, 1, 0]))["roc_auc"] == 1


def test_calibration_error_by_hand():
    # Confidences 0.9 (right), 0.9 (wrong), 0.6 (right): bins hold gaps |1.8 - 1| and |0.6 - 1|, over three examples.
    logits = np.log([[0.1, 0.9], [0.1, 0.9], [0.6, 0.4]])
    assert scores.metrics(logits, np.array([1, 0, 0]))["ece"] == pytest.approx((0.8 + 0.4) / 3)


def test_standard_errors_agree_with_the_bootstrap():
    logits, labels = random_case(3, examples=600)
    found = scores.metrics(logits, labels)
    draw = np.random.default_rng(0)
    samples = [draw.integers(0, 600, 600) for _ in range(1500)]
    for name, metric in {
        "accuracy": lambda n: sk.accuracy_score(labels[n], logits[n].argmax(1)),
        "f1": lambda n: by_definition(labels[n], logits[n].argmax(1), 3)["f1"],
        "loss": lambda n: scores.losses(scores.Evaluated(logits[n], labels[n])).mean(),
    }.items():
        assert found[f"{name}_se"] == pytest.approx(np.std([metric(n) for n in samples]), rel=0.08)


def test_what_is_not_defined_is_null_with_the_reason():
    logits = np.array([[2.0, 0.0]] * 4, dtype=np.float32)  # nothing is predicted positive
    found = scores.metrics(logits, np.array([0, 1, 0, 1]))
    assert (found["precision"], found["mcc"], found["recall"], found["f1"]) == (None, None, 0.0, 0.0)
    assert found["reason"] == "not defined for these predictions: precision, mcc"


@pytest.mark.parametrize(
    ("logits", "labels", "missing"),
    [
        ([[1, 0], [1, 0]], [0, 0], {"f1", "f1_se"}),  # no positive, predicted or true
        ([[1, 0, 0], [0, 1, 0]], [0, 1], {"f1", "f1_se"}),  # a class that is not there
        ([[0, 1]], [1], {"loss_se"}),  # one example has no spread
        ([[1, 0]], [0], {"f1", "f1_se", "loss_se"}),
        ([[1, 0], [0, 1]], [0, 1], set()),
    ],
)
def test_a_standard_error_is_null_with_its_metric(logits, labels, missing):
    found = scores.metrics(np.array(logits, dtype=np.float32), np.array(labels))
    named = {"accuracy", "f1", "loss", "accuracy_se", "f1_se", "loss_se"}
    assert {name for name in named if found[name] is None} == missing
    assert ("loss_se" in (found["reason"] or "")) == ("loss_se" in missing)
    assert "f1_se" not in (found["reason"] or "")


def test_huge_logits_give_a_finite_loss():
    assert scores.metrics(np.array([[1e4, -1e4], [0, 1]], dtype=np.float32), np.array([1, 1]))["loss"] > 9999


def contributions(response: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return scores.RESPONSES[response].each(scores.Evaluated(logits, labels))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("response", ["accuracy", "loss", "brier", "f1", "precision", "recall"])
def test_contributions_average_to_the_metric(response, classes):
    logits, labels = random_case(classes)
    each = contributions(response, logits, labels)
    assert each.shape == (200,)
    probabilities = special.softmax(logits.astype(float), axis=1)
    expected = by_definition(labels, logits.argmax(1), classes) | {
        "accuracy": sk.accuracy_score(labels, logits.argmax(1)),
        "loss": sk.log_loss(labels, probabilities),
        "brier": sk.brier_score_loss(labels, probabilities, labels=range(classes)),
    }
    assert each.mean() == pytest.approx(expected[response], abs=1e-12)


@pytest.mark.parametrize("response", ["f1", "precision", "recall"])
def test_contributions_spread_as_the_bootstrap_says(response):
    logits, labels = random_case(3, examples=600)
    each = contributions(response, logits, labels)
    draw = np.random.default_rng(0)
    samples = (draw.integers(0, 600, 600) for _ in range(1000))
    drawn = [by_definition(labels[n], logits[n].argmax(1), 3)[response] for n in samples]
    assert each.std() / np.sqrt(600) == pytest.approx(np.std(drawn), rel=0.08)


def test_precision_contributions_by_hand():
    # Predicted positive: examples 0 and 1, of which 0 is right: precision 1/2. Their influences are (1 - 1/2) / 2 and
    # (0 - 1/2) / 2; times 4 examples, 1/2 + 1 and 1/2 - 1. The others contribute 1/2.
    logits = np.array([[0, 1], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(contributions("precision", logits, np.array([1, 0, 1, 0])), [1.5, -0.5, 0.5, 0.5])


def weighted(response: str, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Return scikit-learn's metric of weighted examples."""
    if response == "mcc":
        return sk.matthews_corrcoef(labels, logits.argmax(1), sample_weight=weights)
    classes = [1] if logits.shape[1] == 2 else range(logits.shape[1])
    wide = logits.astype(float)
    odds = [wide[:, k] - special.logsumexp(np.delete(wide, k, axis=1), axis=1) for k in classes]
    pairs = zip(classes, np.round(odds, 9), strict=True)
    return float(np.mean([sk.roc_auc_score(labels == k, own, sample_weight=weights) for k, own in pairs]))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("response", ["mcc", "roc_auc"])
def test_contributions_of_other_metrics_are_their_derivatives_by_an_examples_weight(response, classes):
    logits, labels = random_case(classes, examples=60)
    each, step, one = contributions(response, logits, labels), 1e-4, np.eye(60)
    ends = [[weighted(response, logits, labels, 1 + sign * step * row) for row in one] for sign in (1, -1)]
    value = weighted(response, logits, labels, np.ones(60))
    assert each.mean() == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(each - value, 60 * np.subtract(*ends) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("response", ["mcc", "roc_auc"])
def test_contributions_of_other_metrics_spread_as_the_bootstrap_says(response):
    logits, labels = random_case(3, examples=600)
    each, draw = contributions(response, logits, labels), np.random.default_rng(0)
    samples = (draw.multinomial(600, np.full(600, 1 / 600)) for _ in range(400))
    drawn = [weighted(response, logits, labels, counts) for counts in samples]
    assert each.std() / np.sqrt(600) == pytest.approx(np.std(drawn), rel=0.1)


def test_what_is_not_defined_has_no_contributions():
    assert scores.RESPONSES["ece"].each is None
    one = np.zeros(4, dtype=int)
    assert np.isnan(contributions("roc_auc", np.array([[0.0, 1.0]] * 4), one)).all()
    assert np.isnan(contributions("mcc", np.array([[0.0, 1.0]] * 4), one)).all()
    never = np.array([[2.0, 0.0]] * 4, dtype=np.float32)
    assert np.isnan(contributions("precision", never, np.array([0, 1, 0, 1]))).all()
    np.testing.assert_array_equal(contributions("recall", never, np.array([0, 1, 0, 1])), 0)


def test_what_is_known_of_a_metric_follows_from_its_record():
    assert list(scores.STANDARD_ERRORS) == ["accuracy_se", "f1_se", "loss_se"]
    assert scores.ON_CARDS == ("accuracy", "f1", "loss")
    assert scores.OF_CALIBRATION == ("ece", "brier")
    assert sorted(scores.LOWER_IS_BETTER) == ["brier", "ece", "loss"]


def test_no_metric_needs_torch_and_names_need_no_scikit_learn():
    code = "import sys; sys.path.insert(0, 'scripts'); import finevar.{}; print('{}' in sys.modules)"
    for module, library in (("analyses.predictions", "torch"), ("metrics", "sklearn")):
        done = subprocess.run([sys.executable, "-c", code.format(module, library)], capture_output=True, text=True)
        assert done.stdout.strip() == "False"


# What matters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "chosen", "baseline", "expected"),
    [
        ("accuracy", {}, 0.9, (0.01, True)),
        ("accuracy", {"accuracy": 0.002}, 0.9, (0.002, False)),
        ("brier", {"accuracy": 0.002}, None, (0.01, True)),
        ("mcc", {}, 0.5, (0.02, True)),  # from -1 to 1
        ("loss", {}, 0.4, (0.02, True)),
        ("loss", {"loss": 0.1}, None, (0.1, False)),
        ("loss", {}, None, (None, True)),
        ("loss", {}, math.nan, (None, True)),
    ],
)
def test_the_smallest_change_that_matters(response, chosen, baseline, expected):
    assert scores.smallest_effect(response, chosen, baseline) == pytest.approx(expected)
