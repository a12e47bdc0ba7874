"""Token ids against Hugging Face's own tokeniser, on a WordPiece vocabulary made here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from finevar.data.encoding import encode, encoded_sha256, load_encoded, save_encoded
from finevar.errors import Damage, InputError

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "fine",
    "tun",
    "##ing",
    "##e",
    "the",
    "model",
    "##s",
    "!",
    ",",
    "a",
]
CLS, SEP, UNK = 2, 3, 1
TEXTS = [
    "Fine, fine tuning the models!",
    "a",
    "the unknownword",
    "THE MÓDEL",
    "  fine\ttune  ",
    "[SEP] in the text",
    "\u4f60 a",
    " ".join(["fine"] * 40),
]


@pytest.fixture
def model(tmp_path) -> Path:
    """Write a tokeniser whose own file asks for truncation and padding, as published ones do."""
    tokeniser = Tokenizer(models.WordPiece({piece: k for k, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokeniser.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokeniser.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokeniser.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    tokeniser.add_special_tokens(PIECES[:5])
    tokeniser.enable_truncation(max_length=6)
    tokeniser.enable_padding(length=6)
    tokeniser.save(str(tmp_path / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "model_max_length": 64}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(facts))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "distilbert"}))
    return tmp_path


def test_ids_by_hand(model):
    encoded = encode(["Fine, fine tuning the models!"], [1], model)
    words = ["[CLS]", "fine", ",", "fine", "tun", "##ing", "the", "model", "##s", "!", "[SEP]"]
    assert encoded.sentence(0, 64).tolist() == [PIECES.index(word) for word in words]


@pytest.mark.parametrize("max_length", [64, 8, 3])
def test_ids_are_those_of_transformers(model, max_length):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(model)(TEXTS, truncation=True, max_length=max_length)["input_ids"]
    encoded = encode(TEXTS, [0] * len(TEXTS), model)
    assert [encoded.sentence(number, max_length).tolist() for number in range(len(TEXTS))] == theirs


def test_a_cut_sentence_keeps_its_closing_token(model):
    encoded = encode([TEXTS[-1], "a"], [0, 1], model)
    assert encoded.sentence(0, 5).tolist() == [CLS, 5, 5, 5, SEP]
    assert len(encoded.sentence(0, 42)) == 42
    assert encoded.sentence(1, 3).tolist() == [CLS, PIECES.index("a"), SEP]


def test_a_sentence_does_not_depend_on_its_company(model):
    together = encode(TEXTS, [0] * len(TEXTS), model)
    for number, text in enumerate(TEXTS):
        assert together.sentence(number, 64).tolist() == encode([text], [0], model).sentence(0, 64).tolist()


def test_what_is_saved_is_loaded(model, tmp_path):
    encoded = encode(TEXTS, list(range(len(TEXTS))), model)
    save_encoded(encoded, tmp_path / "encoded.safetensors")
    loaded = load_encoded(tmp_path / "encoded.safetensors")
    assert len(loaded) == len(TEXTS)
    for name in ("tokens", "offsets", "labels"):
        assert np.array_equal(getattr(loaded, name), getattr(encoded, name))
        assert getattr(loaded, name).dtype == getattr(encoded, name).dtype
    assert loaded.sentence(2, 64).tolist() == [CLS, PIECES.index("the"), UNK, SEP]


def test_token_ids_are_mapped_rather_than_read(model, tmp_path):
    save_encoded(encode(TEXTS, [0] * len(TEXTS), model), tmp_path / "encoded.safetensors")
    assert isinstance(load_encoded(tmp_path / "encoded.safetensors").tokens, np.memmap)


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_token_ids_that_are_not_whole_are_named(model, tmp_path, kept):
    path = tmp_path / "encoded.safetensors"
    save_encoded(encode(TEXTS, [0] * len(TEXTS), model), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Damage) as caught:
        load_encoded(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, b"\xff" * 200, b"\x02" + b"\0" * 7 + b"{}", b"\x02" + b"\0" * 7 + b"\xff{"]
)
def test_a_file_without_a_header_of_token_ids_is_quarantined_before_its_hash_is_believed(tmp_path, data):
    path = tmp_path / "encoded.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError):
        encoded_sha256(path)
    assert not path.exists()
    with pytest.raises(InputError):
        encoded_sha256(path)


def test_the_hash_of_token_ids_is_that_of_their_file_with_its_seal_blank(model, tmp_path):
    path = tmp_path / "encoded.safetensors"
    save_encoded(encode(TEXTS, [0] * len(TEXTS), model), path)
    found = encoded_sha256(path)
    assert hashlib.sha256(path.read_bytes().replace(found.encode(), b"0" * 64)).hexdigest() == found
