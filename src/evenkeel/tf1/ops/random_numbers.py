"""Random operations: one stream an operation and session, as TensorFlow keeps them."""

from typing import Any

import torch

from evenkeel.errors import EvenkeelError
from evenkeel.tf1 import errors
from evenkeel.tf1.fold import folded, partial_shape
from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.random import Stream, fill, gamma, integers, multinomial, poisson, shuffle
from evenkeel.tf1.shapes import TensorShape


def _sized(node: Any) -> list[TensorShape]:
    return [partial_shape(node.inputs[0])]


def _stream(node: Any, state: Any) -> Any:
    if node not in state.op_state:
        seeds = node.attrs["seed"], node.attrs["seed2"]
        state.op_state[node] = Stream.seeded(*seeds)
    return state.op_state[node]


def _drawn(node: Any, device: Any, draw: Any, *args: Any) -> Any:
    """What is drawn, in the session's memory; what is wrong with it in TensorFlow's words."""
    try:
        return draw(*args).to(device or "cpu")
    except EvenkeelError as error:
        raise errors.InvalidArgumentError(None, node, error.problem) from None


@op("RandomUniform", "RandomStandardNormal", "TruncatedNormal", host=("shape",), stateful=True,
    shape=_sized)  # fmt: skip
def random_fill(shape: Any, *, op: Any, state: Any, device: Any) -> Any:
    """Uniform, normal or truncated normal numbers."""
    kind = op.attrs["dtype"].as_torch_dtype
    return _drawn(op, device, fill, op.type, kind, shape, _stream(op, state))


@op("RandomUniformInt", host=("shape", "minval", "maxval"), stateful=True, shape=_sized)
def random_integers(shape: Any, low: int, high: int, *, op: Any, state: Any, device: Any) -> Any:
    """Integers from ``low`` up to ``high``, without it."""
    kind = op.attrs["Tout"].as_torch_dtype
    return _drawn(op, device, integers, kind, shape, _stream(op, state), low, high)


@op("RandomShuffle", stateful=True, shape=same)
def random_shuffle(value: Any, *, op: Any, state: Any, device: Any) -> Any:
    """The rows in random order."""
    if not isinstance(value, torch.Tensor):  # text
        rows = torch.arange(len(value))
        return value[_drawn(op, None, shuffle, rows, _stream(op, state)).numpy()]
    return _drawn(op, device, shuffle, value, _stream(op, state))


def _classes(node: Any) -> list[TensorShape]:
    logits, count = node.inputs[0].shape, folded(node.inputs[1])
    rows = logits.sizes[0] if logits.ndims else None
    return [TensorShape([rows, None if count is None else int(count)])]


@op("Multinomial", host=("num_samples",), stateful=True, shape=_classes)
def draw_classes(logits: Any, count: int, *, op: Any, state: Any, device: Any) -> Any:
    """Classes drawn by their logits."""
    kind = op.attrs["output_dtype"].as_torch_dtype
    return _drawn(op, device, multinomial, logits, count, _stream(op, state), kind)


@op("RandomGamma", host=("shape",), stateful=True,
    shape=lambda node: [partial_shape(node.inputs[0]).concatenate(node.inputs[1].shape)])  # fmt: skip
def random_gamma(shape: Any, alpha: Any, *, op: Any, state: Any, device: Any) -> Any:
    """Gamma-distributed numbers."""
    return _drawn(op, device, gamma, shape, alpha, _stream(op, state))


@op("RandomPoissonV2", host=("shape",), stateful=True,
    shape=lambda node: [partial_shape(node.inputs[0]).concatenate(node.inputs[1].shape)])  # fmt: skip
def random_poisson(shape: Any, rate: Any, *, op: Any, state: Any, device: Any) -> Any:
    """Poisson-distributed numbers."""
    kind = op.attrs["dtype"].as_torch_dtype
    return _drawn(op, device, poisson, shape, rate, _stream(op, state), kind)


@op("Qr")
def qr(x: Any, *, full_matrices: bool) -> Any:
    """The orthogonal and the triangular factor."""
    return tuple(torch.linalg.qr(x, "complete" if full_matrices else "reduced"))
