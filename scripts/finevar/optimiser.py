"""AdamW on plain tensors: its state is a few lists, to be saved and taken up again as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Hugging Face's and PyTorch's defaults


@dataclass(frozen=True)
class Moments:
    """The running means of each weight's gradient and of its square, both float32, and the steps taken."""

    first: list[Tensor]
    second: list[Tensor]
    steps: list[Tensor]

    @classmethod
    def zero(cls, weights: Sequence[Tensor]) -> Moments:
        """Return the moments before the first step."""
        return cls(
            [torch.zeros_like(weight, requires_grad=False) for weight in weights],
            [torch.zeros_like(weight, requires_grad=False) for weight in weights],
            [torch.zeros((), device=weight.device) for weight in weights],
        )


@torch.no_grad()
def update(
    weights: Sequence[Tensor], moments: Moments, *, learning_rate: float | Tensor, weight_decay: float, clip_norm: float
) -> Tensor:
    """Take one step of AdamW in place, drop the gradients, return their norm (Loshchilov and Hutter 2019).

    learning_rate: a number, or one on the weights' device. Gradients of a larger norm than clip_norm are scaled down to
    it, by the kernel itself rather than in a pass before.
    Matrices decay; biases and LayerNorms never do, whatever their names. PyTorch's fused kernel does the arithmetic;
    its optimiser class would import a compiler first, which takes longer than a short run's training.
    """
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights])
    excess = ((norm + 1e-6) / clip_norm).clamp(min=1.0)  # as torch.nn.utils.clip_grad_norm_ has it
    for decay, chosen in (
        (weight_decay, [number for number, weight in enumerate(weights) if weight.ndim >= 2]),
        (0.0, [number for number, weight in enumerate(weights) if weight.ndim < 2]),
    ):
        steps = [moments.steps[number] for number in chosen]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            [weights[number] for number in chosen],
            [weights[number].grad for number in chosen],
            [moments.first[number] for number in chosen],
            [moments.second[number] for number in chosen],
            [],
            steps,
            lr=learning_rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
            grad_scale=excess,
        )
    for weight in weights:
        weight.grad = None
    return norm
