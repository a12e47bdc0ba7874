"""Sentences and numbers for people."""

import math

import pandas as pd

from finevar.words import wording
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


def minus(text):
    """Return text with its hyphens before digits as true minus signs."""
    return text.replace("-0", "\N{MINUS SIGN}0")


def test_an_effect_is_told_per_step_with_its_interval_and_range():
    assert wording.effect_sentence(row(), "loss") == (
        "Learning rate moved loss: +0.061 per doubling (95 % interval 0.049 to 0.073) between 2.5e-5 and 4e-4, "
        "+0.244 in all."
    )


def test_a_step_that_no_level_takes_is_not_told():
    told = wording.effect_sentence(
        row(factor="weight_decay", from_level=0, to_level=0.1, per_unit=2.44, unit="per unit of weight_decay"), "loss"
    )
    assert told == "Weight decay moved loss: +0.244 in all (95 % interval 0.196 to 0.292) between 0 and 0.1."


def test_undecided_across_zero():
    assert wording.effect_sentence(small(), "binary F1") == minus(
        "Undecided for batch size on binary F1: the 95 % interval, -0.0040 to 0.0060 from 16 to 64, includes zero and "
        "reaches beyond the smallest effect of interest, 0.0030."
    )


def test_undecided_for_want_of_evidence():
    told = wording.effect_sentence(small(ci_low=0.001, ci_high=0.009, p_adjusted=0.08), "binary F1")
    assert told.endswith(
        "excludes zero, but the evidence is short once all comparisons are counted (adjusted p = 0.080)."
    )


def test_undecided_without_a_noise_floor():
    told = wording.effect_sentence(small(smallest_effect=math.nan), "binary F1")
    assert told.endswith("includes zero, and without replicates there is no noise floor to measure it against.")


def test_negligible_names_its_bound():
    told = wording.effect_sentence(small(verdict="negligible", ci_low=-0.001, ci_high=0.002), "binary F1")
    assert told == minus(
        "Negligible for batch size on binary F1: +0.0010 from 16 to 64 (95 % interval -0.0010 to 0.0020), equivalent "
        "to zero within the smallest effect of interest, \N{PLUS-MINUS SIGN}0.0030."
    )


def test_a_small_average_is_not_all_where_factors_act_together():
    flat = small(verdict="negligible")
    told = wording.effect_sentence(flat, "loss", partners=["epochs"])
    assert told.endswith("That is at the centre of the design: it acts together with epochs.")
    assert told.startswith(wording.effect_sentence(flat, "loss"))
    assert "together" not in wording.effect_sentence(small(verdict="effect"), "loss", partners=["epochs"])


def test_what_acts_together_is_named_once_for_all_its_responses():
    rows = [{"term": "batch_size:epochs", "response": name} for name in ("f1", "loss")]
    rows.append({"term": "learning_rate:epochs", "response": "loss"})
    told = wording.together_sentence(rows, {"f1": "binary F1", "loss": "loss"})
    assert told == (
        "Batch size and epochs act together on binary F1 and loss; learning rate and epochs act together on loss."
    )
    assert wording.together_sentence([], {}) == ""


def test_no_verdict_tells_its_reason():
    told = wording.effect_sentence(small(verdict=None, reason="rank is short by 1."), "binary F1")
    assert told == "No verdict for batch size on binary F1: rank is short by 1."


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
    told = wording.headline(pd.DataFrame(), fits, LABELS)
    assert told.startswith("No verdict: binary F1 and loss could not be analysed")


def test_headline_some_gated():
    effects, _ = frame(small())
    fits = pd.DataFrame({"response": ["f1", "loss"], "framework": "absolute", "gate": [None, "y"]})
    assert wording.headline(effects, fits, LABELS).endswith("No verdict on loss.")


def test_identity_sentence_prints_the_largest_deviation():
    fits = pd.DataFrame({"framework": ["absolute", "relative"], "largest_identity_deviation": [math.nan, 3.1e-14]})
    told = wording.identity_sentence(fits)
    assert "one fit read at two places" in told
    assert "at most 3.1e-14" in told


def test_noise_floor_names_both_sources():
    told = wording.floor_sentence(
        {"smallest_effect": 0.0068, "pure_error_sd": 0.0034, "test_set_se": 0.0067}, "accuracy"
    )
    assert told == (
        "For accuracy the smallest effect of interest is 0.0068, the larger of twice the spread between seeds (0.0068) "
        "and the test set's standard error (0.0067)."
    )


def test_runs_are_counted_by_fate():
    metrics = pd.DataFrame({"dataset": "a", "point_id": ["p", "p", "q", "q"], "seed": [0, 1, 0, 1]})
    assert wording.runs_sentence(metrics.assign(status="ok")) == "4 runs of 2 points at 2 seeds, all of them complete."
    status = ["ok", "ok", "diverged", "missing"]
    assert wording.runs_sentence(metrics.assign(status=status)).endswith("2 ok, 1 diverged and 1 missing.")


def test_baseline_with_and_without_its_own_levels():
    again = pd.Series([0.80, 0.82])  # sample standard deviation: 0.02 / sqrt 2
    told = wording.baseline_sentence("amazon", 0.79, again, "accuracy")
    assert told.endswith("fine-tuned at its own levels (B1) it is 0.8100 \N{PLUS-MINUS SIGN} 0.0141 over 2 seeds.")
    assert "no run" in wording.baseline_sentence("amazon", 0.79, pd.Series([], dtype=float), "accuracy")


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
    assert wording.extreme_sentence(surface, "loss", "loss") == (
        "Within these planes predicted loss is lowest at learning rate 1e-4 and epochs 1 with batch size 32: 0.310 "
        "(95 % interval for the mean 0.300 to 0.320)."
    )
    assert "highest at learning rate 2.3e-4" in wording.extreme_sentence(
        surface.assign(response="accuracy"), "accuracy", "accuracy"
    )


def test_second_order_terms():
    shared = {"estimate": 0.05, "ci_low": 0.04, "ci_high": 0.06}
    told = wording.joint_sentence(shared | {"group": "quadratic", "term": "epochs^2"}, "loss")
    assert told.startswith("Loss bends along epochs: the squared term is +0.050 in coded units")
    told = wording.joint_sentence(shared | {"group": "two_way", "term": "learning_rate:epochs"}, "loss")
    assert told.startswith("On loss, learning rate and epochs act together")


def test_no_sentence_says_what_must_not_be_said():
    tables = simulate()
    told = [wording.effect_sentence(row, LABELS[row["response"]]) for row in tables["effects"].to_dict("records")]
    told.append(wording.headline(tables["effects"], tables["fits"], LABELS))
    for sentence in told:
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
    assert wording.largest_sentence(pd.DataFrame(rows), {"loss": "loss", "f1": "binary F1"}) == minus(
        "Loss moves most along epochs (-0.300 from 1 to 3). No factor is shown to move binary F1."
    )


def test_terms_are_counted_once_in_coded_units_of_the_absolute_fits():
    kinds = ["effect", "negligible", "undecided", "effect", None]
    rows = [{"framework": "absolute", "units": "coded", "verdict": kind} for kind in kinds]
    rows += [{"framework": "relative", "units": "coded", "verdict": "effect"}]
    rows += [{"framework": "absolute", "units": "natural", "verdict": "effect"}]
    assert wording.terms_sentence(pd.DataFrame(rows)) == (
        "Of 4 terms over all metrics 2 have an effect, 1 is negligible and 1 is undecided."
    )
