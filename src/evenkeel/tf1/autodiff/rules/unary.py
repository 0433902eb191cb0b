"""Gradients of functions of one value."""

import math
from collections.abc import Callable
from typing import Any

from evenkeel.tf1.api.arrays import shape
from evenkeel.tf1.api.constants import zeros
from evenkeel.tf1.autodiff.rules.binary import conj
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


def after(*kinds: str) -> Callable[..., Any]:
    """A rule ``f(x, y, grad)`` whose nodes wait for the gradient, so that they are not made early."""

    def enter(f: Callable[..., Any]) -> Callable[..., Any]:
        def built(op: Operation, grad: Any) -> list[Any]:
            with op.graph.control_dependencies([grad]):
                return [f(conj(op.inputs[0]), op.outputs[0], grad)]

        rule(*kinds)(built)
        return f

    return enter


def a(kind: str, *inputs: Any) -> Any:
    """A node."""
    return apply(kind, *inputs)


def one(like: Any) -> Any:
    """A constant 1."""
    return constant(1, like.dtype.base_dtype)


for _kind in ("Tanh", "Sigmoid", "Sqrt", "Rsqrt", "Reciprocal", "Inv"):

    def _of_output(op: Operation, grad: Any, kind: str = f"{_kind}Grad") -> list[Any]:
        return [apply(kind, op.outputs[0], grad)]

    rule(_kind)(_of_output)


@rule("Neg")
def negative(op: Operation, grad: Any) -> list[Any]:
    """Minus the gradient."""
    return [a("Neg", grad)]


@rule("Exp")
def exponential(op: Operation, grad: Any) -> list[Any]:
    """E^x."""
    return [grad * conj(op.outputs[0])]


@rule("Abs")
def absolute(op: Operation, grad: Any) -> list[Any]:
    """The sign."""
    return [grad * a("Sign", op.inputs[0])]


@rule("Sign")
def sign(op: Operation, grad: Any) -> list[Any]:
    """Nothing."""
    x = op.inputs[0]
    return [zeros(shape(x), x.dtype.base_dtype)]


after("Log")(lambda x, y, grad: grad * a("Reciprocal", x))
after("Log1p")(lambda x, y, grad: grad * a("Reciprocal", 1 + x))
after("Expm1")(lambda x, y, grad: grad * a("Exp", x))
after("Sin")(lambda x, y, grad: grad * a("Cos", x))
after("Sinh")(lambda x, y, grad: grad * a("Cosh", x))
after("Cosh")(lambda x, y, grad: grad * a("Sinh", x))
after("Lgamma")(lambda x, y, grad: grad * a("Digamma", x))
after("Asinh")(lambda x, y, grad: grad / a("Cosh", y))
after("Acosh")(lambda x, y, grad: grad / a("Sinh", y))


@rule("Cos")
def cosine(op: Operation, grad: Any) -> list[Any]:
    """Minus the sine."""
    with op.graph.control_dependencies([grad]):
        return [a("Neg", grad) * a("Sin", conj(op.inputs[0]))]


@after("Square")
def square(x: Any, _y: Any, grad: Any) -> Any:
    """2 x."""
    two = constant(2.0, x.dtype.base_dtype)
    return a("Mul", grad, a("Mul", x, two))


@after("Tan")
def tangent(x: Any, _y: Any, grad: Any) -> Any:
    """1 / cos²."""
    return a("Square", a("Reciprocal", a("Cos", x))) * grad


def _root(x: Any) -> Any:
    squared = a("Square", x)
    return a("Reciprocal", a("Sqrt", a("Sub", one(x), squared)))


after("Asin")(lambda x, y, grad: grad * _root(x))


@after("Acos")
def arc_cosine(x: Any, _y: Any, grad: Any) -> Any:
    """−1 / √(1 − x²)."""
    factor = _root(x)
    return a("Neg", grad) * factor


@after("Atan")
def arc_tangent(x: Any, _y: Any, grad: Any) -> Any:
    """1 / (1 + x²)."""
    squared = a("Square", x)
    return grad * a("Reciprocal", a("Add", one(x), squared))


@after("Atanh")
def arc_hyperbolic_tangent(x: Any, _y: Any, grad: Any) -> Any:
    """1 / (1 − x²)."""
    squared = a("Square", x)
    return grad * a("Reciprocal", a("Sub", one(x), squared))


def _error_function(kind: str, factor: float) -> None:
    @rule(kind)
    def error(op: Operation, grad: Any) -> list[Any]:
        x = op.inputs[0]
        scale = constant(factor, grad.dtype.base_dtype)
        with op.graph.control_dependencies([grad]):
            return [grad * scale * a("Exp", a("Neg", a("Square", x)))]


_error_function("Erf", 2 / math.sqrt(math.pi))
_error_function("Erfc", -2 / math.sqrt(math.pi))


@after("Digamma")
def digamma(x: Any, _y: Any, grad: Any) -> Any:
    """The trigamma function."""
    return grad * a("Polygamma", constant(1, x.dtype.base_dtype), x)


@rule("Identity", "Print", "CheckNumerics", "EnsureShape", "PlaceholderWithDefault", "Snapshot")
def identity(op: Operation, grad: Any) -> list[Any]:
    """The gradient itself, to the first input."""
    return [grad, *[None] * (len(op.inputs) - 1)]


@rule("IdentityN")
def identity_n(op: Operation, *grads: Any) -> list[Any]:
    """The gradients themselves."""
    return list(grads)


@rule("PreventGradient")
def prevented(op: Operation, grad: Any) -> list[Any]:
    """An error: nobody knows this gradient."""
    raise LookupError("Gradient explicitly disabled. Reason: " + op.attrs.get("message", ""))


@rule("Real", "Imag", "Conj")
def parts(op: Operation, grad: Any) -> list[Any]:
    """The parts of a complex number."""
    nothing = constant(0, grad.dtype.base_dtype) if not grad.dtype.is_complex else None
    if op.type == "Conj":
        return [a("Conj", grad)]
    pair = (grad, nothing) if op.type == "Real" else (nothing, grad)
    return [a("Complex", *pair)]


@rule("Complex")
def complex_number(op: Operation, grad: Any) -> list[Any]:
    """The parts of the gradient."""
    from evenkeel.tf1.autodiff.broadcasting import operands

    left, right = operands(*op.inputs)
    kind = op.inputs[0].dtype.base_dtype
    first = left.gradient(apply("Real", grad, Tout=kind))
    return [first, right.gradient(apply("Imag", grad, Tout=kind))]
