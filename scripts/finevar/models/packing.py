"""Batches without padding: sentences laid end to end, and the blocks in which attention takes them."""

from __future__ import annotations

from collections.abc import Sequence
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

    tokens, positions: int64 [T]. first: int64 [B], where each sentence begins, in the caller's order. labels: int64
    [B], in the caller's order. blocks: the sentences as attention takes them, one after the other.

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
    labels: Tensor
    blocks: tuple[Block, ...]
    block_rows: Tensor
    token_rows: Tensor
    context_rows: Tensor
    cell_tokens: Tensor
    token_cells: Tensor
    cell_bias: Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "blocks"}
        blocks = tuple(replace(block, bias=block.bias.to(device)) for block in self.blocks)
        return Batch(**{name: tensor.to(device) for name, tensor in tensors.items()}, blocks=blocks)


def collate(sentences: Sequence[np.ndarray], labels: np.ndarray, *, heads: int) -> Batch:
    """Lay token sequences end to end by length and note where each row of each head belongs."""
    sizes = np.array([len(sentence) for sentence in sentences])
    order = np.argsort(sizes, kind="stable")
    lengths = sizes[order]
    ends = np.cumsum(lengths)
    first = np.empty_like(ends)
    first[order] = ends - lengths
    blocks, block_rows, token_rows, context_rows = [], [], [], []
    cells = 0
    for start in range(0, len(lengths), BLOCK):
        inside = lengths[start : start + BLOCK]
        begins = (ends - lengths)[start : start + BLOCK]
        longest = -(-int(inside[-1]) // ROUND) * ROUND
        real = np.arange(longest) < inside[:, None]
        tokens = np.where(real, begins[:, None] + np.arange(longest), begins[:, None])  # [sentences, longest]
        kinds, sides = np.arange(3)[:, None, None, None], np.arange(heads)[:, None]
        block_rows.append(((tokens[:, None, :] * 3 + kinds) * heads + sides).ravel())
        sentence, place = np.nonzero(real)
        row = ((sentence * heads)[:, None] + np.arange(heads)) * longest + place[:, None]  # [tokens, heads]
        context_rows.append((cells * heads + row).ravel())
        token_rows.append((3 * cells * heads + np.arange(3)[:, None] * real.size * heads + row[:, None, :]).ravel())
        cells += real.size
        blocks.append(Block(len(inside), longest, bias_where(real)))
    real = np.arange(lengths[-1]) < sizes[:, None]  # [sentences, longest]
    cell_tokens = np.where(real, first[:, None] + np.arange(lengths[-1]), first[:, None]).ravel()
    token_cells = np.empty(ends[-1], dtype=np.int64)
    token_cells[cell_tokens[real.ravel()]] = np.flatnonzero(real)
    return Batch(
        tokens=torch.from_numpy(np.concatenate([sentences[number] for number in order]).astype(np.int64)),
        positions=torch.from_numpy(np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)),
        first=torch.from_numpy(first),
        labels=torch.as_tensor(labels),
        blocks=tuple(blocks),
        block_rows=torch.from_numpy(np.concatenate(block_rows)),
        token_rows=torch.from_numpy(np.concatenate(token_rows)),
        context_rows=torch.from_numpy(np.concatenate(context_rows)),
        cell_tokens=torch.from_numpy(cell_tokens),
        token_cells=torch.from_numpy(token_cells),
        cell_bias=bias_where(real),
    )


def bias_where(real: np.ndarray) -> Tensor:
    """Return zero where a token is [sentences, length], else minus infinity, as [sentences, 1, 1, length]."""
    return torch.zeros(real.shape).masked_fill_(torch.from_numpy(~real), float("-inf"))[:, None, None, :]
