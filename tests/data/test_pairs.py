"""Sentence pairs: read, counted and split by both texts; token ids and types against transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from finevar.data.corpus import prepare
from finevar.data.encoding import encode, load_encoded, save_encoded
from finevar.data.pairs import shown_text, texts_in
from finevar.errors import InputError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
SPECIAL = [("[CLS]", 2), ("[SEP]", 3)]
PAIRS = [
    ("a b c", "d"),
    ("a", "b c d e f g h"),
    ("a b c d e f g h", "h g f e d c b a"),
    ("a b c d e f g h a b c", "a b c"),
    ("\N{ZERO WIDTH SPACE}", "a"),  # of no token
    ("a b c d e f g h", "\N{ZERO WIDTH SPACE}"),
    ("[SEP] a", "b [SEP] c"),
]
SPEC = {"source": "mine", "file": "nli.csv", "text": ["premise", "hypothesis"], "label": "label", "eval_examples": 4}


def make_tokenizer(folder: Path, pair: str = "[CLS] $A [SEP] $B:1 [SEP]:1") -> Path:
    tokenizer = Tokenizer(models.WordPiece({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", pair, SPECIAL)
    tokenizer.add_special_tokens(WORDS[:4])
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "model_max_length": 64}
    names = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(facts | {"model_input_names": names}))
    return folder


@pytest.mark.parametrize("max_length", [64, 17, 12, 11, 8, 7, 5])
@pytest.mark.parametrize("pair", ["[CLS] $A [SEP] $B:1 [SEP]:1", "[CLS] $A [SEP] [SEP] $B:1 [SEP]:1"])
def test_ids_and_types_of_a_pair_are_those_of_transformers(tmp_path, pair, max_length):
    """Types: 0 before the second text, 1 from there on, where one token stands between the texts."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path / "model", pair))(
        *zip(*PAIRS, strict=True), truncation=True, max_length=max_length
    )
    encoded = encode(PAIRS, [0] * len(PAIRS), tmp_path / "model")
    numbers = list(range(len(PAIRS)))
    ids = [encoded.sentence(number, max_length).tolist() for number in numbers]
    assert ids == [list(map(int, row)) for row in theirs["input_ids"]]
    assert encoded.seconds(numbers, max_length) == [row.index(1) for row in theirs["token_type_ids"]]
    assert encoded.seconds(numbers[::-2], max_length) == encoded.seconds(numbers, max_length)[::-2]


def test_pairs_that_are_saved_are_loaded(tmp_path):
    encoded = encode(PAIRS, list(range(len(PAIRS))), make_tokenizer(tmp_path / "model"))
    save_encoded(encoded, tmp_path / "encoded.safetensors")
    loaded = load_encoded(tmp_path / "encoded.safetensors")
    assert loaded.pairs.tolist() == [[3, 1], [1, 7], [8, 8], [11, 3], [0, 1], [8, 0], [2, 3]]
    assert loaded.head(2).pairs.tolist() == [[3, 1], [1, 7]]
    assert np.array_equal(loaded.sentence(2, 10), encoded.sentence(2, 10))
    assert encode(["a"], [0], tmp_path / "model").seconds([0], 8) is None


@pytest.mark.parametrize("pair", ["$A $B:1", "[CLS] $A $B:1 [SEP]:1", "[CLS] $A [SEP] $B:1", "$A [SEP] $B:1 [SEP]:1"])
def test_a_tokenizer_without_a_template_of_pairs_is_refused(tmp_path, pair):
    with pytest.raises(InputError) as caught:
        encode([("a", "b")], [0], make_tokenizer(tmp_path / "model", pair))
    assert caught.value.where.endswith("tokenizer.json")


# Rows


def prepared(folder: Path, rows: list[tuple], **keys) -> tuple[dict[str, pd.DataFrame], dict]:
    pd.DataFrame(rows, columns=["premise", "hypothesis", "label"]).to_csv(folder / "nli.csv", index=False)
    return prepare(SPEC | keys, folder, hub=False)


def whole(count: int) -> list[tuple[str, str, str]]:
    """Return pairs of one premise for each three, so that a premise alone says nothing of the label."""
    return [(f"premise {k // 3}", f"hypothesis {k}", "abc"[k % 3]) for k in range(count)]


def test_repeats_contradictions_and_parts_are_by_both_texts(tmp_path):
    rows = [*whole(12), ("Premise  0", "hypothesis 0", "a"), ("one", "two three", "a"), ("one two", "three", "b")]
    rows += [("torn", "pair", "a"), ("torn", "pair", "b"), ("torn", "other", "a"), ("fish &amp; chips", "&lt;3", "b")]
    parts, facts = prepared(tmp_path, rows)
    kept = {texts_in(text.lower()) for part in parts.values() for text in part["text"]}
    wanted = {row[:2] for row in whole(12)} | {("one", "two three"), ("one two", "three"), ("torn", "other")}
    assert kept == wanted | {("fish & chips", "<3")}
    counted = ("read", "dropped_repeats", "dropped_contradictory", "html_decoded", "eval")
    assert [facts[name] for name in counted] == [19, 1, 2, 1, 4]


def test_a_training_pair_that_is_evaluated_goes(tmp_path):
    (tmp_path / "eval.csv").write_text("premise,hypothesis,label\nPREMISE 0,hypothesis 1,b\np,q,a\np,r,c\n")
    parts, facts = prepared(tmp_path, whole(12), eval_file="eval.csv", eval_examples=None)
    assert facts["dropped_in_eval"] == 1
    assert ("premise 0", "hypothesis 1") not in set(map(texts_in, parts["train"]["text"]))


@pytest.mark.parametrize(("bad", "column"), [(("", "h", "a"), "premise"), (("p", " ", "a"), "hypothesis")])
def test_a_pair_that_lacks_a_text_is_refused_by_its_line_or_counted(tmp_path, bad, column):
    with pytest.raises(InputError) as caught:
        prepared(tmp_path, [*whole(12), bad])
    assert caught.value.where.endswith(f"line 14, column {column}")
    _, facts = prepared(tmp_path, [*whole(12), bad, ("", "", "b")], drop_empty=True)
    assert [facts[name] for name in ("read", "dropped_empty", "train", "eval")] == [14, 2, 8, 4]


@pytest.mark.parametrize("name", ["nli.jsonl", "nli.parquet", "nli.tsv"])
def test_pairs_of_every_format_are_the_same_examples(tmp_path, name):
    parts, _ = prepared(tmp_path, whole(12))
    table = pd.DataFrame(whole(12), columns=["premise", "hypothesis", "label"])
    {
        "nli.jsonl": lambda path: table.to_json(path, orient="records", lines=True),
        "nli.parquet": table.to_parquet,
        "nli.tsv": lambda path: table.to_csv(path, sep="\t", index=False),
    }[name](tmp_path / name)
    others, _ = prepare(SPEC | {"file": name}, tmp_path, hub=False)
    for part, rows in parts.items():
        pd.testing.assert_frame_equal(rows, others[part])


def test_a_missing_second_column_is_named(tmp_path):
    (tmp_path / "nli.csv").write_text("premise,label\na,b\n")
    with pytest.raises(InputError) as caught:
        prepare(SPEC, tmp_path, hub=False)
    assert "'hypothesis'" in caught.value.allowed


def test_pairs_are_shown_on_one_line_each_half_cut():
    assert shown_text("a" * 50 + "\n" + "b", 20) == "aaaaaaa... \N{DOUBLE VERTICAL LINE} b"
    assert shown_text("a\tb", 20) == "a\\tb"
