"""A model of transformers without its weights: what its code computes, and what its weights are called.

transformers is imported here and where checkpoints are converted, nowhere else: it takes seconds.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from finevar.models.general.layouts import ATTENTION, by_sentence, flat_attention, lay_out_again

DROPOUT = re.compile(r"dropout|pdrop")  # keys of a config that hold rates of dropout; not layerdrop, which drops layers
Rates = dict[str, float]


@functools.lru_cache(maxsize=4)
def skeleton(config: str, *, flat: bool, rate: float | None = None, device: str = "cpu") -> nn.Module:
    """Return the model of a config (JSON), its weights without content, its buffers on a device.

    flat: whether it is to take sentences laid end to end. rate: of dropout in the encoder; the head keeps the config's.
    """
    model = build(json.loads(config), flat=flat)
    if rate is not None:
        own, model = model, build(with_rate(json.loads(config), rate), flat=flat)
        head = {name for name, _ in own.named_modules() if not name.startswith(f"{own.base_model_prefix}.")}
        for (name, ours), (_, theirs) in zip(model.named_modules(), own.named_modules(), strict=True):
            if name in head and isinstance(theirs, nn.Dropout):
                ours.p = theirs.p
    if flat:
        hook(model.base_model)
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
    return model


def hook(base: nn.Module) -> None:
    """Let an encoder's hidden states be laid out by sentence once more where its pooler and the head read them."""
    getattr(base, "encoder", base).register_forward_hook(lay_out_again)
    if not hasattr(base, "encoder") and getattr(base, "pooler", None):
        base.pooler.register_forward_pre_hook(lambda _, given: (by_sentence(given[0]), *given[1:]))


def build(config: Mapping[str, Any], *, flat: bool) -> nn.Module:
    """Return the model of a config with its buffers, the weights on PyTorch's device without memory."""
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.initialization import no_init_weights
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, flat_attention)
    known = AutoConfig.for_model(**config)
    with no_init_weights():  # and no page of memory is touched
        model = AutoModelForSequenceClassification.from_config(
            known, attn_implementation=ATTENTION if flat else "eager", trust_remote_code=False, dtype=torch.float32
        )
    model.own_padding = model.get_input_embeddings().padding_idx  # which a training changes, as it renumbers words
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(weight.to("meta"), requires_grad=weight.requires_grad))
    return model


def with_rate(config: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """Return a config with this rate wherever it has one of dropout."""
    return {**config, **dict.fromkeys(rates(config), rate)}


def rates(config: Mapping[str, Any]) -> Rates:
    """Return the rates of dropout that a config states, by key."""
    stated = {key: value for key, value in config.items() if DROPOUT.search(key)}
    return {key: value for key, value in stated.items() if isinstance(value, int | float) or value is None}


def takes(model: nn.Module, argument: str) -> bool:
    """Return whether a model's code has an argument."""
    return argument in inspect.signature(model.forward).parameters


def layers(model: nn.Module) -> tuple[str, int]:
    """Return what the names of a model's layers begin with, and how many there are; 0 where they share weights."""
    lists = (item for item in model.base_model.named_modules() if isinstance(item[1], nn.ModuleList))
    name, found = next(lists, ("", ()))
    alone = len(found) == model.config.num_hidden_layers
    return f"{model.base_model_prefix}.{name}", len(found) if alone else 0


def linear(model: nn.Module) -> list[str]:
    """Return the names of the matrices of the layers' linear parts, which an encoder of no layers has none of."""
    within, _ = layers(model)
    found = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    return [f"{name}.weight" for name in found if name.startswith(f"{within}.")]


def first_position(model: nn.Module) -> int:
    """Return the number of a sentence's first position: 0, or of RoBERTa and its kin the one after the padding's."""
    embeddings = [module for name, module in model.base_model.named_modules() if name.endswith("position_embeddings")]
    padding = getattr(embeddings[0], "padding_idx", None) if embeddings else None
    return 0 if padding is None else padding + 1


def head_shapes(model: nn.Module, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights of a model's head, its pooler among them, by name."""
    base = f"{model.base_model_prefix}."
    pooler = f"{base}pooler."
    shapes = {
        name: tuple(weight.shape)
        for name, weight in sorted(model.named_parameters(), key=lambda item: not item[0].startswith(pooler))
        if name.startswith(pooler) or not name.startswith(base)
    }
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    *_, output = (name for name in linear if not name.startswith(base))
    return {name: (classes, *shape[1:]) if name.startswith(f"{output}.") else shape for name, shape in shapes.items()}
