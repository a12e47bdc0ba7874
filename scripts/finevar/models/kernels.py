"""PyTorch's private kernels, each behind a function that says why it is called and checks what the kernel does not.

A private kernel may change or go with any version of PyTorch, and some write through raw pointers without looking at
shapes. So nothing else in the package calls one, and each has a test against the public way to the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of AdamW: Hugging Face's and PyTorch's defaults
KINDS = ("weight", "gradient", "first moment", "second moment")


def adamw(
    tensors: Mapping[str, tuple[Tensor, Tensor, Tensor, Tensor]],
    steps: Tensor,
    *,
    learning_rate: float | Tensor,
    weight_decay: float,
    divisor: Tensor,
    beta2: float = BETA2,
) -> None:
    """Take one AdamW step in place, all weights in one call (Loshchilov and Hutter 2019).

    tensors: by the weight's name its weight, gradient and two moments. steps: the steps taken, this one included, for
    the bias correction. divisor: what gradients are divided by first; it takes the place of a pass that clips them.
    The public way is torch.optim.AdamW(fused=True), whose import loads a compiler: more seconds than a short training.
    On a CPU the kernel walks raw memory by the weight's size: tensors of another shape, type or memory order are
    misread or overrun. Raises ValueError, before anything is written, for such tensors.
    """
    if not tensors:
        return
    check_alike(tensors)
    weights, gradients, first, second = (list(kind) for kind in zip(*tensors.values(), strict=True))
    torch._fused_adamw_(
        weights,
        gradients,
        first,
        second,
        [],
        [steps] * len(weights),
        lr=learning_rate,
        beta1=BETA1,
        beta2=beta2,
        weight_decay=weight_decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
        grad_scale=divisor,
    )


def check_alike(tensors: Mapping[str, tuple[Tensor, ...]]) -> None:
    """Raise ValueError unless each weight, its gradient and its moments have one shape, type, device and order."""
    for name, kinds in tensors.items():
        parts = {(one.shape, one.dtype, one.device, one.is_contiguous()) if one is not None else None for one in kinds}
        if parts != {(kinds[0].shape, kinds[0].dtype, kinds[0].device, True)}:
            layouts = ", ".join(f"{kind} {layout(one)}" for kind, one in zip(KINDS, kinds, strict=True))
            raise ValueError(f"{name}: its tensors do not match: {layouts}")


def layout(tensor: Tensor | None) -> str:
    """Describe a tensor's type, shape and place."""
    if tensor is None:
        return "missing"
    order = "" if tensor.is_contiguous() else " not contiguous"
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} on {tensor.device}{order}"


def softmax_gradient(gradient: Tensor, shares: Tensor) -> Tensor:
    """Return the gradient of scores from that of their softmax over the last dimension; both float32.

    The public way is autograd through softmax, which attention avoids: its gradient is written out as a whole, to make
    fewer passes over memory. The formula in public operations takes three passes where this kernel takes one.
    Raises ValueError where shapes or types differ.
    """
    if gradient.shape != shares.shape or gradient.dtype != torch.float32 or shares.dtype != torch.float32:
        raise ValueError(f"softmax: gradient {layout(gradient)}, shares {layout(shares)}: both float32 of one shape")
    return torch._softmax_backward_data(gradient, shares, -1, torch.float32)
