"""Optimizers on plain tensors, whose state is two tensors for each weight by name: saved and restored as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from finevar.models.family import Weights
from finevar.models.kernels import BETA2, adamw

MOMENTUM = 0.9  # of sgd
BETA2_DECAY, LEAST_SCALE = -0.8, 1e-3  # of adafactor: PyTorch's defaults
ENDLESS = 1e9  # steps after which bias correction divides by exactly 1

Parts = Mapping[
    str, tuple[Tensor, Tensor, Tensor, Tensor]
]  # by the weight's name: weight, gradient and its two moments


@dataclass(frozen=True)
class Moments:
    """What an optimizer remembers of each weight's gradients, by the weight's name, and the steps taken.

    first, second: float32, for exactly the weights that learn. Of AdamW the running means of gradients and of their
    squares, of the weights' shapes; of sgd the first alone; of adafactor the means of squares over the rows' and over
    the columns' other dimension, of a vector the squares' alone. steps: float32, one number.
    """

    first: Weights
    second: Weights
    steps: Tensor

    @classmethod
    def zero(cls, weights: Weights, optimizer: str = "adamw") -> Moments:
        """Return the moments of weights before the first step."""
        first = second = weights
        if optimizer == "adafactor":
            first, second = (
                {name: weight.narrow(-axis, 0, 1) if weight.ndim > 1 else weight for name, weight in weights.items()}
                for axis in (1, 2)
            )
        zeros = ({name: emptied(weight) for name, weight in kind.items()} for kind in (first, second))
        return cls(*zeros, torch.zeros((), device=next(iter(weights.values())).device))

    def to(self, device: str) -> Moments:
        """Return the moments on a device."""
        first, second = (
            {name: tensor.to(device) for name, tensor in kind.items()} for kind in (self.first, self.second)
        )
        return Moments(first, second, self.steps.to(device))


def emptied(tensor: Tensor) -> Tensor:
    """Return zeros of a tensor's shape, on its device."""
    return torch.zeros_like(tensor, requires_grad=False, memory_format=torch.contiguous_format)


@torch.no_grad()
def update(
    weights: Weights,
    moments: Moments,
    *,
    learning_rate: float | Tensor,
    weight_decay: float,
    clip_norm: float,
    optimizer: str = "adamw",
    beta2: float = BETA2,
    shares: Mapping[str, float] | None = None,
) -> Tensor:
    """Take one step of an optimizer in place on the weights that have moments, drop their gradients, return their norm.

    learning_rate: a number, or one on the weights' device; shares: of it, by the name of a weight that has less than
    all. beta2: AdamW's.
    Gradients of a larger norm than clip_norm are scaled down to it, as part of the step rather than in a pass before.
    Matrices decay, by the rate times weight_decay whatever the gradient; biases and LayerNorms never do, whatever their
    names. The norm adds up in the order of names, since the order of a sum decides its last bits: a checkpoint's own
    order has no effect.
    """
    names = sorted(moments.first)
    norm = torch.nn.utils.get_total_norm([weights[name].grad for name in names])
    divisor = ((norm + 1e-6) / clip_norm).clamp(min=1.0)  # as torch.nn.utils.clip_grad_norm_ has it
    moments.steps.add_(1)
    parts = {name: (weights[name], weights[name].grad, moments.first[name], moments.second[name]) for name in names}
    groups: dict[tuple[float, bool], dict[str, tuple[Tensor, Tensor, Tensor, Tensor]]] = {}
    for name, part in parts.items():
        groups.setdefault(((shares or {}).get(name, 1.0), part[0].ndim >= 2), {})[name] = part
    for (share, is_matrix), chosen in groups.items():
        OPTIMIZERS[optimizer](
            chosen,
            moments.steps,
            learning_rate=learning_rate * share,
            weight_decay=weight_decay if is_matrix else 0.0,
            divisor=divisor,
            beta2=beta2,
        )
    for name in names:
        weights[name].grad = None
    return norm


def uncorrected(parts: Parts, steps: Tensor, **options: float | Tensor) -> None:
    """Take one AdamW step without bias correction, as BERT's first code had it: early steps are smaller."""
    adamw(parts, torch.full_like(steps, ENDLESS), **options)


def sgd(
    parts: Parts, steps: Tensor, *, learning_rate: float | Tensor, weight_decay: float, divisor: Tensor, **_: float
) -> None:
    """Take one step of gradient descent with momentum (Polyak 1964), its decay decoupled as AdamW's is."""
    for weight, gradient, first, _ in parts.values():
        first.mul_(MOMENTUM).add_(gradient / divisor)
        weight.mul_(1 - learning_rate * weight_decay).sub_(learning_rate * first)


def adafactor(
    parts: Parts, steps: Tensor, *, learning_rate: float | Tensor, weight_decay: float, divisor: Tensor, **_: float
) -> None:
    """Take one Adafactor step (Shazeer & Stern 2018), as torch.optim.Adafactor does, without waiting for a device.

    The rate counts relative to the size of each weight, and after n steps is 1 / sqrt(n) at most.
    """
    fresh, rate = steps**BETA2_DECAY, torch.clamp(steps**-0.5, max=learning_rate)
    for weight, gradient, first, second in parts.values():
        gradient, epsilon = gradient / divisor, torch.finfo(weight.dtype).eps
        scale = torch.clamp(weight.norm() / weight.numel() ** 0.5, min=LEAST_SCALE) * rate
        weight.mul_(1 - learning_rate * weight_decay)
        squares = gradient.square()
        if weight.ndim > 1:
            first.lerp_(squares.mean(-1, keepdim=True), fresh)
            second.lerp_(squares.mean(-2, keepdim=True), fresh)
            squares = first @ second / first.mean(-2, keepdim=True).clamp(min=epsilon)
        else:
            squares = first.lerp_(squares, fresh)
        change = gradient * squares.clamp(min=epsilon**2).rsqrt()
        weight.sub_(change * (scale / torch.clamp(change.norm() / change.numel() ** 0.5, min=1.0)))


OPTIMIZERS: dict[str, Callable[..., None]] = {
    "adamw": adamw,
    "adamw_uncorrected": uncorrected,
    "adafactor": adafactor,
    "sgd": sgd,
}
