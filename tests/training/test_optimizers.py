"""The optimizers against PyTorch's own, and a training that goes on from the state of each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from finevar.training.optimiser import OPTIMIZERS, Moments, update

SHAPES = {"matrix": (7, 5), "vector": (6,)}
RATE, DECAY, STEPS = 0.02, 0.1, 8


def drawn(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def trained(optimizer: str, *, clip_norm: float = 1e9) -> dict[str, Tensor]:
    """Return weights after some steps on drawn gradients."""
    weights = {name: weight.requires_grad_() for name, weight in drawn(0).items()}
    moments = Moments.zero(weights, optimizer)
    for step in range(STEPS):
        for name, gradient in drawn(step + 1).items():
            weights[name].grad = gradient
        update(weights, moments, learning_rate=RATE, weight_decay=DECAY, clip_norm=clip_norm, optimizer=optimizer)
    return {name: weight.detach() for name, weight in weights.items()}


def by_torch(kind: type[torch.optim.Optimizer], **options) -> dict[str, Tensor]:
    """Return what PyTorch's optimizer makes of the same weights and gradients; matrices alone decay."""
    weights = {name: weight.requires_grad_() for name, weight in drawn(0).items()}
    groups = [
        {"params": [weights["matrix"]], "weight_decay": options.pop("decay", DECAY)},
        {"params": [weights["vector"]], "weight_decay": 0.0},
    ]
    optimizer = kind(groups, lr=RATE, **options)
    for step in range(STEPS):
        for name, gradient in drawn(step + 1).items():
            weights[name].grad = gradient
        optimizer.step()
    return {name: weight.detach() for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adafactor", torch.optim.Adafactor)], ids=["adamw", "adafactor"]
)
def test_steps_are_those_of_pytorch(name, kind):
    expected = by_torch(kind)
    for part, weight in trained(name).items():
        torch.testing.assert_close(weight, expected[part], rtol=2e-5, atol=1e-6)


def test_rates_and_beta2_are_those_of_pytorchs_groups():
    expected = {name: weight.requires_grad_() for name, weight in drawn(0).items()}
    weights = {name: weight.requires_grad_() for name, weight in drawn(0).items()}
    groups = [{"params": [expected["matrix"]], "lr": RATE / 4, "weight_decay": DECAY}]
    groups += [{"params": [expected["vector"]], "lr": RATE, "weight_decay": 0.0}]
    optimizer, moments = torch.optim.AdamW(groups, betas=(0.9, 0.8)), Moments.zero(weights)
    for step in range(STEPS):
        for name, gradient in drawn(step + 1).items():
            weights[name].grad, expected[name].grad = gradient, gradient.clone()
        optimizer.step()
        options = {"weight_decay": DECAY, "clip_norm": 1e9, "beta2": 0.8, "shares": {"matrix": 0.25}}
        update(weights, moments, learning_rate=RATE, **options)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-6)


def test_momentum_is_that_of_pytorch_with_a_decay_apart_from_the_gradient():
    """Each step shrinks a matrix first: by hand, as PyTorch's SGD adds its decay to the gradient."""
    weights, sums = drawn(0), dict.fromkeys(SHAPES, 0.0)
    for step in range(STEPS):
        for name, gradient in drawn(step + 1).items():
            sums[name] = 0.9 * sums[name] + gradient
            kept = 1 - RATE * DECAY if name == "matrix" else 1.0
            weights[name] = kept * weights[name] - RATE * sums[name]
    for name, weight in trained("sgd").items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-5, atol=1e-6)
    without = by_torch(torch.optim.SGD, momentum=0.9, decay=0.0)["vector"]
    torch.testing.assert_close(trained("sgd")["vector"], without, rtol=1e-5, atol=1e-6)


def test_without_bias_correction_the_means_count_as_they_are():
    weights, first, second = drawn(0), dict.fromkeys(SHAPES, 0.0), dict.fromkeys(SHAPES, 0.0)
    for step in range(STEPS):
        for name, gradient in drawn(step + 1).items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            kept = 1 - RATE * DECAY if name == "matrix" else 1.0
            weights[name] = kept * weights[name] - RATE * first[name] / (second[name] ** 0.5 + 1e-8)
    for name, weight in trained("adamw_uncorrected").items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_are_clipped_for_every_optimizer(name):
    """A tenth of the norm is a tenth of each gradient, which changes all but Adam's direction."""
    whole, clipped = trained(name), trained(name, clip_norm=0.1)
    assert any(not torch.equal(whole[part], clipped[part]) for part in SHAPES)
    assert all(clipped[part].isfinite().all() for part in SHAPES)
