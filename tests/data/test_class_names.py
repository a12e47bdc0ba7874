"""Class names as people type them: spellings, lists, scores, pairs, rare classes, and shares of what is used."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finevar.data.corpus import prepare
from finevar.data.mistaken import list_labels
from finevar.errors import InputError
from finevar.study.classes import label_key
from prose import numbers
from refusals import names, refusal

Rows = list[tuple[str, Any]]


def texts(labels: list[Any]) -> Rows:
    return [(f"text {number}", label) for number, label in enumerate(labels)]


def write(path: Path, rows: Rows) -> None:
    """Write rows in the format of a file's suffix."""
    table = pd.DataFrame(rows, columns=["text", "label"])
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(dict(zip(table, row, strict=True))) for row in rows))
    else:
        table.to_parquet(path)


def prepared(folder: Path, rows: Rows, evaluation: Rows | None = None, *, name: str = "all.csv", **keys: Any):
    write(folder / name, rows)
    spec = {"source": "mine", "file": name, "text": "text", "label": "label", "margin": 0, "eval_examples": 20}
    if evaluation is not None:
        del spec["eval_examples"]
        spec["eval_file"] = keys.pop("eval_name", "eval.csv")
        write(folder / spec["eval_file"], evaluation)
    return prepare(spec | keys, folder, hub=False)


def refused(*args: Any, **keys: Any) -> InputError:
    return refusal(prepared, *args, **keys)


def counts(parts: dict[str, pd.DataFrame], facts: dict[str, Any], *of: str) -> dict[str, int]:
    """Return the examples of each class in some parts."""
    labels = pd.concat([parts[name]["label"] for name in of or ("train", "eval")])
    return {facts["classes"][label]: count for label, count in labels.value_counts().items()}


# Spellings of one class


def test_equal_numbers_are_one_class_within_a_file(tmp_path):
    parts, facts = prepared(tmp_path, texts(["0", "0.0", "1", "1.0"] * 20))
    assert facts["classes"] == ["0", "1"]
    assert counts(parts, facts) == {"0": 40, "1": 40}
    assert facts["folded_labels"] == {"0.0": 20, "1.0": 20}


@pytest.mark.parametrize(
    ("train", "name", "evaluation", "eval_name", "classes"),
    [
        (["0", "1"], "all.csv", ["0.0", "1.0"], "eval.csv", ["0", "1"]),
        ([0.0, 1.0], "all.parquet", ["0", "1"], "eval.csv", ["0", "1"]),
        ([0, 1], "all.jsonl", [0.0, 1.0], "eval.jsonl", ["0", "1"]),
        ([1, 2, 10], "all.parquet", ["1.0", "2.00", "1e1"], "eval.csv", ["1", "2", "10"]),
        (["-1", "+1"], "all.csv", [-1.0, 1.0], "eval.parquet", ["-1", "1"]),
        (["0.5", "1.5"], "all.csv", [".5", "1.50"], "eval.csv", ["0.5", "1.5"]),
    ],
)
def test_equal_numbers_are_one_class_across_files_and_formats(tmp_path, train, name, evaluation, eval_name, classes):
    other = [(f"other {number}", label) for number, label in enumerate(evaluation * 4)]
    _, facts = prepared(tmp_path, texts(train * 8), other, name=name, eval_name=eval_name)
    assert list(map(label_key, facts["classes"])) == list(map(label_key, classes))


def test_names_that_differ_in_case_and_blanks_are_one_class_of_the_most_frequent_spelling(tmp_path):
    labels = ["positive"] * 20 + ["Positive"] * 9 + ["POSITIVE "] * 3 + ["Negative"] * 15 + ["NEGATIVE"] * 14
    parts, facts = prepared(tmp_path, texts(labels))
    assert facts["classes"] == ["Negative", "positive"]
    assert counts(parts, facts) == {"positive": 32, "Negative": 29}
    assert facts["folded_labels"] == {"NEGATIVE": 14, "POSITIVE": 3, "Positive": 9}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["very good"] * 9 + ["very  good"] * 3 + ["Very Good"] * 2 + ["bad"] * 9, ["bad", "very good"]),
        (["STRASSE"] * 3 + ["stra\u00dfe"] * 9 + ["Weg"] * 9, ["Weg", "stra\u00dfe"]),
        (["Spam"] * 6 + ["spam"] * 6 + ["ham"] * 9, ["Spam", "ham"]),  # of equally frequent ones the first
    ],
)
def test_further_spellings(tmp_path, labels, classes):
    _, facts = prepared(tmp_path, texts(labels), eval_examples=4)
    assert facts["classes"] == classes


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (["caf\u00e9", "cafe\u0301"], "caf\u00e9"),  # composed, and decomposed as macOS writes it
        (["good", "good\u200b", "\ufeffgood"], "good"),  # a zero-width space, a byte order mark
        (["R&D", "R&amp;D", "R&amp;D"], "R&D"),
        (["1", "\uff11", "\uff11"], "1"),  # full width, as an input method types it
    ],
)
def test_names_that_look_alike_are_one_class(tmp_path, labels, name):
    _, facts = prepared(tmp_path, texts([*(labels * 8), *["other"] * 9]))
    assert facts["classes"] == [name, "other"]
    assert facts["folded_labels"] == {each: 8 * labels.count(each) for each in {*labels} - {name}}


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
def test_whole_numbers_stay_whole_beside_examples_without_a_label(tmp_path, name):
    rows = texts([0, 1, None] * 10)
    if name.endswith("parquet"):
        pd.DataFrame(rows, columns=["text", "label"]).astype({"label": "Int64"}).to_parquet(tmp_path / name)
        spec = {"source": "mine", "file": name, "text": "text", "label": "label", "margin": 0, "eval_examples": 4}
        _, facts = prepare(spec, tmp_path, hub=False)
    else:
        _, facts = prepared(tmp_path, rows, name=name, eval_examples=4)
    assert (facts["classes"], facts["dropped_unlabelled"]) == (["0", "1"], 10)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["US", "us"] * 10, ["US", "us"]),
        (["1.1", "1.10"] * 10, ["1.1", "1.10"]),  # sections, not numbers
        (["a  b", "a b"] * 10, ["a  b", "a b"]),
    ],
)
def test_a_key_keeps_spellings_apart(tmp_path, labels, classes):
    assert refused(tmp_path, texts(labels), eval_examples=4).found.startswith("no other class than")
    _, facts = prepared(tmp_path, texts(labels), eval_examples=4, fold_labels=False)
    assert facts["classes"] == classes
    assert "folded_labels" not in facts


def test_a_spelling_that_stands_alone_stays_as_it_is(tmp_path):
    _, facts = prepared(tmp_path, texts(["007", "1.0", "No Answer"] * 9), eval_examples=6)
    assert facts["classes"] == ["1.0", "007", "No Answer"]
    assert "folded_labels" not in facts


def test_a_text_under_two_spellings_of_one_class_is_a_repeat(tmp_path):
    _, facts = prepared(tmp_path, [*texts(["a", "b"] * 20), ("same", "a"), ("same", "A")])
    assert (facts["dropped_repeats"], facts["dropped_contradictory"]) == (1, 0)


# Lists of labels


@pytest.mark.parametrize(
    ("labels", "lists"),
    [
        (["toxic", "insult", "insult,toxic"], {"insult,toxic"}),
        (["27", "4", "4,27"], {"4,27"}),
        (["0", "1", "0,1"], {"0,1"}),
        (["a; b", "b; c", "a; c"], {"a; b", "b; c", "a; c"}),  # none of them alone
        (["joy|fear", "Joy", "fear"], {"joy|fear"}),
        (["['a', 'b']", "c"], {"['a', 'b']"}),
        (['["a"]', '["b"]'], {'["a"]', '["b"]'}),
        (["[1 4]", "[]"], {"[1 4]", "[]"}),
        (["[a, b]", "c"], {"[a, b]"}),
        (["Science, Technology", "Sports"], set()),
        (["Science, Technology", "science,technology", "Sports"], set()),  # two spellings of one name
        (["Science, Technology", "Science", "Sports"], set()),
        (["Food, Drink", "Arts, Crafts", "Health; Beauty"], set()),
        (["[OTHER]", "[NAME]", "(none)"], set()),
        (["1,5", "2,0", "3"], set()),
    ],
)
def test_labels_that_are_lists(labels, lists):
    assert list_labels(labels) == lists


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (["insult", "toxic", "insult,toxic", "threat"], "'insult,toxic'"),
        (["4", "27", "4,27", "0"], "'4,27'"),
        (["a", "b", "['a', 'b']", "c"], repr("['a', 'b']")),
    ],
)
def test_lists_are_refused_with_their_share(tmp_path, rows, found):
    error = refused(tmp_path, texts(rows * 15))
    assert error.where.endswith("all.csv, column label")
    assert numbers(error.found)[:3] == [15, 60, 25]
    assert found in error.found


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
def test_cells_that_are_lists_are_refused_likewise(tmp_path, name):
    error = refused(tmp_path, texts([["a"], ["a", "b"], ["b"]] * 10), name=name)
    assert numbers(error.found)[:3] == [30, 30, 100]


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
def test_a_list_of_one_label_is_that_label(tmp_path, name):
    _, facts = prepared(tmp_path, texts([["a"], ["b"]] * 20), name=name)
    assert facts["classes"] == ["a", "b"]
    assert names(refused(tmp_path, texts([["a"], ["b"], ["a", "b"], ["b"]] * 20), name=name), "80 of 80")


def test_what_to_do_about_lists_works(tmp_path):
    labels = ["insult", "toxic", "insult,toxic"] * 20
    refused(tmp_path, texts(labels))
    _, facts = prepared(tmp_path, texts([label.split(",")[0] for label in labels]))  # one label of each
    assert facts["classes"] == ["insult", "toxic"]
    _, facts = prepared(tmp_path, texts(["toxic" in label for label in labels]))  # one label at a time
    assert facts["classes"] == ["False", "True"]
    _, facts = prepared(tmp_path, texts([label.replace(",", " and ") for label in labels]))  # it is one class
    assert facts["classes"] == ["insult", "insult and toxic", "toxic"]


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["1,5", "2,5", "2,1"] * 10, {}),  # as lists look
        (["1", "5", "1,5"] * 10, {"threshold": 3}),
        (["-1,5", " 3,25 ", "2e0"] * 10, {"threshold": 0}),
        (
            [f"{score:.2f}".replace(".", ",") for score in random.Random(1).choices([k / 8 for k in range(40)], k=60)],
            {},
        ),
    ],
)
def test_numbers_with_a_decimal_comma_are_read_by_the_key_that_is_offered(tmp_path, labels, keys):
    assert '`decimal: ","`' in refused(tmp_path, texts(labels), eval_examples=6, **keys).remedy
    threshold = keys.get("threshold", 2.2)
    parts, facts = prepared(tmp_path, texts(labels), eval_examples=6, decimal=",", threshold=threshold)
    numbers = [float(label.replace(",", ".")) for label in labels]
    assert counts(parts, facts) == Counter(["negative", "positive"][number > threshold] for number in numbers)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1,5", "1.5", "2,0"] * 10, ["1.5", "2.0"]),
        (["a,b", "1,000,000"] * 10, ["1,000,000", "a,b"]),  # no numbers with decimals
        ([1.5, 2] * 10, ["1.5", "2"]),
    ],
)
def test_the_key_leaves_other_classes_as_they_are(tmp_path, labels, classes):
    _, facts = prepared(tmp_path, texts(labels), name="all.jsonl", eval_examples=6, decimal=",")
    assert facts["classes"] == classes


@pytest.mark.parametrize("rating", ["inf", "-Infinity", "1e999", "nan", "five", "1.234,5"])
def test_a_rating_that_is_no_finite_number_is_refused_by_its_line(tmp_path, rating):
    error = refused(tmp_path, texts([*["1", "5"] * 10, rating]), threshold=3)
    assert error.where.endswith("line 22, column label")
    assert names(error, repr(rating))
    assert "decimal" not in error.remedy


@pytest.mark.parametrize("rating", [math.inf, -math.inf])
@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
def test_a_rating_that_is_infinite_is_refused_in_other_formats(tmp_path, rating, name):
    assert refused(tmp_path, texts([*[1.0, 5.0] * 10, rating]), name=name, threshold=3).where.endswith("label")


# Scores


def scores(count: int, digits: int) -> list[float]:
    draw = random.Random(2)
    return [round(draw.uniform(0, 5), digits) for _ in range(count)]


@pytest.mark.parametrize(
    "labels",
    [
        [f"{score:.2f}" for score in scores(240, 2)],
        scores(300, 1),  # 51 different ones at most
        [str(number % 97) for number in range(240)],  # whole numbers, 2.5 examples each
        [f"{score:.3e}" for score in scores(100, 3)],
    ],
)
def test_scores_are_refused_with_their_number_and_a_threshold_that_works(tmp_path, labels):
    error = refused(tmp_path, texts(labels))
    assert error.where.endswith("column label")
    assert numbers(error.found)[:2] == [len({float(label) for label in labels}), len(labels)]
    (threshold,) = re.findall(r"such as (-?\d+(?:\.\d+)?)", error.remedy)
    parts, facts = prepared(tmp_path, texts(labels), threshold=float(threshold))
    assert facts["classes"] == ["negative", "positive"]
    assert counts(parts, facts)["positive"] == sum(float(label) > float(threshold) for label in labels)


def test_scores_that_are_classes_pass_with_a_letter(tmp_path):
    labels = [number % 24 for number in range(96)]
    refused(tmp_path, texts(labels), eval_examples=30)
    _, facts = prepared(tmp_path, texts([f"c{label}" for label in labels]), eval_examples=30)
    assert len(facts["classes"]) == 24


@pytest.mark.parametrize(
    "labels",
    [
        [number / 2 for number in range(11)] * 20,  # half stars
        [*range(77)] * 6,  # intents by number
        [f"{number}a" for number in range(30)] * 4,
    ],
)
def test_numbers_that_are_classes_are_not_scores(tmp_path, labels):
    _, facts = prepared(tmp_path, texts(labels), eval_examples=80)
    assert len(facts["classes"]) == len(set(labels))


# Contradictions


@pytest.mark.parametrize("kinds", [["entailment", "neutral", "contradiction"], ["no", "yes"], list("abcde")])
def test_texts_that_lack_their_other_half_are_refused_and_pass_as_pairs(tmp_path, kinds):
    rows = [(f"premise {number}", f"hypothesis {kind}", kind) for number in range(20) for kind in kinds]
    error = refused(tmp_path, [(premise, kind) for premise, _, kind in rows])
    assert error.where.endswith("column text")
    assert numbers(error.found)[:2] == [20 * len(kinds)] * 2
    pd.DataFrame(rows, columns=["text", "other", "label"]).to_csv(tmp_path / "pairs.csv", index=False)
    spec = {"source": "mine", "file": "pairs.csv", "label": "label", "eval_examples": 20}
    for keys in ({"text": ["text", "other"]}, {"join": ["text", "other"]}):
        _, facts = prepare(spec | keys, tmp_path, hub=False)
        assert facts["dropped_contradictory"] == 0
        assert facts["classes"] == sorted(kinds)


def test_most_is_refused_and_half_is_not(tmp_path):
    torn = [(f"torn {number}", label) for number in range(10) for label in "ab"]
    whole = texts(["a", "b"] * 10)
    assert prepared(tmp_path, [*torn, *whole], eval_examples=4)[1]["dropped_contradictory"] == 20
    assert numbers(refused(tmp_path, [*torn, *whole[1:]], eval_examples=4).found)[:2] == [20, 39]


# Rare classes


@pytest.mark.parametrize("wanted", [4, 20, 60, 116])
def test_a_class_of_two_or_more_is_in_every_part(tmp_path, wanted):
    labels = ["a"] * 65 + ["b"] * 50 + ["rare"] * 2 + ["seldom"] * 3
    parts, facts = prepared(tmp_path, texts(labels), eval_examples=wanted)
    train, evaluation = (counts(parts, facts, name) for name in ("train", "eval"))
    assert set(train) == set(evaluation) == set(labels)
    assert (train["rare"], evaluation["rare"], sum(evaluation.values())) == (1, 1, wanted)


@pytest.mark.parametrize(("held_out", "held_back"), [(4, 4), (100, 4), (4, 100), (70, 30)])
def test_a_class_of_three_is_in_each_of_three_parts(tmp_path, held_out, held_back):
    labels = ["a"] * 65 + ["b"] * 50 + ["c"] * 3 + ["d"] * 4
    parts, facts = prepared(tmp_path, texts(labels), eval_examples=held_out, confirm_examples=held_back)
    for name, size in {"train": 122 - held_out - held_back, "eval": held_out, "held_back": held_back}.items():
        found = counts(parts, facts, name)
        assert set(found) == set(labels)
        assert sum(found.values()) == size


def test_a_rare_class_is_refused_with_its_count_and_left_out_by_the_key(tmp_path):
    rows = texts(["a"] * 65 + ["b"] * 50 + ["rare"] + ["odd"])
    error = refused(tmp_path, rows)
    assert names(error, "rare (1)", "odd (1)")
    (least,) = re.findall(r"drop_rare_classes: (\d+)", error.remedy)
    parts, facts = prepared(tmp_path, rows, drop_rare_classes=int(least))
    assert counts(parts, facts) == {"a": 65, "b": 50}
    assert (facts["dropped_rare"], facts["rare_classes"]) == (2, {"odd": 1, "rare": 1})


@pytest.mark.parametrize(
    ("least", "kept", "left_out"),
    [(4, ["a", "b", "seldom"], {"rare": 1}), (5, ["a", "b"], {"rare": 1, "seldom": 4}), (66, None, None)],
)
def test_the_key_leaves_out_classes_below_it(tmp_path, least, kept, left_out):
    rows = texts(["a"] * 65 + ["b"] * 50 + ["rare"] + ["seldom"] * 4)
    if kept:
        _, facts = prepared(tmp_path, rows, drop_rare_classes=least)
        assert (facts["classes"], facts["rare_classes"]) == (kept, left_out)
    else:
        assert "drop_rare_classes" in refused(tmp_path, rows, drop_rare_classes=least).remedy


def test_the_smallest_number_to_hold_out_is_named_and_works(tmp_path):
    rows = texts([f"intent {number % 20}" for number in range(400)])
    error = refused(tmp_path, rows, eval_examples=12)
    assert "eval_examples" in error.where
    (least,) = re.findall(r"to (\d+) or more", error.remedy)
    parts, facts = prepared(tmp_path, rows, eval_examples=int(least))
    assert counts(parts, facts, "eval") == dict.fromkeys(facts["classes"], 1)
    refused(tmp_path, rows, eval_examples=int(least) - 1)


def test_training_examples_that_went_to_the_evaluation_part_are_counted_where_a_class_lacks_them(tmp_path):
    rows = texts(["a", "b"] * 10)
    assert "20 examples" in refused(tmp_path, rows, rows).remedy


@pytest.mark.parametrize(
    ("labels", "keys", "key"), [([4, 5] * 10, {"threshold": 3}, "threshold"), (["a"] * 20, {}, "`label`")]
)
def test_a_single_class_leads_to_the_key_that_made_it(tmp_path, labels, keys, key):
    assert key in refused(tmp_path, texts(labels), **keys).remedy


def test_a_class_of_one_file_alone_is_refused(tmp_path):
    error = refused(tmp_path, texts(["a", "b", "c"] * 5), [("x", "a"), ("y", "b")])
    assert (error.where.startswith("the evaluation part"), error.found.endswith("c (0)")) == (True, True)
    error = refused(tmp_path, texts(["a", "b"] * 5), [("x", "a"), ("y", "b"), ("z", "c")])
    assert (error.where.startswith("the training part"), error.found.endswith("c (0)")) == (True, True)


# The training examples that are used


SHARES = {
    "balanced": {"a": 100, "b": 100},
    "intents": {f"intent {number}": 20 for number in range(20)},
    "skewed": {"OTHER": 227, "OFFENSE": 73},
    "long tail": {"a": 200, "b": 60, "c": 9, "d": 3, "e": 2},
}


@pytest.mark.parametrize("sizes", SHARES.values(), ids=SHARES)
def test_any_number_of_first_examples_has_each_class_by_its_share(tmp_path, sizes):
    """One example more than its share at most, and one at least; the others make room for the small ones' first."""
    rows = texts([name for name, size in sizes.items() for _ in range(size)])
    parts, _ = prepared(tmp_path, rows, eval_examples=max(20, len(sizes)))
    train = parts["train"]["label"].tolist()
    whole = [train.count(label) for label in range(len(sizes))]
    for used in range(len(sizes), len(train) + 1):
        found = Counter(train[:used])
        assert set(found) == set(range(len(sizes)))
        for label, size in enumerate(whole):
            share = used * size / len(train)
            assert share - len(sizes) < found[label] < max(share, 1) + 1


def test_the_first_examples_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = texts([f"intent {number % 7}" for number in range(200)])
    before = prepared(tmp_path, rows)[0]["train"]
    random.Random(3).shuffle(rows)
    pd.testing.assert_frame_equal(prepared(tmp_path, rows)[0]["train"], before)


# The positive class


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (["OTHER"] * 75 + ["OFFENSE"] * 25, "OFFENSE"),
        (["ham"] * 20 + ["spam"] * 80, "ham"),
        (["no"] * 40 + ["yes"] * 40, "yes"),  # of equally many, the second
        (["a", "b", "c"] * 20, None),
    ],
)
def test_the_rarer_of_two_classes_is_positive(tmp_path, labels, positive):
    assert prepared(tmp_path, texts(labels))[1].get("positive") == positive
