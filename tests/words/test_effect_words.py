"""Sentences on effects: the verdict, the largest change and where, what would decide it."""

import pandas as pd
import pytest

from finevar.reasons import Undecided
from finevar.words import effects as words
from prose import numbers
from report_fixtures import simulate

LABELS = {"accuracy": "accuracy", "f1": "binary F1", "loss": "loss"}


def row(**changes):
    """Return a row of effects that moved, with changes."""
    base = {"response": "loss", "dataset": "", "factor": "learning_rate", "from_level": 2.5e-5, "to_level": 4e-4}
    base |= {"change": 0.244, "ci_low": 0.196, "ci_high": 0.292, "smallest_effect": 0.02, "population": "new seeds"}
    base |= {"largest": 0.31, "largest_low": 0.22, "largest_high": 0.40, "largest_from": 1e-4, "largest_to": 4e-4}
    base |= {"largest_at": "batch_size = 64, epochs = 3", "simple_low": -0.05, "simple_high": 0.42}
    base |= {"p_datasets": None, "datasets_differ": False, "supposes_slopes": False, "p_adjusted": 1e-5}
    return base | {"verdict": "effect", "reason": None, "reason_code": None} | changes


def small(**changes):
    """Return a row of batch size on F1 that is undecided, with changes."""
    base = {"response": "f1", "factor": "batch_size", "from_level": 16, "to_level": 64, "change": 0.001}
    base |= {"ci_low": -0.004, "ci_high": 0.006, "simple_low": -0.012, "simple_high": 0.015, "smallest_effect": 0.01}
    return row(**base) | {"verdict": "undecided", "reason_code": Undecided.FEW_SEEDS} | changes


def test_an_effect_is_the_largest_change_and_where_with_the_change_mid_range_beside_it():
    text = words.effect_sentence(row(), "loss")
    assert numbers(text) == [1e-4, 4e-4, 0.31, 0.22, 0.40, 64, 3, 0.244, 0.196, 0.292, 2.5e-5, 4e-4]
    assert "raises loss" in text


def test_a_fall_is_given_as_its_size():
    text = words.effect_sentence(row(largest=-0.31, largest_low=-0.40, largest_high=-0.22), "loss")
    assert "lowers loss" in text
    assert numbers(text)[2:5] == [0.31, 0.22, 0.40]


def test_a_lone_factor_has_no_place():
    assert numbers(words.effect_sentence(row(largest_at=""), "loss"))[5:] == [0.244, 0.196, 0.292, 2.5e-5, 4e-4]


@pytest.mark.parametrize("verdict", ["negligible", "small"])
def test_what_does_not_matter_is_so_at_every_setting(verdict):
    text = words.effect_sentence(small(verdict=verdict, simple_low=-0.006, simple_high=0.008), "binary F1")
    assert numbers(text.replace("\N{PLUS-MINUS SIGN}", "")) == [0.01, -0.006, 0.008]


@pytest.mark.parametrize(
    ("code", "words_of_it"),
    [
        (Undecided.FEW_SEEDS, "4 seeds"),
        (Undecided.MORE_SEEDS, "more seeds"),
        (Undecided.MORE_SENTENCES, "more test sentences"),
        (Undecided.NO_BOUND, "analysis.smallest_effect"),
    ],
)
def test_undecided_says_what_is_not_excluded_and_what_would_decide_it(code, words_of_it):
    text = words.effect_sentence(small(reason_code=code), "binary F1")
    assert numbers(text)[:6] == [-0.012, 0.015, 0.001, -0.004, 0.006, 16]
    assert words_of_it in text


def test_no_verdict_gives_its_reason():
    text = words.effect_sentence(small(verdict=None, reason="rank is short by 1.", reason_code=None), "binary F1")
    assert text.endswith("rank is short by 1.")
    assert numbers(text) == [1], "and no figure of its own"


def differing():
    """Return the rows of a factor whose effect differs between data sets."""
    why = {"datasets_differ": True, "p_datasets": 0.003}
    pooled = row(verdict=None, reason="it differs", reason_code=Undecided.DATASETS_DIFFER, **why)
    return [
        pooled,
        row(dataset="amazon", **why),
        small(response="loss", factor="learning_rate", dataset="tweets", **why),
    ]


def test_where_data_sets_differ_each_has_its_verdict_and_the_pooled_one_is_withheld():
    pooled, amazon, tweets = (words.effect_sentence(each, "loss") for each in differing())
    assert numbers(pooled) == [0.003]
    assert amazon.startswith("On amazon, ")
    assert "tweets" in tweets
    text = words.headline(*frame(*differing()), LABELS)
    assert text == "Learning rate (on amazon) moved loss. Undecided: learning rate (on tweets) on loss."


def frame(*rows):
    """Return effects and empty fits."""
    fits = pd.DataFrame({"response": ["loss"], "framework": ["absolute"], "gate": [None]})
    return pd.DataFrame(rows), fits


def test_intervals_say_for_whom_they_hold_and_what_few_seeds_suppose():
    rows = pd.DataFrame([row(population="new seeds and new sentences", supposes_slopes=True)])
    assert numbers(words.population_sentence(rows, 2)) == [2]
    alone = rows.assign(population="these sentences", supposes_slopes=False)
    assert "these test sentences" in words.population_sentence(alone, 2)
    assert words.population_sentence(rows.assign(population=None), 2) == ""


def test_headline_joins_factors_and_responses():
    effects, fits = frame(row(), row(factor="epochs"), row(response="f1"), row(response="f1", factor="epochs"), small())
    assert words.headline(effects, fits, LABELS) == (
        "Learning rate and epochs moved loss and binary F1. Undecided: batch size on binary F1."
    )


def test_headline_all_negligible():
    effects, fits = frame(small(verdict="negligible"), small(verdict="negligible", factor="epochs"))
    assert "every metric is negligible" in words.headline(effects, fits, LABELS)


def test_headline_all_undecided():
    effects, fits = frame(small(), small(factor="epochs"))
    assert words.headline(effects, fits, LABELS).startswith("Nothing is decided")


def test_headline_without_an_effect():
    effects, fits = frame(small(), small(factor="epochs", verdict="negligible"), row(verdict="small"))
    assert words.headline(effects, fits, LABELS) == (
        "No hyperparameter is shown to move a metric. Too small to matter: learning rate on loss. Undecided: batch "
        "size on binary F1. Negligible: epochs on binary F1."
    )


def test_headline_all_gated():
    fits = pd.DataFrame({"response": ["f1", "loss"], "framework": "absolute", "gate": ["x", "y"]})
    text = words.headline(pd.DataFrame(), fits, LABELS)
    assert "binary F1 and loss" in text
    assert not numbers(text)


def test_headline_some_gated():
    effects, _ = frame(small())
    fits = pd.DataFrame({"response": ["f1", "loss"], "framework": "absolute", "gate": [None, "y"]})
    assert words.headline(effects, fits, LABELS).endswith("No verdict on loss.")


def test_what_interacts_is_named_once_for_all_its_responses():
    rows = [{"term": "batch_size:epochs", "response": name} for name in ("f1", "loss")]
    rows.append({"term": "learning_rate:epochs", "response": "loss"})
    first, second = words.interactions_sentence(rows, {"f1": "binary F1", "loss": "loss"}).split("; ")
    assert [name in first for name in ("Batch size and epochs", "binary F1 and loss")] == [True, True]
    assert [name in second for name in ("learning rate and epochs", "loss", "F1")] == [True, True, False]
    assert words.interactions_sentence([], {}) == ""


def test_second_order_terms():
    shared = {"estimate": 0.05, "ci_low": 0.04, "ci_high": 0.06}
    for group, term, names in (
        ("quadratic", "epochs^2", [False, True]),
        ("two_way", "learning_rate:epochs", [True, True]),
    ):
        text = words.joint_sentence(shared | {"group": group, "term": term}, "loss")
        assert [name in text for name in ("learning rate", "epochs")] == names
        assert numbers(text) == [0.05, 0.04, 0.06]


def test_no_sentence_says_what_must_not_be_said():
    tables = simulate()
    texts = [words.effect_sentence(row, LABELS[row["response"]]) for row in tables["effects"].to_dict("records")]
    for sentence in (*texts, words.headline(tables["effects"], tables["fits"], LABELS)):
        assert "significan" not in sentence
        assert "no influence" not in sentence
        assert "nan" not in sentence.lower()


def test_the_factor_that_moves_a_metric_most_is_named_and_a_metric_that_none_moves():
    most = {"largest": -0.5, "largest_low": -0.6, "largest_high": -0.4, "largest_from": 1, "largest_to": 3}
    rows = [row(), row(factor="epochs", **most, largest_at=""), row(factor="batch_size", largest=0.9), small()]
    rows[2]["verdict"] = "undecided"
    moved, none = words.largest_sentence(pd.DataFrame(rows), {"loss": "loss", "f1": "binary F1"}).split(". ")
    assert "epochs" in moved
    assert (numbers(moved), numbers(none)) == ([-0.5, -0.6, -0.4, 1, 3], [])
    assert "binary F1" in none


def test_terms_are_counted_once_in_coded_units_of_the_absolute_fits():
    kinds = ["effect", "negligible", "undecided", "effect", None]
    rows = [{"framework": "absolute", "units": "coded", "verdict": kind} for kind in kinds]
    rows += [{"framework": "relative", "units": "coded", "verdict": "effect"}]
    rows += [{"framework": "absolute", "units": "natural", "verdict": "effect"}]
    assert numbers(words.terms_sentence(pd.DataFrame(rows))) == [4, 2, 1, 1]


def test_smallest_effects_say_which_are_defaults():
    fits = pd.DataFrame({"response": ["accuracy", "loss"], "smallest_effect": [0.01, 0.022]})
    assert numbers(words.smallest_sentence(fits, LABELS, {})) == [0.010, 0.022]
    assert "default for loss" in words.smallest_sentence(fits, LABELS, {"accuracy": 0.01})
    assert "default" not in words.smallest_sentence(fits, LABELS, {"accuracy": 0.01, "loss": 0.022})


def test_of_no_effects_none_are_left_with_their_columns():
    none = pd.DataFrame({"factor": pd.Series(dtype=str), "verdict": pd.Series(dtype=str)})
    assert list(words.whole(none)) == ["factor", "verdict"]
