"""A side: one way to run a problem, that can be checked and timed step by step."""

import time
from collections.abc import Callable
from math import nan
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenkeel
from evenkeel.bench.problem import EPS, MOMENTUM, Problem

Apply = Callable[[Tensor, Tensor | None], Tensor]


class Lap(NamedTuple):
    """Seconds of one step, and of its parts where the side has parts."""

    total: float
    forward: float = nan
    backward: float = nan


class Side(Protocol):
    """What is checked and timed."""

    def lap(self) -> Lap:
        """One step, timed."""

    def arrays(self) -> dict[str, Tensor]:
        """What one step gives, under the names of oracle.reference."""


class Training:
    """Forward and backward of a layer of torch modules; gradients start as None each time."""

    def __init__(self, problem: Problem, layer: nn.Module, apply: Apply) -> None:
        self._apply, self._dy, self.layer = apply, problem.dy, layer
        self._x = problem.x.detach().requires_grad_()
        residual = problem.residual
        self._residual = None if residual is None else residual.detach().requires_grad_()
        leaves = {"dx": self._x, "dresidual": self._residual}
        self._leaves = {name: leaf for name, leaf in leaves.items() if leaf is not None}
        self._leaves |= {f"d{name}": leaf for name, leaf in parameters_of(layer).items()}

    def lap(self) -> Lap:
        """Forward and backward; what they allocated is freed after the clock has stopped."""
        start = time.perf_counter()
        y = self._apply(self._x, self._residual)
        middle = time.perf_counter()
        y.backward(self._dy)  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        end = time.perf_counter()
        for leaf in self._leaves.values():
            leaf.grad = None
        return Lap(end - start, middle - start, end - middle)

    def arrays(self) -> dict[str, Tensor]:
        """Output, gradients and moved statistics; the statistics are put back."""
        before = {name: buffer.clone() for name, buffer in self.layer.named_buffers()}
        y = self._apply(self._x, self._residual)
        y.backward(self._dy)  # type: ignore[no-untyped-call]
        found = {"y": y.detach()}
        for name, leaf in self._leaves.items():
            if leaf.grad is not None:
                found[name] = leaf.grad
            leaf.grad = None
        for name, buffer in self.layer.named_buffers():
            if name.rpartition(".")[2] in ("running_mean", "running_var"):
                found[name.rpartition(".")[2]] = buffer.clone()
            buffer.copy_(before[name])
        return found


class Inference:
    """Forward alone, without gradients; ``apply`` may overwrite what it is given."""

    def __init__(self, problem: Problem, layer: nn.Module | None, apply: Apply) -> None:
        self._apply, self._given, self.layer = apply, problem.x, layer
        self._x = problem.x.clone()

    def lap(self) -> Lap:
        """One call."""
        with torch.no_grad():
            start = time.perf_counter()
            self._apply(self._x, None)
            end = time.perf_counter()
        return Lap(end - start, end - start)

    def arrays(self) -> dict[str, Tensor]:
        """The output."""
        with torch.no_grad():
            return {"y": self._apply(self._given.clone(), None)}


def evenkeel_side(problem: Problem) -> Training | Inference:
    """This library, by its public names."""
    operation = problem.operation
    kinds = {2: evenkeel.BatchNorm1d, 4: evenkeel.BatchNorm2d}
    layer = kinds[problem.x.ndim](
        problem.x.shape[1], EPS, MOMENTUM, activation=operation.activation
    )
    load(layer, problem)
    if operation.training:
        return Training(problem, layer, lambda x, residual: layer(x, residual=residual))
    layer.eval()
    if operation.in_place:
        return Inference(problem, layer, lambda x, _: in_place(layer, x))
    return Inference(problem, layer, lambda x, _: layer(x))


def in_place(layer: evenkeel.BatchNorm, x: Tensor) -> Tensor:
    """The layer's inference, written into x: no memory beyond it."""
    return evenkeel.functional.batch_norm(
        x,
        layer.running_mean,
        layer.running_var,
        layer.weight,
        layer.bias,
        eps=EPS,
        activation=layer.spec.activation,
        out=x,
    )


def torch_layer(problem: Problem) -> nn.Module:
    """The same layer from torch's own parts, with an in-place ReLU: the fair rival."""
    kinds = {2: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    layer = TorchLayer(kinds[problem.x.ndim](problem.x.shape[1], EPS, MOMENTUM), problem)
    load(layer.norm, problem)
    return layer.train(problem.operation.training)


class TorchLayer(nn.Module):
    """Batch normalization, then an addition and a ReLU in place where the operation has them."""

    def __init__(self, norm: nn.Module, problem: Problem) -> None:
        super().__init__()
        self.norm, self.activation = norm, problem.operation.activation

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Y."""
        y: Tensor = self.norm(x)
        if residual is not None:
            y += residual
        return F.relu(y, inplace=True) if self.activation else y


def load(layer: nn.Module, problem: Problem) -> None:
    """Give a layer the problem's parameters and running statistics."""
    names = {
        "weight": problem.weight,
        "bias": problem.bias,
        "running_mean": problem.mean,
        "running_var": problem.var,
    }
    layer.load_state_dict(names, strict=False)


def parameters_of(layer: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters by the last part of their name."""
    return {name.rpartition(".")[2]: leaf for name, leaf in layer.named_parameters()}
