"""PyTorch's private kernels against the public way to the same numbers, and what they are never given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import finevar
from finevar.models import kernels
from finevar.models.kernels import BETA1, BETA2, EPSILON
from finevar.training.optimiser import Moments, update

SHAPES = {"w": (7, 5), "a.bias": (7,), "long": (3, 1000), "one": (1,), "e": (33, 2), "vector": (129,)}


def random_weights(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw, dtype=dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("divisor", [1.0, 17.0])
def test_a_step_of_adamw_is_that_of_the_public_class(dtype, weight_decay, divisor):
    ours, theirs = random_weights(1, dtype), {name: w.requires_grad_() for name, w in random_weights(1, dtype).items()}
    public = torch.optim.AdamW(
        theirs.values(),
        lr=0.01,
        betas=(BETA1, BETA2),
        eps=EPSILON,
        weight_decay=weight_decay,
        foreach=False,
        fused=False,
    )
    first, second = ({name: torch.zeros_like(weight) for name, weight in ours.items()} for _ in range(2))
    steps = torch.zeros(())
    for step in range(4):
        gradients = random_weights(10 + step, dtype)
        for name, weight in theirs.items():
            weight.grad = gradients[name] / divisor
        public.step()
        steps.add_(1)
        kernels.adamw(
            {name: (ours[name], gradients[name], first[name], second[name]) for name in ours},
            steps,
            learning_rate=0.01,
            weight_decay=weight_decay,
            divisor=torch.tensor(divisor),
        )
    assert int(steps) == 4
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight.detach(), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(first[name], public.state[weight]["exp_avg"], rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(second[name], public.state[weight]["exp_avg_sq"], rtol=1e-5, atol=1e-8)


SPOILT = {
    "a gradient of another shape": (1, torch.zeros(5, 7), "gradient float32 [5, 7]"),
    "a gradient of as many numbers": (1, torch.zeros(35), "gradient float32 [35]"),
    "a gradient of another type": (1, torch.zeros(7, 5, dtype=torch.float64), "gradient float64 [7, 5]"),
    "a gradient in another order of memory": (1, torch.zeros(5, 7).t(), "gradient float32 [7, 5] on cpu not cont"),
    "no gradient": (1, None, "gradient missing"),
    "a moment of another shape": (2, torch.zeros(7, 4), "first moment float32 [7, 4]"),
    "a moment of another device": (3, torch.zeros(7, 5, device="meta"), "second moment float32 [7, 5] on meta"),
    "a weight in another order of memory": (0, torch.zeros(5, 7).t(), "weight float32 [7, 5] on cpu not cont"),
}


@pytest.mark.parametrize(("place", "tensor", "said"), SPOILT.values(), ids=SPOILT)
def test_tensors_that_do_not_go_together_never_reach_the_kernel(monkeypatch, place, tensor, said):
    monkeypatch.setattr(torch, "_fused_adamw_", lambda *_, **__: pytest.fail("the kernel was called"))
    good = tuple(torch.zeros(7, 5) for _ in range(4))
    spoilt = (*good[:place], tensor, *good[place + 1 :])
    options = {"learning_rate": 0.1, "weight_decay": 0.0}
    with pytest.raises(ValueError, match=rf"^v: its tensors do not match.*{re.escape(said)}"):
        kernels.adamw({"u": good, "v": spoilt}, torch.ones(()), divisor=torch.ones(()), **options)


def test_the_kernel_itself_would_take_moments_of_another_order(monkeypatch):
    """What the check is for: the same call without it goes through and is wrong."""
    weights, moment = torch.zeros(3, 4), torch.zeros(3, 4)
    tensors = (weights, torch.arange(12.0).view(4, 3).t(), moment, torch.zeros(3, 4))
    monkeypatch.setattr(kernels, "check_alike", lambda _: None)
    options = {"learning_rate": 0.1, "weight_decay": 0.0}
    kernels.adamw({"w": tensors}, torch.ones(()), divisor=torch.ones(()), **options)
    assert not torch.allclose(moment, tensors[1] * (1 - BETA1))


def test_an_update_pairs_by_name_whatever_the_order():
    def updated(order: list[str], moments_order: list[str]) -> tuple[dict, Moments, list[float]]:
        found = random_weights(3)
        weights = {name: found[name] for name in order}
        zero = Moments.zero(weights)
        moments = Moments(
            {name: zero.first[name] for name in moments_order}, {name: zero.second[name] for name in order}, zero.steps
        )
        norms = []
        for step in range(3):
            for name, gradient in random_weights(20 + step).items():
                weights[name].grad = gradient
            norms.append(float(update(weights, moments, learning_rate=0.01, weight_decay=0.1, clip_norm=1.0)))
        return weights, moments, norms

    names = list(SHAPES)
    weights, moments, norms = updated(names, names)
    for order, moments_order in ((names[::-1], names), (names, names[::-1]), (sorted(names), names[3:] + names[:3])):
        others, other_moments, other_norms = updated(order, moments_order)
        assert norms == other_norms
        for name in names:
            assert torch.equal(weights[name], others[name])
            assert torch.equal(moments.first[name], other_moments.first[name])
            assert torch.equal(moments.second[name], other_moments.second[name])


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 5, 7), (96, 33, 33), (4, 1, 130)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_of_softmax_is_that_of_autograd(shape, masked):
    draw = torch.Generator().manual_seed(0)
    scores, gradient = (torch.randn(shape, generator=draw) * 4 for _ in range(2))
    if masked and shape[-1] > 1:
        scores[..., -1] = float("-inf")
    scores.requires_grad_()
    shares = scores.softmax(-1)
    shares.backward(gradient)
    torch.testing.assert_close(kernels.softmax_gradient(gradient, shares.detach()), scores.grad, rtol=1e-6, atol=1e-7)


def test_softmax_is_given_what_it_is_made_for():
    with pytest.raises(ValueError, match="softmax: gradient float32"):
        kernels.softmax_gradient(torch.zeros(2, 3), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="shares bfloat16"):
        kernels.softmax_gradient(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bfloat16))


def test_no_other_module_calls_what_pytorch_keeps_private():
    private = re.compile(r"\btorch(\.\w+)*\._[a-z]")
    modules = Path(finevar.__file__).parent.rglob("*.py")
    calling = {path.stem for path in modules if private.search(path.read_text(encoding="utf-8"))}
    assert calling == {"kernels"}
