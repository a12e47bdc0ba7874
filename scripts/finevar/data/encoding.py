"""Sentences as token ids, tokenised once per data set and model, stored flat so that they can be memory-mapped."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from finevar.errors import InputError
from finevar.files import SEAL, blank_seal, damaged, is_sealed_file, missing, sealed, write_bytes

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

WHAT = "the token ids of a data set, as the rule encode_dataset writes them"
ARRAYS = ("tokens", "offsets", "labels")
TYPES = {"I32": np.int32, "I64": np.int64}


@dataclass(frozen=True)
class Encoded:
    """Token ids of all sentences end to end, [tokens]; where each begins, [sentences + 1]; labels, [sentences].

    pairs: of sentence pairs, how many tokens each of the two texts has, [sentences, 2].
    """

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int) -> Encoded:
        """Return the first sentences."""
        pairs = None if self.pairs is None else self.pairs[:count]
        return Encoded(self.tokens[: self.offsets[count]], self.offsets[: count + 1], self.labels[:count], pairs)

    def of(self, numbers: np.ndarray) -> Encoded:
        """Return the sentences of these numbers, in their order."""
        kept = [self.tokens[self.offsets[number] : self.offsets[number + 1]] for number in numbers]
        offsets = np.cumsum([0, *map(len, kept)], dtype=np.int64)
        pairs = None if self.pairs is None else self.pairs[numbers]
        return Encoded(np.concatenate(kept), offsets, self.labels[numbers], pairs)

    def sentence(self, number: int, max_length: int) -> np.ndarray:
        """Return a sentence's token ids, int32; one that is too long loses its end but not its closing token.

        Of a pair, the longer text loses its end first, then both.
        """
        ids = self.tokens[self.offsets[number] : self.offsets[number + 1]]
        return ids if len(ids) <= max_length else np.delete(ids, self.lost(number, max_length))

    def lost(self, number: int, max_length: int) -> list[int]:
        """Return the places of a sentence's tokens that are cut off at a length."""
        size = int(self.offsets[number + 1] - self.offsets[number])
        if size <= max_length:
            return []
        if self.pairs is None:
            return [*range(max_length - 1, size - 1)]
        first, second = self.pairs[number].tolist()
        kept = longest_first(first, second, max_length - (size - first - second))
        return [*range(1 + kept[0], 1 + first), *range(size - 1 - second + kept[1], size - 1)]

    def seconds(self, numbers: Sequence[int], max_length: int) -> list[int] | None:
        """Return where the second text begins among each of some sentences' token ids; None where they are no pairs."""
        if self.pairs is None:
            return None
        kept = self.pairs[numbers, 1]
        sizes = np.diff(self.offsets)[numbers]
        for place in np.flatnonzero(sizes > max_length):
            first, second = self.pairs[numbers[place]].tolist()
            kept[place] = longest_first(first, second, max_length - (sizes[place] - first - second))[1]
        return (np.minimum(sizes, max_length) - 1 - kept).tolist()


def longest_first(first: int, second: int, most: int) -> tuple[int, int]:
    """Return how many tokens of two texts are kept so that both have at most so many, the longer losing its end first.

    Source: truncation `longest_first` in Hugging Face's tokenizers; of an odd number, the longer text gets one more.
    """
    shorter = min(first, second, max(most // 2, 0))
    longer = min(max(first, second), max(most - shorter, 0))
    return (longer, shorter) if first > second else (shorter, longer)


def encode(texts: Sequence[str | tuple[str, str]], labels: Sequence[int], model: Path) -> Encoded:
    """Tokenise texts, or pairs of them, with the model's own tokeniser, uncut."""
    encodings = read_tokenizer(model).encode_batch(list(texts))
    ids = [np.asarray(encoding.ids, dtype=np.int32) for encoding in encodings]
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    encoded = Encoded(np.concatenate([np.empty(0, np.int32), *ids]), offsets, np.asarray(labels, dtype=np.int64))
    are_pairs = len(texts) > 0 and isinstance(texts[0], tuple)
    return replace(encoded, pairs=pair_lengths(encodings, model)) if are_pairs else encoded


def pair_lengths(encodings: Sequence[Encoding], model: Path) -> np.ndarray:
    """Return how many tokens each text of each pair has, int32 [pairs, 2].

    Raises InputError where a tokeniser does not put a token before, between and after the texts, as BERT's do.
    """
    sides = [encoding.sequence_ids for encoding in encodings]  # 0, 1, or None of a token that is of no text
    lengths = np.array([[side.count(0), side.count(1)] for side in sides], dtype=np.int32)
    for side, (first, second) in zip(sides, lengths.tolist(), strict=True):
        if side[: 2 + first] != [None, *[0] * first, None] or side[-1 - second :] != [*[1] * second, None]:
            raise InputError(
                f"{model}, tokenizer.json",
                found="a template of pairs without a token before, between or after the two texts",
                allowed="pairs as [CLS] first [SEP] second [SEP], or with other such tokens",
                remedy="Give the model's tokenizer one: load it with AutoTokenizer, set `tokenizer.backend_tokenizer."
                "post_processor = tokenizers.processors.TemplateProcessing(single=..., pair='[CLS] $A [SEP] $B:1 "
                "[SEP]:1', special_tokens=...)`, save it with `tokenizer.save_pretrained`, and name that folder as the "
                "model's source.",
            )
    return lengths


def read_tokenizer(model: Path) -> Tokenizer:
    """Return a model's own tokeniser, which neither pads nor cuts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def save_encoded(encoded: Encoded, path: str | Path) -> None:
    """Write token ids, offsets and labels to one safetensors file."""
    arrays = {name: array for name, array in vars(encoded).items() if array is not None}
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
        if set(header) - {"pairs"} != {*ARRAYS, "__metadata__"}:
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
    for name in (*ARRAYS, *({"pairs"} & set(header))):
        kind, begin, shape = TYPES[header[name]["dtype"]], header[name]["data_offsets"][0], tuple(header[name]["shape"])
        arrays[name] = np.memmap(path, kind, "r", offset=start + begin, shape=shape)
    return Encoded(**arrays)
