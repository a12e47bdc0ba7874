"""A checkpoint's tensors as arrays: read, made float32, and refused where they are damaged or not finite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors

from finevar.errors import InputError
from finevar.study.consistency import cut, listed

Arrays = dict[str, np.ndarray]


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
