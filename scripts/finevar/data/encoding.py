"""Sentences as token ids, tokenised once per data set and model, stored flat so that they can be memory-mapped."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from finevar.files import SEAL, blank_seal, damaged, is_sealed_file, missing, sealed, write_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WHAT = "the token ids of a data set, as the rule encode_dataset writes them"
TYPES = {"I32": np.int32, "I64": np.int64}


@dataclass(frozen=True)
class Encoded:
    """Token ids of all sentences end to end, [tokens]; where each begins, [sentences + 1]; labels, [sentences]."""

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int) -> Encoded:
        """Return the first sentences."""
        return Encoded(self.tokens[: self.offsets[count]], self.offsets[: count + 1], self.labels[:count])

    def sentence(self, number: int, max_length: int) -> np.ndarray:
        """Return a sentence's token ids, int32; one that is too long loses its end but not its closing token."""
        ids = self.tokens[self.offsets[number] : self.offsets[number + 1]]
        return ids if len(ids) <= max_length else np.append(ids[: max_length - 1], ids[-1])


def encode(texts: Sequence[str], labels: Sequence[int], model: Path) -> Encoded:
    """Tokenise texts with the model's own tokeniser, uncut."""
    encodings = read_tokenizer(model).encode_batch(list(texts))
    ids = [np.asarray(encoding.ids, dtype=np.int32) for encoding in encodings]
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Encoded(np.concatenate([np.empty(0, np.int32), *ids]), offsets, np.asarray(labels, dtype=np.int64))


def read_tokenizer(model: Path) -> Tokenizer:
    """Return a model's own tokeniser, which neither pads nor cuts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def save_encoded(encoded: Encoded, path: str | Path) -> None:
    """Write token ids, offsets and labels to one safetensors file."""
    arrays = {"tokens": encoded.tokens, "offsets": encoded.offsets, "labels": encoded.labels}
    write_bytes(sealed(save(arrays, metadata={"seal": blank_seal()})), path)


def encoded_sha256(path: str | Path) -> str:
    """Return the SHA-256 that a file of token ids was sealed with; only `load_encoded` compares it with the arrays."""
    _, header = read_header(path)
    return header["__metadata__"]["seal"].removeprefix(SEAL.decode())


def read_header(path: str | Path) -> tuple[int, dict[str, Any]]:
    """Return where a file's arrays begin and what its header says of them; raise InputError where it says nothing.

    Source of the layout: the safetensors format, a length of 8 bytes, a header in JSON and the arrays.
    """
    try:
        with Path(path).open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            if start > os.fstat(file.fileno()).st_size:
                raise damaged(path, what=WHAT)
            header = json.loads(file.read(start - 8))
        if set(header) != {"tokens", "offsets", "labels", "__metadata__"}:
            raise damaged(path, what=WHAT)
    except FileNotFoundError:
        raise missing(path, what=WHAT) from None
    except ValueError:
        raise damaged(path, what=WHAT) from None
    return start, header


def load_encoded(path: str | Path) -> Encoded:
    """Map what `save_encoded` wrote: pages are read as they are used, and all jobs of a machine share them.

    Raises InputError, and quarantines the file, where it is damaged.
    """
    start, header = read_header(path)
    if not is_sealed_file(path):
        raise damaged(path, what=WHAT)
    arrays = {}
    for name in ("tokens", "offsets", "labels"):
        kind, begin, shape = TYPES[header[name]["dtype"]], header[name]["data_offsets"][0], tuple(header[name]["shape"])
        arrays[name] = np.memmap(path, kind, "r", offset=start + begin, shape=shape)
    return Encoded(**arrays)
