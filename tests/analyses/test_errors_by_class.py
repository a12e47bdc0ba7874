"""Errors of simulated runs: against scikit-learn, counts by hand, and what the report makes of them."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

import report_fixtures as fx
from finevar.analyses import errors
from finevar.analyses.errors import Answers, Corpus, error_rows
from finevar.commands.analysis_jobs import most_shown
from finevar.report.sections import errors as errors_section
from finevar.results.predictions import Predictions
from finevar.tables import TABLES
from prose import numbers

NAMES = ("bad", "fair", "good")
FACTORS = ["epochs"]


def one_hot(predicted: list[list[int]], classes: int) -> np.ndarray:
    """Return logits [models, sentences, classes] of models that are fairly sure of these classes."""
    return 2 * np.eye(classes, dtype=np.float32)[np.array(predicted)]


def models_of(points: list[str]) -> pd.DataFrame:
    roles = ["baseline" if point == "baseline" else "run" for point in points]
    return pd.DataFrame({"role": roles, "dataset": "amazon", "point_id": points})


def tables_of(
    points: list[str], logits: np.ndarray, labels: np.ndarray, corpus: Corpus, shown: int = 20
) -> dict[str, pd.DataFrame]:
    ids = np.array([f"id{number}" for number in range(len(labels))])
    rows = error_rows(models_of(points), {"amazon": Predictions(ids, labels, logits)}, {"amazon": corpus}, shown)
    return {name: fx.fitting(TABLES[name].schema, found) for name, found in rows.items()}


@pytest.fixture(scope="module")
def drawn() -> tuple[list[str], np.ndarray, np.ndarray, dict[str, pd.DataFrame]]:
    """Return six models of three classes at two settings and the baseline, and their tables."""
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 3, 150)
    points = ["baseline", "a", "a", "a", "b", "b"]
    logits = (draw.normal(size=(6, 150, 3)) + np.eye(3)[labels]).astype(np.float32)
    return points, logits, labels, tables_of(points, logits, labels, Corpus(NAMES))


# Classes --------------------------------------------------------------------------------------------------------------


def test_confusions_are_the_means_of_scikit_learns(drawn):
    points, logits, labels, tables = drawn
    for point in ("baseline", "a", "b"):
        own = [logits[number].argmax(1) for number, name in enumerate(points) if name == point]
        mean = np.mean([sk.confusion_matrix(labels, predicted) for predicted in own], axis=0)
        rows = tables["confusion"].query("point_id == @point").pivot(index="label", columns="predicted")
        np.testing.assert_allclose(rows["count"], mean)
        np.testing.assert_allclose(rows["share"], mean / np.bincount(labels)[:, None])
    assert set(tables["confusion"]["predicted_name"]) == set(NAMES)


def test_scores_by_class_are_the_means_and_deviations_of_scikit_learns(drawn):
    points, logits, labels, tables = drawn
    own = [logits[number].argmax(1) for number, name in enumerate(points) if name == "a"]
    scores = np.array([sk.precision_recall_fscore_support(labels, predicted) for predicted in own])
    rows = tables["classes"].query("point_id == 'a'").sort_values("label")
    for number, name in enumerate(("precision", "recall", "f1")):
        np.testing.assert_allclose(rows[name], scores[:, number].mean(0))
        np.testing.assert_allclose(rows[f"{name}_sd"], scores[:, number].std(0, ddof=1))
    assert rows["support"].tolist() == scores[0, 3].tolist()
    assert tables["classes"].query("role == 'baseline'")["f1_sd"].isna().all()


def test_a_class_that_no_run_predicts_has_no_precision_and_a_reason():
    labels = np.array([0, 0, 1, 1])
    logits = one_hot([[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]], 2)
    rows = tables_of(["baseline", "a", "a"], logits, labels, Corpus(("no", "yes")))["classes"]
    row = rows.query("point_id == 'a' and label == 1").iloc[0]
    assert (row["precision"], row["recall"], row["f1"]) == (1.0, 0.5, 0.5)
    assert np.isnan(row["precision_sd"])
    assert "in 1 of 2 runs" in row["reason"]
    only = tables_of(["baseline", "a"], logits[[0, 2]], labels, Corpus())["classes"]
    row = only.query("point_id == 'a' and label == 1").iloc[0]
    assert row[["precision", "precision_sd"]].isna().all()
    assert (row["recall"], row["f1"], row["label_name"]) == (0.0, 0.0, "1")


def test_of_many_classes_the_most_frequent_confusions_stand_for_the_matrix():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 40, 2000)
    logits = draw.normal(size=(2, 2000, 40)).astype(np.float32)
    tables = tables_of(["baseline", "a"], logits, labels, Corpus())
    rows = tables["confusion"].query("point_id == 'a'")
    whole = sk.confusion_matrix(labels, logits[1].argmax(1))
    np.fill_diagonal(whole, 0)
    assert rows["count"].tolist() == sorted(whole.ravel(), reverse=True)[: errors.MOST_CONFUSED]
    found = section_of(tables, "a")
    assert [table["caption"][:8] for table in found["groups"][0]["beside"]] == ["The most"]
    assert found["groups"][0]["tables"] == []


# Sentences ------------------------------------------------------------------------------------------------------------

# Labels are all 0. By sentence: right in all; wrong in all; right in 2 of 4; broken by "a"; mended by "a".
PREDICTED = [
    [0, 1, 0, 0, 1],  # baseline
    [0, 1, 0, 1, 0],  # a
    [0, 1, 1, 1, 0],
    [0, 1, 0, 0, 0],  # b
    [0, 1, 1, 0, 0],
]
POINTS = ["baseline", "a", "a", "b", "b"]
TEXTS = {f"id{number}": text for number, text in enumerate(["fine", "odd", "so so", "<b>broken</b>", "x" * 400])}


@pytest.fixture(scope="module")
def by_hand() -> dict[str, pd.DataFrame]:
    return tables_of(POINTS, one_hot(PREDICTED, 2), np.zeros(5, int), Corpus(("no", "yes"), TEXTS))


def test_sentences_are_counted_by_kind(by_hand):
    counts = by_hand["sentence_counts"].set_index("point_id")
    assert counts.loc["", list(errors.KINDS)].tolist() == [1, 2, 0, 1]  # the third and fourth are right in half of all
    assert counts.loc["a", list(errors.KINDS)].tolist() == [2, 1, 1, 1]
    assert counts.loc["b", list(errors.KINDS)].tolist() == [1, 1, 0, 1]
    assert counts["runs"].to_dict() == {"": 4, "a": 2, "b": 2}


def test_listed_sentences_have_their_text_and_how_surely_they_are_wrong(by_hand):
    listed = by_hand["sentences"].groupby("kind")["example_id"].agg(list).to_dict()
    assert listed == {"wrong_in_all": ["id1"], "contested": ["id2", "id3"], "broken": ["id3"]}
    sure = np.exp(2) / (1 + np.exp(2))
    row = by_hand["sentences"].query("kind == 'wrong_in_all'").iloc[0]
    assert (row["text"], row["label_name"], row["predicted_name"]) == ("odd", "no", "yes")
    assert row["probability"] == pytest.approx(sure)
    assert row["share_wrong"] == 1
    even = by_hand["sentences"].query("kind == 'contested'")
    assert even["probability"].tolist() == pytest.approx([0.5, 0.5])


def test_without_texts_sentences_are_counted_and_none_is_listed():
    for corpus, shown in ((Corpus(), 20), (Corpus((), TEXTS), 0)):
        tables = tables_of(POINTS, one_hot(PREDICTED, 2), np.zeros(5, int), corpus, shown)
        assert tables["sentences"].empty
        assert len(tables["sentence_counts"]) == 3
        assert len(section_of(tables, "a")["groups"][0]["folded"]) == 1, "classes alone"
    assert [most_shown(choice) for choice in (True, False, 1, 0, 7)] == [20, 0, 1, 0, 7]


def test_long_texts_are_cut_and_long_lists_too():
    labels = np.zeros(30, int)
    texts = {f"id{number}": "long " * 100 for number in range(30)}
    tables = tables_of(["baseline", "a"], one_hot([[0] * 30, [1] * 30], 2), labels, Corpus((), texts), shown=7)
    assert tables["sentences"].groupby("kind").size().to_dict() == {"broken": 7, "wrong_in_all": 7}
    assert tables["sentences"]["text"].str.len().max() == errors.LONGEST_TEXT
    assert tables["sentence_counts"]["broken"].tolist() == [30, 30]
    captions = [table["caption"] for table in section_of(tables, "a")["groups"][0]["folded"][1:]]
    assert all("first 7 of 30 sentences" in caption for caption in captions)


def test_the_wrong_class_is_the_one_that_most_runs_predict():
    answers = Answers.of(one_hot([[0, 0], [1, 1], [1, 2], [2, 2], [2, 0]], 3), np.array([0, 2]))
    assert answers.mistaken.tolist() == [1, 0]  # equal votes of 1 and 2, and of 0 among others
    assert answers.right.tolist() == [0.2, 0.4]


# Report ---------------------------------------------------------------------------------------------------------------


def section_of(tables: dict[str, pd.DataFrame], point: str, recommended: bool = True) -> dict:
    """Return the section of tables whose recommended setting is this."""
    rows = [{"role": "recommended", "point_id": point}] if recommended else []
    known = {"recommendation": fx.fitting(TABLES["recommendation"].schema, rows)}
    known["metrics"] = pd.DataFrame({"point_id": ["a", "b"], "epochs": [1, 2]})
    return errors_section.section(tables | known, {}, FACTORS, 0.95)


def test_the_section_has_the_recommended_setting_beside_the_baseline(by_hand):
    found = section_of(by_hand, "b")
    assert found["finding"] == (
        "With epochs 2, a run has on average 2 of 5 test sentences wrong; the baseline has 2. 1 is wrong in all 4 runs "
        "of the study: check their labels first."
    )
    (group,) = found["groups"]
    recommended, baseline = group["beside"]
    assert [[cell["text"] for cell in row] for row in recommended["rows"]] == [
        ["no", "3.5", "1.5"],
        ["yes", "\N{EN DASH}", "\N{EN DASH}"],
    ]
    assert [cell["shade"] for cell in baseline["rows"][0]] == [None, 0.6, 0.4]
    assert "and mended 1," in group["sentences"][1]["text"]


def test_classes_that_no_run_answers_are_named_and_have_a_dash():
    """Of three classes the second is answered by one run of two, for one sentence, and the third by none."""
    logits = one_hot([[0, 0, 1, 1, 2], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], 3)
    (group,) = section_of(tables_of(["baseline", "a", "a"], logits, np.array([0, 0, 1, 1, 2]), Corpus(NAMES)), "a")[
        "groups"
    ]
    (sentence,) = [said["text"] for said in group["sentences"] if said["text"].startswith("Never")]
    assert [name in sentence for name in NAMES] == [False, False, True]
    assert numbers(sentence)[0] == 1
    cells = {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in group["folded"][0]["rows"]}
    assert cells["fair"][0] == "1.000"  # of the one run that answers it
    assert cells["good"][0] == "\N{EN DASH}"


def test_without_a_recommendation_the_first_setting_is_shown_and_without_runs_a_sentence(by_hand):
    assert section_of(by_hand, "a", recommended=False)["finding"].startswith("With epochs 1,")
    none = {name: fx.fitting(TABLES[name].schema, []) for name in errors_section.BY_POINT}
    assert section_of(none, "a") == {"finding": errors_section.NONE_FINISHED, "groups": []}


# Cost -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_runs_take_seconds():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 1000)
    logits = np.empty((10_001, 1000, 2), np.float32)
    draw.standard_normal(out=logits, dtype=np.float32)
    points = ["baseline", *(f"p{number // 5}" for number in range(10_000))]
    texts = {f"id{number}": f"text {number}" for number in range(1000)}
    started = time.process_time()
    tables = tables_of(points, logits, labels, Corpus(("no", "yes"), texts))
    assert time.process_time() - started < 10  # of a processor; a frame of every answer would take minutes
    assert len(tables["sentence_counts"]) == 2001
