"""The positive class of two: by default, by the config's key, and without another run."""

from __future__ import annotations

import pytest

from finevar.study.classes import label_key, positive_of
from finevar.study.config import read_config
from finevar.study.design import plan_study
from refusals import names, refusal, refusals

TWO = {"classes": ["OFFENSE", "OTHER"], "positive": "OFFENSE"}


@pytest.mark.parametrize(
    ("facts", "wanted", "expected"),
    [
        (TWO, None, (0, "OFFENSE")),
        (TWO, "OTHER", (1, "OTHER")),
        (TWO, "other", (1, "OTHER")),
        ({"classes": ["0", "1"], "positive": "1"}, 0.0, (0, "0")),  # as a config's number is read
        ({"classes": ["0", "1"], "positive": "1"}, "1.0", (1, "1")),
        ({"classes": ["us", "US"], "positive": "us"}, "US", (1, "US")),  # kept apart
        ({"classes": ["a", "b", "c"]}, None, None),
    ],
)
def test_the_positive_class(facts, wanted, expected):
    assert positive_of(facts, wanted, "d") == expected


@pytest.mark.parametrize(
    ("facts", "wanted", "data"),
    [
        (TWO, "OFFENSIVE", ["'OFFENSIVE'", "OFFENSE, OTHER"]),
        ({"classes": ["a", "b", "c"]}, "a", ["3 classes", "Remove"]),
        ({"classes": ["us", "US"], "positive": "us"}, "Us", ["us, US"]),  # either could be meant
    ],
)
def test_a_positive_class_that_is_none_of_two_is_refused(facts, wanted, data):
    error = refusal(positive_of, facts, wanted, "posts")
    assert error.where == "config: datasets.posts.positive"
    assert names(error, *data)


def test_what_metrics_alone_depend_on_changes_no_id(raw_config):
    before = plan_study(read_config(raw_config))
    raw_config["datasets"]["amazon"]["positive"] = "negative"
    after = plan_study(read_config(raw_config))
    assert (after.runs.keys(), after.dataset_ids) == (before.runs.keys(), before.dataset_ids)


@pytest.mark.parametrize(("key", "value"), [("fold_labels", False), ("drop_rare_classes", 5)])
def test_what_the_data_depend_on_changes_the_ids(raw_config, key, value):
    before = plan_study(read_config(raw_config))
    raw_config["datasets"]["amazon"] |= {"fold_labels": True}  # the default
    assert plan_study(read_config(raw_config)).runs.keys() == before.runs.keys()
    raw_config["datasets"]["amazon"][key] = value
    after = plan_study(read_config(raw_config))
    assert not after.runs.keys() & before.runs.keys()


def test_the_meaning_of_a_head_is_part_of_the_ids_of_runs_and_not_of_the_models(raw_config):
    before = plan_study(read_config(raw_config))
    raw_config["head"] = {"LABEL_0": "negative", "LABEL_1": "positive"}
    after = plan_study(read_config(raw_config))
    assert not after.runs.keys() & before.runs.keys()
    assert (after.model_ids, after.dataset_ids) == (before.model_ids, before.dataset_ids)
    assert after.baseline_ids != before.baseline_ids


@pytest.mark.parametrize("head", [{"a": "b"}, {"a": True, "b": "c"}, ["a", "b"]])
def test_a_meaning_of_a_head_that_is_none_is_refused(raw_config, head):
    raw_config["head"] = head
    assert any(error.where.startswith("config: head") for error in refusals(read_config, raw_config))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("1", "1.0", True), ("1e2", "100", True), ("01", "1", True), (" A  b", "a B", True), ("1_0", "10", False),
     ("nan", "NaN", True), ("inf", "1e999", False), ("-0", "0", True), ("\u0661", "1", False), ("1e", "1", False)],
)  # fmt: skip
def test_spellings_of_one_class(one, other, alike):
    assert (label_key(one) == label_key(other)) is alike
