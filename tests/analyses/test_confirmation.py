"""The confirmation's figures against closed forms and pandas, and when a confirmation is stale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finevar.analyses.confirmation import confirmation_rows, is_confirmed
from finevar.results.predictions import Predictions
from finevar.study.confirmation import chosen_from
from finevar.words.confirmation import (
    difference_sentences,
    failed_sentence,
    headline,
    meaning_sentence,
    shrinkage_sentence,
)
from finevar.words.numbers import MINUS

SEEDS, SENTENCES = 4, 60
ROLES = {"a": "recommended", "b": "rival", "c": "baseline"}
LEVELS = {"a": {"epochs": 3.0}, "b": {"epochs": 2.0}, "c": {"epochs": 1.0}}
LABELS = {"accuracy": "accuracy", "ece": "ECE"}


@pytest.fixture(scope="module")
def right() -> np.ndarray:
    """Return which sentences each run has right [settings, seeds, sentences]; some sentences are hard for all."""
    draw = np.random.default_rng(5)
    hard = draw.normal(size=SENTENCES)
    chance = 1.2 - hard + np.array([0.4, 0.2, -0.5])[:, None, None] + draw.normal(size=(3, SEEDS, 1)) * 0.4
    return chance + draw.normal(size=(3, SEEDS, SENTENCES)) > 0


@pytest.fixture(scope="module")
def runs(right) -> pd.DataFrame:
    """Return a row a run, in the order of the predictions below."""
    rows = [
        {
            "run_id": f"{name}{seed}",
            "point_id": name,
            "role": role,
            "dataset": "texts",
            "seed": seed + 5,
            "status": "ok",
        }
        | {"accuracy": right[number, seed].mean(), "ece": 0.7 + 0.01 * seed * (number + 1)}
        | {"part": "held_back", "eval_examples": SENTENCES, "chosen_from": "made of these"}
        for number, (name, role) in enumerate(ROLES.items())
        for seed in range(SEEDS)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def found(right) -> dict[str, Predictions]:
    flat = right.reshape(-1, SENTENCES)
    logits = np.stack([~flat, flat], axis=2).astype(np.float32)  # every label is 1
    ids = np.array([f"{number}" for number in range(SENTENCES)])
    return {"texts": Predictions(ids, np.ones(SENTENCES, dtype=int), logits)}


RANKING = pd.DataFrame(
    [("a", "accuracy", 0.9), ("b", "accuracy", 0.85), ("c", "accuracy", None)], columns=["point_id", "response", "mean"]
)


@pytest.fixture(scope="module")
def table(runs, found) -> pd.DataFrame:
    return pd.DataFrame(confirmation_rows(runs, found, RANKING, ["accuracy", "ece"], 0.95))


def crossed_interval(values: np.ndarray) -> list[float]:
    """Return the mean of values [seeds, sentences] with its 95 % interval, seeds and sentences both drawn.

    From the textbook's two-way layout without replicates (Satterthwaite 1946 for the degrees of freedom).
    """
    seeds, sentences = values.shape
    mean, by_seed, by_sentence = values.mean(), values.mean(1), values.mean(0)
    rest = ((values - by_seed[:, None] - by_sentence + mean) ** 2).sum() / ((seeds - 1) * (sentences - 1))
    seed, sentence = by_seed.var(ddof=1) / seeds, by_sentence.var(ddof=1) / sentences
    variance = max(seed + sentence - rest / (seeds * sentences), seed, sentence)
    df = variance**2 / (seed**2 / (seeds - 1) + sentence**2 / (sentences - 1))
    return [mean, *stats.t.interval(0.95, df, mean, variance**0.5)]


def test_means_and_differences_are_those_of_a_two_way_layout(table, right):
    rows = table[table["response"] == "accuracy"].set_index("point_id")
    for number, name in enumerate(ROLES):
        own = rows.loc[name, ["mean", "ci_low", "ci_high"]].tolist()
        assert own == pytest.approx(np.clip(crossed_interval(right[number].astype(float)), 0, 1))
    for number, name in ((1, "b"), (2, "c")):
        gap = rows.loc[name, ["difference", "difference_low", "difference_high"]].tolist()
        gaps, other = crossed_interval(right[0].astype(float) - right[number]), right[number].mean()
        assert gap == pytest.approx(np.clip(gaps, -other, 1 - other))
    assert np.isnan(rows.loc["a", "difference"])


def test_a_metric_without_contributions_varies_with_seeds_alone(table, runs):
    rows = table[table["response"] == "ece"].set_index("point_id")
    for name, own in runs.groupby("point_id"):
        expected = [
            own["ece"].mean(),
            *stats.t.interval(0.95, SEEDS - 1, own["ece"].mean(), own["ece"].sem()),
        ]
        assert rows.loc[name, ["mean", "ci_low", "ci_high"]].tolist() == pytest.approx(np.clip(expected, 0, 1))
    assert set(rows["population"]) == {"these sentences"}


def test_the_mean_that_chose_stands_beside_the_confirmed_one(table, runs):
    rows = table[table["response"] == "accuracy"].set_index("point_id")
    means = runs.groupby("point_id")["accuracy"].mean()
    assert rows.loc["a", "shrinkage"] == pytest.approx(means["a"] - 0.9)
    assert rows.loc["c", ["selected", "shrinkage"]].isna().all()
    assert (table["fresh_seeds"] == "5 6 7 8").all()
    assert (table["sentences"] == SENTENCES).all()


def test_failed_runs_are_counted_and_in_no_mean(runs, found):
    failed = runs.assign(status=["diverged", *runs["status"][1:]])
    failed.loc[0, ["accuracy", "ece"]] = np.nan
    kept = {"texts": Predictions(found["texts"].example_ids, found["texts"].labels, found["texts"].logits[1:])}
    rows = confirmation_rows(failed, kept, RANKING, ["accuracy"], 0.95)
    assert [(row["runs"], row["failed"]) for row in rows] == [(3, 1), (4, 0), (4, 0)]
    assert rows[0]["mean"] == pytest.approx(runs["accuracy"][1:4].mean())
    assert failed_sentence(rows, LEVELS) == ("Runs that diverged or collapsed, which no mean counts: 1 at epochs 3.")
    gone = failed.assign(status=["diverged"] * 4 + ["ok"] * 8)
    rest = {"texts": Predictions(found["texts"].example_ids, found["texts"].labels, found["texts"].logits[4:])}
    rows = confirmation_rows(gone, rest, RANKING, ["accuracy"], 0.95)
    assert rows[0].get("mean") is None
    assert headline([rows[0] | {"mean": None}], LEVELS, LABELS).startswith("Not confirmed: no run of epochs 3")


def test_two_data_sets_count_alike(runs, found):
    """The second one's runs are all a tenth worse, of a metric without contributions."""
    second = runs.assign(dataset="more", ece=runs["ece"] - 0.1, run_id=runs["run_id"] + "m")
    both = pd.concat([runs, second], ignore_index=True)
    rows = confirmation_rows(both, {"texts": found["texts"], "more": found["texts"]}, RANKING, ["ece"], 0.95)
    means = both.groupby("point_id")["ece"].mean()
    assert [row["mean"] for row in rows] == pytest.approx(means.tolist())


def test_a_confirmation_is_stale_once_runs_or_the_recommended_setting_change(table):
    metrics, advised = pd.DataFrame({"run_id": ["x", "y"]}), pd.DataFrame({"point_id": ["a"], "role": ["recommended"]})
    made = table.assign(chosen_from=chosen_from(["y", "x"]))
    study = {"metrics": metrics, "recommendation": advised, "confirmation": made}
    assert is_confirmed(study)
    assert not is_confirmed(study | {"recommendation": advised.assign(point_id="b")})
    assert not is_confirmed(study | {"metrics": pd.DataFrame({"run_id": ["x", "y", "z"]})})
    assert not is_confirmed({"metrics": metrics, "recommendation": advised})


def test_sentences_say_how_and_against_whom():
    row = {"point_id": "a", "role": "recommended", "response": "accuracy", "part": "held_back", "sentences": 300}
    row |= {"fresh_seeds": "5 6 7", "mean": 0.8712, "ci_low": 0.851, "ci_high": 0.891, "selected": 0.88}
    row |= {"shrinkage": -0.0088, "difference": None, "population": "new seeds and new sentences"}
    rival = row | {"point_id": "b", "role": "rival", "difference": 0.0123}
    rival |= {"difference_low": -0.0021, "difference_high": 0.0267}
    rows = [row, rival]
    assert headline(rows, LEVELS, LABELS) == (
        "Confirmed with 3 fresh seeds on 300 held-back sentences: epochs 3 gives accuracy 0.8712 (0.851 to 0.891)."
    )
    chosen = "With the study's own seeds, by which it was chosen, it has accuracy 0.8800 (confirmed: -0.0088)."
    assert shrinkage_sentence(rows, LABELS).replace(MINUS, "-") == chosen
    (difference,) = difference_sentences(rows, LEVELS, LABELS)
    assert difference.replace(MINUS, "-") == "Difference from the rival, epochs 2: accuracy +0.012 (-0.002 to 0.027)."
    assert "neither seeds nor sentences" in meaning_sentence(row, 0.95)
    assert "but the sentences had" in meaning_sentence(row | {"part": "eval"}, 0.95)
