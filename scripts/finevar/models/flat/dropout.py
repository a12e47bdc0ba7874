"""Dropout at the price of its random numbers: an element is kept or zeroed by a bit mask.

One 64-bit draw serves four elements, far cheaper on a CPU than a Bernoulli draw each; so a rate is rounded to a
multiple of 2^-16, and the scale is exact for the rounded rate. The mask of a kept element is all ones, of a dropped one
all zeros, so that to apply it is a bitwise and.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

STEPS = 2**16  # that a rate is rounded to
INTEGER = {2: torch.int16, 4: torch.int32}  # by the bytes of the number that it masks


def dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Zero a share `rate` of x and scale the rest up; the identity without a generator."""
    bits = keep_bits(x.shape, rate, generator, x.dtype)
    return x if bits is None else Dropout.apply(x, bits, kept_scale(rate, generator))


class Dropout(torch.autograd.Function):
    """x masked and scaled; its gradient likewise."""

    @staticmethod
    def forward(ctx, x: Tensor, bits: Tensor, scale: float) -> Tensor:
        """Return x, some of it zeroed, the rest scaled up."""
        ctx.bits, ctx.scale = bits, scale
        return zero_out(x, bits).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of x."""
        return zero_out(gradient, ctx.bits).mul_(ctx.scale), None, None


def keep_bits(
    shape: Sequence[int], rate: float, generator: torch.Generator | None, dtype: torch.dtype
) -> Tensor | None:
    """Return a mask for numbers of a type: all ones where an element is kept; None where all are."""
    dropped = dropped_steps(rate)
    if generator is None or dropped == 0:
        return None
    count = math.prod(shape)
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device=generator.device)
    words = words.random_(-(2**63), None, generator=generator).view(torch.int16)[:count]
    least_kept = dropped - STEPS // 2
    bits = (least_kept - 1) - words.clamp_(least_kept - 1, least_kept)  # -1 from least_kept up, else 0
    return bits.to(INTEGER[dtype.itemsize]).view(shape)


def zero_out(x: Tensor, bits: Tensor | None) -> Tensor:
    """Return x with zeros where its mask has none; x itself without a mask."""
    return x if bits is None else (x.view(bits.dtype) & bits).view(x.dtype)


def kept_scale(rate: float, generator: torch.Generator | None) -> float:
    """Return what the kept elements are multiplied by, so that the mean stays."""
    return 1.0 if generator is None else STEPS / (STEPS - dropped_steps(rate))


def dropped_steps(rate: float) -> int:
    """Return a rate in multiples of 1 / STEPS."""
    return min(round(rate * STEPS), STEPS - 1)
