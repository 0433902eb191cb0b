"""The activations that can follow a normalization in the same call."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from evenkeel.tables import Table

ACTIVATIONS: Table[Callable[[Tensor], Tensor]] = Table("activation")

# In place where torch allows it: the tensor is the normalization's own output, which no gradient
# needs, so that no second tensor of its size is kept.
ACTIVATIONS.add("relu")(torch.relu_)
ACTIVATIONS.add("relu6")(lambda y: F.relu6(y, inplace=True))
ACTIVATIONS.add("leaky_relu")(lambda y: F.leaky_relu(y, 0.01, inplace=True))
ACTIVATIONS.add("elu")(lambda y: F.elu(y, inplace=True))
ACTIVATIONS.add("silu")(F.silu)
ACTIVATIONS.add("hardswish")(F.hardswish)
ACTIVATIONS.add("sigmoid")(torch.sigmoid_)
ACTIVATIONS.add("tanh")(torch.tanh_)
ACTIVATIONS.add("gelu")(F.gelu)


def finish(y: Tensor, residual: Tensor | None, activation: str | None) -> Tensor:
    """activation(y + residual); ``y`` is the caller's own and may be overwritten."""
    if residual is not None:
        y = y.add_(residual)
    return y if activation is None else ACTIVATIONS[activation](y)


# The backward operators of torch, which it differentiates again; of those whose output tells it.
_aten = torch.ops.aten
FROM_OUTPUT: Table[Callable[[Tensor, Tensor], Tensor]] = Table("activation told by its output")
FROM_OUTPUT.add("relu")(lambda dy, y: _aten.threshold_backward(dy, y, 0))
FROM_OUTPUT.add("relu6")(lambda dy, y: _aten.hardtanh_backward(dy, y, 0, 6))
FROM_OUTPUT.add("leaky_relu")(lambda dy, y: _aten.leaky_relu_backward(dy, y, 0.01, True))
FROM_OUTPUT.add("elu")(lambda dy, y: _aten.elu_backward(dy, 1, 1, 1, True, y))
FROM_OUTPUT.add("sigmoid")(_aten.sigmoid_backward)
FROM_OUTPUT.add("tanh")(_aten.tanh_backward)


def derivative_from_output(activation: str | None, dy: Tensor, y: Tensor) -> Tensor:
    """Dy times the activation's derivative where its output is y."""
    return dy if activation is None else FROM_OUTPUT[activation](dy, y)
