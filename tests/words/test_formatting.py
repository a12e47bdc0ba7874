"""Numbers and names as people read them."""

import math

import numpy as np
import pandas as pd
import pytest

from finevar.words import formatting, numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5e-5, "2.5e-5"), (1e-4, "1e-4"), (0.001, "0.001"), (0.1, "0.1"), (64, "64"), (6000, "6,000"), (3.0, "3")],
)
def test_levels_are_printed_as_people_write_them(value, text):
    assert numbers.level(value) == text


def test_a_missing_training_size_is_all_and_a_word_stays():
    assert numbers.level(None) == "all"
    assert numbers.level(math.nan) == "all"
    assert numbers.level("linear") == "linear"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "< 0.001"), (0.00099, "< 0.001"), (0.0274, "0.027"), (1.0, "1.000"), (None, "\N{EN DASH}")]
)
def test_p_values(p, text):
    assert numbers.p_text(p) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf, np.float64("nan"), np.float32("nan"), pd.NaT])
def test_missing_numbers_are_a_dash(value):
    assert numbers.number(value) == "\N{EN DASH}"
    assert numbers.estimate(value, 0.1) == "\N{EN DASH}"


def test_a_rounded_zero_has_no_sign():
    assert numbers.number(-0.00001, sign=True) == "0.0000"


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [(0.0612, 0.012, "+0.061"), (-12.3, 4.0, "\N{MINUS SIGN}12.3"), (1.234e-7, 1e-8, "+1.23e\N{MINUS SIGN}7")],
)
def test_an_estimate_has_the_digits_that_its_uncertainty_supports(value, spread, text):
    assert numbers.estimate(value, spread) == text


@pytest.mark.parametrize(
    ("term", "label"),
    [
        ("intercept", "intercept"),
        ("learning_rate:epochs", "learning rate \N{MULTIPLICATION SIGN} epochs"),
        ("warmup^2", "warm-up\N{SUPERSCRIPT TWO}"),
        ("seed[1]", "seed 1"),
        ("dataset[tweets]", "data set tweets"),
    ],
)
def test_terms(term, label):
    assert formatting.term_label(term) == label


def test_f1_is_named_by_its_average():
    assert formatting.response_label("f1", ["macro", None]) == "macro F1"
    assert formatting.response_label("precision", ["macro"]) == "macro precision"
    assert formatting.response_label("mcc", ["macro"]) == "MCC"
    assert formatting.response_label("f1", ["macro", "binary"]) == "F1"


def test_binary_f1_is_named_by_its_class():
    assert formatting.response_label("f1", ["binary"], ["OFFENSE", None]) == "F1 of OFFENSE"
    assert formatting.response_label("recall", ["binary"], ["spam"]) == "recall of spam"
    assert formatting.response_label("accuracy", ["binary"], ["spam"]) == "accuracy"
    assert formatting.response_label("f1", ["binary"], [None]) == "binary F1"  # of cards, which do not say
    assert formatting.response_label("f1", ["binary"], ["spam", "toxic"]) == "binary F1"  # of several data sets
    assert formatting.response_label("f1", ["macro"], [None]) == "macro F1"
    assert len(formatting.response_label("f1", ["binary"], ["x" * 500])) < 60
    run = {"f1_average": "binary", "positive": "spam"}
    assert formatting.label_of_run("f1", run) == "F1 of spam"
    runs = pd.DataFrame([run, {"f1_average": None, "positive": None}])  # the other is missing
    assert formatting.response_labels(runs, ["f1", "loss"]) == {"f1": "F1 of spam", "loss": "loss"}


def test_an_interval_says_where_it_was_cut():
    """At what can be at least or at most; at both it says nothing."""
    assert numbers.interval(-0.21, 0.04, -0.9, 0.1) == numbers.interval(-0.21, 0.04)
    assert numbers.interval(-0.21, 0.1, -0.9, 0.1).endswith(f"to {numbers.LIMIT}0.10")
    assert numbers.interval(-0.9, 0.04, -0.9, 0.1).startswith(numbers.LIMIT)
    assert numbers.interval(-0.9, 0.1, -0.9, 0.1) == numbers.ANYTHING
    assert numbers.interval(-0.4, 2.0, -0.4, None).startswith(numbers.LIMIT)
    assert numbers.span({"ci_low": -1.0, "ci_high": 1.0, "least": -1.0, "most": 1.0}) == numbers.ANYTHING
    assert numbers.span({"ci_low": -1.0, "ci_high": 1.0}) == numbers.interval(-1.0, 1.0)


@pytest.mark.parametrize(
    ("unit", "factor", "text"),
    [
        ("per doubling of lora_rank", None, "per doubling of LoRA rank"),
        ("per doubling of lora_rank", "lora_rank", "per doubling"),
        ("per unit of weight_decay", None, "per unit of weight decay"),
        ("per epoch", None, "per epoch"),
        (None, None, ""),
    ],
)
def test_units_name_settings_as_all_else_does(unit, factor, text):
    assert formatting.unit_label(unit, factor) == text
