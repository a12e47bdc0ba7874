"""What models get wrong: which class for which, how well each class is found, and the sentences that are hardest.

Of each run only counts are kept, so that ten thousand runs cost little more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from finevar.data.pairs import shown_text
from finevar.metrics import softmax
from finevar.results.predictions import Predictions
from finevar.study.confirmation import BASELINE
from finevar.tables import Rows

MOST_CLASSES = 10  # of a whole confusion matrix; of one with more classes, the most frequent confusions stand for it
MOST_CONFUSED = 30
LONGEST_TEXT = 200  # characters
SHOWN = 20  # sentences of a kind
EVEN = (0.4, 0.6)  # the share of runs that are right on a contested sentence
MOST = 0.5  # of a setting's runs: more than that
ALL = ""  # the point_id of all settings together
WRONG_IN_ALL, CONTESTED, BROKEN, MENDED = KINDS = ("wrong_in_all", "contested", "broken", "mended")
LISTED = {ALL: (WRONG_IN_ALL, CONTESTED)}  # kinds with sentences; of a setting, those that it broke
TABLES = ("confusion", "classes", "sentence_counts", "sentences")
UNDEFINED = "no sentence is predicted to be of this class in {} of {} runs, so that these have no precision"


@dataclass(frozen=True)
class Corpus:
    """What is known of a data set's test sentences beside the predictions."""

    classes: Sequence[str] = ()  # names, in the order of the labels
    texts: Mapping[str, str] = field(default_factory=dict)  # by example_id; none where they are not to be shown

    def name(self, label: int) -> str:
        """Return a class's name, its number where it has none."""
        return str(self.classes[label]) if len(self.classes) else str(label)


@dataclass(frozen=True)
class Answers:
    """How some runs class each sentence, in counts that add up over runs."""

    labels: np.ndarray  # [sentences]
    votes: np.ndarray  # int [sentences, classes], the runs that predict each class
    chances: np.ndarray  # float64 [sentences, classes], the runs' probabilities, summed
    confusions: np.ndarray  # int [runs, classes, classes], sentences by true and by predicted class

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray) -> Answers:
        """Count the answers of runs, from their logits [runs, sentences, classes]."""
        runs, sentences, classes = logits.shape
        votes, chances = np.zeros((sentences, classes), int), np.zeros((sentences, classes))
        confusions = np.empty((runs, classes, classes), int)
        for number, own in enumerate(logits):
            predicted = own.argmax(1)
            votes[np.arange(sentences), predicted] += 1
            chances += softmax(own)
            pairs = np.bincount(labels * classes + predicted, minlength=classes**2)
            confusions[number] = pairs.reshape(classes, classes)
        return cls(labels, votes, chances, confusions)

    @property
    def runs(self) -> int:
        """Return how many runs answered."""
        return len(self.confusions)

    @property
    def right(self) -> np.ndarray:
        """Return the share of runs that are right on each sentence [sentences]."""
        return np.take_along_axis(self.votes, self.labels[:, None], 1)[:, 0] / self.runs

    @property
    def mistaken(self) -> np.ndarray:
        """Return the wrong class that most runs predict, and of those the likeliest, for each sentence [sentences]."""
        ranked = self.votes + self.chances / (self.runs + 1)  # probabilities decide between equal votes
        ranked[np.arange(len(ranked)), self.labels] = -1
        return ranked.argmax(1)

    def kinds(self, baseline: np.ndarray) -> dict[str, np.ndarray]:
        """Return which sentences are of each of KINDS; baseline: on which it is right, bool [sentences]."""
        right, (least, most) = self.right, EVEN
        found = (right == 0, (right >= least) & (right <= most), baseline & (right < MOST), ~baseline & (right > MOST))
        return dict(zip(KINDS, found, strict=True))


def error_rows(
    models: pd.DataFrame, found: Mapping[str, Predictions], corpora: Mapping[str, Corpus], shown: int
) -> dict[str, Rows]:
    """Return rows of the tables confusion, classes, sentence_counts and sentences.

    models: role, dataset and point_id, by data set in the order of the predictions, the baseline first. corpora: by
    data set. shown: the most sentences of a kind that are listed, with their texts; all are counted.
    """
    tables: dict[str, Rows] = {name: [] for name in TABLES}
    for dataset, own in models.groupby("dataset", sort=False):
        corpus = corpora.get(str(dataset), Corpus())
        for name, rows in dataset_rows(own.reset_index(drop=True), found[str(dataset)], corpus, shown):
            tables[name] += [{"dataset": str(dataset)} | row for row in rows]
    return tables


def dataset_rows(models: pd.DataFrame, found: Predictions, corpus: Corpus, shown: int) -> Iterator[tuple[str, Rows]]:
    """Yield rows of each table on one data set: the baselines', each setting's, and those of all settings together.

    Against several baselines, each of one model, all settings together are set beside what all of these had right.
    """
    texts = texts_of(corpus, found.example_ids)
    votes, chances, confusions = 0, 0, []
    right: dict[Any, np.ndarray] = {}  # sentences [sentences] that each baseline has right
    nowhere = np.zeros(len(found.labels), bool)
    for (role, point), own in models.groupby(["role", "point_id"], sort=False):
        answers = Answers.of(found.logits[own.index], found.labels)
        who = {"role": role, "point_id": point, "runs": answers.runs}
        yield "confusion", [who | row for row in confusion_rows(answers.confusions, corpus)]
        yield "classes", [who | row for row in class_rows(answers.confusions, corpus)]
        if role == BASELINE:
            right[point] = answers.right == 1
            continue
        votes, chances = votes + answers.votes, chances + answers.chances
        confusions.append(answers.confusions)
        frozen = right.get(own["baseline_id"].iloc[0] if "baseline_id" in own else BASELINE, nowhere)
        yield from sentence_rows(answers, str(point), frozen, texts, corpus, shown)
    if confusions:
        everything = Answers(found.labels, votes, chances, np.concatenate(confusions))
        frozen = np.all(list(right.values()) or [nowhere], axis=0)
        yield from sentence_rows(everything, ALL, frozen, texts, corpus, shown)


def confusion_rows(confusions: np.ndarray, corpus: Corpus) -> Rows:
    """Return a row for each true and predicted class that occur together, counted a run [runs, classes, classes]."""
    mean, support = confusions.mean(0), confusions[0].sum(1)
    pairs = np.argwhere(mean)
    if len(mean) > MOST_CLASSES:
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        pairs = pairs[np.argsort(-mean[*pairs.T], kind="stable")][:MOST_CONFUSED]
    return [
        named(corpus, int(label), int(predicted))
        | {"count": float(mean[label, predicted]), "share": float(mean[label, predicted] / support[label])}
        for label, predicted in pairs
    ]


def named(corpus: Corpus, label: int, predicted: int) -> dict[str, Any]:
    """Return a true and a predicted class, as numbers and by name."""
    names = {"label_name": corpus.name(label), "predicted_name": corpus.name(predicted)}
    return {"label": label, "predicted": predicted} | names


def class_rows(confusions: np.ndarray, corpus: Corpus) -> Rows:
    """Return each class's precision, recall and F1, mean and standard deviation over runs [runs, classes, classes].

    From counts, as scikit-learn takes predictions a run at a time: of many runs that takes too long.
    """
    right, true, said = np.diagonal(confusions, axis1=1, axis2=2), confusions.sum(2), confusions.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.stack([right / said, right / true, 2 * right / (true + said)])  # [scores, runs, classes]
        known = np.isfinite(scores)
        count = known.sum(1)
        mean = np.where(known, scores, 0).sum(1) / count
        squares = np.where(known, scores - mean[:, None], 0) ** 2
        sd = np.sqrt(squares.sum(1) / np.where(count > 1, count - 1, np.nan))
    silent = (said == 0).sum(0)
    rows = []
    for label, support in enumerate(true[0].tolist()):
        row: dict[str, Any] = {"label": label, "label_name": corpus.name(label), "support": support}
        for number, name in enumerate(("precision", "recall", "f1")):
            row |= {name: or_none(mean[number, label]), f"{name}_sd": or_none(sd[number, label])}
        why = UNDEFINED.format(silent[label], len(said)) if silent[label] else None
        rows.append(row | {"reason": why})
    return rows


def or_none(value: float) -> float | None:
    """Return a number, None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def sentence_rows(
    answers: Answers, point: str, baseline: np.ndarray, texts: Sequence[dict[str, Any]], corpus: Corpus, shown: int
) -> Iterator[tuple[str, Rows]]:
    """Yield how many sentences are of each kind, and the first of those that are listed.

    Those come first on which most runs are wrong, contested ones with the most even answers, and then those with the
    highest mean probability of the wrong class.
    """
    kinds, right = answers.kinds(baseline), answers.right
    counts = {kind: int(members.sum()) for kind, members in kinds.items()}
    yield "sentence_counts", [{"point_id": point, "runs": answers.runs, "sentences": len(texts)} | counts]
    if not (shown and corpus.texts):
        return
    mistaken = answers.mistaken
    probability = np.take_along_axis(answers.chances, mistaken[:, None], 1)[:, 0] / answers.runs
    for kind in LISTED.get(point, (BROKEN,)):
        members = np.flatnonzero(kinds[kind])
        evenness = abs(right[members] - 0.5) if kind == CONTESTED else right[members]
        first = members[np.lexsort([-probability[members], evenness])][:shown]
        yield (
            "sentences",
            [
                {"kind": kind, "point_id": point}
                | texts[one]
                | named(corpus, int(answers.labels[one]), int(mistaken[one]))
                | {"probability": float(probability[one]), "share_wrong": float(1 - right[one])}
                for one in first
            ],
        )


def texts_of(corpus: Corpus, ids: np.ndarray) -> list[dict[str, Any]]:
    """Return each sentence's id and its beginning, odd characters escaped; None where no text is known."""
    texts = map(corpus.texts.get, ids)
    return [
        {"example_id": example_id, "text": None if text is None else shown_text(text, LONGEST_TEXT)}
        for example_id, text in zip(ids, texts, strict=True)
    ]
