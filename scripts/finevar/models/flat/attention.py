"""Self-attention over the blocks of a batch, its gradient written out.

Everything else is flat [tokens, ...]; only here do sentences become padded blocks, all heads side by side. Autograd
would do the same with many more passes over memory, which on a CPU cost more than the products.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from finevar.models.flat.dropout import keep_bits, kept_scale, zero_out
from finevar.models.flat.packing import Batch, Block
from finevar.models.kernels import softmax_gradient


class BlockAttention(torch.autograd.Function):
    """softmax(Q K' / sqrt(d)), dropout, times V; each sentence to itself, each head by itself.

    In: query, key and value of each token [T, 3 * heads * d]. Out: contexts [T, heads * d]. Products in the type of the
    input, softmax in float32.
    """

    @staticmethod
    def forward(
        ctx, projected: Tensor, batch: Batch, heads: int, rate: float, generator: torch.Generator | None
    ) -> Tensor:
        """Return contexts, and keep what the gradient needs."""
        width = projected.shape[-1] // (3 * heads)  # d
        # One copy puts each head's rows side by side, so that all products of a block are one batched product.
        rows = projected.view(-1, width).index_select(0, batch.block_rows)  # [3 * cells * heads, d]
        scale = kept_scale(rate, generator)
        contexts, shares_of = [], []
        for block, (query, key, value) in zip(batch.blocks, split_rows(rows, batch, heads, 3), strict=True):
            # query, key, value: [sentences * heads, length, d]; scores, shares: [sentences * heads, length, length].
            scores = torch.baddbmm(spread(block, heads, rows.dtype), query, key.transpose(1, 2), alpha=width**-0.5)
            shares = scores.softmax(-1, dtype=torch.float32)  # in bfloat16 they would not add up to 1
            bits = keep_bits(shares.shape, rate, generator, rows.dtype)
            dropped = zero_out(shares.to(rows.dtype), bits)
            contexts.append(torch.bmm(dropped, value).view(-1, width))
            shares_of.append((shares, bits, dropped))
        ctx.batch, ctx.heads, ctx.scale, ctx.rows, ctx.shares_of = batch, heads, scale, rows, shares_of
        return torch.cat(contexts).index_select(0, batch.context_rows).view(len(projected), -1).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Return the gradient of queries, keys and values [T, 3 * heads * d]."""
        batch, heads, rows = ctx.batch, ctx.heads, ctx.rows
        width = rows.shape[-1]
        # The gradient of each context in its block's place; zero where no token is, so that padding adds nothing.
        arrived = rows.new_zeros(len(rows) // 3, width)  # [cells * heads, d]
        arrived.index_copy_(0, batch.context_rows, (gradient * ctx.scale).view(-1, width))
        d_rows = torch.empty_like(rows)  # of it `split_rows` gives views, filled one by one below
        for (query, key, value), (d_query, d_key, d_value), (d_context,), (shares, bits, dropped) in zip(
            split_rows(rows, batch, heads, 3),
            split_rows(d_rows, batch, heads, 3),
            split_rows(arrived, batch, heads, 1),
            ctx.shares_of,
            strict=True,
        ):
            # context = dropped @ value, so d_value = dropped' @ d_context and d_dropped = d_context @ value'.
            torch.bmm(dropped.transpose(1, 2), d_context, out=d_value)
            d_shares = zero_out(torch.bmm(d_context, value.transpose(1, 2)), bits).float()
            d_scores = softmax_gradient(d_shares, shares).mul_(width**-0.5)
            d_scores = d_scores.to(rows.dtype)
            # scores = query @ key' / sqrt(d); the root is in d_scores already.
            torch.bmm(d_scores, key, out=d_query)
            torch.bmm(d_scores.transpose(1, 2), query, out=d_key)
        return d_rows.index_select(0, batch.token_rows).view(len(gradient), -1), None, None, None, None


class Gather(torch.autograd.Function):
    """Rows of the input by their numbers, for places that are each one row's own or get no gradient.

    In: rows [n, ...], the row of each place [m], and the way back, each row's own place [n]. Out: places [m, ...].
    """

    @staticmethod
    def forward(ctx, rows: Tensor, there: Tensor, back: Tensor) -> Tensor:
        """Return the rows asked for."""
        ctx.back = back
        return rows.index_select(0, there)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return each row's gradient, from its own place."""
        return gradient.index_select(0, ctx.back), None, None


def split_rows(rows: Tensor, batch: Batch, heads: int, kinds: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield each block's share of rows [..., d]: for each kind (query, key, value) [sentences * heads, length, d]."""
    sizes = [block.sentences * block.length * heads * kinds for block in batch.blocks]
    for block, part in zip(batch.blocks, rows.split(sizes), strict=True):
        yield part.view(kinds, block.sentences * heads, block.length, -1).unbind(0)


def spread(block: Block, heads: int, dtype: torch.dtype) -> Tensor:
    """Return a block's bias for every head and query [sentences * heads, length, length]."""
    shape = (block.sentences, heads, block.length, block.length)
    return block.bias.to(dtype).expand(shape).reshape(-1, block.length, block.length)
