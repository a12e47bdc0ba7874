"""What each run gets wrong: its confusion matrix, and the sentences of which it is surest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.errors import MOST_CLASSES, Corpus, texts_of
from finevar.metrics import softmax
from finevar.results.predictions import Predictions
from finevar.tables import Rows

FEW = 5  # sentences of a run that are listed, at most; confusions, where classes are too many for a matrix


def run_error_rows(
    models: pd.DataFrame, found: Mapping[str, Predictions], corpora: Mapping[str, Corpus], shown: int
) -> dict[str, Rows]:
    """Return rows of the tables run_confusion and run_sentences; arguments: those of errors.error_rows()."""
    tables: dict[str, Rows] = {"run_confusion": [], "run_sentences": []}
    for dataset, own in models.groupby("dataset", sort=False):
        corpus, known = corpora.get(str(dataset), Corpus()), found[str(dataset)]
        texts = texts_of(corpus, known.example_ids)
        for who, logits in zip(own.to_dict("records"), known.logits, strict=True):
            if who["role"] == "run":
                about = {"dataset": str(dataset), "run_id": who["run_id"]}
                tables["run_confusion"] += [about | row for row in confused(logits, known.labels)]
                listed = surest(logits, known.labels, min(shown, FEW) if corpus.texts else 0)
                tables["run_sentences"] += [about | texts[at] | row for at, row in listed]
    return tables


def confused(logits: np.ndarray, labels: np.ndarray) -> Rows:
    """Return how many sentences of each class a run takes for each, where any; of many classes its first mistakes.

    logits: [sentences, classes].
    """
    classes = logits.shape[1]
    counts = np.bincount(labels * classes + logits.argmax(1), minlength=classes**2).reshape(classes, classes)
    if classes > MOST_CLASSES:
        np.fill_diagonal(counts, 0)
    pairs = np.argwhere(counts)
    if classes > MOST_CLASSES:
        pairs = pairs[np.argsort(-counts[*pairs.T], kind="stable")][:FEW]
    return [{"label": int(one), "predicted": int(other), "count": int(counts[one, other])} for one, other in pairs]


def surest(logits: np.ndarray, labels: np.ndarray, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the sentences that a run has wrong, those with the highest probability of the wrong class first."""
    predicted = logits.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    probability = softmax(logits[wrong]).max(1)
    for place in np.argsort(-probability, kind="stable")[:count]:
        at = int(wrong[place])
        yield (
            at,
            {"label": int(labels[at]), "predicted": int(predicted[at]), "probability": float(probability[place])},
        )
