"""What each run gets wrong: against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import confusion_matrix

from finevar.analyses.errors import MOST_CLASSES, Corpus
from finevar.analyses.run_errors import FEW, run_error_rows
from finevar.results.predictions import Predictions

SENTENCES = 80


def tables_of(logits: np.ndarray, labels: np.ndarray, *, shown: int = 20, told: bool = True) -> dict[str, pd.DataFrame]:
    """Return the tables of models, the baseline first; told: whether their sentences' texts are known."""
    ids = np.array([f"id{number}" for number in range(len(labels))])
    texts = {name: f"text of {name}" for name in ids} if told else {}
    names = [f"run{number}" for number in range(len(logits))]
    models = pd.DataFrame({"role": ["baseline", *["run"] * (len(logits) - 1)], "dataset": "amazon", "run_id": names})
    found = {"amazon": Predictions(ids, labels, logits)}
    rows = run_error_rows(models, found, {"amazon": Corpus((), texts)}, shown)
    return {name: pd.DataFrame(own) for name, own in rows.items()}


def drawn(classes: int, models: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    labels = draw.integers(0, classes, SENTENCES)
    return (draw.normal(size=(models, SENTENCES, classes)) + np.eye(classes)[labels]).astype(np.float32), labels


def test_each_runs_counts_are_scikit_learns():
    logits, labels = drawn(3)
    found = tables_of(logits, labels)["run_confusion"]
    assert set(found["run_id"]) == {"run1", "run2", "run3"}, "not the baseline"
    for number in (1, 2, 3):
        own = found[found["run_id"] == f"run{number}"]
        grid = own.pivot(index="label", columns="predicted", values="count").fillna(0)
        np.testing.assert_array_equal(grid, confusion_matrix(labels, logits[number].argmax(1)))


def test_of_many_classes_a_runs_most_frequent_mistakes_are_kept():
    classes = MOST_CLASSES + 1
    logits, labels = drawn(classes)
    found = tables_of(logits, labels)["run_confusion"].query("run_id == 'run2'")
    counts = confusion_matrix(labels, logits[2].argmax(1), labels=range(classes))
    np.fill_diagonal(counts, 0)
    assert found["count"].tolist() == sorted(counts.ravel(), reverse=True)[:FEW]
    assert (found["label"] != found["predicted"]).all()


def test_the_wrong_sentences_of_which_a_run_is_surest_come_first():
    logits, labels = drawn(3)
    found = tables_of(logits, labels)["run_sentences"].query("run_id == 'run1'")
    chances = softmax(logits[1].astype(float), axis=1)
    wrong = np.flatnonzero(chances.argmax(1) != labels)
    order = wrong[np.argsort(-chances[wrong].max(1), kind="stable")][:FEW]
    assert found["example_id"].tolist() == [f"id{number}" for number in order]
    assert found["predicted"].tolist() == chances[order].argmax(1).tolist()
    np.testing.assert_allclose(found["probability"], chances[order].max(1), rtol=1e-5)
    assert found["text"].tolist() == [f"text of id{number}" for number in order]


def test_no_sentence_is_listed_that_is_not_to_be_shown():
    logits, labels = drawn(2)
    assert tables_of(logits, labels, shown=0)["run_sentences"].empty
    assert tables_of(logits, labels, told=False)["run_sentences"].empty
    assert len(tables_of(logits, labels, shown=2)["run_sentences"]) == 2 * 3
    right = np.eye(2, dtype=np.float32)[labels][None].repeat(2, axis=0)
    assert tables_of(right, labels)["run_sentences"].empty
