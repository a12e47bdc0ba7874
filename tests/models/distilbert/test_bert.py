"""Hugging Face's BertForSequenceClassification is the judge of sentence pairs with token types."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import processors
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

import tiny
from finevar import files
from finevar.data.encoding import encode
from finevar.errors import InputError
from finevar.models.checkpoint import fit_head, load_model
from finevar.models.families import convert

PAIRS = [
    ("good film", "a bad plot"),
    ("the film was good and the story was superb", "dull"),
    ("weak", "the cast with the music and a story was great"),
    ("good [SEP] film", "film"),
]
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
LENGTHS = [64, 10]


def bert(folder: Path, **settings) -> Path:
    """Write a BERT of random weights whose two token types differ much, with a classifier."""
    torch.manual_seed(3)
    known = {"vocab_size": tiny.WORDS, "max_position_embeddings": 64, "id2label": dict(enumerate("abc"))}
    tiny.save(BertForSequenceClassification(BertConfig(**(known | SIZES | settings))), folder)
    edit_template(folder, "[CLS] $A [SEP] $B:1 [SEP]:1")
    return folder


def edit_template(folder: Path, pair: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", pair, [("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save_pretrained(folder)


def converted(folder: Path, *, pairs: bool = True) -> Path:
    output = folder.with_name(f"{folder.name}-converted")
    output.mkdir()
    convert(folder, output, where="source tiny", pairs=pairs)
    files.write_sums(output)
    return output


def theirs(folder: Path, texts: list, max_length: int, **asked: bool) -> torch.Tensor:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    columns = list(map(list, zip(*texts, strict=True))) if isinstance(texts[0], tuple) else [texts]
    rows = tokenizer(*columns, padding=True, truncation=True, max_length=max_length, return_tensors="pt", **asked)
    assert "token_type_ids" in rows
    return model.eval()(**rows).logits


def ours(folder: Path, texts: list, max_length: int, *, pads: bool = False) -> tuple[torch.Tensor, dict]:
    weights, family = load_model(folder)
    weights = {name: weight.requires_grad_() for name, weight in weights.items()}
    examples, numbers = encode(texts, [0] * len(texts), folder), list(range(len(texts)))
    sentences = [examples.sentence(number, max_length) for number in numbers]
    seconds = examples.seconds(numbers, max_length)
    batch = family.batch(sentences, seconds)
    if pads:
        lengths = torch.tensor([len(sentence) for sentence in sentences])
        rows = [torch.from_numpy(sentence.astype(np.int64)) for sentence in sentences]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        pad = family.padder(*tokens.shape, torch.device("cpu"))
        batch = pad(tokens, lengths, lengths if seconds is None else torch.tensor(seconds))
    return family.forward(weights, torch.float32)(batch, None), weights


@pytest.mark.parametrize("max_length", LENGTHS)
@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("texts", [PAIRS, [text for text, _ in PAIRS]], ids=["pairs", "texts"])
def test_logits_are_those_of_transformers_before_and_after_conversion(tmp_path, texts, pads, max_length):
    source = bert(tmp_path / "bert")
    output = converted(source)
    logits, _ = ours(output, texts, max_length, pads=pads)
    torch.testing.assert_close(logits, theirs(output, texts, max_length), rtol=0, atol=1e-5)
    expected = theirs(source, texts, max_length, return_token_type_ids=True)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_token_types_decide_the_logits(tmp_path):
    """By a hundred times the tolerance above, so that it would show types that are lost."""
    output = converted(bert(tmp_path / "bert"))
    weights, family = load_model(output)
    examples = encode(PAIRS, [0] * len(PAIRS), output)
    sentences = [examples.sentence(number, 64) for number in range(len(PAIRS))]
    untyped = family.forward(weights, torch.float32)(family.batch(sentences), None)
    assert (ours(output, PAIRS, 64)[0] - untyped).abs().max() > 1e-3


def test_gradients_are_those_of_transformers(tmp_path):
    output, labels = converted(bert(tmp_path / "bert")), torch.tensor([0, 1, 2, 1])
    logits, weights = ours(output, PAIRS, 64)
    F.cross_entropy(logits, labels).backward()
    tokenizer, model = AutoTokenizer.from_pretrained(output), AutoModelForSequenceClassification.from_pretrained(output)
    rows = tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    F.cross_entropy(model.eval()(**rows).logits, labels).backward()
    assert weights.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(weights[name].grad, parameter.grad, rtol=1e-4, atol=1e-6)


def test_dropout_acts_where_berts_does(tmp_path):
    """By the logits' spread over 4,000 draws, whose own relative error is 1.1 percent."""
    output, count = converted(bert(tmp_path / "bert", attention_probs_dropout_prob=0.2)), 4_000
    weights, family = load_model(output)
    examples = encode(PAIRS[:1], [0], output)
    batch = family.batch([examples.sentence(0, 64)] * count, examples.seconds([0], 64) * count)
    with torch.no_grad():
        own = family.forward(weights, torch.float32)(batch, torch.Generator().manual_seed(1))
        model = AutoModelForSequenceClassification.from_pretrained(output).train()
        rows = AutoTokenizer.from_pretrained(output)([PAIRS[0]] * count, return_tensors="pt")
        torch.manual_seed(2)
        other = model(**rows).logits
    assert (family.dropout, family.attention_dropout, family.head_dropout) == (0.1, 0.2, 0.1)
    torch.testing.assert_close(own.std(0), other.std(0), rtol=0.06, atol=0)


def test_the_pooler_is_kept_and_a_head_of_other_classes_drawn(tmp_path):
    output = converted(bert(tmp_path / "bert"))
    weights, family = load_model(output)
    source = load_file(tmp_path / "bert/model.safetensors")
    assert {name: weight.tolist() for name, weight in weights.items()} == {
        name: weight.tolist() for name, weight in source.items()
    }
    fit_head(weights, family, list("abc"), ["no", "yes"], seed=0)
    assert weights["classifier.weight"].shape == (2, 32)
    assert torch.equal(weights["bert.pooler.dense.weight"], source["bert.pooler.dense.weight"])
    assert json.loads((output / "config.json").read_text())["id2label"] == {"0": "a", "1": "b", "2": "c"}


def test_an_encoder_alone_is_converted_and_given_a_head(tmp_path):
    tiny.make_bert(tmp_path / "bert")
    edit_template(tmp_path / "bert", "[CLS] $A [SEP] $B:1 [SEP]:1")
    weights, family = load_model(converted(tmp_path / "bert"))
    assert "classifier.weight" not in weights
    fit_head(weights, family, [], ["no", "yes"], seed=0)
    assert family.blocks() == ["bert.embeddings.", "bert.encoder.layer.0.", "bert.encoder.layer.1."]
    assert weights["classifier.weight"].shape == (2, 32)


def test_without_pairs_a_bert_is_still_a_distilbert(tmp_path):
    output = converted(bert(tmp_path / "bert"), pairs=False)
    assert json.loads((output / "config.json").read_text())["model_type"] == "distilbert"


@pytest.mark.parametrize(
    ("types", "pair"),
    [(1, "[CLS] $A [SEP] $B:1 [SEP]:1"), (2, "[CLS] $A [SEP] $B [SEP]"), (2, "[CLS]:1 $A:1 [SEP]:1 $B [SEP]")],
)
def test_token_types_other_than_berts_are_refused(tmp_path, types, pair):
    source = bert(tmp_path / "bert", type_vocab_size=types)
    edit_template(source, pair)
    with pytest.raises(InputError, match="types"):
        converted(source)
