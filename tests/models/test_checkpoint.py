"""A trained head's rows go to the classes of the same names, and only where that leaves no doubt."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

import tiny
from finevar.models import checkpoint
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.general.family import Encoder
from finevar.reasons import Head, Reason
from refusals import names, refusal

SIZES = FlatDistilBert(9, 8, 2, 2, 1, 1, "gelu", 0.1, 0.1, 0.1)  # two wide


def rows_of(labels: list[str], classes: list[str], meanings: dict | None = None) -> tuple[list[int] | None, Reason]:
    """Return which row of the head each class got, or None of a head drawn anew, and what is said of it."""
    count = len(labels or classes)
    weights = {"pre_classifier.weight": torch.zeros(2, 2), "pre_classifier.bias": torch.zeros(2)}
    weights |= {"classifier.weight": torch.arange(2.0 * count).view(count, 2), "classifier.bias": torch.arange(count)}
    said = checkpoint.fit_head(weights, SIZES, labels, classes, 0, meanings)
    rows = weights["classifier.bias"].tolist()
    if said.code in (Head.NEW, Head.REPLACED):
        assert rows == [0.0] * len(classes)
        assert weights["classifier.weight"].abs().max() < 0.2  # of a standard deviation of 0.02
        return None, said
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
        (["1.0", "0.0"], ["0", "1"], [1, 0]),
        (["Very  good", "bad"], ["bad", "very good"], [1, 0]),
    ],
)
def test_rows_follow_the_names(labels, classes, rows):
    found, said = rows_of(labels, classes)
    assert (found, said.code) == (rows, Head.REORDERED)


def test_a_head_in_the_order_of_the_data_is_kept():
    assert rows_of(["NEGATIVE", "POSITIVE"], ["negative", "positive"])[0] == [0, 1]
    assert rows_of(["NEGATIVE", "POSITIVE"], ["negative", "positive"])[1].code == Head.KEPT


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["us", "Us", "x"], ["x", "US", "uS"]),  # either could be either
        (["us", "US"], ["Us", "x"]),
        (["a", "a"], ["b", "a"]),
        (["LABEL_0", "LABEL_1"], ["no", "yes"]),
        (["LABEL_0", "LABEL_1"], ["0", "1"]),
        (["yes", "maybe"], ["no", "yes"]),  # one class has no row of its name
        (["pos", "neg"], ["negative", "positive"]),
        ([], ["no", "yes"]),
    ],
)
def test_where_names_leave_doubt_a_head_is_drawn_and_both_lists_are_said(labels, classes):
    found, said = rows_of(labels, classes)
    assert (found, said.code) == (None, Head.REPLACED)
    assert all(name in said.sentence for name in [*labels, *classes])


@pytest.mark.parametrize(
    ("labels", "classes", "meanings", "rows"),
    [
        (["pos", "neg"], ["negative", "positive"], {"neg": "negative", "pos": "positive"}, [1, 0]),
        (["pos", "neg"], ["0", "1"], {"neg": 0.0, "pos": 1.0}, [1, 0]),  # as a config's numbers are read
        (
            ["LABEL_0", "LABEL_1", "LABEL_2"],
            ["a", "b", "c"],
            {"LABEL_2": "a", "LABEL_0": "b", "LABEL_1": "C"},
            [2, 0, 1],
        ),
        (["no", "yes"], ["no", "yes"], {"no": "yes", "yes": "no"}, [1, 0]),  # before any comparison of names
    ],
)
def test_a_map_says_which_class_is_which(labels, classes, meanings, rows):
    assert rows_of(labels, classes, meanings)[0] == rows


@pytest.mark.parametrize(
    "meanings",
    [
        {"negative": "neg", "positive": "pos"},  # the wrong way round
        {"neg": "negative", "other": "positive"},
        {"neg": "negative", "pos": "good"},
        {"neg": "negative", "pos": "negative"},
        {"neg": "negative", "pos": "positive", "x": "y"},
    ],
)
def test_a_map_that_does_not_fit_is_refused_with_the_names_of_both(meanings):
    error = refusal(rows_of, ["pos", "neg"], ["negative", "positive"], meanings)
    assert error.where == "config: head"
    assert names(error, "pos, neg", "negative, positive")


@pytest.mark.parametrize("names", [["a", "A", "b"], ["us", "US", "Us", "uS"], ["\u00df", "ss", "SS"]])
def test_no_two_classes_ever_share_a_row(names):
    for labels, classes in itertools.product(itertools.permutations(names), repeat=2):
        found, _ = rows_of([*labels], [*classes])
        assert found == [labels.index(name) for name in classes]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_last_layers_are_drawn_as_transformers_draws_them(tmp_path, count):
    """By the rules of its _init_weights: matrices of a standard deviation of 0.02, biases zero, norms the identity."""
    tiny.make_model(tmp_path / "model", dim=64)
    weights, family = checkpoint.load_model(tmp_path / "model")
    drawn, other = dict(weights), dict(weights)
    checkpoint.redraw_layers(drawn, family, count, 0)
    checkpoint.redraw_layers(other, family, 2, 0)
    names = {name for layer in range(2 - count, 2) for name in weights if f"transformer.layer.{layer}." in name}
    assert {name for name in weights if drawn[name] is not weights[name]} == names
    for name in names:
        assert torch.equal(drawn[name], other[name]), "a layer is the same however many are drawn"
        if drawn[name].ndim == 2:
            assert drawn[name].std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(drawn[name].mean().item()) < 0.002
        else:
            assert drawn[name].unique().tolist() == [1.0 if name.endswith("layer_norm.weight") else 0.0]


def test_kernels_are_drawn_as_matrices_are():
    """SqueezeBERT's layers multiply by convolutions, of weights [out, in, 1]; a standard deviation as transformers'."""
    sizes = {"hidden_size": 64, "embedding_size": 64, "intermediate_size": 64, "num_attention_heads": 4}
    config = AutoConfig.for_model("squeezebert", vocab_size=9, num_hidden_layers=2, **sizes)
    weights = AutoModelForSequenceClassification.from_config(config).state_dict()
    family = Encoder(json.dumps(config.to_dict()), "padded", None)
    checkpoint.redraw_layers(weights, family, 2, 0)
    kernels = [weight for name, weight in weights.items() if ".layers." in name and weight.ndim == 3]
    assert len(kernels) == 2 * 6
    assert [kernel.std().item() for kernel in kernels] == pytest.approx([0.02] * 12, rel=0.1)
