"""Two models that do the same: outputs, gradients and buffers, in training and in inference."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from evenkeel.surgery import Conversion
from evenkeel.surgery.sites import NORMS
from oracles.compare import assert_close

M = TypeVar("M", bound=nn.Module)


def randomized(model: M) -> M:
    """The model with parameters and statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for name in ("weight", "bias", "running_mean", "running_var"):
                    value = getattr(module, name)
                    if value is not None:
                        value.uniform_(0.5, 1.5, generator=generator)
    return model


def scrambled(model: M) -> M:
    """The model with other numbers in every batch-norm layer, some weights negative."""
    generator = torch.Generator().manual_seed(7)
    ranges = {
        "weight": (-1.5, 1.5),
        "bias": (-1, 1),
        "running_mean": (-2, 2),
        "running_var": (0.3, 3),
    }
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, NORMS) and not is_parametrized(module):
                for name, (low, high) in ranges.items():
                    value = getattr(module, name)
                    if value is not None:
                        value.uniform_(low, high, generator=generator)
    return model


def kinds(report: Conversion) -> str:
    """The first letters of what happened, layer by layer: f, r, k."""
    return "".join(site.kind[0] for site in report.sites)


def assert_same(one: nn.Module, other: nn.Module, x: Tensor, *, exactly: bool = False) -> None:
    """Fail unless both do the same with ``x``; copies run."""
    budget = 0.0 if exactly else 2e-5
    for training in (True, False):
        a, b = _run(one, x, training), _run(other, x, training)
        assert a.keys() == b.keys()
        for name, value in a.items():
            # A bias before a normalization has a gradient of 0: rounding, with no scale of its own.
            scale = max(float(value.abs().max()), 1.0 if name.startswith("d ") else 0.0)
            assert_close(
                b[name], value, budget, f"{name}, training={training}", scale=scale or None
            )


def _run(model: nn.Module, x: Tensor, training: bool) -> dict[str, Tensor]:
    model, x = copy.deepcopy(model).train(training), x.clone().requires_grad_()
    torch.manual_seed(0)
    y = model(x)
    y = y if isinstance(y, Tensor) else y[0] if isinstance(y, tuple) else y.logits
    wanted = {"d x": x, **{f"d {n}": p for n, p in model.named_parameters() if p.requires_grad}}
    weights = torch.linspace(-1, 1, y.numel()).view(y.shape)
    grads = torch.autograd.grad((y * weights).mean(), list(wanted.values()), allow_unused=True)
    seen = {n: g for n, g in zip(wanted, grads, strict=True) if g is not None}
    return {"y": y.detach(), **seen, **dict(model.named_buffers())}
