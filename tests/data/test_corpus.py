"""Data sets as people have them: every format, every flaw, and a split that depends on content alone."""

from __future__ import annotations

import json
import random
import shutil
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finevar.data.corpus import prepare
from finevar.errors import InputError
from prose import numbers
from refusals import names, refusal

PAIRS = [(f"sentence number {number}", "ab"[number % 2]) for number in range(20)]


def spec(file: str, **keys: Any) -> dict[str, Any]:
    own = {"source": "mine", "file": file, "text": "text", "label": "label", "margin": 0, "eval_examples": 4} | keys
    return {key: value for key, value in own.items() if value is not None}


def write(folder: Path, name: str, content: str | bytes) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def csv(pairs: Iterable[tuple[str, str]]) -> str:
    return "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in pairs)


def jsonl(pairs: Iterable[tuple[Any, Any]]) -> str:
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in pairs)


def split_parts(*args: Any, **keys: Any):
    """Return the training and the evaluation part, and the facts."""
    parts, facts = prepare(*args, **keys)
    assert parts["held_back"].empty
    return parts["train"], parts["eval"], facts


def prepared(folder: Path, content: str | bytes, name: str = "all.csv", **keys: Any):
    write(folder, name, content)
    return split_parts(spec(name, **keys), folder, hub=False)


def refused(folder: Path, content: str | bytes, name: str = "all.csv", **keys: Any) -> InputError:
    return refusal(prepared, folder, content, name, **keys)


def labelled(*parts: pd.DataFrame, classes: list[str]) -> dict[str, str]:
    both = pd.concat(parts)
    return dict(zip(both["text"], (classes[label] for label in both["label"]), strict=True))


def content(folder: Path, *args: Any, **keys: Any) -> dict[str, str]:
    """Return every text's class."""
    train, evaluation, facts = prepared(folder, *args, **keys)
    return labelled(train, evaluation, classes=facts["classes"])


# Formats


def test_csv(tmp_path):
    train, evaluation, facts = prepared(tmp_path, csv(PAIRS))
    assert labelled(train, evaluation, classes=["a", "b"]) == dict(PAIRS)
    assert (len(train), len(evaluation)) == (facts["train"], facts["eval"]) == (16, 4)
    assert list(train) == ["example_id", "text", "label"]
    assert facts["train_share"] == [0.5, 0.5]


def test_tsv(tmp_path):
    lines = ["text\tlabel", *("\t".join(pair) for pair in PAIRS)]
    assert content(tmp_path, "\n".join(lines), "all.tsv") == dict(PAIRS)


def test_jsonl(tmp_path):
    assert content(tmp_path, jsonl(PAIRS), "all.jsonl") == dict(PAIRS)


@pytest.mark.parametrize("kind", ["str", "category"])
def test_parquet(tmp_path, kind):
    table = pd.DataFrame(PAIRS, columns=["text", "label"]).astype({"label": kind})
    table.to_parquet(tmp_path / "a.parquet")
    assert content(tmp_path, (tmp_path / "a.parquet").read_bytes(), "all.parquet") == dict(PAIRS)


def test_format_overrides_the_suffix_and_suffixes_have_no_case(tmp_path):
    assert content(tmp_path, csv(PAIRS), "data.txt", format="csv") == dict(PAIRS)
    assert content(tmp_path, csv(PAIRS), "DATA.CSV") == dict(PAIRS)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_line_ends_and_byte_order_marks(tmp_path, mark, end):
    assert content(tmp_path, mark + csv(PAIRS).replace("\n", end)) == dict(PAIRS)


def test_columns_name_a_file_without_header(tmp_path):
    lines = [f"{number}\t{label}\t{text}" for number, (text, label) in enumerate(PAIRS)]
    keys = {"columns": ["id", "verdict", "words"], "text": "words", "label": "verdict"}
    assert content(tmp_path, "\n".join(lines), "all.tsv", **keys) == dict(PAIRS)


def test_quotes_in_tsv_are_characters_like_any_other(tmp_path):
    odd = [('"quoted" at the start', "a"), ('a lone " mark', "b"), ('"', "a"), ("'single'", "b")]
    lines = ["text\tlabel", *("\t".join(pair) for pair in [*odd, *PAIRS])]
    assert content(tmp_path, "\n".join(lines), "all.tsv") == dict([*odd, *PAIRS])


def test_quotes_in_csv_enclose_commas_and_line_breaks(tmp_path):
    text = 'text,label\n"one, two",a\n"say ""hi""",b\n"two\nlines",a\n' + csv(PAIRS).split("\n", 1)[1]
    expected = {"one, two": "a", 'say "hi"': "b", "two lines": "a"} | dict(PAIRS)
    assert content(tmp_path, text) == expected


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_words_for_nothing_are_texts_and_labels_too(tmp_path, form):
    odd = [("NA", "None"), ("null", "NA"), ("nan", "None"), ("None", "NA"), ("1e5", "None"), ("2024-01-01", "NA")]
    more = [(f"{text} again", label) for text, label in odd]
    pairs = [*odd, *more]
    assert content(tmp_path, (csv if form == "csv" else jsonl)(pairs), f"all.{form}") == dict(pairs)


# Labels


def test_labels_that_are_numbers_are_in_numeric_order(tmp_path):
    pairs = [(f"text {number}", str(label)) for number, label in enumerate([10, 9, 2, 1, -1] * 4)]
    _, _, facts = prepared(tmp_path, csv(pairs), eval_examples=5)
    assert facts["classes"] == ["-1", "1", "2", "9", "10"]


def test_other_labels_are_in_alphabetic_order(tmp_path):
    pairs = [(f"text {number}", label) for number, label in enumerate(["pos", "neg", "mixed"] * 4)]
    train, evaluation, facts = prepared(tmp_path, csv(pairs), eval_examples=6)
    assert facts["classes"] == ["mixed", "neg", "pos"]
    assert sorted(evaluation["label"]) == [0, 0, 1, 1, 2, 2]
    assert sorted(train["label"]) == [0, 0, 1, 1, 2, 2]


def test_a_number_and_its_text_are_one_class_across_files(tmp_path):
    pd.DataFrame({"text": [f"t{k}" for k in range(8)], "label": [0, 1] * 4}).to_parquet(tmp_path / "train.parquet")
    write(tmp_path, "eval.csv", "text,label\nx,0\ny, 1\n")
    keys = {"eval_file": "eval.csv", "eval_examples": None}
    train, evaluation, facts = split_parts(spec("train.parquet", **keys), tmp_path, hub=False)
    assert facts["classes"] == ["0", "1"]
    assert (len(train), len(evaluation)) == (8, 2)


@pytest.mark.parametrize("own_part", [False, True])
def test_sentences_are_held_back_by_content_from_training_and_evaluation(tmp_path, own_part):
    """By shares of 2 to 1, from the evaluation part where there is one, else from what is left to train on."""
    pairs = [(f"text {number}", "ab"[number % 3 == 0]) for number in range(300)]
    write(tmp_path, "all.csv", csv(pairs[:210] if own_part else pairs))
    write(tmp_path, "eval.csv", csv(pairs[210:]))
    keys = {"eval_file": "eval.csv", "eval_examples": None} if own_part else {"eval_examples": 60}
    without, _ = prepare(spec("all.csv", **keys), tmp_path, hub=False)
    parts, facts = prepare(spec("all.csv", **keys, confirm_examples=30), tmp_path, hub=False)
    ids = {name: set(part["example_id"]) for name, part in parts.items()}
    assert sum(map(len, ids.values())) == len(set.union(*ids.values())) == 300
    assert facts["held_back"] == len(ids["held_back"]) == 30
    assert parts["held_back"]["label"].value_counts().to_dict() == {0: 20, 1: 10}
    kept, source = ("train", "eval") if own_part else ("eval", "train")
    assert ids[kept] == set(without[kept]["example_id"])
    assert ids["held_back"] < set(without[source]["example_id"])
    write(tmp_path, "all.csv", csv((pairs[:210] if own_part else pairs)[::-1]))
    again, _ = prepare(spec("all.csv", **keys, confirm_examples=30), tmp_path, hub=False)
    assert set(again["held_back"]["example_id"]) == ids["held_back"]


def test_more_sentences_than_there_are_cannot_be_held_back(tmp_path):
    error = refused(tmp_path, csv([(f"text {number}", "ab"[number % 2]) for number in range(40)]), confirm_examples=36)
    assert "confirm_examples" in error.where
    assert "36 of 36" in error.found


RATINGS = {"-0.6": "negative", "-0.5": "negative", "-0.49": None, "0": None, "0.49": None, "0.5": "positive"}
STARS = {"1": "negative", "2": "negative", "3": None, "4": "positive", "5": "positive"}
TENTHS = {"-0.1": "negative", "-0.09": None, "0.29": None, "0.3": "positive", "0.4": "positive"}  # 0.3 - 0.1 < 0.2


@pytest.mark.parametrize(
    ("ratings", "threshold", "margin"), [(RATINGS, 0, 0.5), (STARS, 3, 0), (STARS, 3.0, 0.5), (TENTHS, 0.1, 0.2)]
)
def test_ratings_become_classes_and_those_within_the_margin_go(tmp_path, ratings, threshold, margin):
    pairs = [(f"{rating} and {copy}", rating) for rating in ratings for copy in range(2)]
    write(tmp_path, "all.csv", csv(pairs))
    train, evaluation, facts = split_parts(
        spec("all.csv", threshold=threshold, margin=margin, eval_examples=2), tmp_path, hub=False
    )
    expected = {text: ratings[rating] for text, rating in pairs if ratings[rating]}
    assert labelled(train, evaluation, classes=["negative", "positive"]) == expected
    assert facts["dropped_within_margin"] == 2 * sum(verdict is None for verdict in ratings.values())
    assert facts["classes"] == ["negative", "positive"]


# Cleaning


def test_entities_are_decoded_and_spaces_folded(tmp_path):
    odd = [("fish &amp; chips", "a"), ("&lt;3  it\t!", "b"), ("a&nbsp;b ", "a")]
    train, evaluation, facts = prepared(tmp_path, csv([*odd, *PAIRS]))
    assert set(train["text"]) | set(evaluation["text"]) == {"fish & chips", "<3 it !", "a b", *dict(PAIRS)}
    assert facts["html_decoded"] == 3


def test_repeats_are_kept_once_and_contradictions_not_at_all(tmp_path):
    odd = [("Same", "a"), ("same ", "a"), ("same", "a"), ("torn", "a"), ("TORN", "b"), ("torn", "a")]
    train, evaluation, facts = prepared(tmp_path, csv([*odd, *PAIRS]))
    texts = [*train["text"], *evaluation["text"]]
    assert len(texts) == len(PAIRS) + 1
    assert sum(text.lower() == "same" for text in texts) == 1
    assert not any(text.lower() == "torn" for text in texts)
    assert (facts["read"], facts["dropped_repeats"], facts["dropped_contradictory"]) == (26, 2, 3)


def test_training_sentences_of_the_evaluation_part_are_dropped(tmp_path):
    write(tmp_path, "eval.csv", csv([("SENTENCE number 0", "a"), ("sentence number 1", "a"), ("only here", "b")]))
    keys = {"eval_file": "eval.csv", "eval_examples": None}
    train, evaluation, facts = prepared(tmp_path, csv(PAIRS), **keys)
    assert facts["dropped_in_eval"] == 2
    assert (len(train), len(evaluation)) == (18, 3)
    assert not set(train["example_id"]) & set(evaluation["example_id"])


# The split


def test_every_class_keeps_its_share(tmp_path):
    sizes = {"a": 50, "b": 30, "c": 17}  # of 10: 5.15, 3.09, 1.75, the nearest of which add up to 10
    pairs = [(f"{label} {number}", label) for label, size in sizes.items() for number in range(size)]
    train, evaluation, _ = prepared(tmp_path, csv(pairs), eval_examples=10)
    assert evaluation["label"].value_counts().to_dict() == {0: 5, 1: 3, 2: 2}
    assert len(train) == 87


def many(count: int) -> list[tuple[str, str]]:
    draw = random.Random(5)
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    return [(f"{' '.join(draw.choices(words, k=6))} {number}", draw.choice("aab")) for number in range(count)]


def test_rows_in_another_order_split_the_same(tmp_path):
    # Of two spellings of one sentence, too, the same is kept.
    pairs = [*many(200), ("Two Spellings", "a"), ("two spellings", "a")]
    first = prepared(tmp_path, csv(pairs), eval_examples=50)
    random.Random(1).shuffle(pairs)
    second = prepared(tmp_path, csv(pairs), eval_examples=50)
    for part in (0, 1):
        pd.testing.assert_frame_equal(first[part], second[part])
    assert first[2] == second[2]


def test_a_new_row_moves_few_others(tmp_path):
    pairs = many(200)
    _, before, _ = prepared(tmp_path, csv(pairs), eval_examples=50)
    for number in range(10):
        train, after, _ = prepared(tmp_path, csv([*pairs, (f"new {number}", "ab"[number % 2])]), eval_examples=50)
        assert len(after) == 50
        assert len(set(before["example_id"]) - set(after["example_id"])) <= 2  # one for each class
        assert len(train) == 151


def test_the_fingerprint_is_of_texts_and_labels(tmp_path):
    def of(pairs):
        return prepared(tmp_path, csv(pairs))[2]["data_sha256"]

    assert of(PAIRS) == of(PAIRS[::-1])
    assert len({of(PAIRS), of([("another", "a"), *PAIRS[1:]]), of([(PAIRS[0][0], "b"), *PAIRS[1:]])}) == 3


# What is refused


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IDAT", pixels)


def parquet(folder: Path, pairs: Iterable[tuple[Any, Any]] = PAIRS) -> bytes:
    pd.DataFrame(list(pairs), columns=["text", "label"]).to_parquet(folder / "a.parquet")
    return (folder / "a.parquet").read_bytes()


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name in ("no.csv", "folder.csv"):
        assert refusal(prepare, spec(name), tmp_path, hub=False).where.endswith(name)


def test_a_missing_column_is_refused_with_those_there_are(tmp_path):
    error = refused(tmp_path, csv(PAIRS), label="verdict")
    assert "text, label" in error.found
    assert "'verdict'" in error.allowed


def test_a_column_that_occurs_twice_is_refused(tmp_path):
    columns = [pa.array([text for text, _ in PAIRS]), *[pa.array([label for _, label in PAIRS])] * 2]
    pq.write_table(pa.Table.from_arrays(columns, ["text", "label", "label"]), tmp_path / "twice.parquet")
    error = refused(tmp_path, (tmp_path / "twice.parquet").read_bytes(), "all.parquet")
    assert "text, label, label" in error.found
    assert "'label'" in error.allowed


@pytest.mark.parametrize("name", ["a\0b.csv", "x" * 300 + ".csv", "\ud800.csv"])
def test_a_name_that_no_file_has_is_refused(tmp_path, name):
    assert str(refusal(prepare, spec(name), tmp_path, hub=False)).isprintable()


def test_what_a_file_holds_is_refused_in_short_and_printable(tmp_path):
    error = refused(tmp_path, "\x1b[31m" + "x" * 5000 + "\na\nb\n")
    assert r"\x1b[31mxxx" in error.found
    assert len(str(error)) < 500
    many = [(f"text {number}", f"\x07{number}" + "y" * 5000) for number in range(500)]
    error = refused(tmp_path, csv([*many, *PAIRS]), eval_examples=400)
    assert r"\x070yyy" in error.found
    assert len(str(error)) < 3000
    assert str(error).isprintable()


def test_an_unknown_suffix_is_refused(tmp_path):
    error = refused(tmp_path, csv(PAIRS), "all.data")
    assert "'.data'" in error.found
    assert ".csv, .tsv, .jsonl" in error.allowed
    assert "`format`" in error.remedy


@pytest.mark.parametrize(
    ("rows", "line"),
    [([*PAIRS, ("", "a")], 22), ([PAIRS[0], ("  ", "a"), *PAIRS[1:]], 3), ([("&nbsp; ", "a"), *PAIRS], 2)],
)
def test_an_empty_text_is_refused_by_its_line_or_dropped_where_the_config_says_so(tmp_path, rows, line):
    error = refused(tmp_path, csv(rows))
    assert (error.where.endswith(f"all.csv, line {line}, column text"), numbers(error.found)) == (True, [1])
    assert "`drop_empty: true`" in error.remedy
    train, evaluation, facts = prepared(tmp_path, csv(rows), drop_empty=True)
    assert labelled(train, evaluation, classes=["a", "b"]) == dict(PAIRS)
    assert (facts["read"], facts["dropped_empty"]) == (21, 1)


@pytest.mark.parametrize("missing", ["", " ", "&nbsp;"])
def test_examples_without_a_label_are_counted_and_left_out(tmp_path, missing):
    train, evaluation, facts = prepared(tmp_path, csv([("first", missing), *PAIRS, ("", missing)]))
    assert labelled(train, evaluation, classes=["a", "b"]) == dict(PAIRS)
    assert (facts["read"], facts["dropped_unlabelled"]) == (22, 2)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_missing_label_of_other_formats_is_counted_too(tmp_path, form):
    rows = [("first", None), *PAIRS]
    whole = parquet(tmp_path, rows) if form == "parquet" else jsonl(rows)
    _, _, facts = prepared(tmp_path, whole, f"all.{form}")
    assert (facts["read"], facts["dropped_unlabelled"], facts["train"] + facts["eval"]) == (21, 1, 20)


def test_data_without_any_label_are_refused_as_such(tmp_path):
    error = refused(tmp_path, csv([(text, "") for text, _ in PAIRS]))
    assert (error.where.endswith("all.csv, column label"), numbers(error.found)[0]) == (True, 20)
    write(tmp_path, "eval.csv", csv([(text, "") for text, _ in PAIRS]))
    error = refused(tmp_path, csv(PAIRS), eval_file="eval.csv", eval_examples=None)
    assert (error.where.endswith("eval.csv, column label"), "`eval_file`" in error.remedy) == (True, True)


@pytest.mark.parametrize("bad", [(None, "a"), (12, "a"), (["a"], "b"), ("fine", {})])
def test_a_text_or_a_label_that_is_none_is_refused(tmp_path, bad):
    column = "text" if bad[0] != "fine" else "label"
    assert refused(tmp_path, jsonl([*PAIRS, bad]), "all.jsonl").where.endswith(f"line 21, column {column}")


def test_a_missing_text_in_parquet_is_refused(tmp_path):
    error = refused(tmp_path, parquet(tmp_path, [(None, "a"), *PAIRS, (None, "b")]), "all.parquet")
    assert (error.where.endswith("example 1, column text"), numbers(error.found)) == (True, [2])


def test_a_label_of_bytes_is_refused(tmp_path):
    error = refused(tmp_path, parquet(tmp_path, [(text, b"\xff") for text, _ in PAIRS]), "all.parquet")
    assert (error.where.endswith("example 1, column label"), "(20 such" in error.found) == (True, True)


def test_texts_of_a_dictionary_column_are_texts(tmp_path):
    odd = [("fish &amp; chips", "a"), *PAIRS]
    pd.DataFrame(odd, columns=["text", "label"]).astype("category").to_parquet(tmp_path / "a.parquet")
    found = content(tmp_path, (tmp_path / "a.parquet").read_bytes(), "all.parquet")
    assert found == {"fish & chips": "a"} | dict(PAIRS)


def test_a_byte_that_is_not_utf8_is_refused_by_its_place(tmp_path):
    before = csv(PAIRS).encode()
    error = refused(tmp_path, before + "caf\xe9,a\n".encode("latin-1"))
    assert error.where.endswith("all.csv, line 22")
    assert "0xe9" in error.found
    assert "iconv" in error.remedy


def test_utf16_is_refused_to_be_converted(tmp_path):
    error = refused(tmp_path, csv(PAIRS).encode("utf-16"))
    assert (error.where.endswith("line 1"), "0xff" in error.found) == (True, True)


@pytest.mark.parametrize("kind", ["png", "parquet", "bytes"])
@pytest.mark.parametrize("name", ["all.csv", "all.tsv", "all.jsonl"])
def test_what_is_no_text_is_refused(tmp_path, kind, name):
    data = {"png": png, "bytes": lambda: b"text\0label", "parquet": lambda: parquet(tmp_path)}[kind]()
    found = {"png": "an image", "bytes": "NUL", "parquet": "a Parquet file"}[kind]
    assert names(refused(tmp_path, data, name), name[4:], found)


def test_a_parquet_file_that_is_none_or_damaged_is_refused(tmp_path):
    whole = parquet(tmp_path)
    overwritten = whole[:20] + b"\xff" * 40 + whole[60:]
    for content in (csv(PAIRS), whole[:-40], whole.replace(b"sentence", b"s\xffntence"), overwritten, b""):
        assert names(refused(tmp_path, content, "all.parquet"), "not parquet")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ('{"text": "a", "label"', "line 21: Expecting ':'"),
        ("text,label\n", "line 21: Expecting value"),
        ("{}{", "line 21: Extra data"),
        ("null", "line 21: no JSON object"),
        ('["a", "b"]', "line 21: no JSON object"),
        ('{"text": "\\ud83d", "label": "a"}', "line 21: 'utf-8' codec can't encode"),
        ("[" * 100_000, "line 21: maximum recursion depth exceeded"),
    ],
    ids=["cut", "csv", "two", "null", "list", "half a character", "deep"],
)
def test_jsonl_that_is_none_is_refused(tmp_path, broken, told):
    error = refused(tmp_path, jsonl(PAIRS) + "\n" + broken, "all.jsonl")
    assert names(error, "not jsonl", told)
    assert len(str(error)) < 500


def test_jsonl_keeps_whole_characters_and_separators_within_texts(tmp_path):
    odd = [("a face \U0001f600", "a"), ("one\u2028two", "b")]
    expected = {"a face \U0001f600": "a", "one two": "b"} | dict(PAIRS)
    assert content(tmp_path, jsonl([*odd, *PAIRS]), "all.jsonl") == expected


@pytest.mark.parametrize("place", [1, 5])
def test_a_comma_too_many_is_refused_wherever_it_is(tmp_path, place):
    lines = csv(PAIRS).splitlines()
    lines.insert(place, "one, two, three,a")
    error = refused(tmp_path, "\n".join(lines))
    assert (error.where.endswith(f"line {place + 1}"), numbers(error.found)[0]) == (True, 4)


def test_more_cells_than_columns_are_refused(tmp_path):
    lines = [f"{text}\t{label}\tlost" for text, label in PAIRS]
    error = refused(tmp_path, "\n".join(lines), "all.tsv", columns=["text", "label"])
    assert (error.where.endswith("line 1"), "`columns`" in error.remedy) == (True, True)


def test_an_empty_file_is_refused(tmp_path):
    assert names(refused(tmp_path, ""), "not csv")
    assert refused(tmp_path, "text,label\n").where.endswith("column label")


def test_a_single_class_is_refused(tmp_path):
    error = refused(tmp_path, csv([(text, "a") for text, _ in PAIRS]))
    assert (error.where.endswith("column label"), error.found.endswith(" a")) == (True, True)


@pytest.mark.parametrize("rating", ["good", "1,5", "nan", "--"])
def test_a_rating_that_is_no_number_is_refused(tmp_path, rating):
    text = "text,label\n" + "".join(f"{text},{number}\n" for number, (text, _) in enumerate(PAIRS))
    error = refused(tmp_path, text + f'odd,"{rating}"\n', threshold=3)
    assert error.where.endswith("line 22, column label")
    assert error.found.startswith(repr(rating))
    assert "`threshold`" in error.allowed


@pytest.mark.parametrize("wanted", [20, 21, 4000])
def test_no_fewer_held_out_than_there_are_is_refused(tmp_path, wanted):
    error = refused(tmp_path, csv(PAIRS), eval_examples=wanted)
    assert "eval_examples" in error.where
    assert numbers(error.found) == [wanted, 20]


# Data set repositories

CARD = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: validation, path: data/validation-*}
  - {split: test, path: data/test-*}
dataset_info:
  features:
  - {name: idx, dtype: int32}
  - {name: sentence, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': negative, '1': positive}}}
---
# A data set card
"""


@pytest.fixture
def snapshot(tmp_path, monkeypatch) -> Path:
    """Lay out a repository as the Hub has them: splits in Parquet, classes in the card."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "snapshot"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    for split, labels in {"train": [0, 1] * 6, "validation": [1, 0, 1, 0], "test": [-1] * 3}.items():
        table = pd.DataFrame({"sentence": [f"{split} {k} " for k in range(len(labels))], "label": labels})
        table.insert(0, "idx", range(len(labels)))
        table.astype({"idx": "int32"}).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet", index=False)
    return folder


HUB = {"source": "sst2", "train_split": "train", "text": "sentence", "label": "label", "margin": 0}


def test_a_repository_is_read_by_split_with_its_class_names(snapshot):
    before = sorted(snapshot.rglob("*"))
    for _ in range(2):
        train, evaluation, facts = split_parts(HUB | {"eval_split": "validation"}, snapshot, hub=True)
        assert facts["classes"] == ["negative", "positive"]
        assert dict(zip(evaluation["text"], evaluation["label"], strict=True)) == {
            "validation 0": 1,
            "validation 1": 0,
            "validation 2": 1,
            "validation 3": 0,
        }
        assert len(train) == 12
        assert sorted(snapshot.rglob("*")) == before  # which holds what was fetched, and nothing else


def test_a_split_of_a_repository_can_be_split(snapshot):
    train, evaluation, _ = split_parts(HUB | {"eval_examples": 4}, snapshot, hub=True)
    assert sorted(evaluation["label"]) == [0, 0, 1, 1]
    assert len(train) == 8


def test_a_split_without_labels_is_named_as_such(snapshot):
    error = refusal(prepare, HUB | {"eval_split": "test"}, snapshot, hub=True)
    assert error.where.endswith("split test, column label")
    assert (numbers(error.found)[0], "`eval_split`" in error.remedy) == (3, True)


def test_examples_that_the_hub_marks_as_unlabelled_are_counted(snapshot):
    table = pd.DataFrame({"idx": range(200), "sentence": [f"{k} words" for k in range(200)], "label": 0})
    table["label"] = [(-1, 0, 1)[k % 3] for k in range(200)]
    table.astype({"idx": "int32"}).to_parquet(snapshot / "data" / "train-00000-of-00001.parquet", index=False)
    train, _, facts = split_parts(HUB | {"eval_split": "validation"}, snapshot, hub=True)
    assert (facts["read"], facts["dropped_unlabelled"], len(train)) == (204, 67, 133)


def test_a_repository_of_csv_has_no_word_for_a_missing_value(snapshot):
    shutil.rmtree(snapshot / "data")
    (snapshot / "README.md").unlink()
    rows = [(f"{k} words", ("NA", "None", "yes", "")[k % 4]) for k in range(40)] + [("null", "yes")]
    pd.DataFrame(rows, columns=["sentence", "label"]).to_csv(snapshot / "train.csv", index=False)
    train, evaluation, facts = split_parts(HUB | {"eval_examples": 6}, snapshot, hub=True)
    assert (facts["classes"], facts["dropped_unlabelled"]) == (["NA", "None", "yes"], 10)
    assert "null" in {*train["text"], *evaluation["text"]}


@pytest.mark.parametrize(
    ("kind", "labels", "classes"),
    [
        ("sequence: {class_label: {names: {'0': negative, '1': positive}}}", [[0], [1]], ["negative", "positive"]),
        ("dtype: int64", [0, 1, None, 1], ["0", "1"]),
    ],
)
def test_lists_of_one_class_have_its_name_and_whole_numbers_stay_whole(tmp_path, kind, labels, classes):
    head = "---\ndataset_info:\n  features:\n  - {name: sentence, dtype: string}\n  - name: label\n"
    write(tmp_path, "README.md", f"{head}    {kind}\n---\n")
    table = {"sentence": [f"{k} words" for k in range(40)], "label": (labels * 20)[:40]}
    pq.write_table(pa.table(table), tmp_path / "train.parquet")
    _, _, facts = split_parts(HUB | {"eval_examples": 6}, tmp_path, hub=True)
    assert facts["classes"] == classes


@pytest.mark.parametrize(
    ("keys", "where"),
    [({"eval_split": "dev"}, "split dev"), ({"eval_split": "validation", "subset": "cola"}, "split train")],
)
def test_a_split_or_subset_that_is_not_there_is_named(snapshot, keys, where):
    assert refusal(prepare, HUB | keys, snapshot, hub=True).where.endswith(where)


def test_a_column_that_is_not_there_is_named(snapshot):
    error = refusal(prepare, HUB | {"eval_split": "validation", "label": "verdict"}, snapshot, hub=True)
    assert "idx, sentence, label" in error.found


def test_a_card_that_is_damaged_is_refused(snapshot):
    (snapshot / "README.md").write_text(CARD.replace("configs:", " configs:"))
    assert refusal(prepare, HUB | {"eval_split": "validation"}, snapshot, hub=True).where.endswith("split train")
