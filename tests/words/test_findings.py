"""Sentences on interplay, optimum, checks and baselines: the numbers and names that they give."""

from __future__ import annotations

import pandas as pd
import pytest

from finevar.words import caveats, comparisons, findings
from prose import numbers

LABELS = {"accuracy": "accuracy", "loss": "loss"}
UNEQUAL = "noise differs between settings"


def span(sign: str, low: float, high: float) -> dict[str, object]:
    return {"moderator": "batch_size", "sign": sign, "value_low": low, "value_high": high}


def simple(level: float, value: float, reach: float) -> dict[str, object]:
    row = {"moderator": "batch_size", "moderator_level": level, "unit": "per epoch", "estimate": value}
    return row | {"ci_low": value - reach, "ci_high": value + reach}


def test_a_slope_is_given_at_the_ends_of_its_moderator_and_where_it_differs_from_zero():
    text = findings.slope_line_sentence(
        [simple(8, 0.02, 0.004), simple(64, -0.001, 0.004)], [span("positive", 8, 31.7), span("open", 31.7, 64)], "loss"
    )
    assert numbers(text) == [0.02, 95, 0.016, 0.024, 8, -0.001, -0.005, 0.003, 64, 32]


@pytest.mark.parametrize(
    ("ranges", "ends"),
    [
        ([span("open", 8, 64)], [8, 64]),
        ([span("negative", 8, 64)], [8, 64]),
        ([span("negative", 8, 16.2), span("open", 16.2, 40), span("positive", 40, 64)], [16, 40]),
        ([span("open", 8, 8.01), span("positive", 8.01, 64)], [8.01]),
    ],
)
def test_where_a_slope_differs_from_zero_is_named_by_the_ends(ranges, ends):
    assert numbers(findings.where_nonzero(ranges)) == ends


def test_a_slope_of_both_signs_says_which_is_where():
    ranges = [span("negative", 8, 16.2), span("open", 16.2, 40), span("positive", 40, 64)]
    parts = findings.signs_text(ranges).split(" and ")
    assert [words in part for words, part in zip(("below zero", "above zero"), parts, strict=True)] == [True, True]
    table = pd.DataFrame(ranges).assign(response="loss", factor="epochs")
    assert findings.signs_text(ranges) in findings.sign_changes_sentence(table, LABELS)


def test_lack_of_fit_left_open_for_one_reason_is_one_sentence():
    row = {"statistic": 1.5, "df_numerator": 17.0, "df_denominator": 26.0, "p_value": None, "reason": UNEQUAL}
    rows = [row | {"response": name} for name in LABELS]
    (text,) = caveats.lack_of_fit_sentences(rows, LABELS, model="quadratic", alpha=0.05)
    assert numbers(text) == [17, 26, 1.5, 17, 26, 1.5]
    assert text.count(UNEQUAL) == 1
    found = row | {"response": "loss", "p_value": 0.01, "reason": None}
    (text,) = caveats.lack_of_fit_sentences([found], LABELS, model="quadratic", alpha=0.05)
    assert numbers(text) == [17, 26, 1.5, 0.01]


def test_a_cliff_along_a_factor_with_as_many_levels_as_powers_cannot_be_seen():
    for levels, model, blind in (
        ({"learning_rate": 3, "epochs": 4}, "quadratic", {"learning rate"}),
        ({"learning_rate": 4, "epochs": 4}, "quadratic", set()),
        ({"learning_rate": 4, "epochs": 5}, "cubic", {"learning rate"}),
    ):
        text = caveats.unseen_cliffs_sentence(levels, model)
        assert {name for name in ("learning rate", "epochs") if name in text} == blind


def test_families_are_named_once():
    effects = pd.DataFrame({"family": ["9 effects, Benjamini-Hochberg"] * 9})
    coefficients = pd.DataFrame({"family": ["27 absolute terms, Benjamini-Hochberg"] * 27 + ["2 claims, Holm", None]})
    text = caveats.families_sentence(coefficients, effects)
    for family in {*effects["family"], *coefficients["family"].dropna()}:
        assert text.count(family) == 1
    assert caveats.families_sentence(coefficients.head(0), effects.head(0)) == ""


def test_points_against_a_baseline_are_counted_with_their_caution():
    rows = pd.DataFrame(
        {"response": "loss", "baseline": "B0", "estimate": [-0.1, 0.1, 0.0], "ci_low": [-0.2, 0.05, -0.1],
         "ci_high": [-0.05, 0.2, 0.1], "reason": "with 2 seeds it is hardly known"}
    )  # fmt: skip
    text = comparisons.against_baseline_sentence(rows.head(2), "loss")
    assert numbers(text)[:4] == [1, 2, 1, 0], "lower loss is better"
    assert rows["reason"][0] in text
