"""Turn a BERT or DistilBERT checkpoint into DistilBERT, exactly, tensor by tensor.

DistilBERT is BERT without token types and pooler. A BERT whose input is always one segment adds row 0 of its token-type
embeddings at every position, so that row moves into the position embeddings and nothing that the encoder computes
changes. What cannot be carried over exactly is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from finevar.errors import InputError
from finevar.files import write_json
from finevar.models.arrays import Arrays, check_finite, read_arrays, tensor_error, to_float32
from finevar.models.distilbert.bert import LAYER, PARTS, POOLER
from finevar.models.distilbert.bert import SIZES as BERT_SIZES
from finevar.models.distilbert.tensors import POSITIONS, check_shapes
from finevar.models.tokenization import convert_tokenizer, read_object
from finevar.study.consistency import cut

Config = dict[str, Any]

MODEL_TYPES = ("distilbert", "bert")
SIZES = ("vocab_size", "max_position_embeddings", *BERT_SIZES)  # in DistilBERT's words
RATES = ("dropout", "attention_dropout")
MOST_LAYERS = 1_000  # far above any model
HEAD_DROPOUT = 0.2  # DistilBERT's own default, for a head that a BERT does not have
ACTIVATIONS = ("gelu", "relu")
# What DistilBERT fixes and a BERT may set otherwise.
FIXED = {"layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "is_decoder": False}

NORM_VECTORS = {"gamma": "weight", "beta": "bias"}  # as checkpoints converted from TensorFlow have them
TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
ENCODER = ("embeddings.", "encoder.", "transformer.")


def convert_model(folder: Path, output: Path, *, where: str) -> list[str]:
    """Write the checkpoint in folder as DistilBERT into the existing folder output; return what was changed.

    where: names the checkpoint in an InputError, raised for anything that cannot be carried over exactly.
    """
    config = read_object(folder / "config.json", where=where)
    distilbert, arrays, notes = convert(config, read_arrays(folder / "model.safetensors", where=where), where=where)
    # Not save_file, which leaves a file that its owner alone may read.
    (output / "model.safetensors").write_bytes(safetensors.numpy.save(arrays, metadata={"format": "pt"}))
    write_json(distilbert, output / "config.json")
    sizes = {"words": distilbert["vocab_size"], "positions": distilbert["max_position_embeddings"]}
    return notes + convert_tokenizer(folder, output, **sizes, where=where)


def convert_bert(folder: Path, output: Path, *, where: str) -> list[str]:
    """Write the BERT in folder, with its token types, pooler and head, into the existing folder output; return notes.

    What its conversion to DistilBERT refuses is refused here, too.
    """
    config = read_object(folder / "config.json", where=where)
    arrays = read_arrays(folder / "model.safetensors", where=where)
    sizes, encoder, _ = convert(config, arrays, where=where)
    own = {plain_name(name, "bert"): array for name, array in arrays.items()}
    weights = bert_weights(own, config, encoder)
    check_bert(weights, sizes["dim"], where=where)
    head = {name: array for name, array in weights.items() if name.startswith("classifier.")}
    types, rate = len(weights[f"bert.{TOKEN_TYPES}"]), config.get("classifier_dropout")
    bert = {BERT_SIZES.get(key, key): sizes[key] for key in (*SIZES, "initializer_range", "pad_token_id")} | FIXED
    bert |= {"model_type": "bert", "architectures": ["BertModel"], "type_vocab_size": types}
    bert |= {"classifier_dropout": rate if is_rate(rate) else sizes["dropout"]}
    (output / "model.safetensors").write_bytes(safetensors.numpy.save(weights, metadata={"format": "pt"}))
    write_json(describe_head(bert, config, head, "BertForSequenceClassification"), output / "config.json")
    counts = {"words": sizes["vocab_size"], "positions": sizes["max_position_embeddings"], "types": types}
    dropped = {name.split(".")[0] for name in own if not {name, f"bert.{name}"} & {*weights} and name not in BUFFERS}
    notes = [f"dropped: {', '.join(sorted(dropped))}"] if dropped else []
    return notes + convert_tokenizer(folder, output, **counts, where=where)


def bert_weights(own: Arrays, config: Mapping[str, Any], encoder: Arrays) -> Arrays:
    """Return a BERT's float32 arrays by Hugging Face's names: its encoder, and the pooler and head that it has.

    own: its arrays without the model's prefix. encoder: those of its encoder by DistilBERT's names.
    """
    kept = [name for name in own if f"distilbert.{distilbert_name(name, 'bert')}" in encoder]
    pooler = [f"pooler.dense.{part}" for part in ("weight", "bias")]
    weights = {f"bert.{name}": own[name] for name in (*kept, TOKEN_TYPES, *pooler) if name in own}
    head = {name: array for name, array in own.items() if name.startswith("classifier.")}
    if {*pooler} <= {*own} and has_head(config, head, ("classifier",)):
        weights |= head
    return {name: to_float32(array) for name, array in weights.items()}


def check_bert(weights: Arrays, dim: int, *, where: str) -> None:
    """Raise InputError where token types, pooler or head of a BERT are not finite or do not fit its encoder."""
    names = (POOLER, f"bert.{TOKEN_TYPES.removesuffix('.weight')}", "classifier")
    for name, array in weights.items():
        if name.startswith(names) and name.endswith(".weight"):
            rows = dim if name.startswith(POOLER) else len(array)
            bias = weights.get(name.replace(".weight", ".bias"), np.empty(rows))
            if (array.shape, bias.shape) != ((rows, dim), (rows,)):
                raise tensor_error(where, f"tensor {name} of shape {array.shape} in a model of width {dim}")
    check_finite(weights, where=where)


def convert(config: Mapping[str, Any], arrays: Arrays, *, where: str) -> tuple[Config, Arrays, list[str]]:
    """Return DistilBERT's config, its float32 arrays by Hugging Face's names, and notes of what was changed."""
    distilbert = convert_config(config, where=where)
    model_type = config["model_type"]
    plain = {distilbert_name(name, model_type): array for name, array in arrays.items()}
    notes = fold_token_types(plain, where=where) if model_type == "bert" else []
    head = {name: array for name, array in plain.items() if name.split(".")[0] in ("pre_classifier", "classifier")}
    head = head if has_head(config, head) else {}
    encoder = {name: array for name, array in plain.items() if name.startswith(ENCODER) and name not in BUFFERS}
    dropped = sorted({name.split(".")[0] for name in set(plain) - set(encoder) - set(head) - set(BUFFERS)})
    notes += [f"dropped: {', '.join(dropped)}"] if dropped else []
    converted = {f"distilbert.{name}": array for name, array in encoder.items()} | head
    check_shapes(converted, distilbert, where=where)
    exact = {name: to_float32(array) for name, array in converted.items()}
    check_finite(exact, where=where)
    return describe_head(distilbert, config, head), exact, notes


def convert_config(config: Mapping[str, Any], *, where: str) -> Config:
    """Return the DistilBERT config of the same encoder, without a head; defaults are those of transformers."""
    from transformers import AutoConfig

    model_type = config.get("model_type")
    require(where, "model_type", model_type, MODEL_TYPES)
    keys = {key: BERT_SIZES.get(key, key) if model_type == "bert" else key for key in SIZES}
    known = AutoConfig.for_model(model_type)
    # As transformers reads it: its defaults, the keys stated, then those stated by another name.
    others = {key: config[other] for other, key in known.attribute_map.items() if other in config}
    stated = known.to_dict() | dict(config) | others
    distilbert = {key: stated[source] for key, source in keys.items()}
    distilbert["initializer_range"] = stated["initializer_range"]
    require(where, keys["activation"], distilbert["activation"], ACTIVATIONS)
    check_sizes(distilbert, keys, where=where)
    distilbert["pad_token_id"] = number_of_padding(stated["pad_token_id"], distilbert["vocab_size"], where=where)
    if model_type == "bert":
        for key, value in FIXED.items():
            require(where, key, stated.get(key, value), (value,))
    if distilbert["dim"] % distilbert["n_heads"]:
        raise InputError(
            f"{where}, config.json",
            found=f"{distilbert['n_heads']} attention heads of a width of {distilbert['dim']}",
            allowed="a number of heads that divides the width",
            remedy="Use another model.",
        )
    head_dropout = stated.get("classifier_dropout" if model_type == "bert" else "seq_classif_dropout")
    distilbert["seq_classif_dropout"] = head_dropout if is_rate(head_dropout) else HEAD_DROPOUT
    return {"model_type": "distilbert", "architectures": ["DistilBertModel"], **distilbert}


def number_of_padding(token: Any, vocab_size: int, *, where: str) -> int | None:
    """Return the number of the token whose embedding does not learn, counted from 0; None for none."""
    sound = token is None or (type(token) is int and -vocab_size <= token < vocab_size)
    allowed = f"null or a whole number below the vocabulary of {vocab_size}"
    check(sound, where, "pad_token_id", token, allowed, "Set it to the number of the tokenizer's padding token.")
    return None if token is None else token % vocab_size


def check_sizes(distilbert: Mapping[str, Any], keys: Mapping[str, str], *, where: str) -> None:
    """Raise InputError unless sizes are sizes and rates are rates; keys: their names in the checkpoint's config."""
    for name, key in keys.items():
        value, most = distilbert[name], MOST_LAYERS if name == "n_layers" else 2**31 - 1
        if name in RATES:
            sound, allowed = is_rate(value), "a number from 0, below 1"
        else:
            sound, allowed = type(value) is int and 1 <= value <= most, f"a whole number from 1 to {most}"
        check(sound or name == "activation", where, key, value, allowed, "Save the model again with its full config.")


def is_rate(value: Any) -> bool:
    """Return whether a value is a rate of dropout."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def require(where: str, key: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raise InputError unless a value of config.json is one that DistilBERT can express."""
    choices = " or ".join(json.dumps(choice) for choice in allowed)
    remedy = "DistilBERT cannot express this model exactly: set `family: transformers` in the config, for its own code."
    check(value in allowed, where, key, value, choices, remedy)


def check(sound: bool, where: str, key: str, value: Any, allowed: str, remedy: str) -> None:
    """Raise InputError unless the value of a key of config.json is sound."""
    if not sound:
        raise InputError(f"{where}, config.json: {key}", found=cut(json.dumps(value)), allowed=allowed, remedy=remedy)


def distilbert_name(name: str, model_type: str) -> str:
    """Return what DistilBERT calls a tensor; its name without the model's prefix where DistilBERT has no such one."""
    name = plain_name(name, model_type)
    match = LAYER.fullmatch(name)
    if model_type == "distilbert" or (match is None and not name.startswith("classifier.")):
        return name
    if match is None:  # BERT's head reads its pooler, so it is not the head that DistilBERT has under the same name
        return f"BERT's {name}"
    return f"transformer.layer.{match[1]}.{PARTS[match[2]]}.{match[3]}" if match[2] in PARTS else name


def plain_name(name: str, model_type: str) -> str:
    """Return a tensor's name without the model's prefix, in today's words for LayerNorm's two vectors."""
    name = name.removeprefix(f"{model_type}.")
    return re.sub(r"LayerNorm\.(gamma|beta)$", lambda old: f"LayerNorm.{NORM_VECTORS[old[1]]}", name)


def fold_token_types(arrays: Arrays, *, where: str) -> list[str]:
    """Add token-type row 0 to every position embedding, in place; return the note of it."""
    types, positions = arrays.pop(TOKEN_TYPES, None), arrays.get(POSITIONS)
    if types is None or positions is None:
        missing = [name for name, array in ((TOKEN_TYPES, types), (POSITIONS, positions)) if array is None]
        raise tensor_error(where, f"no tensor {' and no tensor '.join(missing)}")
    if types.ndim != 2 or len(types) == 0 or types.shape[1:] != positions.shape[1:]:
        raise tensor_error(where, f"{TOKEN_TYPES} of shape {types.shape} for {POSITIONS} of shape {positions.shape}")
    arrays[POSITIONS] = to_float32(positions) + to_float32(types)[0]
    return ["BERT to DistilBERT: token-type row 0 added into the position embeddings"]


def has_head(config: Mapping[str, Any], head: Arrays, layers: Sequence[str] = ("pre_classifier", "classifier")) -> bool:
    """Return whether the checkpoint has a complete head that gives a text one of two or more classes."""
    names = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    single_label = config.get("problem_type") in (None, "single_label_classification")
    return set(head) == names and single_label and head["classifier.bias"].size >= 2


def describe_head(
    converted: Config,
    config: Mapping[str, Any],
    head: Arrays,
    architecture: str = "DistilBertForSequenceClassification",
) -> Config:
    """Return the config with the classes of the head, where there is one."""
    if not head:
        return converted
    classes, stated = head["classifier.bias"].size, config.get("id2label")
    labels = {str(key): label for key, label in stated.items()} if isinstance(stated, dict) else {}
    named = all(isinstance(label, str) for label in labels.values())
    if sorted(labels) != sorted(str(index) for index in range(classes)) or not named:
        labels = {str(index): f"LABEL_{index}" for index in range(classes)}
    ids = {label: int(index) for index, label in labels.items()}
    return converted | {"architectures": [architecture], "id2label": labels, "label2id": ids}
