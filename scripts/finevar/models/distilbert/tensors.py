"""What DistilBERT's config asks of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.models.arrays import Arrays, tensor_error
from finevar.models.distilbert.encoder import LINEAR_PARTS, head_shapes
from finevar.study.consistency import cut

POSITIONS = "embeddings.position_embeddings.weight"


def expected_shapes(distilbert: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the encoder by its name."""
    dim, hidden = distilbert["dim"], distilbert["hidden_dim"]
    shapes = {
        "embeddings.word_embeddings.weight": (distilbert["vocab_size"], dim),
        POSITIONS: (distilbert["max_position_embeddings"], dim),
        "embeddings.LayerNorm.weight": (dim,),
        "embeddings.LayerNorm.bias": (dim,),
    }
    linear = dict.fromkeys(LINEAR_PARTS, (dim, dim)) | {"ffn.lin1": (hidden, dim), "ffn.lin2": (dim, hidden)}
    norms = {"sa_layer_norm": (dim,), "output_layer_norm": (dim,)}
    for layer in range(distilbert["n_layers"]):
        for part, shape in (linear | norms).items():
            shapes[f"transformer.layer.{layer}.{part}.weight"] = shape
            shapes[f"transformer.layer.{layer}.{part}.bias"] = shape[:1]
    return {f"distilbert.{name}": shape for name, shape in shapes.items()}


def check_shapes(arrays: Arrays, distilbert: Mapping[str, Any], *, where: str) -> None:
    """Raise InputError unless the encoder's tensors are those that its config asks for, and no others."""
    wanted = expected_shapes(distilbert)
    if "classifier.bias" in arrays:
        wanted |= head_shapes(distilbert["dim"], arrays["classifier.bias"].size)
    found = {name: array.shape for name, array in arrays.items()}
    problems = [f"no tensor {name}" for name in wanted if name not in found]
    problems += [f"an unknown tensor {cut(name)}" for name in found if name not in wanted]
    problems += [
        f"tensor {name} of shape {found[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more such problems" if len(problems) > 3 else ""
        raise tensor_error(where, "; ".join(problems[:3]) + more)
