"""Every metric against scikit-learn, and what an example contributes to it; the undefined stays undefined."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sk

from finevar import metrics as scores


def random_case(classes: int, *, examples: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, examples)
    logits = draw.normal(size=(examples, classes)).astype(np.float32).round(1)  # rounded: ties in the ROC
    logits[np.arange(examples), labels] += 1
    return logits, labels


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_metrics_equal_scikit_learn(classes, seed):
    logits, labels = random_case(classes, seed=seed)
    probabilities = special.softmax(logits.astype(float), axis=1)
    predicted = logits.argmax(1)
    average = "binary" if classes == 2 else "macro"
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "f1": sk.f1_score(labels, predicted, average=average),
        "precision": sk.precision_score(labels, predicted, average=average),
        "recall": sk.recall_score(labels, predicted, average=average),
        "loss": sk.log_loss(labels, probabilities),
        "mcc": sk.matthews_corrcoef(labels, predicted),
        "roc_auc": sk.roc_auc_score(labels, probabilities[:, 1])
        if classes == 2
        else sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
        "brier": sk.brier_score_loss(labels, probabilities, labels=range(classes)),
    }
    found = scores.metrics(logits, labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found["f1_average"] == average
    assert found["reason"] is None


def exact_area(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return scikit-learn's area, of the ranks that the classes' odds have to 100 digits."""
    areas = []
    with localcontext(prec=200):
        for k in range(1, 2) if logits.shape[1] == 2 else range(logits.shape[1]):
            powers = [[Decimal(value).exp() for value in row] for row in logits.tolist()]
            odds = [(row[k] / (sum(row) - row[k])).ln().quantize(Decimal("1e-100")) for row in powers]
            order = sorted(set(odds))
            areas.append(sk.roc_auc_score(labels == k, [order.index(value) for value in odds]))
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
    p = np.array([[0.1, 0.9], [0.1, 0.9], [0.6, 0.4]])
    assert scores.calibration_error(p, np.array([1, 0, 0])) == pytest.approx((0.8 + 0.4) / 3)


def test_standard_errors_agree_with_the_bootstrap():
    logits, labels = random_case(3, examples=600)
    found = scores.metrics(logits, labels)
    draw = np.random.default_rng(0)
    samples = [draw.integers(0, 600, 600) for _ in range(1500)]
    for name, metric in {
        "accuracy": lambda n: sk.accuracy_score(labels[n], logits[n].argmax(1)),
        "f1": lambda n: sk.f1_score(labels[n], logits[n].argmax(1), average="macro"),
        "loss": lambda n: scores.cross_entropies(logits[n], labels[n]).mean(),
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


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("response", ["accuracy", "loss", "brier", "f1", "precision", "recall"])
def test_contributions_average_to_the_metric(response, classes):
    logits, labels = random_case(classes)
    each = scores.contributions(response, logits, labels)
    assert each.shape == (200,)
    average = "binary" if classes == 2 else "macro"
    probabilities = special.softmax(logits.astype(float), axis=1)
    expected = {
        "accuracy": lambda: sk.accuracy_score(labels, logits.argmax(1)),
        "loss": lambda: sk.log_loss(labels, probabilities),
        "brier": lambda: sk.brier_score_loss(labels, probabilities, labels=range(classes)),
        "f1": lambda: sk.f1_score(labels, logits.argmax(1), average=average),
        "precision": lambda: sk.precision_score(labels, logits.argmax(1), average=average),
        "recall": lambda: sk.recall_score(labels, logits.argmax(1), average=average),
    }
    assert each.mean() == pytest.approx(expected[response](), abs=1e-12)


@pytest.mark.parametrize("response", ["f1", "precision", "recall"])
def test_contributions_spread_as_the_bootstrap_says(response):
    logits, labels = random_case(3, examples=600)
    each = scores.contributions(response, logits, labels)
    draw = np.random.default_rng(0)
    metric = getattr(sk, f"{response}_score")
    samples = (draw.integers(0, 600, 600) for _ in range(1000))
    drawn = [metric(labels[n], logits[n].argmax(1), average="macro") for n in samples]
    assert each.std() / np.sqrt(600) == pytest.approx(np.std(drawn), rel=0.08)


def test_precision_contributions_by_hand():
    # Predicted positive: examples 0 and 1, of which 0 is right: precision 1/2. Their influences are (1 - 1/2) / 2 and
    # (0 - 1/2) / 2; times 4 examples, 1/2 + 1 and 1/2 - 1. The others contribute 1/2.
    logits = np.array([[0, 1], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(scores.contributions("precision", logits, np.array([1, 0, 1, 0])), [1.5, -0.5, 0.5, 0.5])


def test_what_is_no_mean_or_not_defined_has_no_contributions():
    logits, labels = random_case(2)
    assert scores.contributions("mcc", logits, labels) is None
    never = np.array([[2.0, 0.0]] * 4, dtype=np.float32)
    assert scores.contributions("precision", never, np.array([0, 1, 0, 1])) is None
    np.testing.assert_array_equal(scores.contributions("recall", never, np.array([0, 1, 0, 1])), 0)


def test_no_metric_needs_torch():
    told = (
        "import sys; sys.path.insert(0, 'scripts'); import finevar.analyses.predictions; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout.strip() == "False"
