"""Sentences and numbers for people."""

import math

import pandas as pd

from finevar.words import wording
from prose import numbers
from report_fixtures import simulate

LABELS = {"accuracy": "accuracy", "f1": "binary F1", "loss": "loss"}


def row(**changes):
    """Return a row of effects that moved, with changes."""
    base = {"response": "loss", "factor": "learning_rate", "from_level": 2.5e-5, "to_level": 4e-4}
    base |= {"change": 0.244, "ci_low": 0.196, "ci_high": 0.292, "unit": "per doubling of learning_rate"}
    base |= {"per_unit": 0.061, "per_unit_ci_low": 0.049, "per_unit_ci_high": 0.073, "smallest_effect": 0.02}
    return base | {"p_value": 1e-6, "p_adjusted": 1e-5, "verdict": "effect", "reason": None} | changes


def small(**changes):
    """Return a row of batch size on F1 with changes."""
    base = {"response": "f1", "factor": "batch_size", "from_level": 16, "to_level": 64, "change": 0.001}
    base |= {"ci_low": -0.004, "ci_high": 0.006, "per_unit": 0.0005, "per_unit_ci_low": -0.002}
    base |= {"per_unit_ci_high": 0.003, "unit": "per doubling of batch_size", "smallest_effect": 0.003}
    return row(**base) | {"p_value": 0.7, "p_adjusted": 0.9, "verdict": "undecided"} | changes


def test_an_effect_is_given_per_step_with_its_interval_and_range():
    text = wording.effect_sentence(row(), "loss")
    assert numbers(text) == [0.061, 95, 0.049, 0.073, 2.5e-5, 4e-4, 0.244]
    assert "per doubling" in text


def test_a_step_that_no_level_takes_is_left_out():
    wide = row(factor="weight_decay", from_level=0, to_level=0.1, per_unit=2.44, unit="per unit of weight_decay")
    assert numbers(wording.effect_sentence(wide, "loss")) == [0.244, 95, 0.196, 0.292, 0, 0.1]


def test_undecided_gives_the_interval_and_what_it_is_measured_against():
    for changes, expected in (
        ({}, [95, -0.004, 0.006, 16, 64, 0.003]),  # it includes zero and reaches beyond the smallest effect
        ({"ci_low": 0.001, "ci_high": 0.009, "p_adjusted": 0.08}, [95, 0.001, 0.009, 16, 64, 0.08]),
        ({"smallest_effect": math.nan}, [95, -0.004, 0.006, 16, 64]),  # there is no noise floor
    ):
        assert numbers(wording.effect_sentence(small(**changes), "binary F1")) == expected


def test_negligible_names_its_bound():
    text = wording.effect_sentence(small(verdict="negligible", ci_low=-0.001, ci_high=0.002), "binary F1")
    assert numbers(text.replace("\N{PLUS-MINUS SIGN}", "")) == [0.001, 16, 64, 95, -0.001, 0.002, 0.003]


def test_a_small_average_is_not_all_where_factors_act_together():
    flat = small(verdict="negligible")
    text = wording.effect_sentence(flat, "loss", partners=["epochs"])
    assert text.startswith(wording.effect_sentence(flat, "loss"))
    assert "epochs" in text
    assert "epochs" not in wording.effect_sentence(small(verdict="effect"), "loss", partners=["epochs"])


def test_what_acts_together_is_named_once_for_all_its_responses():
    rows = [{"term": "batch_size:epochs", "response": name} for name in ("f1", "loss")]
    rows.append({"term": "learning_rate:epochs", "response": "loss"})
    first, second = wording.together_sentence(rows, {"f1": "binary F1", "loss": "loss"}).split("; ")
    assert [name in first for name in ("Batch size and epochs", "binary F1 and loss")] == [True, True]
    assert [name in second for name in ("learning rate and epochs", "loss", "F1")] == [True, True, False]
    assert wording.together_sentence([], {}) == ""


def test_no_verdict_gives_its_reason():
    text = wording.effect_sentence(small(verdict=None, reason="rank is short by 1."), "binary F1")
    assert text.endswith("rank is short by 1.")
    assert numbers(text) == [1], "and no figure of its own"


def frame(*rows):
    """Return effects and empty fits."""
    fits = pd.DataFrame({"response": ["loss"], "framework": ["absolute"], "gate": [None]})
    return pd.DataFrame(rows), fits


def test_headline_joins_factors_and_responses():
    effects, fits = frame(row(), row(factor="epochs"), row(response="f1"), row(response="f1", factor="epochs"), small())
    assert wording.headline(effects, fits, LABELS) == (
        "Learning rate and epochs moved loss and binary F1. Undecided: batch size on binary F1."
    )


def test_headline_all_negligible():
    effects, fits = frame(small(verdict="negligible"), small(verdict="negligible", factor="epochs"))
    assert "every metric is negligible" in wording.headline(effects, fits, LABELS)


def test_headline_all_undecided():
    effects, fits = frame(small(), small(factor="epochs"))
    assert wording.headline(effects, fits, LABELS).startswith("Nothing is decided")


def test_headline_without_an_effect():
    effects, fits = frame(small(), small(factor="epochs", verdict="negligible"))
    assert wording.headline(effects, fits, LABELS) == (
        "No factor is shown to move a metric. Undecided: batch size on binary F1. Negligible: epochs on binary F1."
    )


def test_headline_all_gated():
    fits = pd.DataFrame({"response": ["f1", "loss"], "framework": "absolute", "gate": ["x", "y"]})
    text = wording.headline(pd.DataFrame(), fits, LABELS)
    assert "binary F1 and loss" in text
    assert not numbers(text)


def test_headline_some_gated():
    effects, _ = frame(small())
    fits = pd.DataFrame({"response": ["f1", "loss"], "framework": "absolute", "gate": [None, "y"]})
    assert wording.headline(effects, fits, LABELS).endswith("No verdict on loss.")


def test_identity_sentence_prints_the_largest_deviation():
    fits = pd.DataFrame({"framework": ["absolute", "relative"], "largest_identity_deviation": [math.nan, 3.1e-14]})
    assert numbers(wording.identity_sentence(fits)) == [3.1e-14]


def test_noise_floor_names_both_sources():
    row = {"smallest_effect": 0.0068, "pure_error_sd": 0.0034, "test_set_se": 0.0067}
    assert numbers(wording.floor_sentence(row, "accuracy")) == [0.0068, 0.0068, 0.0067]


def test_runs_are_counted_by_fate():
    metrics = pd.DataFrame({"dataset": "a", "point_id": ["p", "p", "q", "q"], "seed": [0, 1, 0, 1]})
    assert numbers(wording.runs_sentence(metrics.assign(status="ok"))) == [4, 2, 2]
    status = ["ok", "ok", "diverged", "missing"]
    assert numbers(wording.runs_sentence(metrics.assign(status=status))) == [4, 2, 2, 2, 1, 1]


def test_baseline_with_and_without_its_own_levels():
    again = pd.Series([0.80, 0.82])  # sample standard deviation: 0.02 / sqrt 2
    assert numbers(wording.baseline_sentence("amazon", 0.79, again, "accuracy")) == [0.79, 0.81, 0.0141, 2]
    assert numbers(wording.baseline_sentence("amazon", 0.79, pd.Series([], dtype=float), "accuracy")) == [0.79]


def test_best_prediction_is_the_lowest_loss():
    surface = pd.DataFrame(
        {
            "response": "loss",
            "factor_x": "learning_rate",
            "value_x": [1e-4, 2.3041e-4],
            "factor_y": "epochs",
            "value_y": [1, 3],
            "held": "batch_size = 32",
            "predicted": [0.31, 0.42],
            "ci_low": [0.30, 0.41],
            "ci_high": [0.32, 0.43],
        }
    )
    lowest = wording.extreme_sentence(surface, "loss", "loss")
    assert "learning rate 1e-4 and epochs 1 with batch size 32" in lowest
    assert numbers(lowest) == [1e-4, 1, 32, 0.31, 95, 0.3, 0.32]
    highest = wording.extreme_sentence(surface.assign(response="accuracy", held=""), "accuracy", "accuracy")
    assert numbers(highest) == [2.3e-4, 3, 0.42, 95, 0.41, 0.43]


def test_second_order_terms():
    shared = {"estimate": 0.05, "ci_low": 0.04, "ci_high": 0.06}
    for group, term, names in (
        ("quadratic", "epochs^2", [False, True]),
        ("two_way", "learning_rate:epochs", [True, True]),
    ):
        text = wording.joint_sentence(shared | {"group": group, "term": term}, "loss")
        assert [name in text for name in ("learning rate", "epochs")] == names
        assert numbers(text) == [0.05, 95, 0.04, 0.06]


def test_no_sentence_says_what_must_not_be_said():
    tables = simulate()
    texts = [wording.effect_sentence(row, LABELS[row["response"]]) for row in tables["effects"].to_dict("records")]
    for sentence in (*texts, wording.headline(tables["effects"], tables["fits"], LABELS)):
        assert "significan" not in sentence
        assert "no influence" not in sentence
        assert "nan" not in sentence.lower()


def test_the_factor_that_moves_a_metric_most_is_named_and_a_metric_that_none_moves():
    rows = [
        row(),
        row(factor="epochs", from_level=1, to_level=3, change=-0.3),
        row(factor="batch_size", change=0.9, verdict="undecided"),
        small(),
    ]
    most, none = wording.largest_sentence(pd.DataFrame(rows), {"loss": "loss", "f1": "binary F1"}).split(". ")
    assert "epochs" in most
    assert (numbers(most), numbers(none)) == ([-0.3, 1, 3], [])
    assert "binary F1" in none


def test_terms_are_counted_once_in_coded_units_of_the_absolute_fits():
    kinds = ["effect", "negligible", "undecided", "effect", None]
    rows = [{"framework": "absolute", "units": "coded", "verdict": kind} for kind in kinds]
    rows += [{"framework": "relative", "units": "coded", "verdict": "effect"}]
    rows += [{"framework": "absolute", "units": "natural", "verdict": "effect"}]
    assert numbers(wording.terms_sentence(pd.DataFrame(rows))) == [4, 2, 1, 1]
