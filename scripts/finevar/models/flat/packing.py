"""Batches without padding: sentences laid end to end, and the blocks in which attention takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

BLOCK = 8  # sentences that attend side by side: few enough to be of like length, many enough to fill a product
ROUND = 4  # a block's length is a multiple of this, so that fewer shapes of products occur


@dataclass(frozen=True)
class Block:
    """Sentences of like length, padded to a common one for attention only.

    bias: float32 [sentences, 1, 1, length], added to attention's scores: minus infinity where no token is.
    """

    sentences: int
    length: int
    bias: Tensor


@dataclass(frozen=True)
class Batch:
    """Sentences laid end to end, from the shortest to the longest.

    tokens, positions: int64 [T]. first: int64 [B], where each sentence begins, in the caller's order. blocks: the
    sentences as attention takes them, one after the other. types: int64 [T], 1 from a pair's second text on, of a model
    that has token types.

    Attention moves rows of one head of one token. block_rows: int64, for each row of the blocks (block, then query, key
    or value, sentence, head, place) the row of the projections [T, 3, heads] that fills it; an arbitrary one of the
    same sentence where no token is. token_rows: int64 [T * 3 * heads], the way back. context_rows: int64 [T * heads],
    for each row of the contexts its row in the blocks (block, sentence, head, place).

    The last layer attends from each sentence's first token alone, over cells (sentence of the caller's order, place).
    cell_tokens: int64 [B * longest], the token in each cell, the first one where there is none. token_cells: int64 [T],
    the way back. cell_bias: float32 [B, 1, 1, longest], minus infinity where no token is.
    """

    tokens: Tensor
    positions: Tensor
    first: Tensor
    blocks: tuple[Block, ...]
    block_rows: Tensor
    token_rows: Tensor
    context_rows: Tensor
    cell_tokens: Tensor
    token_cells: Tensor
    cell_bias: Tensor
    types: Tensor | None = None

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "blocks"}
        blocks = tuple(replace(block, bias=block.bias.to(device)) for block in self.blocks)
        there = {name: tensor if tensor is None else tensor.to(device) for name, tensor in tensors.items()}
        return Batch(**there, blocks=blocks)


def collate(sentences: Sequence[np.ndarray], seconds: Sequence[int] | None = None, *, heads: int) -> Batch:
    """Lay token sequences end to end by length and note where each row of each head belongs.

    seconds: of a model that has token types, where those of type 1 begin in each sequence.
    """
    sizes = np.array([len(sentence) for sentence in sentences])
    order = np.argsort(sizes, kind="stable")
    lengths = sizes[order]
    ends = np.cumsum(lengths)
    starts = ends - lengths
    first = np.empty_like(ends)
    first[order] = starts
    blocks, rows, cells = [], [], 0  # cells: sentences times length, of the blocks so far
    for begin in range(0, len(lengths), BLOCK):
        inside = slice(begin, begin + BLOCK)
        longest = -(-int(lengths[inside][-1]) // ROUND) * ROUND
        real = np.arange(longest) < lengths[inside, None]  # [sentences, longest]
        blocks.append(Block(len(real), longest, bias_where(torch.from_numpy(real))))
        rows.append(attention_rows(real, starts[inside], heads, cells))
        cells += real.size
    block_rows, token_rows, context_rows = (
        torch.from_numpy(np.concatenate(parts)) for parts in zip(*rows, strict=True)
    )
    real = np.arange(lengths[-1]) < sizes[:, None]  # [sentences, longest], in the caller's order
    cell_tokens = np.where(real, first[:, None] + np.arange(lengths[-1]), first[:, None]).ravel()
    token_cells = np.empty(ends[-1], dtype=np.int64)
    token_cells[cell_tokens[real.ravel()]] = np.flatnonzero(real)
    positions = np.arange(ends[-1]) - np.repeat(starts, lengths)
    types = None if seconds is None else (positions >= np.repeat(np.asarray(seconds)[order], lengths)).astype(np.int64)
    return Batch(
        tokens=torch.from_numpy(np.concatenate([sentences[number] for number in order]).astype(np.int64)),
        positions=torch.from_numpy(positions),
        types=None if types is None else torch.from_numpy(types),
        first=torch.from_numpy(first),
        blocks=tuple(blocks),
        block_rows=block_rows,
        token_rows=token_rows,
        context_rows=context_rows,
        cell_tokens=torch.from_numpy(cell_tokens),
        token_cells=torch.from_numpy(token_cells),
        cell_bias=bias_where(torch.from_numpy(real)),
    )


def attention_rows(
    real: np.ndarray, starts: np.ndarray, heads: int, cells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one block's parts of block_rows, token_rows and context_rows, as `Batch` describes them.

    real: where a token is [sentences, length]. starts: the first token of each sentence in the batch. cells: those of
    the blocks before.
    """
    length = real.shape[1]
    kind, head = np.arange(3), np.arange(heads)
    tokens = np.where(real, starts[:, None] + np.arange(length), starts[:, None])  # [sentences, length]
    # A projection's row is (token * 3 + kind) * heads + head; here for [kind, sentence, head, place].
    block_rows = (tokens[:, None, :] * 3 + kind[:, None, None, None]) * heads + head[:, None]
    sentence, place = np.nonzero(real)  # of each real token
    within = ((sentence * heads)[:, None] + head) * length + place[:, None]  # [tokens, heads]
    # A block has `real.size * heads` rows of each kind, one kind after the other: [tokens, kind, heads].
    token_rows = 3 * cells * heads + kind[:, None] * real.size * heads + within[:, None, :]
    return block_rows.ravel(), token_rows.ravel(), (cells * heads + within).ravel()


def padder(
    count: int, length: int, *, heads: int, device: torch.device, typed: bool = False
) -> Callable[[Tensor, Tensor, Tensor], Batch]:
    """Return what makes one block of sentences that are padded to one length.

    It takes token ids [count, at least length], lengths [count] and where the tokens of type 1 begin [count], which
    only a model with token types reads. All else follows from the shape: made here, once.
    """
    places = block_places(count, length, heads, device)

    def pad(tokens: Tensor, lengths: Tensor, seconds: Tensor) -> Batch:
        place = torch.arange(length, device=device)
        bias = bias_where(place < lengths[:, None])  # of [count, length]
        types = (place >= seconds[:, None]).long().reshape(-1) if typed else None
        block = Block(count, length, bias)
        return Batch(tokens=tokens[:, :length].reshape(-1), blocks=(block,), cell_bias=bias, types=types, **places)

    return pad


def block_places(count: int, length: int, heads: int, device: torch.device) -> dict[str, Tensor]:
    """Return the parts of a batch that follow from its shape: where each row of each head belongs.

    Those of one block whose places all hold a token, on the device.
    """
    first, token = np.arange(count) * length, np.arange(count * length)
    rows = attention_rows(np.ones((count, length), dtype=bool), first, heads, 0)
    places = dict(zip(("block_rows", "token_rows", "context_rows"), rows, strict=True))
    places |= {"positions": token % length, "first": first, "cell_tokens": token, "token_cells": token}
    return {name: torch.from_numpy(rows).to(device) for name, rows in places.items()}


def bias_where(real: Tensor) -> Tensor:
    """Return zero where a token is [sentences, length], else minus infinity, as [sentences, 1, 1, length]."""
    return torch.zeros(real.shape, device=real.device).masked_fill_(~real, float("-inf"))[:, None, None, :]
