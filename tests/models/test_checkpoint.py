"""A trained head's rows go to the classes of the same names, and only where that leaves no doubt."""

from __future__ import annotations

import itertools

import pytest
import torch

from finevar.models import checkpoint
from finevar.models.distilbert.family import FlatDistilBert

SIZES = FlatDistilBert(9, 8, 2, 2, 1, 1, "gelu", 0.1, 0.1, 0.1)  # two wide


def rows_of(labels: list[str] | None, classes: list[str]) -> tuple[list[int], str]:
    """Return which row of the head each class got, and what is said of it."""
    count = len(labels or classes)
    weights = {"pre_classifier.weight": torch.zeros(2, 2), "pre_classifier.bias": torch.zeros(2)}
    weights |= {"classifier.weight": torch.arange(2.0 * count).view(count, 2), "classifier.bias": torch.arange(count)}
    said = checkpoint.fit_head(weights, SIZES, labels, classes, 0)
    rows = weights["classifier.bias"].tolist()
    assert weights["classifier.weight"].tolist() == [[2 * row, 2 * row + 1] for row in rows]
    return rows, said


@pytest.mark.parametrize(
    ("labels", "classes", "rows"),
    [
        (["US", "us", "Other"], ["Other", "US", "us"], [2, 0, 1]),
        (["us", "US"], ["US", "us"], [1, 0]),
        (["NEGATIVE", "POSITIVE"], ["positive", "negative"], [1, 0]),
        (["a", "b", "A"], ["A", "a", "B"], [2, 0, 1]),  # one by one: exact where they are, the last but for case
        (["us", "Us", "x"], ["x", "US", "us"], [2, 1, 0]),  # once "us" is taken, "Us" is the only one left for "US"
        (["stra\u00dfe", "x"], ["x", "STRASSE"], [1, 0]),
    ],
)
def test_rows_follow_the_names(labels, classes, rows):
    found, said = rows_of(labels, classes)
    assert found == rows
    assert "put in the order of the data's classes" in said


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["us", "Us", "x"], ["x", "US", "uS"]),  # either could be either
        (["us", "US"], ["Us", "x"]),
        (["a", "a"], ["b", "a"]),
        (["LABEL_0", "LABEL_1"], ["no", "yes"]),
        (["yes", "maybe"], ["no", "yes"]),  # one class has no row of its name
        (None, ["no", "yes"]),
    ],
)
def test_where_names_leave_doubt_the_order_is_kept_and_said(labels, classes):
    found, said = rows_of(labels, classes)
    assert found == list(range(len(classes)))
    assert "taken in order" in said


@pytest.mark.parametrize("names", [["a", "A", "b"], ["us", "US", "Us", "uS"], ["\u00df", "ss", "SS"]])
def test_no_two_classes_ever_share_a_row(names):
    for labels, classes in itertools.product(itertools.permutations(names), repeat=2):
        found, _ = rows_of([*labels], [*classes])
        assert found == [labels.index(name) for name in classes]
