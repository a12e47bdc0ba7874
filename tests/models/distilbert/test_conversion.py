"""Hugging Face's own models are the judges: what a BERT computes, its conversion must compute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
)

from finevar.errors import InputError
from finevar.models.distilbert import conversion
from finevar.models.distilbert.conversion import convert_model

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "##s", "!"]
SIZES = {"vocab_size": 40, "max_position_embeddings": 24}
SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL_DISTILBERT = {"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 4}


def save_source(model, folder: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():  # the usual start is so near zero that errors would not show
            parameter.normal_(0.1, 0.3, generator=generator)
    model.save_pretrained(folder)
    write_vocabulary(folder)
    return folder


def write_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")


def bert(folder: Path, kind=BertModel, **settings) -> Path:
    return save_source(kind(BertConfig(**(SIZES | SMALL | settings))), folder)


def distilbert(folder: Path, kind=DistilBertModel, **settings) -> Path:
    return save_source(kind(DistilBertConfig(**(SIZES | SMALL_DISTILBERT | settings))), folder)


def converted(folder: Path) -> tuple[Path, list[str]]:
    output = folder.with_name(f"{folder.name}-converted")
    output.mkdir()
    return output, convert_model(folder, output, where="source tiny")


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        converted(folder)
    return str(caught.value)


def padded_batch(length: int) -> dict[str, torch.Tensor]:
    tokens = torch.randint(5, SIZES["vocab_size"], (3, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(tokens)
    mask[1, length // 2 :] = 0
    mask[2, 1:] = 0
    return {"input_ids": tokens * mask, "attention_mask": mask}


def assert_same_hidden(expected, actual, batch) -> None:
    with torch.no_grad():
        left = expected.eval()(**batch).last_hidden_state
        right = actual.eval()(**batch).last_hidden_state
    seen = batch["attention_mask"].bool()
    torch.testing.assert_close(left[seen], right[seen], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "sizes",
    [
        SMALL,
        {"hidden_size": 32, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1},
        SMALL | {"num_hidden_layers": 6, "hidden_size": 64, "hidden_act": "relu", "type_vocab_size": 1},
        SMALL | {"num_attention_heads": 16, "type_vocab_size": 5, "max_position_embeddings": 40},
    ],
)
def test_hidden_states_of_bert_survive(tmp_path, sizes):
    source = bert(tmp_path / "bert", **sizes)
    output, notes = converted(source)
    assert load_file(source / "model.safetensors")["embeddings.token_type_embeddings.weight"].abs().min() > 0
    model, report = DistilBertModel.from_pretrained(output, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    for length in (1, 2, 7, 24):
        assert_same_hidden(BertModel.from_pretrained(source), model, padded_batch(length))
    assert any("token-type row 0" in note for note in notes)
    assert "dropped: pooler" in notes


def test_sizes_and_rates_are_mapped(tmp_path):
    rates = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.4, "classifier_dropout": 0.05}
    output, _ = converted(bert(tmp_path / "bert", hidden_act="relu", initializer_range=0.5, **rates))
    config = DistilBertConfig.from_pretrained(output)
    assert (config.vocab_size, config.max_position_embeddings) == (40, 24)
    assert (config.dim, config.hidden_dim, config.n_layers, config.n_heads) == (16, 24, 2, 4)
    assert (config.dropout, config.attention_dropout, config.seq_classif_dropout) == (0.3, 0.4, 0.05)
    assert (config.activation, config.initializer_range, config.pad_token_id) == ("relu", 0.5, 0)


def test_head_dropout_of_a_bert_without_one_is_that_of_distilbert(tmp_path):
    output, _ = converted(bert(tmp_path / "bert"))
    assert json.loads((output / "config.json").read_text())["seq_classif_dropout"] == 0.2


def test_prefixed_checkpoint_and_its_heads(tmp_path):
    for kind, head in ((BertForMaskedLM, "cls"), (BertForSequenceClassification, "BERT's classifier")):
        source = bert(tmp_path / kind.__name__, kind)
        output, notes = converted(source)
        assert head in notes[1]
        assert set(load_file(output / "model.safetensors")) == {
            f"distilbert.{name}" for name in DistilBertModel.from_pretrained(output).state_dict()
        }
        assert "id2label" not in json.loads((output / "config.json").read_text())
        assert_same_hidden(BertModel.from_pretrained(source), DistilBertModel.from_pretrained(output), padded_batch(9))


def test_old_names_and_buffers(tmp_path):
    source = bert(tmp_path / "bert")
    expected = load_file(converted(source)[0] / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(source / "model.safetensors").items()
    }
    legacy = tmp_path / "legacy"
    legacy.mkdir()
    save_file(
        {f"bert.{name}": tensor for name, tensor in old.items()} | {"bert.embeddings.position_ids": torch.arange(24)},
        legacy / "model.safetensors",
    )
    (legacy / "config.json").write_text((source / "config.json").read_text())
    write_vocabulary(legacy)
    torch.testing.assert_close(load_file(converted(legacy)[0] / "model.safetensors"), expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_become_float32(tmp_path, dtype):
    source = distilbert(tmp_path / "model")
    stored = {name: tensor.to(dtype) for name, tensor in load_file(source / "model.safetensors").items()}
    save_file(stored, source / "model.safetensors")
    output = load_file(converted(source)[0] / "model.safetensors")
    expected = {f"distilbert.{name}": tensor.float() for name, tensor in stored.items()}
    torch.testing.assert_close(output, expected, rtol=0, atol=0)


def test_distilbert_passes_unchanged_with_its_head(tmp_path):
    names = {0: "negative", 1: "neutral", 2: "positive"}
    source = distilbert(
        tmp_path / "model",
        DistilBertForSequenceClassification,
        id2label=names,
        label2id={name: number for number, name in names.items()},
        seq_classif_dropout=0.35,
    )
    output, notes = converted(source)
    torch.testing.assert_close(
        load_file(output / "model.safetensors"), load_file(source / "model.safetensors"), rtol=0, atol=0
    )
    model = DistilBertForSequenceClassification.from_pretrained(output)
    assert model.config.id2label == names
    assert model.config.label2id["positive"] == 2
    assert model.config.seq_classif_dropout == 0.35
    assert notes == ["tokenizer.json built from vocab.txt"]


def test_head_without_class_names_gets_them(tmp_path):
    source = distilbert(tmp_path / "model", DistilBertForSequenceClassification)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({key: config[key] for key in config if "label" not in key}))
    written = json.loads((converted(source)[0] / "config.json").read_text())
    assert written["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}


@pytest.mark.parametrize(
    ("kind", "settings", "dropped"),
    [
        (DistilBertForMaskedLM, {}, "dropped: vocab_layer_norm, vocab_projector, vocab_transform"),
        (DistilBertForTokenClassification, {}, "dropped: classifier"),
        (DistilBertForSequenceClassification, {"num_labels": 1}, "dropped: classifier, pre_classifier"),
        (
            DistilBertForSequenceClassification,
            {"problem_type": "multi_label_classification"},
            "dropped: classifier, pre_classifier",
        ),
    ],
)
def test_heads_of_other_tasks_are_dropped(tmp_path, kind, settings, dropped):
    source = distilbert(tmp_path / "model", kind, **settings)
    if kind is DistilBertForMaskedLM:  # saved checkpoints may hold the tied decoder too
        tensors = load_file(source / "model.safetensors")
        tensors["vocab_projector.weight"] = tensors["distilbert.embeddings.word_embeddings.weight"].clone()
        save_file(tensors, source / "model.safetensors")
    output, notes = converted(source)
    assert dropped in notes
    assert all(name.startswith("distilbert.") for name in load_file(output / "model.safetensors"))
    assert "id2label" not in json.loads((output / "config.json").read_text())


@pytest.mark.parametrize(
    ("changes", "key", "found", "allowed"),
    [
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps", "1e-05", "1e-12"),
        ({"hidden_act": "gelu_new"}, "hidden_act", '"gelu_new"', '"gelu" or "relu"'),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type", '"relative_key"', '"absolute"'),
        ({"is_decoder": True}, "is_decoder", "true", "false"),
        ({"model_type": "roberta"}, "model_type", '"roberta"', '"distilbert" or "bert"'),
        ({"model_type": None}, "model_type", "null", '"distilbert" or "bert"'),
    ],
)
def test_what_cannot_be_exact_is_refused(tmp_path, changes, key, found, allowed):
    source = bert(tmp_path / "bert")
    edit_config(source, **changes)
    message = refusal(source)
    assert message.startswith(f"source tiny, config.json: {key}: found {found}. Allowed: {allowed}.")
    assert "use another one" in message


def test_activation_of_a_distilbert_is_checked(tmp_path):
    source = distilbert(tmp_path / "model")
    edit_config(source, activation="silu")
    assert 'config.json: activation: found "silu"' in refusal(source)


@pytest.mark.parametrize("kind", [bert, distilbert])
def test_a_config_is_read_as_transformers_reads_it(tmp_path, kind):
    """What is left out, as older checkpoints do, is at the library's default; other names of a key count as it does."""
    source = kind(tmp_path / "model")
    config = json.loads((source / "config.json").read_text())
    left_out = {"hidden_act", "activation", "initializer_range", "pad_token_id", "hidden_dropout_prob", "dropout"}
    left_out |= {"attention_dropout", "attention_probs_dropout_prob", "layer_norm_eps", "seq_classif_dropout"}
    others = {"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"}
    bare = {others.get(key, key): value for key, value in config.items() if key not in left_out}
    (source / "config.json").write_text(json.dumps(bare))
    expected = AutoConfig.from_pretrained(source)
    found = DistilBertConfig.from_pretrained(converted(source)[0])
    assert (found.dim, found.n_layers, found.n_heads) == (16, 2, 4)
    for key, name in conversion.BERT_SIZES.items():
        assert getattr(found, key) == getattr(expected, name if kind is bert else key)
    assert (found.pad_token_id, found.initializer_range) == (expected.pad_token_id, expected.initializer_range)


def test_a_size_that_is_not_stated_and_not_the_default_is_refused(tmp_path):
    source = distilbert(tmp_path / "model")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({key: config[key] for key in config if key != "dim"}))
    assert "of shape (40, 16) instead of (40, 768)" in refusal(source)


@pytest.mark.parametrize(("stated", "kept"), [(None, None), (0, 0), (7, 7), (-1, 39)])
def test_the_padding_token_is_kept(tmp_path, stated, kept):
    """As torch.nn.Embedding counts it: from the end where it is negative."""
    source = bert(tmp_path / "bert")
    edit_config(source, pad_token_id=stated)
    output = converted(source)[0]
    assert json.loads((output / "config.json").read_text())["pad_token_id"] == kept
    theirs = torch.nn.Embedding(40, 16, padding_idx=stated)
    assert DistilBertModel.from_pretrained(output).embeddings.word_embeddings.padding_idx == theirs.padding_idx


@pytest.mark.parametrize("stated", [40, -41, 1.0, True, "[PAD]", [0]])
def test_a_padding_token_that_is_none_is_refused(tmp_path, stated):
    source = bert(tmp_path / "bert")
    edit_config(source, pad_token_id=stated)
    assert f"config.json: pad_token_id: found {json.dumps(stated)}. Allowed: null or a whole number" in refusal(source)


@pytest.mark.parametrize(("text", "found"), [("{", "no valid JSON"), ("[1]", "JSON of type list")])
def test_config_that_is_no_object_is_refused(tmp_path, text, found):
    source = distilbert(tmp_path / "model")
    (source / "config.json").write_text(text)
    assert f"source tiny, config.json: found {found}" in refusal(source)


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path):
    source = distilbert(tmp_path / "model")
    edit_config(source, n_heads=3)
    assert "found 3 attention heads of a width of 16" in refusal(source)


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda tensors: tensors.pop("embeddings.LayerNorm.bias"), "no tensor distilbert.embeddings.LayerNorm.bias"),
        (
            lambda tensors: tensors.update({"transformer.layer.0.attention.q_lin.lora_A": torch.ones(2)}),
            "an unknown tensor distilbert.transformer.layer.0.attention.q_lin.lora_A",
        ),
        (
            lambda tensors: tensors.update({"embeddings.word_embeddings.weight": torch.ones(39, 16)}),
            "tensor distilbert.embeddings.word_embeddings.weight of shape (39, 16) instead of (40, 16)",
        ),
        (lambda tensors: tensors.update({"scale": torch.ones(2, dtype=torch.int8)}), "tensors of type I8"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, edit, found):
    source = distilbert(tmp_path / "model")
    tensors = load_file(source / "model.safetensors")
    edit(tensors)
    save_file(tensors, source / "model.safetensors")
    assert f"source tiny, model.safetensors: found {found}" in refusal(source)


def test_bert_without_token_types_is_refused(tmp_path):
    source = bert(tmp_path / "bert")
    tensors = load_file(source / "model.safetensors")
    del tensors["embeddings.token_type_embeddings.weight"]
    save_file(tensors, source / "model.safetensors")
    assert "found no tensor embeddings.token_type_embeddings.weight" in refusal(source)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused(tmp_path, value, dtype):
    if value == 1e300 and dtype != torch.float64:
        pytest.skip("which that type does not hold")
    source = distilbert(tmp_path / "model", DistilBertForSequenceClassification)
    tensors = load_file(source / "model.safetensors")
    name = "distilbert.transformer.layer.1.ffn.lin1.bias"
    tensors[name] = tensors[name].to(dtype)
    tensors[name][3] = value
    save_file(tensors, source / "model.safetensors")
    assert f"found 1 of 24 weights of tensor {name} that are not finite in float32" in refusal(source)


def test_a_tensor_that_is_dropped_may_hold_anything(tmp_path):
    source = bert(tmp_path / "bert")
    tensors = load_file(source / "model.safetensors")
    tensors["pooler.dense.bias"][0] = float("nan")
    save_file(tensors, source / "model.safetensors")
    assert "dropped: pooler" in converted(source)[1]


def test_damaged_weights_are_refused(tmp_path):
    source = distilbert(tmp_path / "model")
    whole = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "source tiny, model.safetensors: found a damaged file" in refusal(source)


@pytest.mark.parametrize("lowercase", [True, False])
def test_tokenizer_is_built_from_a_vocabulary(tmp_path, lowercase):
    source = distilbert(tmp_path / "model")
    (source / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowercase}))
    output, notes = converted(source)
    assert "tokenizer.json built from vocab.txt" in notes
    text = "A good films! zzz"
    expected = BertTokenizer.from_pretrained(source, do_lower_case=lowercase)(text)["input_ids"]
    assert Tokenizer.from_file(str(output / "tokenizer.json")).encode(text).ids == expected
    assert expected[:3] == [2, 5 if lowercase else 1, 6]
    loaded = AutoTokenizer.from_pretrained(output)(text)
    assert loaded["input_ids"] == expected
    assert "token_type_ids" not in loaded


def test_tokenizer_neither_cuts_nor_pads(tmp_path):
    source = distilbert(tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(converted(source)[0] / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    again = distilbert(tmp_path / "again")
    tokenizer.save(str(again / "tokenizer.json"))
    written = Tokenizer.from_file(str(converted(again)[0] / "tokenizer.json"))
    assert [len(written.encode(text).ids) for text in ("a", "a good bad film !")] == [3, 7]


def test_model_without_a_tokenizer_is_refused(tmp_path):
    source = distilbert(tmp_path / "model")
    (source / "vocab.txt").unlink()
    assert "found no tokenizer.json and no vocab.txt" in refusal(source)


def test_tokenizer_of_another_model_is_refused(tmp_path):
    source = distilbert(tmp_path / "model")
    (source / "vocab.txt").write_text("\n".join([*VOCABULARY, *(f"w{number}" for number in range(40))]))
    assert "source tiny, tokenizer: found token number 50" in refusal(source)
