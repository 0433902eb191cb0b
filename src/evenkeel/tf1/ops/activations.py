"""Activations of networks, softmax, and the sum of squares."""

from typing import Any

import torch
from torch.nn import functional

from evenkeel.tf1.ops.rules import same, scalar
from evenkeel.tf1.ops.table import op


@op("Relu", shape=same)
def relu(features: Any) -> Any:
    """The larger of the value and 0."""
    return torch.relu(features)


@op("Relu6", shape=same)
def relu6(features: Any) -> Any:
    """The value between 0 and 6."""
    return functional.relu6(features)


@op("Elu", shape=same)
def elu(features: Any) -> Any:
    """The value where it is positive, else exp(value) − 1."""
    return functional.elu(features)


@op("Selu", shape=same)
def selu(features: Any) -> Any:
    """Elu, scaled so that normal activations stay normal."""
    return torch.selu(features)


@op("Softplus", shape=same)
def softplus(features: Any) -> Any:
    """log(1 + exp(value))."""
    return torch.logaddexp(features, torch.zeros((), dtype=features.dtype, device=features.device))


@op("Softsign", shape=same)
def softsign(features: Any) -> Any:
    """Value / (1 + |value|)."""
    return functional.softsign(features)


@op("LeakyRelu", shape=same)
def leaky_relu(features: Any, *, alpha: float) -> Any:
    """The value where it is positive, else alpha times the value."""
    return functional.leaky_relu(features, alpha)


@op("Softmax", shape=same)
def softmax(logits: Any) -> Any:
    """Probabilities along the last axis."""
    return torch.softmax(logits, -1)


@op("LogSoftmax", shape=same)
def log_softmax(logits: Any) -> Any:
    """Logarithms of the probabilities along the last axis."""
    return torch.log_softmax(logits, -1)


@op("L2Loss", shape=scalar)
def l2_loss(t: Any) -> Any:
    """Half of the sum of squares."""
    flat = t.reshape(-1)
    return torch.dot(flat, flat) * 0.5
