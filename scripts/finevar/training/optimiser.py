"""AdamW on plain tensors: its state is two tensors for each weight by name, to be saved and restored as they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from finevar.models.family import Weights
from finevar.models.kernels import adamw


@dataclass(frozen=True)
class Moments:
    """The running means of each weight's gradient and of its square, by the weight's name, and the steps taken.

    first, second: float32 of the weights' shapes, for exactly the weights that learn. steps: float32, one number.
    """

    first: Weights
    second: Weights
    steps: Tensor

    @classmethod
    def zero(cls, weights: Weights) -> Moments:
        """Return the moments of weights before the first step."""
        first = {name: torch.zeros_like(weight, requires_grad=False) for name, weight in weights.items()}
        second = {name: zero.clone() for name, zero in first.items()}
        return cls(first, second, torch.zeros((), device=next(iter(weights.values())).device))

    def to(self, device: str) -> Moments:
        """Return the moments on a device."""
        first, second = (
            {name: tensor.to(device) for name, tensor in kind.items()} for kind in (self.first, self.second)
        )
        return Moments(first, second, self.steps.to(device))


@torch.no_grad()
def update(
    weights: Weights, moments: Moments, *, learning_rate: float | Tensor, weight_decay: float, clip_norm: float
) -> Tensor:
    """Take one step of AdamW in place on the weights that have moments, drop their gradients, return their norm.

    learning_rate: a number, or one on the weights' device. Gradients of a larger norm than clip_norm are scaled down to
    it, by the kernel itself rather than in a pass before.
    Matrices decay; biases and LayerNorms never do, whatever their names. The norm adds up in the order of names, since
    the order of a sum decides its last bits: a checkpoint's own order has no effect.
    """
    names = sorted(moments.first)
    norm = torch.nn.utils.get_total_norm([weights[name].grad for name in names])
    divisor = ((norm + 1e-6) / clip_norm).clamp(min=1.0)  # as torch.nn.utils.clip_grad_norm_ has it
    moments.steps.add_(1)
    parts = {name: (weights[name], weights[name].grad, moments.first[name], moments.second[name]) for name in names}
    for is_matrix, decay in ((True, weight_decay), (False, 0.0)):
        chosen = {name: part for name, part in parts.items() if (part[0].ndim >= 2) == is_matrix}
        adamw(chosen, moments.steps, learning_rate=learning_rate, weight_decay=decay, divisor=divisor)
    for name in names:
        weights[name].grad = None
    return norm
