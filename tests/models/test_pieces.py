"""A tokenizer that is a sentencepiece model alone: what is written gives the ids that sentencepiece itself gives."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import pytest

from finevar.data.encoding import encode
from finevar.errors import InputError
from finevar.models.tokenization import convert_tokenizer
from finevar.study.identity import local_model_files

CORPUS = [
    "A good film, a great story of 5,000 words.",
    "Caf\u00e9, na\u00efve stra\u00dfe",
    "fine ligatures: 1/2 full width",
]
TEXTS = [
    "A good  film",
    "na\u00efve cafe\u0301",
    "\ufb01ne \u00bd",
    "\uff26\uff35\uff2c\uff2c",
    "a\tfilm\n",
    "5,00",
    "\u4e2d \U0001f600",
    "",
]
MODELS = {
    "xlm-roberta": ("sentencepiece.bpe.model", {"unk_id": 0, "bos_id": 1, "eos_id": 2}),
    "deberta-v2": (
        "spm.model",
        {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
        | {"unk_piece": "[UNK]", "pad_piece": "[PAD]"},
    ),
    "albert": ("spiece.model", {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1}
               | {"control_symbols": "[CLS],[SEP],[MASK]"}),
}  # fmt: skip


def make(kind: str, folder: Path, corpus: list[str] = CORPUS):
    """Write a checkpoint's tokenizer as a sentencepiece model alone; return that as sentencepiece reads it."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed, and need not be")
    pytest.importorskip("google.protobuf", reason="protobuf is not installed, and need not be")
    name, options = MODELS[kind]
    folder.mkdir()
    with (folder / name).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus * 20), model_writer=file, vocab_size=60, hard_vocab_limit=False,
            minloglevel=2, **options,
        )  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / name))


def converted(folder: Path) -> list[list[int]]:
    """Return the ids of the texts by what is written for a checkpoint."""
    output = folder.with_name("converted")
    output.mkdir()
    notes = convert_tokenizer(folder, output, words=100, positions=64, where="tiny")
    assert notes == [f"tokenizer.json built from {next(folder.glob('*.model')).name}"]
    encoded = encode(TEXTS, [0] * len(TEXTS), output)
    return [encoded.sentence(number, 64).tolist() for number in range(len(TEXTS))]


def test_xlm_roberta_has_the_ids_of_sentencepiece_moved_by_one(tmp_path):
    """Source: fairseq's dictionary, <s> <pad> </s> <unk> before the pieces, of which sentencepiece has three."""
    model = make("xlm-roberta", tmp_path / "model")
    assert converted(tmp_path / "model") == [[0, *(one + 1 if one else 3 for one in model.encode(t)), 2] for t in TEXTS]


def test_deberta_has_the_ids_of_sentencepiece(tmp_path):
    model = make("deberta-v2", tmp_path / "model")
    assert converted(tmp_path / "model") == [[1, *model.encode(text), 2] for text in TEXTS]


def test_albert_has_the_ids_of_sentencepiece_for_small_letters_without_accents(tmp_path):
    model = make("albert", tmp_path / "model", ["a good film, a great story", "cafe naive fine strasse 1/2 full"])
    plain = {TEXTS[0]: "a good film", TEXTS[1]: "naive cafe", TEXTS[3]: "full"}
    assert converted(tmp_path / "model") == [[2, *model.encode(plain.get(text, text)), 3] for text in TEXTS]


def test_a_model_that_no_reading_reproduces_is_refused(tmp_path):
    """Hangul is taken apart with the accents and not put together again."""
    make("albert", tmp_path / "model", ["\ud55c\uad6d\uc5b4 film", *CORPUS])
    with pytest.raises(InputError, match=r"spiece\.model: found other tokens than sentencepiece's in 1 of "):
        converted(tmp_path / "model")


def test_without_the_package_the_message_names_the_command(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/spiece.model").write_bytes(b"")
    real = builtins.__import__

    def without(name: str, *arguments, **options):
        if name == "sentencepiece":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"spiece\.model: .*-m pip install sentencepiece protobuf"):
        converted(tmp_path / "model")


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
def test_the_model_is_known_by_the_file_that_is_read(tmp_path, name):
    for file in ("config.json", "model.safetensors", "spm.model"):
        (tmp_path / file).touch()
    source = {"kind": "local", "path": str(tmp_path)}
    assert [path.name for path in local_model_files(source)] == ["config.json", "model.safetensors", "spm.model"]
    (tmp_path / name).touch()
    assert [path.name for path in local_model_files(source)] == ["config.json", "model.safetensors", name]
