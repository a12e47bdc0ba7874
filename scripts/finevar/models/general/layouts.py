"""How batches reach a model of transformers: laid end to end, or padded; and how dropout draws from our generator.

Laid end to end, a batch is one row of tokens. Attention is the one thing in an encoder that looks beyond a token, so
that this module's takes its place; before the head, hidden states are laid out by sentence once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from finevar.models.flat import packing
from finevar.models.flat.attention import BlockAttention, Gather
from finevar.models.flat.dropout import dropout
from finevar.models.lora import Layer

ATTENTION = "finevar_flat"  # what this module's attention is called where transformers looks it up


@dataclass(frozen=True)
class Flight:
    """A batch on its way through a model, laid end to end, and the generator of its dropout."""

    batch: packing.Batch
    masks: torch.Generator | None


FLIGHT: ContextVar[Flight] = ContextVar("FLIGHT")


@contextmanager
def flying(batch: packing.Batch, masks: torch.Generator | None) -> Iterator[None]:
    """Let attention and head know the batch that a model computes."""
    token = FLIGHT.set(Flight(batch, masks))
    try:
        yield
    finally:
        FLIGHT.reset(token)


def flat_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each sentence, as transformers' attention functions do; query, key, value: [1, heads, T, d].

    sliding_window: tokens may be less than this apart. Returns contexts [1, T, heads, d].
    """
    flight, (_, heads, tokens, width) = FLIGHT.get(), query.shape
    if scaling is not None and scaling != width**-0.5:  # BlockAttention has the usual one
        query = query * (scaling * width**0.5)
    key, value = (
        part.repeat_interleave(heads // part.shape[1], 1) for part in (key, value)
    )  # as some heads share them
    projected = torch.stack((query[0], key[0], value[0])).permute(2, 0, 1, 3).reshape(tokens, -1)
    batch = flight.batch if sliding_window is None else within(flight.batch, sliding_window)
    rate = dropout if module.training else 0.0
    context = BlockAttention.apply(projected, batch, heads, rate, flight.masks)
    return context.view(1, tokens, heads, width), None


def within(batch: packing.Batch, window: int) -> packing.Batch:
    """Return a batch whose tokens attend to those alone that are less than a window apart."""
    return replace(batch, blocks=tuple(windowed(block, window) for block in batch.blocks))


def windowed(block: packing.Block, window: int) -> packing.Block:
    """Return a block with a bias for each query [sentences, 1, length, length]."""
    if block.length <= window:
        return block
    places = torch.arange(block.length, device=block.bias.device)
    far = (places[:, None] - places).abs() >= window
    # A query that is no token may look anywhere: without a key its shares would be no numbers, and so all gradients.
    return replace(block, bias=block.bias.masked_fill(far & (block.bias == 0).transpose(2, 3), float("-inf")))


def lay_out_again(_: nn.Module, __: Any, output: Any) -> Any:
    """Give what an encoder returns with its hidden states by sentence."""
    if isinstance(output, tuple):
        return (by_sentence(output[0]), *output[1:])
    output.last_hidden_state = by_sentence(output.last_hidden_state)
    return output


def by_sentence(hidden: Tensor) -> Tensor:
    """Return hidden states [1, T, dim] by sentence [sentences, longest, dim]."""
    batch = FLIGHT.get().batch
    cells = Gather.apply(hidden[0], batch.cell_tokens, batch.token_cells)
    return cells.view(len(batch.first), -1, hidden.shape[-1])


class DrawnDropout(TorchFunctionMode):
    """All dropout of a model's code, drawn from a generator of ours: nothing depends on PyTorch's own."""

    def __init__(self, masks: torch.Generator) -> None:
        super().__init__()
        self.masks = masks

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of PyTorch; in place of its dropout ours."""
        return (self.drop if function is F.dropout else function)(*args, **(kwargs or {}))

    def drop(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """Take the place of torch.nn.functional.dropout, whose arguments these are."""
        return dropout(input, p, self.masks if training else None)


class AdaptedLayers(TorchFunctionMode):
    """The linear layers of a model's code whose matrices have factors beside them, by the matrix."""

    def __init__(self, layers: Mapping[int, Layer]) -> None:
        super().__init__()
        self.layers = layers

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of PyTorch; in place of such a linear layer ours."""
        layer = self.layers.get(id(args[1])) if function is F.linear else None
        return layer.apply(args[0]) if layer else function(*args, **(kwargs or {}))


@dataclass(frozen=True)
class PaddedBatch:
    """Sentences padded to the longest, [sentences, longest]: tokens and types int64, None without pairs; mask bool."""

    tokens: Tensor
    mask: Tensor
    types: Tensor | None

    def to(self, device: str) -> PaddedBatch:
        """Return the batch on a device."""
        types = None if self.types is None else self.types.to(device)
        return PaddedBatch(self.tokens.to(device), self.mask.to(device), types)


def pad(tokens: Tensor, lengths: Tensor, seconds: Tensor | None) -> PaddedBatch:
    """Return the batch of padded tokens [sentences, longest]; seconds: where tokens of type 1 begin."""
    place = torch.arange(tokens.shape[1], device=tokens.device)
    types = None if seconds is None else (place >= seconds[:, None]).long()
    return PaddedBatch(tokens, place < lengths[:, None], types)


def padded(sentences: Sequence[np.ndarray], seconds: Sequence[int] | None) -> PaddedBatch:
    """Return the batch of sentences, each its token ids, padded by the token of number 0, which nothing reads."""
    rows = [torch.from_numpy(sentence.astype(np.int64)) for sentence in sentences]
    tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return pad(tokens, lengths, None if seconds is None else torch.tensor(seconds))
