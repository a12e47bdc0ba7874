"""The family `transformers`: logits and gradients are those of transformers' own model, for each architecture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import encoders
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification

import tiny
from finevar import files
from finevar.data.encoding import Encoded
from finevar.errors import InputError
from finevar.models import checkpoint
from finevar.models.families import convert, read_family
from finevar.models.general import skeleton
from finevar.models.randomness import generator
from finevar.models.vocabulary import compact

LENGTHS = [5, 30, 2, 17, 9, 30, 12, 7, 3, 21]


def converted(kind: str, folder: Path, **config) -> tuple[Path, torch.nn.Module]:
    """Return a tiny model's converted folder, and the model."""
    model = encoders.make(kind, folder / "model", **config)
    (folder / "converted").mkdir()
    convert(folder / "model", folder / "converted", where="tiny", family="transformers")
    files.write_sums(folder / "converted")
    return folder / "converted", model


def examples(lengths: list[int] = LENGTHS, seed: int = 0) -> Encoded:
    """Return sentences of word tokens; some hold the token of padding, as text may."""
    draw = np.random.default_rng(seed)
    ids = [np.concatenate([[2], draw.choice([0, *range(5, tiny.WORDS)], length - 2), [3]]) for length in lengths]
    labels = np.arange(len(lengths)) % 2
    return Encoded(np.concatenate(ids).astype(np.int32), np.cumsum([0, *lengths]), labels)


def hugging_face(model: torch.nn.Module, given: Encoded, **more) -> torch.Tensor:
    """Return transformers' logits, each sentence by itself."""
    numbers = range(len(given))
    rows = [torch.from_numpy(given.sentence(number, 64).astype(np.int64))[None] for number in numbers]
    return torch.cat([model(input_ids=row, **more).logits for row in rows])


@pytest.mark.parametrize("kind", encoders.ALL)
def test_logits_and_gradients_are_those_of_transformers(tmp_path, kind):
    folder, model = converted(kind, tmp_path)
    given = examples()
    labels = torch.from_numpy(given.labels)
    expected = hugging_face(model, given)
    F.cross_entropy(expected, labels).backward()

    full, family = checkpoint.load_model(folder)
    weights, fewer, renumbered, rows = compact(full, family, given)
    weights = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    sentences = [renumbered.sentence(number, 64) for number in range(len(given))]
    logits = fewer.forward(weights, torch.float32)(fewer.batch(sentences), None)
    F.cross_entropy(logits, labels).backward()

    assert family.layout == ("flat" if kind in encoders.FLAT else "padded")
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    theirs = {name: weight.grad for name, weight in model.named_parameters()}
    assert set(theirs) == set(weights)
    theirs[family.embedding] = theirs[family.embedding][rows]
    for name, weight in weights.items():
        torch.testing.assert_close(
            weight.grad, theirs[name], rtol=1e-5, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "modernbert", "roberta"])
def test_batches_for_a_gpu_give_the_same_logits(tmp_path, kind):
    folder, model = converted(kind, tmp_path)
    given, (weights, family) = examples(), checkpoint.load_model(folder)
    lengths = torch.tensor(LENGTHS)
    tokens = torch.zeros(len(LENGTHS), 32, dtype=torch.int64)
    for number, length in enumerate(LENGTHS):
        tokens[number, :length] = torch.from_numpy(given.sentence(number, 64).astype(np.int64))
    batch = family.padder(len(LENGTHS), 32, torch.device("cpu"))(tokens, lengths, lengths)
    torch.testing.assert_close(
        family.forward(weights, torch.float32)(batch, None), hugging_face(model, given), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["bert", "electra", "albert", "roberta"])
def test_pairs_have_token_types_where_the_model_has_them(tmp_path, kind):
    folder, model = converted(kind, tmp_path)
    weights, family = checkpoint.load_model(folder)
    given, seconds = examples([9, 14]), [4, 6]
    sentences = [given.sentence(number, 64) for number in range(2)]
    logits = family.forward(weights, torch.float32)(family.batch(sentences, seconds), None)
    typed = kind != "roberta"
    assert family.typed == typed
    for number, (sentence, begin) in enumerate(zip(sentences, seconds, strict=True)):
        types = (torch.arange(len(sentence)) >= begin).long()[None] if typed else None
        ids = torch.from_numpy(sentence.astype(np.int64))[None]
        expected = model(input_ids=ids, token_type_ids=types).logits[0]
        torch.testing.assert_close(logits[number], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", encoders.ALL)
def test_dropout_draws_from_the_generator_alone_and_leaves_the_head_its_own(tmp_path, kind):
    folder, _ = converted(kind, tmp_path)
    weights, family = checkpoint.load_model(folder)
    sentences = [examples().sentence(number, 64) for number in range(len(LENGTHS))]

    def logits(rate: float, draws: int, noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        there = family.with_dropout(rate)
        return there.forward(weights, torch.float32)(there.batch(sentences), generator(draws, "dropout"))

    assert torch.equal(logits(0.3, 1, 1), logits(0.3, 1, 2))
    assert not torch.equal(logits(0.3, 1, 1), logits(0.3, 2, 1))
    base = f"{family.model().base_model_prefix}."
    places = {
        name: module.p for name, module in family.with_dropout(0.3).model().named_modules()
        if isinstance(module, torch.nn.Dropout)
    }  # fmt: skip
    own = {name: module.p for name, module in family.model().named_modules() if isinstance(module, torch.nn.Dropout)}
    assert {name for name in places if name.startswith(base)}
    for name, rate in places.items():
        assert rate == (0.3 if name.startswith(base) else own[name])


@pytest.mark.parametrize(
    ("kind", "first", "layers"), [("bert", "bert.embeddings", 2), ("electra", "electra.embeddings", 2),
                                  ("albert", "albert.embeddings", 0), ("modernbert", "model.embeddings", 3),
                                  ("distilbert", "distilbert.embeddings", 2), ("mpnet", "mpnet.embeddings", 2)]
)  # fmt: skip
def test_layers_that_can_be_frozen(tmp_path, kind, first, layers):
    folder, model = converted(kind, tmp_path)
    weights, family = checkpoint.load_model(folder)
    blocks = family.blocks()
    assert (blocks[0], len(blocks) - 1) == (first, layers)
    for block in blocks:
        assert any(name.startswith(block) for name in weights)
    assert set(weights) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("kind", encoders.ALL)
def test_a_head_is_drawn_for_other_classes_and_read_by_transformers(tmp_path, kind):
    folder, _ = converted(kind, tmp_path)
    weights, family = checkpoint.load_model(folder)
    start = {name: tensor.clone() for name, tensor in weights.items()}
    reason = checkpoint.fit_head(weights, family, checkpoint.own_labels(folder), ["a", "b", "c"], seed=0)
    checkpoint.save_model(weights, tmp_path / "saved", start=folder, classes=["a", "b", "c"])
    model, found = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert (reason.code, model.num_labels) == ("new", 3)
    assert not any(found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    changed = {name for name in weights if weights[name].shape != start[name].shape}
    assert changed == {f"{checkpoint.output_layer(family)}.{part}" for part in ("weight", "bias")}
    sentences = [examples().sentence(number, 64) for number in range(len(LENGTHS))]
    logits = family.forward(weights, torch.float32)(family.batch(sentences), None)
    torch.testing.assert_close(logits, hugging_face(model.eval(), examples()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert", "deberta-v2"])
def test_an_encoder_without_a_head_gets_one(tmp_path, kind):
    model = encoders.make(kind, tmp_path / "whole")
    (tmp_path / "model").mkdir()
    tiny.save(model.base_model, tmp_path / "model")
    (tmp_path / "converted").mkdir()
    convert(tmp_path / "model", tmp_path / "converted", where="tiny", family="transformers")
    files.write_sums(tmp_path / "converted")
    weights, family = checkpoint.load_model(tmp_path / "converted")
    assert checkpoint.own_labels(tmp_path / "converted") == []
    assert checkpoint.head_classes(weights, family) == 0
    checkpoint.fit_head(weights, family, [], tiny.CLASSES, seed=0)
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }


def test_a_bert_is_distilbert_unless_asked_otherwise(tmp_path):
    encoders.make("bert", tmp_path / "model")
    for name, asked, kind in (("fast", None, "FlatDistilBert"), ("own", "transformers", "Encoder")):
        (tmp_path / name).mkdir()
        convert(tmp_path / "model", tmp_path / name, where="tiny", family=asked)
        assert type(read_family(tmp_path / name)).__name__ == kind


def spoil(folder: Path, how: str) -> None:
    """Damage a saved model."""
    weights, path = load_file(folder / "model.safetensors"), folder / "config.json"
    config = json.loads(path.read_text())
    if how == "lacking":
        del weights["roberta.encoder.layer.1.output.dense.weight"]
    elif how == "another layer":
        weights["roberta.encoder.layer.2.output.dense.weight"] = torch.zeros(32, 64)
    elif how == "shape":
        weights["roberta.encoder.layer.1.output.dense.weight"] = torch.zeros(3, 3)
    elif how == "not finite":
        weights["roberta.encoder.layer.1.output.dense.weight"][0, 0] = float("nan")
    elif how == "code":
        config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}
    elif how == "sizes":
        config |= {"hidden_size": 33}
    else:
        config |= json.loads(how)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("lacking", r"no tensor roberta\.encoder\.layer\.1\.output\.dense\.weight"),
        ("another layer", r"unknown tensor roberta\.encoder\.layer\.2\.output"),
        ("shape", r"roberta\.encoder\.layer\.1\.output\.dense\.weight of shape \(3, 3\) instead of \(32, 64\)"),
        ("not finite", r"1 of 2,048 weights of tensor roberta\.encoder\.layer\.1\.output\.dense\.weight"),
        ("code", r"model_type.*found \"mine\""),
        ("sizes", r"33"),
        ('{"model_type": "gpt2"}', r"model_type: found \"gpt2\"\. .*no decoder"),
        ('{"is_decoder": true}', r"is_decoder: found true"),
        ('{"quantization_config": {"quant_method": "x"}}', r"quantization_config: .*not quantised"),
        ('{"pad_token_id": null}', r"other logits .*Set `pad_token_id`"),
        ('{"pad_token_id": -1}', r"pad_token_id: found -1"),
        ('{"pad_token_id": 99}', r"config\.json: found .*Padding_idx"),
        ('{"hidden_dropout_prob": "much"}', r"config\.json: found .*hidden_dropout_prob"),
        ('{"hidden_act": "sin"}', r"config\.json: found .*sin"),
        ('{"num_hidden_layers": 1000000000}', r"config\.json: found .*1000000000"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_refused_by_name(tmp_path, how, found):
    encoders.make("roberta", tmp_path / "model")
    spoil(tmp_path / "model", how)
    (tmp_path / "converted").mkdir()
    with pytest.raises(InputError, match=found):
        convert(tmp_path / "model", tmp_path / "converted", where="tiny")


@pytest.mark.parametrize(
    ("kind", "config", "lost", "labels"),
    [
        ("roberta", {}, "no such", tiny.CLASSES),
        ("roberta", {"id2label": {"1": "negative", "0": "positive"}}, "no such", tiny.CLASSES[::-1]),
        ("roberta", {"id2label": {"1": "negative", "2": "positive"}}, "no such", ["LABEL_0", "LABEL_1"]),
        ("roberta", {"return_dict": False, "output_attentions": True}, "no such", tiny.CLASSES),
        ("roberta", {"auto_map": {"AutoConfig": "code.Mine"}}, "no such", tiny.CLASSES),
        ("roberta", {"problem_type": "regression"}, "no such", []),
        ("roberta", {"problem_type": "multi_label_classification"}, "no such", []),
        ("bert", {}, "pooler", []),  # which the classifier's rows are of
        ("bert", {}, "classifier", []),
    ],
)
def test_a_head_is_kept_where_it_is_whole_and_says_one_of_two_classes_or_more(tmp_path, kind, config, lost, labels):
    model = encoders.make(kind, tmp_path / "model")
    weights = {name: tensor.half() for name, tensor in model.state_dict().items() if lost not in name}
    save_file(weights | {"lm_head.bias": torch.zeros(3)}, tmp_path / "model/model.safetensors")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    (tmp_path / "converted").mkdir()
    notes = convert(tmp_path / "model", tmp_path / "converted", where="tiny", family="transformers")
    files.write_sums(tmp_path / "converted")
    kept, family = checkpoint.load_model(tmp_path / "converted")
    assert "auto_map" not in json.loads((tmp_path / "converted/config.json").read_text())
    assert checkpoint.own_labels(tmp_path / "converted") == labels
    assert checkpoint.head_classes(kept, family) == len(labels)
    assert any(re.match(r"dropped: .*lm_head\.bias", note) for note in notes)
    for name, tensor in kept.items():
        assert torch.equal(tensor, weights[name].float()), name


def test_a_model_whose_logits_depend_on_padding_is_refused(tmp_path, monkeypatch):
    """ConvBERT's convolutions read it."""
    monkeypatch.setitem(encoders.ALL, "convbert", encoders.BERT_LIKE | {"embedding_size": 32})
    encoders.make("convbert", tmp_path / "model")
    (tmp_path / "converted").mkdir()
    with pytest.raises(InputError, match=r"padded \d\.\de-0\d"):
        convert(tmp_path / "model", tmp_path / "converted", where="tiny")


def test_dropout_of_a_model_without_any_is_refused(tmp_path, monkeypatch):
    folder, _ = converted("bert", tmp_path)
    assert read_family(folder).with_dropout(0.2).rate == 0.2
    monkeypatch.setattr(skeleton, "DROPOUT", re.compile("no such key"))
    with pytest.raises(InputError, match=r"dropout: found 0\.2\. Allowed: 0 alone"):
        read_family(folder).with_dropout(0.2)
    assert read_family(folder).with_dropout(0.0).rate == 0
