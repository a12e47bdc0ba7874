"""Write any encoder's checkpoint as the family `transformers` reads it, once its logits are those of transformers.

transformers reads the checkpoint: it knows old names, prefixes and what a config leaves at its default. Then the family
computes a few sentences in the layout that is to be used, and transformers each of them alone: what differs is refused,
so that no model is ever trained as another than its own code says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from finevar import LAYOUT
from finevar.data.encoding import Encoded, encode
from finevar.errors import InputError
from finevar.files import write_json
from finevar.models.arrays import check_finite, read_arrays, tensor_error
from finevar.models.distilbert.conversion import MOST_LAYERS, check
from finevar.models.family import Weights
from finevar.models.general.family import Encoder
from finevar.models.general.skeleton import build
from finevar.models.tokenization import convert_tokenizer, read_object
from finevar.models.vocabulary import compact
from finevar.study.consistency import cut, listed

TOLERANCE = 1e-4  # of float32 logits, relative to the largest where that is above 1: sums are in another order
PROBE_LENGTHS = (1, 4, 9, 40, 300)  # words; the longest beyond the sliding windows in use
BUFFERS = ("position_ids", "token_type_ids")  # numbers from 0 and zeros, which older versions saved
# Keys that change what comes back beside the logits, or in which parts these are computed, and no logit.
ASIDE = {"return_dict": True, "output_attentions": False, "output_hidden_states": False, "chunk_size_feed_forward": 0}
ANOTHER = "Use another model."
CORRECT = "Correct it, or use another model."
PADDING = "Set `pad_token_id` in config.json to the number of the tokenizer's padding token, or use another model."


def convert_encoder(folder: Path, output: Path, *, where: str, pairs: bool) -> list[str]:
    """Write the checkpoint in folder, weights in float32, into the existing folder output; return what was changed.

    where: names the checkpoint in the InputError that refuses one whose logits the family does not reproduce. pairs:
    whether it is to read sentence pairs.
    """
    read_arrays(folder / "model.safetensors", where=where)  # refuses a damaged file
    config = read_config(folder, where=where)
    model, missing, unexpected = load(folder, config, where=where)
    full = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    stated = plain(config) | {"architectures": [type(model).__name__]}
    sizes = Encoder(json.dumps(stated), "padded", None)
    weights, stated = without_head(full, stated, sizes, missing, where=where)
    dropped = sorted({*unexpected, *full} - {*weights} - missing)
    notes = [f"dropped: {listed(dropped)}"] if dropped else []
    check_finite({name: tensor.numpy() for name, tensor in weights.items()}, where=where)
    words = {"words": len(weights[sizes.embedding]), "positions": sizes.positions}
    notes += convert_tokenizer(folder, output, **words, types=2 if pairs and sizes.typed else 0, where=where)
    layout = choose_layout(model, stated, output, where=where)
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
    (output / "model.safetensors").chmod(0o644)  # save_file leaves a file that its owner alone may read
    write_json(stated | {LAYOUT: layout}, output / "config.json")
    return [f"{type(model).__name__} of transformers, batches {layout}", *notes]


def read_config(folder: Path, *, where: str) -> Any:
    """Return a checkpoint's config as transformers reads it; raise InputError where it has no encoder for it."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    check_kind(read_object(folder / "config.json", where=where), where=where)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.num_hidden_layers > MOST_LAYERS:  # which would take hours to build
            raise ValueError(f"num_hidden_layers: {config.num_hidden_layers}")
        for key, value in ASIDE.items():
            setattr(config, key, value)
        if sorted(config.id2label) != [*range(len(config.id2label))]:  # names that are of no row for certain
            config.id2label = {row: f"LABEL_{row}" for row in range(len(config.id2label))}
        build(plain(config), flat=False)
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, StrictDataclassError) as error:
        found = f"a config that transformers refuses ({cut(' '.join(f'{type(error).__name__}: {error}'.split()), 200)})"
        raise InputError(
            f"{where}, config.json", found=found, allowed="a config as it saves it", remedy=CORRECT
        ) from error
    return config


def plain(config: Any) -> dict[str, Any]:
    """Return all that a config of transformers says, what is at its default, too, but for code that it came with."""
    stated = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in stated.items() if key != "auto_map"}


def check_kind(config: Mapping[str, Any], *, where: str) -> None:
    """Raise InputError unless a config is of an encoder that transformers has a classifier for, with plain weights."""
    from transformers.models.auto import modeling_auto

    encoders = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES.keys()  # a decoder has no such class
    known = encoders & modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.keys()
    kinds = '"distilbert", "bert" or another encoder that transformers has a classifier for, such as "roberta", '
    kinds += '"electra" or "modernbert"; no decoder, as GPT or Llama'
    pad = config.get("pad_token_id")
    checks = {
        "model_type": (config.get("model_type") in [*known], kinds, f"{ANOTHER} Code that comes with it is not run."),
        "is_decoder": (not config.get("is_decoder"), "false: a decoder's first token knows no other", ANOTHER),
        "quantization_config": (
            not config.get("quantization_config"),
            "none",
            "Use a checkpoint that is not quantised.",
        ),
        "pad_token_id": (
            pad is None or (type(pad) is int and pad >= 0),
            "null or a whole number from 0",
            PADDING,
        ),
    }
    for key, (sound, allowed, remedy) in checks.items():
        check(sound, where, key, config.get(key), allowed, remedy)


def load(folder: Path, config: Any, *, where: str) -> tuple[nn.Module, set[str], list[str]]:
    """Return the model in float32, the names of its weights that the file lacks, and those that only the file has."""
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # what is missing or dropped is said here
    try:
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, use_safetensors=True, local_files_only=True, trust_remote_code=False,
            dtype=torch.float32, attn_implementation="eager", output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, OSError, ImportError) as error:
        raise tensor_error(where, f"what transformers cannot load ({cut(str(error), 200)})") from error
    finally:
        logging.set_verbosity(level)
    if mismatched := found["mismatched_keys"]:
        name, there, asked = sorted(mismatched)[0]
        raise tensor_error(where, f"tensor {name} of shape {tuple(there)} instead of {tuple(asked)}")
    prefix, parts = f"{model.base_model_prefix}.", {name for name, _ in model.base_model.named_children()}
    unexpected = sorted(name for name in found["unexpected_keys"] if not name.endswith(BUFFERS))
    for name in unexpected:
        if name.removeprefix(prefix).split(".")[0] in parts:
            raise tensor_error(where, f"an unknown tensor {cut(name)}")
    return model.eval(), set(found["missing_keys"]), unexpected


def without_head(
    weights: Weights, stated: Mapping[str, Any], family: Encoder, missing: set[str], *, where: str
) -> tuple[Weights, dict[str, Any]]:
    """Return weights and config without a head that is not whole or that does not tell two or more classes apart.

    Raises InputError where the encoder lacks a weight.
    """
    head = family.head(len(stated["id2label"]))
    if absent := sorted(missing - {*head}):
        raise tensor_error(where, "; ".join(f"no tensor {name}" for name in absent[:3]))
    single = stated.get("problem_type") in (None, "single_label_classification")
    kept = {name: tensor for name, tensor in weights.items() if name not in missing}
    if not missing and single and len(stated["id2label"]) >= 2:
        return kept, dict(stated)
    base = f"{family.model().base_model_prefix}."
    config = {key: value for key, value in stated.items() if key not in ("id2label", "label2id", "problem_type")}
    return {name: tensor for name, tensor in kept.items() if name not in head or name.startswith(base)}, config


# The proof ------------------------------------------------------------------------------------------------------------


def choose_layout(model: nn.Module, stated: Mapping[str, Any], output: Path, *, where: str) -> str:
    """Return the first layout in which the family gives transformers' logits: flat where attention can be ours, padded.

    output: the folder with the converted tokenizer. Raises InputError where there is none.
    """
    layouts = ("flat", "padded") if getattr(model, "_supports_attention_backend", False) else ("padded",)
    gaps = {}
    for layout in layouts:
        family = Encoder.from_config({**stated, LAYOUT: layout})
        probes = probe(output, family.positions)
        try:
            gaps[layout] = difference(model, family, probes)
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
            gaps[layout] = f"{type(error).__name__}: {cut(str(error), 100)}"
        else:
            if gaps[layout] <= TOLERANCE:
                return layout
    raise InputError(
        f"{where}, {type(model).__name__}",
        found="other logits than transformers computes from a sentence alone, or none: "
        + listed(
            f"{layout} {found if isinstance(found, str) else format(found, '.1e')}" for layout, found in gaps.items()
        ),
        allowed="an encoder that reads each sentence by itself, whatever the others of a batch",
        remedy=ANOTHER if stated.get("pad_token_id") is not None else PADDING,
    )


def probe(folder: Path, positions: int) -> Encoded:
    """Return sentences of several lengths, in the tokens of a folder's tokenizer, no longer than the positions."""
    words = ("film", "a", "good", "The", "of", "naive", "7", ",", "bad", "story")
    texts = [" ".join(words[(at * at + length) % len(words)] for at in range(length)) for length in PROBE_LENGTHS]
    encoded = encode(texts, [0] * len(texts), folder)
    sentences = [encoded.sentence(number, positions) for number in range(len(texts))]
    return Encoded(np.concatenate(sentences), np.cumsum([0, *map(len, sentences)]), encoded.labels)


def difference(model: nn.Module, family: Encoder, probes: Encoded) -> float:
    """Return the largest difference between transformers' logits and the family's, from the words that occur alone.

    Relative to the largest logit where that is above 1. Raises ValueError where a weight gets no gradient.
    """
    own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    weights, fewer, renumbered, _ = compact(own, family, probes)
    weights = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    sentences = [renumbered.sentence(number, family.positions) for number in range(len(probes))]
    ours = fewer.forward(weights, torch.float32)(fewer.batch(sentences), None)
    ours.sum().backward()
    if idle := [name for name, tensor in weights.items() if tensor.grad is None]:
        raise ValueError(f"nothing is computed with {idle[0]}")
    with torch.no_grad():
        alone: Iterable[np.ndarray] = (probes.sentence(number, family.positions) for number in range(len(probes)))
        theirs = torch.cat([model(torch.from_numpy(ids.astype(np.int64))[None]).logits for ids in alone])
    return float((ours.detach() - theirs).abs().max()) / max(1.0, float(theirs.abs().max()))
