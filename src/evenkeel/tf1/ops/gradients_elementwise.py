"""The nodes that gradients of functions of one value are made of: from the output, or the input."""

from typing import Any

import torch

from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op


def _entered(kind: str, meaning: str, run: Any) -> None:
    def gradient(first: Any, second: Any) -> Any:
        return run(first, second)

    gradient.__doc__ = meaning
    op(kind, shape=same)(gradient)


# From the output and the gradient.
_entered("TanhGrad", "1 − y².", lambda y, dy: dy * (1 - y * y))
_entered("SigmoidGrad", "Y (1 − y).", lambda y, dy: dy * (y * (1 - y)))
_entered("SqrtGrad", "1 / 2y.", lambda y, dy: dy * 0.5 / y)
_entered("RsqrtGrad", "−y³ / 2.", lambda y, dy: dy * (y * y * y) * -0.5)
_entered("ReciprocalGrad", "−y².", lambda y, dy: -dy * (y * y))
_entered("InvGrad", "−y².", lambda y, dy: -dy * (y * y))

# From the gradient and the output or the input.
_SELU_SCALE, _SELU_BELOW = 1.0507009873554805, 1.7580993408473766


def _where(mask: Any, gradient: Any, other: Any = None) -> Any:
    return torch.where(mask, gradient, torch.zeros_like(gradient) if other is None else other)


_entered("ReluGrad", "Where x > 0.", lambda dy, x: _where(x > 0, dy))
_entered("Relu6Grad", "Where 0 < x < 6.", lambda dy, x: _where((x > 0) & (x < 6), dy))
_entered("EluGrad", "1, or y + 1 below 0.", lambda dy, y: _where(y >= 0, dy, dy * (y + 1)))
_entered(
    "SeluGrad",
    "The scale, or y + scale · alpha below 0.",
    lambda dy, y: _where(y >= 0, dy * _SELU_SCALE, dy * (y + _SELU_BELOW)),
)
_entered("SoftplusGrad", "The sigmoid.", lambda dy, x: dy * torch.sigmoid(x))
_entered("SoftsignGrad", "1 / (1 + |x|)².", lambda dy, x: dy / torch.square(1 + x.abs()))


@op("LeakyReluGrad", shape=same)
def leaky_relu_grad(dy: Any, x: Any, *, alpha: float) -> Any:
    """1, or alpha below 0."""
    return torch.where(x > 0, dy, dy * alpha)


@op("Polygamma", shape=lambda node: [node.inputs[1].shape])
def polygamma(order: Any, x: Any) -> Any:
    """Derivatives of the digamma function."""
    known = order.reshape(-1)
    if bool((known != known[0]).any()):
        raise RuntimeError("Polygamma of several orders at once")
    return torch.special.polygamma(int(known[0]), x)
