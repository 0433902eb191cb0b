"""Activations, and arithmetic of two tensors or with a constant."""

from typing import Any

import numpy as np

from evenkeel.port.rules.convolution import add_bias, parameter
from evenkeel.port.steps import Array, Call, Value, features_last
from evenkeel.port.tracing import Tracing, pattern, rule
from evenkeel.tf1.nodes import Operation, Tensor

_MODULES = {
    "Relu": "nn.ReLU",
    "Relu6": "nn.ReLU6",
    "Elu": "nn.ELU",
    "Selu": "nn.SELU",
    "Sigmoid": "nn.Sigmoid",
    "Tanh": "nn.Tanh",
    "Softplus": "nn.Softplus",
    "Softsign": "nn.Softsign",
}
_OF_GATES = frozenset(("slice", "add", "number"))  # what cells apply them to; others to a layer
_FUNCTIONS = {
    "Exp": "{0}.exp()",
    "Log": "{0}.log()",
    "Log1p": "{0}.log1p()",
    "Sqrt": "{0}.sqrt()",
    "Rsqrt": "{0}.rsqrt()",
    "Square": "{0}.square()",
    "Abs": "{0}.abs()",
    "Neg": "-{0}",
    "Sign": "{0}.sign()",
    "Floor": "{0}.floor()",
    "Reciprocal": "1.0 / {0}",
    "Inv": "1.0 / {0}",
}
_BINARY = {
    "Add": "{0} + {1}",
    "AddV2": "{0} + {1}",
    "Sub": "{0} - {1}",
    "Mul": "{0} * {1}",
    "RealDiv": "{0} / {1}",
    "Pow": "{0} ** {1}",
    "Maximum": "torch.maximum({0}, {1})",
    "Minimum": "torch.minimum({0}, {1})",
    "SquaredDifference": "({0} - {1}).square()",
}
_SCALAR = {"Maximum": "{0}.clamp(min={1})", "Minimum": "{0}.clamp(max={1})"}


@rule(*_MODULES)
def activation(tracing: Tracing, op: Operation) -> Value | None:
    """An activation of torch.nn; a gate of a recurrent cell, which has many, is a function."""
    x = tracing.value(op.inputs[0])
    if op.type in ("Sigmoid", "Tanh") and tracing.kind(x) in _OF_GATES:
        return tracing.emit("function", (x,), tracing.like(x), f"{{0}}.{op.type.lower()}()")
    return tracing.layer("activation", x, tracing.like(x), Call(_MODULES[op.type], {}))


@rule("LeakyRelu")
def leaky_relu(tracing: Tracing, op: Operation) -> Value | None:
    """LeakyReLU with the slope of the graph, 0.2 by default there, 0.01 in torch."""
    x = tracing.value(op.inputs[0])
    slope = tidy(op.attrs.get("alpha", 0.2))
    call = Call("nn.LeakyReLU", {"slope": slope}, ("slope",), {})
    return tracing.layer("activation", x, tracing.like(x), call)


@pattern("Mul")
def swish(tracing: Tracing, op: Operation) -> Value | None:
    """X · sigmoid(x)."""
    first, second = tracing.reading.inputs(op)
    for x, gate in ((first, second), (second, first)):
        if gate.op.type == "Sigmoid" and tracing.reading.through(gate.op.inputs[0]) is x:
            value = tracing.value(x)
            return tracing.layer("activation", value, tracing.like(value), Call("nn.SiLU", {}))
    return None


@pattern("Maximum")
def leaky_by_maximum(tracing: Tracing, op: Operation) -> Value | None:
    """max(x, slope · x)."""
    first, second = tracing.reading.inputs(op)
    for x, part in ((first, second), (second, first)):
        if part.op.type != "Mul" or x not in tracing.reading.inputs(part.op):
            continue
        other = next((t for t in part.op.inputs if tracing.reading.through(t) is not x), None)
        if other is None or tracing.is_data(other) or tracing.constant(other).size != 1:
            continue
        slope = tidy(tracing.constant(other).item())
        if 0 <= slope <= 1:
            value = tracing.value(x)
            call = Call("nn.LeakyReLU", {"slope": slope}, ("slope",), {})
            return tracing.layer("activation", value, tracing.like(value), call)
    return None


@rule(*_FUNCTIONS)
def function(tracing: Tracing, op: Operation) -> Value | None:
    """A function of each value."""
    x = tracing.value(op.inputs[0])
    return tracing.emit("function", (x,), tracing.like(x), _FUNCTIONS[op.type])


@rule("Cast")
def cast(tracing: Tracing, op: Operation) -> Value | None:
    """Another type."""
    x = tracing.value(op.inputs[0])
    kind = op.outputs[0].dtype.base_dtype
    if kind == op.inputs[0].dtype.base_dtype:
        return x
    return tracing.emit("cast", (x,), tracing.like(x), f"{{0}}.to({kind.as_torch_dtype})")


@rule(*_BINARY)
def binary(tracing: Tracing, op: Operation) -> Value | None:
    """Two tensors, a tensor and a number, or a tensor and a parameter."""
    data = [tracing.is_data(t) for t in op.inputs]
    if all(data):
        return _of_two(tracing, op)
    where = data.index(True)
    x, other = tracing.value(op.inputs[where]), op.inputs[1 - where]
    constant = tracing.constant(other)
    if constant.size == 1:
        return _with_number(tracing, op, x, constant, where)
    return _with_tensor(tracing, op, x, other, where)


def _of_two(tracing: Tracing, op: Operation) -> Value:
    left, right = (tracing.value(t) for t in op.inputs)
    if left.axes != right.axes or left.order != right.order:
        left, right = tracing.plain(left), tracing.plain(right)
    out = tracing.new(tracing.shape(op.outputs[0]), left.axes, left.order)
    if len(out.shape) != len(left.axes):
        out = tracing.new(out.shape)
    kind = "add" if op.type.startswith("Add") else "product"
    return tracing.emit(kind, (left, right), out, _BINARY[op.type])


def _with_number(tracing: Tracing, op: Operation, x: Value, constant: Array, where: int) -> Value:
    number = repr(tidy(constant.item()))
    if constant.ndim > len(x.shape):
        raise tracing.refuse(op, "a constant adds axes to the data")
    text = _SCALAR.get(op.type, _BINARY[op.type])
    parts = ["{0}", number] if where == 0 or op.type in _SCALAR else [number, "{0}"]
    return tracing.emit("number", (x,), tracing.like(x), text.format(*parts))


def _with_tensor(tracing: Tracing, op: Operation, x: Value, other: Tensor, where: int) -> Value:
    constant = tracing.constant(other)
    rank = len(x.shape)
    wide = constant.reshape(*[1] * (rank - constant.ndim), *constant.shape)
    if wide.ndim > rank or tracing.shape(op.outputs[0]) != x.shape:
        raise tracing.refuse(op, "a constant adds values to the data")
    along = [a for a in range(rank) if wide.shape[a] > 1]
    if len(along) == 1 and op.type in ("Add", "AddV2") and tracing.owner(other):
        return add_bias(tracing, x, other, op.outputs[0], x.place(along[0]))
    return _parameter(tracing, op, x, other, wide, where)


def _parameter(
    tracing: Tracing, op: Operation, x: Value, other: Tensor, wide: Array, where: int
) -> Value:
    values = wide.transpose(x.axes) if x.order is None else features_last(wide.T, x.order).T
    values = values.reshape(values.shape[next(i for i, s in enumerate(values.shape) if s > 1) :])
    owner = tracing.owner(other)
    call = (
        parameter(values.shape) if owner else Call("nn.Buffer", {"shape": values.shape}, ("shape",))
    )
    parts = ["{0}", "{layer}"] if where == 0 else ["{layer}", "{0}"]
    kind = {"Mul": "scale"}.get(op.type, "weight") if owner else "constant"
    text = _BINARY[op.type].format(*parts)
    return tracing.emit(
        kind, (x,), tracing.like(x), text, call=call, tensors={"": values}, owners={"": owner}
    )


def tidy(number: Any) -> Any:
    """A number as a person writes it: 0.001 for its float32.

    >>> tidy(np.float32(0.001)), tidy(3)
    (0.001, 3)
    """
    if isinstance(number, int | np.integer):
        return int(number)
    return float(str(np.float32(number)))
