"""A checkpoint's tensors: read in float32 and checked against what its config asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from finevar.errors import InputError
from finevar.models.distilbert.encoder import head_layers
from finevar.study.consistency import cut, listed

Arrays = dict[str, np.ndarray]

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
    linear = {f"attention.{part}_lin": (dim, dim) for part in ("q", "k", "v", "out")}
    linear |= {"ffn.lin1": (hidden, dim), "ffn.lin2": (dim, hidden)}
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
        for name, shape in head_layers(distilbert["dim"], arrays["classifier.bias"].size).items():
            wanted |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
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


def check_finite(arrays: Arrays, *, where: str) -> None:
    """Raise InputError where a weight is no number, or none that float32 holds."""
    for name, array in arrays.items():
        if odd := int(array.size - np.isfinite(array).sum()):
            found = f"{odd:,} of {array.size:,} weights of tensor {name} that are not finite in float32"
            remedy = "Use an earlier checkpoint of the training that gave it, or another model."
            raise tensor_error(where, found, "finite weights alone", remedy)


def tensor_error(
    where: str,
    found: str,
    allowed: str = "exactly the tensors that config.json describes",
    remedy: str = "Check that both files belong to one model and that the model was saved in full, not as an adapter.",
) -> InputError:
    """Return the error of weights: unless said otherwise, that they do not fit their config."""
    return InputError(f"{where}, model.safetensors", found=found, allowed=allowed, remedy=remedy)


def to_float32(array: np.ndarray) -> np.ndarray:
    """Return an array as float32; exact from float16, and from bfloat16 which arrives as its upper 16 bits."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):  # of a float64 beyond float32, which is then refused
        return array.astype(np.float32, copy=False)


def read_arrays(path: Path, *, where: str) -> Arrays:
    """Read the tensors of a safetensors file; bfloat16, which NumPy lacks, as uint16."""
    types = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I64": np.int64}
    try:
        entries = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        found = f"a damaged file ({cut(str(error), 200)})"
        raise tensor_error(where, found, "a complete safetensors file", "Fetch or save it again.") from error
    unknown = {entry["dtype"] for _, entry in entries} - set(types)
    if unknown:
        found, allowed = f"tensors of type {listed(sorted(unknown))}", "float32, float16, bfloat16 or float64 weights"
        raise tensor_error(where, found, allowed, "Use a checkpoint that is not quantised.")
    return {
        name: np.frombuffer(entry["data"], types[entry["dtype"]]).reshape(entry["shape"]) for name, entry in entries
    }
