"""Gradients of arithmetic with two operands."""

from typing import Any

from evenkeel.tf1.api.arrays import shape, where
from evenkeel.tf1.api.constants import ones_like, zeros, zeros_like
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.autodiff.broadcasting import equal_and_known, operands, smart_operands
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


def conj(x: Any) -> Any:
    """The conjugate of a complex value; any other as it is."""
    return apply("Conj", x) if x.dtype.is_complex else x


@rule("Add", "AddV2")
def add(op: Operation, grad: Any) -> list[Any]:
    """The gradient itself, to both."""
    x, y = op.inputs
    if equal_and_known(x, y, grad):
        return [grad, grad]
    left, right = smart_operands(x, y, grad)
    return [left.gradient(grad), right.gradient(grad)]


@rule("Sub")
def subtract(op: Operation, grad: Any) -> list[Any]:
    """The gradient and its opposite."""
    x, y = op.inputs
    if equal_and_known(x, y, grad):
        return [grad, apply("Neg", grad)]
    left, right = smart_operands(x, y, grad)
    return [left.gradient(grad), right.gradient(apply("Neg", grad))]


@rule("Mul")
def multiply(op: Operation, grad: Any) -> list[Any]:
    """The other factor times the gradient."""
    x, y = op.inputs
    if equal_and_known(x, y, grad) and grad.dtype.name in ("int32", "float32"):
        return [apply("Mul", grad, y), apply("Mul", grad, x)]
    left, right = smart_operands(x, y, grad)
    x, y = conj(x), conj(y)
    first = left.gradient(apply("Mul", grad, y))
    return [first, right.gradient(apply("Mul", x, grad))]


@rule("MulNoNan")
def multiply_no_nan(op: Operation, grad: Any) -> list[Any]:
    """The other factor times the gradient."""
    x, y = op.inputs
    if equal_and_known(x, y, grad):
        return [apply("MulNoNan", grad, y), apply("MulNoNan", x, grad)]
    left, right = operands(x, y)
    first = left.gradient(apply("MulNoNan", grad, y))
    return [first, right.gradient(apply("MulNoNan", x, grad))]


def _quotient(kind: str) -> Any:
    def divide(op: Operation, grad: Any) -> list[Any]:
        x, y = (conj(t) for t in op.inputs)
        left, right = operands(*op.inputs)
        name = "div_no_nan" if kind == "DivNoNan" else None
        first = left.gradient(apply(kind, grad, y, name=name))
        twice = apply(kind, apply(kind, apply("Neg", x), y, name=name), y, name=name)
        return [first, right.gradient(grad * twice)]

    return divide


for _kind in ("RealDiv", "DivNoNan", "Div"):
    rule(_kind)(_quotient("RealDiv" if _kind == "Div" else _kind))


@rule("FloorMod")
def floor_mod(op: Operation, grad: Any) -> list[Any]:
    """The gradient, and minus the whole quotient times it."""
    x, y = op.inputs
    left, right = operands(x, y)
    whole = apply("FloorDiv", x, y)
    first = left.gradient(grad)
    return [first, right.gradient(grad * apply("Neg", whole))]


@rule("Pow")
def power(op: Operation, grad: Any) -> list[Any]:
    """Y x^(y−1), and x^y log x where x > 0."""
    x, y, z = op.inputs[0], op.inputs[1], op.outputs[0]
    left, right = smart_operands(x, y, grad)
    x, y, z = conj(x), conj(y), conj(z)
    first = left.gradient(grad * y * apply("Pow", x, y - 1))
    mask = apply("NotEqual", x, 0) if x.dtype.is_complex else x > 0
    safe = where(mask, x, ones_like(x))
    logarithm = where(mask, apply("Log", safe), zeros_like(x))
    return [first, right.gradient(grad * z * logarithm)]


def _extreme(compare: str) -> Any:
    def choose(op: Operation, grad: Any) -> list[Any]:
        x, y = op.inputs
        sx, sy, sizes = shape(x), shape(y), shape(grad)
        nothing = zeros(sizes, grad.dtype)
        mask = apply(compare, x, y)
        from evenkeel.tf1.autodiff.broadcasting import _run_time

        left, right = _run_time(sx, sy)
        first = left.gradient(where(mask, grad, nothing))
        return [first, right.gradient(where(mask, nothing, grad))]

    return choose


rule("Maximum")(_extreme("GreaterEqual"))
rule("Minimum")(_extreme("LessEqual"))


@rule("SquaredDifference")
def squared_difference(op: Operation, grad: Any) -> list[Any]:
    """Twice the difference."""
    x, y = op.inputs
    with op.graph.control_dependencies([grad]):
        two = constant(2.0, grad.dtype, name="scalar")
        product = apply("Mul", two, grad) * (x - y)
    if equal_and_known(x, y, grad):
        return [product, apply("Neg", product)]
    left, right = smart_operands(x, y, grad)
    first = left.gradient(product)
    return [first, apply("Neg", right.gradient(product))]


@rule("Atan2")
def atan2(op: Operation, grad: Any) -> list[Any]:
    """X / (x² + y²) and −y / (x² + y²)."""
    y, x = op.inputs
    with op.graph.control_dependencies([grad]):
        over = grad / (apply("Square", x) + apply("Square", y))
        return [x * over, apply("Neg", y) * over]


@rule("Select")
def select(op: Operation, grad: Any) -> list[Any]:
    """The gradient to the side that was chosen."""
    condition, x = op.inputs[0], op.inputs[1]
    nothing = zeros_like(x)
    return [None, where(condition, grad, nothing), where(condition, nothing, grad)]


@rule("SelectV2")
def select_v2(op: Operation, grad: Any) -> list[Any]:
    """The gradient to the side that was chosen, summed where it was broadcast."""
    condition, x, y = op.inputs
    nothing = zeros([], grad.dtype.base_dtype)
    from evenkeel.tf1.autodiff.broadcasting import _run_time

    sizes = shape(op.outputs[0])
    to_x = _run_time(shape(x), sizes)[0].gradient(apply("SelectV2", condition, grad, nothing))
    to_y = _run_time(shape(y), sizes)[0].gradient(apply("SelectV2", condition, nothing, grad))
    return [None, to_x, to_y]


@rule("ClipByValue")
def clip_by_value(op: Operation, grad: Any) -> list[Any]:
    """The gradient where nothing was cut, and to the limit where it was."""
    x, low, high = op.inputs
    nothing = zeros(shape(grad), grad.dtype)
    below, above = x < low, x > high
    first = where(apply("LogicalOr", below, above), nothing, grad)
    from evenkeel.tf1.api.reductions import reduce_sum

    return [first, reduce_sum(where(below, grad, nothing)), reduce_sum(where(above, grad, nothing))]


@rule("AddN")
def add_n(op: Operation, grad: Any) -> list[Any]:
    """The gradient itself, to all."""
    return [grad] * len(op.inputs)


@rule("Cast")
def convert(op: Operation, grad: Any) -> list[Any]:
    """The gradient in the type that the value had."""
    kinds = (op.inputs[0].dtype.base_dtype, op.outputs[0].dtype.base_dtype)
    if not all(k.is_floating or k.is_complex for k in kinds):
        return [None]
    return [cast(grad, kinds[0])]
