"""Sentences as token ids, tokenised once per data set and model, stored flat so that they can be memory-mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from finevar.files import write_bytes


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
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = [np.asarray(encoding.ids, dtype=np.int32) for encoding in tokenizer.encode_batch(list(texts))]
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Encoded(np.concatenate(ids), offsets, np.asarray(labels, dtype=np.int64))


def save_encoded(encoded: Encoded, path: str | Path) -> None:
    """Write token ids, offsets and labels to one safetensors file."""
    write_bytes(save({"tokens": encoded.tokens, "offsets": encoded.offsets, "labels": encoded.labels}), path)


def load_encoded(path: str | Path) -> Encoded:
    """Read what `save_encoded` wrote."""
    return Encoded(**load_file(path))
