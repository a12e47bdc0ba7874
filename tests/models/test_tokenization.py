"""transformers is the judge: AutoTokenizer of the source and of what is written, and the encoded data, agree."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from tokenizers import AddedToken, BertWordPieceTokenizer, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from finevar import PACKAGE
from finevar.data.encoding import encode
from finevar.errors import InputError
from finevar.models import tokenization
from finevar.models.tokenization import PROBES, convert_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, "the", "The", "cafe", "caf\u00e9", "Caf\u00e9", "\u4e2d", "\u56fd", "##\u56fd", "\u4e2d\u56fd"]
VOCABULARY += ["film", "##s", "Film", "un", "##aff", "##able", "!", "[", "]", "sep", "SEP", "x", "##x", "y", "i", "'"]
VOCABULARY += ["t", "don", "NEW", "new", "<", ">", "e", "##e", "a", "##a", "A", "##A", "pad"]
VOCABULARY += ["\u0301", "hello", "Hello"]
WORDS, POSITIONS = len(VOCABULARY) + 4, 24
TEXTS = ["the film", "The Film", "caf\u00e9 Caf\u00e9 cafe", "\u4e2d\u56fd film", "[SEP] the", "the [PAD] x", "[sep] x"]
TEXTS += ["don't", "NEW new hello Hello", "<e> the", "the<e>film", "NEWfilm", "e\u0301 \u00e9", "\u0130i", "x" * 101]
TEXTS += ["films AAA aaa", "\U0001f600 film", "x\u0000y", "x\ufffdy", "\u00a0x\u3000y", "[CLS]", " \u200b ", ""]
TEXTS += ["the " * 600]


def wordpiece(normalizer, split, *, frame: bool = True, model=None) -> Tokenizer:
    """Return a tokenizer of the words above by a pipeline that is not BERT's."""
    words = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(model or models.WordPiece(words, unk_token="[UNK]"))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split
    if frame:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return tokenizer


def berts(folder: Path, **options: bool) -> Tokenizer:
    """Return BERT's own tokenizer of the words above, as tokenizer.json holds it."""
    (folder / "words").write_text("\n".join(VOCABULARY))
    tokenizer = Tokenizer.from_str(BertWordPieceTokenizer(str(folder / "words"), **options).to_str())
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def source(folder: Path, *, tokenizer: Tokenizer | None = None, settings=None, model_type="bert", **others) -> Path:
    """Write a checkpoint's tokenizer: tokenizer.json, or else vocab.txt, its config, and other JSON files by name."""
    path = folder / "source"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    if tokenizer is None:
        (path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    else:
        tokenizer.save(str(path / "tokenizer.json"))
    if settings is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
    for name, value in others.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    return path


def converted(path: Path) -> Path:
    output = path.with_name("converted")
    output.mkdir()
    convert_tokenizer(path, output, words=WORDS, positions=POSITIONS, where="source tiny")
    (output / "config.json").write_text(
        json.dumps({"model_type": "distilbert", "vocab_size": WORDS, "max_position_embeddings": POSITIONS})
    )
    return output


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        converted(path)
    return str(caught.value)


def assert_same_ids(path: Path) -> list[list[int]]:
    """Fail unless all three readers agree on texts that conversion did not probe; return the ids."""
    output = converted(path)
    expected = AutoTokenizer.from_pretrained(path)(TEXTS)["input_ids"]
    loaded = AutoTokenizer.from_pretrained(output)
    assert loaded(TEXTS)["input_ids"] == expected
    encoded = encode(TEXTS, [0] * len(TEXTS), output)
    assert [encoded.sentence(number, 10**6).tolist() for number in range(len(TEXTS))] == expected
    cut = AutoTokenizer.from_pretrained(path)(TEXTS, truncation=True, max_length=7)["input_ids"]
    assert loaded(TEXTS, truncation=True, max_length=7)["input_ids"] == cut
    assert [encoded.sentence(number, 7).tolist() for number in range(len(TEXTS))] == cut
    assert set(loaded("x")) == {"input_ids", "attention_mask"}
    assert loaded.model_max_length == POSITIONS
    assert type(loaded).__name__ in ("PreTrainedTokenizerFast", "TokenizersBackend")
    assert json.loads((output / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    return expected


ADDED = {
    "content": "<e>",
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "single_word": False,
    "special": False,
}
SETTINGS = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False},
    {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
    {"added_tokens_decoder": {str(len(VOCABULARY)): ADDED}},
    {"added_tokens_decoder": {str(len(VOCABULARY)): ADDED | {"special": True, "lstrip": True, "rstrip": True}}},
    {"additional_special_tokens": ["NEW"]},
    {"extra_special_tokens": ["NEW", "hello"]},
    {"cls_token": "the", "sep_token": "x"},
    {"unk_token": "pad", "mask_token": None},
    {"model_max_length": 3, "padding_side": "left"},
]


@pytest.mark.parametrize("kind", ["BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", None])
@pytest.mark.parametrize("settings", SETTINGS, ids=json.dumps)
def test_a_vocabulary_is_read_as_its_config_asks(tmp_path, settings, kind):
    stated = {"tokenizer_class": kind} if kind else {}
    assert_same_ids(source(tmp_path, settings=stated | settings))


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("settings", [*SETTINGS, None], ids=json.dumps)
def test_the_config_wins_over_tokenizer_json_where_it_does_in_transformers(tmp_path, settings, lowercase):
    tokenizer = berts(tmp_path, lowercase=lowercase)
    assert_same_ids(source(tmp_path, tokenizer=tokenizer, settings=settings, model_type="distilbert"))


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
@pytest.mark.parametrize(
    "others",
    [
        {"added_tokens": {"<e>": len(VOCABULARY)}},
        {"special_tokens_map": {"additional_special_tokens": ["NEW"], "cls_token": "the"}},
        {
            "special_tokens_map": {
                "mask_token": {"content": "<m>", "lstrip": True, "rstrip": False, "normalized": False}
            }
        },
    ],
    ids=json.dumps,
)
def test_what_lies_beside_a_vocabulary_is_read(tmp_path, others, model_type):
    assert_same_ids(source(tmp_path, settings={"tokenizer_class": "BertTokenizer"}, model_type=model_type, **others))


PIPELINES = {
    "cased": lambda: wordpiece(normalizers.NFC(), pre_tokenizers.BertPreTokenizer()),
    "blanks": lambda: wordpiece(None, pre_tokenizers.WhitespaceSplit()),
    "upper": lambda: wordpiece(normalizers.Replace("the", "The"), pre_tokenizers.Whitespace()),
    "words": lambda: wordpiece(
        normalizers.Lowercase(),
        pre_tokenizers.Whitespace(),
        model=models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"),
    ),
    "letters": lambda: wordpiece(
        None,
        pre_tokenizers.ByteLevel(add_prefix_space=True),
        model=models.BPE({word: number for number, word in enumerate(VOCABULARY)}, [("x", "y")][:0], unk_token="[UNK]"),
    ),
}


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize("added", [False, True])
def test_a_pipeline_that_is_not_berts_is_kept(tmp_path, pipeline, added):
    tokenizer = pipeline()
    if added:
        tokenizer.add_tokens([AddedToken("<e>", normalized=False), AddedToken("NEW", normalized=True, lstrip=True)])
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    ids = assert_same_ids(
        source(tmp_path, tokenizer=tokenizer, settings={"tokenizer_class": "PreTrainedTokenizerFast"} | names)
    )
    assert not added or len(VOCABULARY) in ids[TEXTS.index("<e> the")]


def test_what_cuts_and_pads_is_not_kept(tmp_path):
    tokenizer = berts(tmp_path)
    tokenizer.enable_truncation(6)
    tokenizer.enable_padding(length=6)
    path = source(tmp_path, tokenizer=tokenizer, settings={"tokenizer_class": "BertTokenizer"})
    written = json.loads((converted(path) / "tokenizer.json").read_text())
    assert (written["truncation"], written["padding"]) == (None, None)


def test_no_sentence_is_without_tokens(tmp_path):
    """Not even of characters that the normaliser drops: attention over nothing would be no number."""
    encoded = encode([*PROBES, *TEXTS], [0] * len([*PROBES, *TEXTS]), converted(source(tmp_path)))
    assert (encoded.offsets[1:] - encoded.offsets[:-1]).min() == 2


# Refused --------------------------------------------------------------------------------------------------------------

FAST = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}


@pytest.mark.parametrize(
    ("single", "found"),
    [
        (None, "a text of no words encoded as 0 tokens"),
        ("[CLS] $A", "a text of no words encoded as 1 tokens"),
        ("[CLS] $A [SEP] [SEP]", "a text of no words encoded as 3 tokens"),
        ("[CLS] [SEP] $A", "texts that do not all begin and end with the tokens that a text of no words has"),
        ("$A [CLS] [SEP]", "texts that do not all begin and end"),
    ],
)
def test_a_tokenizer_that_does_not_frame_a_text_is_refused_with_a_remedy_that_works(tmp_path, single, found):
    tokenizer = wordpiece(None, pre_tokenizers.BertPreTokenizer(), frame=False)
    if single:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    path = source(tmp_path, tokenizer=tokenizer, settings=FAST)
    message = refusal(path)
    assert f"source tiny, tokenizer: found {found}" in message
    shutil.rmtree(tmp_path / "converted")
    mended = AutoTokenizer.from_pretrained(path)
    exec(message.split("set `")[1].split("`")[0], {"tokenizer": mended, "tokenizers": tokenizers})
    mended.save_pretrained(path)
    assert assert_same_ids(path)[TEXTS.index("don't")] == [2, *map(VOCABULARY.index, ["don", "'", "t"]), 3]


def test_tokens_of_a_second_segment_are_refused(tmp_path):
    tokenizer = wordpiece(None, pre_tokenizers.BertPreTokenizer())
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:1 [SEP]:0", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    message = refusal(source(tmp_path, tokenizer=tokenizer, settings=FAST))
    assert "found tokens of another segment than the first" in message


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"tokenizer_class": "CanineTokenizer"}, 'found "CanineTokenizer", which tokenizer.json cannot hold'),
        ({"tokenizer_class": "BertTokenizerLegacy"}, 'found "BertTokenizerLegacy", which tokenizer.json cannot hold'),
        ({"tokenizer_class": "AutoModel"}, 'found "AutoModel", which tokenizer.json cannot hold'),
        ({"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}, 'found "Own", code of its own'),
        ({"tokenizer_class": "XLMRobertaTokenizer"}, "the class that its config names, does not read vocab.txt"),
        ({"tokenizer_class": ["BertTokenizer"]}, "found a tokenizer that cannot be read (TypeError"),
        ({"auto_map": 3}, "found a tokenizer that cannot be read"),
        ({"cls_token": 3}, "found a tokenizer that cannot be read"),
        ({"additional_special_tokens": list("bcdfg")}, f"found token number {len(VOCABULARY) + 4}"),
        ({"added_tokens_decoder": {"1": 2}}, "found a tokenizer that cannot be read (TypeError"),
        ({"split_special_tokens": True}, "once it is written as tokenizer.json"),
    ],
    ids=str,
)
def test_a_tokenizer_that_is_not_data_alone_or_does_not_fit_is_refused(tmp_path, settings, found):
    path = source(tmp_path, settings=settings)
    (path / "own.py").write_text("raise SystemExit('run')")
    assert found in refusal(path)


def test_code_beside_a_tokenizer_of_a_known_class_is_ignored(tmp_path):
    settings = {"tokenizer_class": "BertTokenizer", "auto_map": {"AutoTokenizer": ["own.Own", "own.OwnFast"]}}
    path = source(tmp_path, settings=settings)
    (path / "own.py").write_text("raise SystemExit('run')")
    assert_same_ids(path)
    assert "auto_map" not in (path.with_name("converted") / "tokenizer_config.json").read_text()


def test_a_machine_that_fails_is_no_fault_of_the_tokenizer(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tokenization, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        converted(source(tmp_path))


def test_transformers_is_imported_only_where_a_model_is_fetched_or_exported():
    """It takes seconds, which a training is not to pay."""
    code = "import sys, finevar.models.fetch, finevar.training.job; print('transformers' in sys.modules)"
    scripts = PACKAGE.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_vocabulary_of_many_languages_is_read_without_a_network(tmp_path):
    """Of more than 100,000 words transformers would ask the Hub whose they are."""
    words = [*VOCABULARY, *(f"w{number}" for number in range(100_001))]
    path = source(tmp_path, settings={"do_lower_case": False})
    (path / "vocab.txt").write_text("\n".join(words))
    output = tmp_path / "converted"
    output.mkdir()
    convert_tokenizer(path, output, words=len(words), positions=POSITIONS, where="source tiny")
    encoded = encode(["The w100000"], [0], output)
    assert encoded.tokens.tolist() == [2, VOCABULARY.index("The"), len(words) - 1, 3]
