"""Low-rank adaptation (Hu et al. 2021): a matrix keeps its weights and learns a product of two small ones beside it.

The factors of a matrix `layer.weight` [out, in] lie beside it as `layer.lora_A` [rank, in] and `layer.lora_B` [out,
rank], by PEFT's names. A step multiplies by the sum W + scale * B A, which is also what is saved in the end; on the way
back it computes the gradients of the factors alone, never that of the matrix: a third of a step's large products less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from finevar.models.family import Weights
from finevar.models.randomness import generator

WEIGHT, FIRST, SECOND = ".weight", ".lora_A", ".lora_B"


class Layer(NamedTuple):
    """A linear layer; a matrix with factors beside it holds their product already, the second one the scale.

    Layers that are joined to one have their tensors one below the other: weight [n * out, in], first [n * rank, in],
    second [n * out, rank].
    """

    weight: Tensor
    bias: Tensor | None
    first: Tensor | None = None
    second: Tensor | None = None

    @classmethod
    def of(cls, weights: Weights, name: str) -> Layer:
        """Return the layer of a name."""
        return cls(*(weights.get(f"{name}{part}") for part in (WEIGHT, ".bias", FIRST, SECOND)))

    def part(self, begin: int, end: int, count: int) -> Layer:
        """Return the layers from one number to before another, of so many that are joined."""
        rows = [None if t is None else t[len(t) // count * begin : len(t) // count * end] for t in self]
        return Layer(*rows)

    def to(self, dtype: torch.dtype) -> Layer:
        """Return the layer in a type."""
        return Layer(*(None if tensor is None else tensor.to(dtype) for tensor in self))

    def apply(self, x: Tensor) -> Tensor:
        """Return x [..., in] multiplied in the layer's type."""
        x = x.to(self.weight.dtype)
        return F.linear(x, self.weight, self.bias) if self.first is None else Adapted.apply(x, *self)


class Adapted(torch.autograd.Function):
    """A linear layer whose matrix holds the product of its factors, which learn in its place."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, first: Tensor, second: Tensor) -> Tensor:
        """Return x [..., in] multiplied by the matrix."""
        ctx.save_for_backward(x, weight, first, second)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor]:
        """Return the gradients of x and of the factors."""
        x, weight, first, second = ctx.saved_tensors
        d_x = gradient @ weight if ctx.needs_input_grad[0] else None
        x, gradient, rank = x.flatten(0, -2), gradient.flatten(0, -2), second.shape[1]
        shares = gradient.split(len(second) * rank // len(first), dim=1)  # of each layer that is joined
        inner = torch.cat([share @ own for share, own in zip(shares, second.split(shares[0].shape[1]), strict=True)], 1)
        lowered = (x @ first.T).split(rank, dim=1)
        d_second = torch.cat([share.T @ low for share, low in zip(shares, lowered, strict=True)])
        return d_x, None, None, inner.T @ x, d_second


def factors(shapes: Mapping[str, torch.Size], *, rank: int, seed: int) -> Weights:
    """Return the factors of matrices, by name, before the first step: as PEFT draws them, their product zero.

    Each matrix has a generator of its own: what is drawn depends neither on what else learns nor on the rank, as a
    larger one adds rows.
    """
    made = {}
    for name, (rows, columns) in shapes.items():
        layer = name.removesuffix(WEIGHT)
        bound = columns**-0.5  # of kaiming_uniform_ with a of sqrt(5)
        drawn = torch.rand(rank, columns, generator=generator(seed, f"lora/{layer}"))
        made |= {layer + FIRST: (2 * drawn - 1) * bound, layer + SECOND: torch.zeros(rows, rank)}
    return made


def adapted(weights: Weights) -> list[str]:
    """Return the names of the layers whose matrices have factors."""
    return [name.removesuffix(FIRST) for name in weights if name.endswith(FIRST)]


def adapted_layers(weights: Weights, dtype: torch.dtype) -> dict[int, Layer]:
    """Return the layers whose matrices have factors in a type, by the identity of the matrix."""
    return {id(weights[name + WEIGHT]): Layer.of(weights, name).to(dtype) for name in adapted(weights)}


def unadapted(weights: Weights) -> Weights:
    """Return the weights without factors."""
    return {name: weight for name, weight in weights.items() if not name.endswith((FIRST, SECOND))}


def summed(weights: Weights, settings: Mapping[str, Any]) -> Weights:
    """Return the weights as a step multiplies them: matrices with the product of their factors, which get gradients.

    The factors stay beside the matrices, the scale in the second.
    """
    made = {}
    for layer in adapted(weights):
        first, second = weights[layer + FIRST], weights[layer + SECOND] * settings["lora_scale"]
        with torch.no_grad():
            made[layer + WEIGHT] = torch.addmm(weights[layer + WEIGHT], second, first)
        made[layer + SECOND] = second
    return weights | made


def merged(weights: Weights, settings: Mapping[str, Any]) -> Weights:
    """Return the weights of the model alone, the product of its factors in each matrix."""
    return unadapted(summed(weights, settings))
