"""How short a network's step could get: normalizations that hand their input through, and the traffic.

A step on ``passing`` layers costs all that is not ours to save: the convolutions, and for every
normalization a call of a layer and of autograd. ``Copies`` is a plain copy of every tensor that is
normalized; the least traffic of BN + ReLU, forward and backward, is four times that.
"""

import copy
import time
from typing import Any

import torch
from torch import Tensor, nn

import evenkeel
from evenkeel.bench.sides import Lap


class Pass(torch.autograd.Function):
    """Its first input; gradients of the right shapes, those of parameters never written."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *others: Tensor | None) -> Tensor:
        """X itself: what follows computes with ordinary numbers."""
        ctx.save_for_backward(*others)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Dy for x and for the residual."""
        *parameters, residual = ctx.saved_tensors
        made = (None if v is None else torch.empty_like(v) for v in parameters)
        return dy, *made, None if residual is None else dy


class PassingLayer(nn.Module):
    """A layer with the parameters of another that normalizes nothing."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor, *, residual: Tensor | None = None) -> Tensor:
        """X."""
        return Pass.apply(x, self.weight, self.bias, residual)  # type: ignore[no-any-return, no-untyped-call]


def passing(model: nn.Module) -> nn.Module:
    """The model without normalization, and without the activations that are part of one.

    >>> passing(nn.Sequential(evenkeel.BatchNorm2d(3, activation="relu")))
    Sequential( (0): PassingLayer() )
    """
    emptied = copy.deepcopy(model)
    for parent in list(emptied.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, evenkeel.BatchNorm):
                setattr(parent, name, PassingLayer(layer))
    return emptied


class Copies:
    """A copy of every tensor that the model normalizes in a forward pass of ``x``."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._pairs = [(given, given.clone()) for given in normalized(copy.deepcopy(model), x)]

    def lap(self) -> Lap:
        """All of them, one after the other."""
        start = time.perf_counter()
        for given, other in self._pairs:
            other.copy_(given)
        end = time.perf_counter()
        return Lap(end - start)

    def arrays(self) -> dict[str, Tensor]:
        """Nothing to check."""
        return {}


def normalized(model: nn.Module, x: Tensor) -> list[Tensor]:
    """The inputs of the model's batch-norm layers, in the order of their calls."""
    found: list[Tensor] = []
    for layer in model.modules():
        if isinstance(layer, evenkeel.BatchNorm):
            layer.register_forward_pre_hook(lambda _, given: found.append(given[0].clone()))
    with torch.no_grad():
        model(x)
    return found
