"""What a model sees of a data set, by counts made by hand on eight sentences and eight words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from finevar.data.encoding import encode
from finevar.data.inspection import Part, cautions, first_text_facts, histogram, inspect, unknown_id
from finevar.data.pairs import SHOWN, texts_in
from finevar.reasons import Unseen
from finevar.words.inspection import caution_sentence

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "the"]
PEACE, SAFE, AMHARIC = "\u1230\u120b\u121d", "\u1220\u120b\u121d", "\u12a0\u121b\u122d\u129b"  # of a script it lacks
TRAIN = [  # tokens with the two around them: 4, 4, 4, 4, 7, 7
    ("good film", 1),
    ("bad film", 0),
    (f"{AMHARIC} film", 1),
    (f"{PEACE} film", 0),
    ("the the the good film", 1),
    ("the the the good bad", 1),
]
EVAL = [(f"{SAFE} film", 0), ("the good", 1)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.WordPiece({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def part(model, sentences):
    texts, labels = [text for text, _ in sentences], [label for _, label in sentences]
    return Part(texts, encode(texts, labels, model))


@pytest.fixture(scope="module")
def facts(model):
    parts = {"train": part(model, TRAIN), "eval": part(model, EVAL), "held_back": part(model, [])}
    return inspect(parts, model, ["no", "yes"], max_lengths=[4, 6], train_sizes=[3, None], shown=True)


def test_sentences_tokens_and_unknown_ones(facts):
    train, evaluation = facts["parts"]["train"], facts["parts"]["eval"]
    assert list(facts["parts"]) == ["train", "eval"]  # what is empty is left out
    names = ("sentences", "by_class", "tokens", "unknown", "with_unknown")
    assert [train[name] for name in names] == [6, [2, 4], 18, 2, 2]
    assert [evaluation[name] for name in names] == [2, [1, 1], 4, 1, 1]


def test_lengths_and_what_is_cut(facts):
    """At 4 tokens two sentences of 7 lose 3 each, at 6 one each."""
    train = facts["parts"]["train"]
    assert train["cut"] == [
        {"max_length": 4, "sentences": 2, "tokens": 6},
        {"max_length": 6, "sentences": 2, "tokens": 2},
    ]
    assert [train["lengths"][name] for name in ("shortest", "median", "longest")] == [4, 4, 7]
    assert train["histogram"] == {"first": 4, "width": 1, "counts": [4, 0, 0, 2], "open": False}


def test_lengths_far_apart_are_counted_in_ranges():
    """From 3 to 93, 91 lengths in 30 ranges: 4 each, of which the last begins at 91."""
    assert histogram(np.array([3, 6, 7, 93])) == {
        "first": 3,
        "width": 4,
        "counts": [2, 1, *[0] * 20, 1],
        "open": False,
    }


def test_the_longest_hundredth_of_the_sentences_shares_a_bar_without_an_end():
    """Of 1,000 lengths 990 are of 3 to 62 tokens, two in each of 30 ranges; ten reach 7,834."""
    lengths = [*range(3, 63)] * 16 + [*range(3, 33)] + [63, 64, *[200] * 7, 7834]
    found = histogram(np.array(lengths))
    assert (found["first"], found["width"], found["open"]) == (3, 2, True)
    assert found["counts"] == [34] * 15 + [32] * 15 + [10]


def test_what_trainings_use(facts):
    assert facts["used"] == [
        {"train_examples": 3, "sentences": 3, "by_class": [1, 2]},
        {"train_examples": None, "sentences": 6, "by_class": [2, 4]},
    ]


def test_sentences_that_look_the_same_once_cut_to_six_tokens(facts):
    """Two of an unknown word and "film", of two classes, and two that differ in their last word; one in evaluation."""
    assert facts["alike"] == {"alike": 4, "contradictory": 2, "in_both": 1}


def test_cautions(facts):
    """3 of 22 tokens are unknown, 2 of 8 sentences cut at 6, 1 of 2 evaluation sentences as in training."""
    found = dict(cautions(facts))
    assert found == pytest.approx({Unseen.UNKNOWN: 3 / 22, Unseen.CUT: 2 / 8, Unseen.IN_BOTH: 1 / 2})


def test_a_class_named_as_a_missing_label_is_a_caution_with_its_share(facts):
    """Of 8 sentences 3 are of the first class."""
    found = dict(cautions(facts | {"classes": ["NaN", "yes"]}))
    assert found[Unseen.UNLABELLED] == pytest.approx(3 / 8)
    assert "'NaN'" in caution_sentence("d", facts | {"classes": ["NaN", "yes"]}, Unseen.UNLABELLED, 3 / 8)


@pytest.mark.parametrize(
    ("classes", "share"),
    [
        (["Y", "yes"], 1),
        (["true", "1"], 1),
        (["Pos", "positive"], 1),
        (["not spam", "Not_spam"], 1),
        (["no", "yes"], None),
        (["1", "-1"], None),
        (["C", "C++"], None),
        (["y", "n"], None),
        (["1", "0"], None),
        (["art", "article"], None),
        (["negative", "-inf"], None),
    ],
)
def test_classes_that_may_be_one_in_two_spellings_are_a_caution(facts, classes, share):
    found = facts | {"classes": classes}
    assert dict(cautions(found)).get(Unseen.WRITTEN_TWICE) == share
    if share:
        assert all(repr(name) in caution_sentence("d", found, Unseen.WRITTEN_TWICE, 1) for name in classes)


def test_a_class_named_as_a_number_that_is_none_is_a_caution(facts):
    assert dict(cautions(facts | {"classes": ["-Infinity", "5"]}))[Unseen.UNLABELLED] == pytest.approx(3 / 8)


def test_no_caution_where_the_model_reads_all(model):
    sentences = [("good film", 1), ("bad film", 0), ("the film", 1)]
    parts = {"train": part(model, sentences), "eval": part(model, [("good", 1), ("bad", 0)])}
    found = inspect(parts, model, ["no", "yes"], max_lengths=[8], train_sizes=[None], shown=True)
    assert not list(cautions(found))
    assert found["unknown_pieces"] == []


def test_the_pieces_that_are_unknown(facts):
    assert facts["unknown_pieces"] == [(AMHARIC, 1), (PEACE, 1), (SAFE, 1)]


def test_sentences_as_the_model_gets_them(facts):
    """Of each class in turn; of seven tokens the first three of four stay, and the last."""
    sample = facts["sample"]
    assert [row["label"] for row in sample] == ["no", "yes", "no", "yes", "yes", "yes"]
    assert sample[2]["text"] == f"{PEACE} film"
    assert sample[2]["tokens"] == ["[CLS]", "[UNK]", "film", "[SEP]"]
    assert [(row["count"], row["lost"]) for row in sample] == [(4, [])] * 4 + [(7, [3, 4, 5])] * 2


def test_pairs_as_the_model_gets_them(tmp_path, model):
    """[CLS] the the good film [SEP] bad Amharic [SEP] at 6 tokens: of nine, three, of the longer text first."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    template = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.post_processor = processors.TemplateProcessing(*template)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    texts = [f"the the good film\nbad {AMHARIC}", "good\nbad"]
    train = Part(texts, encode(list(map(texts_in, texts)), [0, 1], tmp_path))
    found = inspect(
        {"train": train, "eval": train}, tmp_path, ["no", "yes"], max_lengths=[6], train_sizes=[None], shown=True
    )
    assert found["alike"]["first_in_both"] == 2
    names = ("tokens", "unknown", "with_unknown")
    assert [found["parts"]["train"][name] for name in names] == [8, 1, 1]
    assert found["parts"]["train"]["cut"] == [{"max_length": 6, "sentences": 1, "tokens": 3}]
    assert found["unknown_pieces"] == [(AMHARIC, 2)]
    assert [row["lost"] for row in found["sample"]] == [[3, 4, 7], []]
    assert [row["text"].split(SHOWN) for row in found["sample"]] == [text.split("\n") for text in texts]


def test_first_texts_in_both_parts_are_counted_of_pairs_alone():
    assert first_text_facts(["a\nb", "c\nd"], ["a\nd", "b\nb", "a\ne"]) == {"first_in_both": 2}
    assert first_text_facts(["a"], ["a"]) == {}


def test_private_texts_are_not_among_the_facts(model):
    parts = {"train": part(model, TRAIN), "eval": part(model, EVAL)}
    found = inspect(parts, model, ["no", "yes"], max_lengths=[6], train_sizes=[None], shown=False)
    assert PEACE not in json.dumps(found, ensure_ascii=False)


def test_a_tokeniser_that_knows_every_byte_has_no_unknown_token(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert unknown_id(tmp_path, tokenizer) is None


def test_the_unknown_token_of_a_unigram_model_is_a_number(tmp_path):
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert unknown_id(tmp_path, tokenizer) == 0
