"""Sentences on interplay, optimum, checks and baselines: what they say, and what they must never say."""

from __future__ import annotations

import pandas as pd
import pytest

from finevar.words import caveats, comparisons, findings

LABELS = {"accuracy": "accuracy", "loss": "loss"}
UNEQUAL = "noise differs between settings"


def span(sign: str, low: float, high: float) -> dict[str, object]:
    return {"moderator": "batch_size", "sign": sign, "value_low": low, "value_high": high}


def simple(level: float, value: float, reach: float) -> dict[str, object]:
    row = {"moderator": "batch_size", "moderator_level": level, "unit": "per epoch", "estimate": value}
    return row | {"ci_low": value - reach, "ci_high": value + reach}


def test_a_slope_is_told_at_the_ends_of_its_moderator_and_where_it_differs_from_zero():
    told = findings.slope_line_sentence(
        [simple(8, 0.02, 0.004), simple(64, -0.001, 0.004)], [span("positive", 8, 31.7), span("open", 31.7, 64)], "loss"
    )
    assert told.replace("\N{MINUS SIGN}", "-") == (
        "Per epoch, loss changes by +0.0200 (95 % interval 0.0160 to 0.0240) at batch size 8 and by -0.0010 "
        "(-0.0050 to 0.0030) at 64; the slope is distinguishable from zero below batch size 32."
    )


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ([span("open", 8, 64)], "over the whole range of batch size, 8 to 64, the slope cannot be told from zero"),
        (
            [span("negative", 8, 64)],
            "the slope is distinguishable from zero over the whole range of batch size, 8 to 64",
        ),
        (
            [span("negative", 8, 16.2), span("open", 16.2, 40), span("positive", 40, 64)],
            "the slope is below zero below batch size 16 and above zero above batch size 40",
        ),
        (
            [span("open", 8, 8.01), span("positive", 8.01, 64)],
            "the slope is distinguishable from zero above batch size 8.01",
        ),
    ],
)  # fmt: skip
def test_where_a_slope_can_be_told_from_zero(ranges, told):
    assert findings.where_told(ranges) == told


def test_lack_of_fit_left_open_for_one_reason_is_told_once():
    row = {"statistic": 1.5, "df_numerator": 17.0, "df_denominator": 26.0, "p_value": None, "reason": UNEQUAL}
    rows = [row | {"response": name} for name in LABELS]
    (told,) = caveats.lack_of_fit_sentences(rows, LABELS, model="quadratic", alpha=0.05)
    assert told == (
        "Whether the quadratic surface misses the points is left open for accuracy (F(17, 26) = 1.50) and loss "
        "(F(17, 26) = 1.50): lack of fit has no p-value, as noise differs between settings."
    )
    found = row | {"response": "loss", "p_value": 0.01, "reason": None}
    (told,) = caveats.lack_of_fit_sentences([found], LABELS, model="quadratic", alpha=0.05)
    assert told.startswith("The quadratic surface of loss misses the points: lack of fit F(17, 26) = 1.50, p = 0.010.")


def test_a_cliff_along_a_factor_with_as_many_levels_as_powers_cannot_be_seen():
    told = caveats.unseen_cliffs_sentence({"learning_rate": 3, "epochs": 4}, "quadratic")
    assert told.startswith("Along learning rate the quadratic surface passes through the means")
    assert caveats.unseen_cliffs_sentence({"learning_rate": 4, "epochs": 4}, "quadratic") == ""
    assert "Along learning rate the" in caveats.unseen_cliffs_sentence({"learning_rate": 4, "epochs": 4}, "cubic")


def test_families_are_named_once():
    effects = pd.DataFrame({"family": ["9 effects, Benjamini-Hochberg"] * 9})
    coefficients = pd.DataFrame({"family": ["27 absolute terms, Benjamini-Hochberg"] * 27 + ["2 claims, Holm", None]})
    told = caveats.families_sentence(coefficients, effects)
    assert "9 effects, Benjamini-Hochberg; 27 absolute terms, Benjamini-Hochberg; 2 claims, Holm." in told
    assert caveats.families_sentence(coefficients.head(0), effects.head(0)) == ""


def test_points_against_a_baseline_are_counted_with_their_caution():
    rows = pd.DataFrame(
        {"response": "loss", "baseline": "B0", "estimate": [-0.1, 0.1, 0.0], "ci_low": [-0.2, 0.05, -0.1],
         "ci_high": [-0.05, 0.2, 0.1], "reason": "with 2 seeds it is hardly known"}
    )  # fmt: skip
    told = comparisons.against_baseline_sentence(rows, "loss")
    assert "1 of 3 tried points better, 1 worse, and 1 not told from it" in told, "lower loss is better"
    assert told.endswith("Caution: with 2 seeds it is hardly known.")


def test_the_price_of_being_wrong_is_set_against_the_smallest_effect_of_interest():
    row = {"expected_regret": 0.002, "regret_bound": 0.005, "smallest_effect": 0.01}
    assert "within the smallest effect of interest" in findings.regret_sentence(row)
    assert "a setting that is better by more than that is not excluded" in findings.regret_sentence(
        row | {"regret_bound": 0.02}
    )
