"""One value in, one value out: arithmetic, comparison, logic, functions; numpy's broadcasting."""

from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import broadcast, same
from evenkeel.tf1.ops.table import op

UNARY: dict[str, Any] = {
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Exp": torch.exp,
    "Expm1": torch.expm1,
    "Log": torch.log,
    "Log1p": torch.log1p,
    "Sqrt": torch.sqrt,
    "Rsqrt": torch.rsqrt,
    "Square": torch.square,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Tanh": torch.tanh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
    "Sigmoid": torch.sigmoid,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Rint": torch.round,
    "Erf": torch.erf,
    "Erfc": torch.erfc,
    "Lgamma": torch.lgamma,
    "Digamma": torch.digamma,
    "IsNan": torch.isnan,
    "IsInf": torch.isinf,
    "IsFinite": torch.isfinite,
    "LogicalNot": torch.logical_not,
    "Conj": torch.conj,
    "Real": torch.real,
    "Imag": torch.imag,
    "Angle": torch.angle,
    "Invert": torch.bitwise_not,
}
BINARY: dict[str, Any] = {
    "Add": torch.add,
    "AddV2": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "RealDiv": torch.true_divide,
    "FloorMod": torch.remainder,
    "Mod": torch.fmod,
    "TruncateMod": torch.fmod,
    "Atan2": torch.atan2,
    "Less": torch.lt,
    "LessEqual": torch.le,
    "Greater": torch.gt,
    "GreaterEqual": torch.ge,
    "LogicalAnd": torch.logical_and,
    "LogicalOr": torch.logical_or,
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
}
for _kind, _run in UNARY.items():
    op(_kind, shape=same)(_run)
for _kind, _run in BINARY.items():
    op(_kind, shape=broadcast)(_run)


@op("Maximum", shape=broadcast)
def maximum(x: Any, y: Any) -> Any:
    """The larger; of equals the gradient goes to x, where torch would give each a half."""
    if x.requires_grad or y.requires_grad:
        return torch.where(x >= y, x, y)
    return torch.maximum(x, y)


@op("Minimum", shape=broadcast)
def minimum(x: Any, y: Any) -> Any:
    """The smaller; of equals the gradient goes to x, where torch would give each a half."""
    if x.requires_grad or y.requires_grad:
        return torch.where(x <= y, x, y)
    return torch.minimum(x, y)


@op("Sign", shape=same)
def sign(x: Any) -> Any:
    """−1, 0 or 1; of a complex number its direction."""
    return torch.sgn(x)


@op("Reciprocal", "Inv", shape=same)
def reciprocal(x: Any) -> Any:
    """1 / x."""
    return torch.reciprocal(x)


@op("Pow", shape=broadcast)
def power(x: Any, y: Any) -> Any:
    """X to the y."""
    return torch.pow(x, y)


@op("Div", shape=broadcast)
def divide(x: Any, y: Any, *, T: Any) -> Any:
    """Division that truncates integers."""
    return torch.true_divide(x, y) if not T.is_integer else _whole(x, y, "trunc")


@op("TruncateDiv", shape=broadcast)
def truncate_divide(x: Any, y: Any) -> Any:
    """Division that rounds towards zero."""
    return _whole(x, y, "trunc")


@op("FloorDiv", shape=broadcast)
def floor_divide(x: Any, y: Any) -> Any:
    """Division that rounds down."""
    return _whole(x, y, "floor")


def _whole(x: Any, y: Any, mode: str) -> Any:
    if not x.is_floating_point() and y.device.type != "meta" and bool((y == 0).any()):
        raise errors.InvalidArgumentError(None, None, "Integer division by zero")
    return torch.div(x, y, rounding_mode=mode)


@op("DivNoNan", shape=broadcast)
def divide_no_nan(x: Any, y: Any) -> Any:
    """X / y, and 0 where y is 0."""
    safe = torch.where(y == 0, torch.ones_like(y), y)
    return torch.where(y == 0, torch.zeros_like(x), x / safe)


@op("MulNoNan", shape=broadcast)
def multiply_no_nan(x: Any, y: Any) -> Any:
    """X * y, and 0 where y is 0, whatever x is."""
    return torch.where(y == 0, torch.zeros_like(x), x * y)


@op("SquaredDifference", shape=broadcast)
def squared_difference(x: Any, y: Any) -> Any:
    """(x − y)²."""
    return torch.square(x - y)


@op("Equal", shape=broadcast)
def equal(x: Any, y: Any) -> Any:
    """X == y; of text too."""
    return torch.eq(x, y) if isinstance(x, torch.Tensor) else torch.as_tensor(x == y)


@op("NotEqual", shape=broadcast)
def not_equal(x: Any, y: Any) -> Any:
    """X != y; of text too."""
    return torch.ne(x, y) if isinstance(x, torch.Tensor) else torch.as_tensor(x != y)


@op("Cast", shape=same)
def cast(x: Any, *, DstT: Any) -> Any:
    """The values in another type; floats are cut towards zero."""
    return x.to(DstT.as_torch_dtype)


@op("Complex", shape=broadcast)
def complex_number(real: Any, imaginary: Any) -> Any:
    """A complex number of its parts."""
    return torch.complex(real, imaginary)


@op("ComplexAbs", shape=same)
def complex_abs(x: Any) -> Any:
    """The modulus."""
    return torch.abs(x)


@op("ClipByValue", shape=same)
def clip_by_value(x: Any, low: Any, high: Any) -> Any:
    """Values no smaller than ``low`` and no larger than ``high``."""
    return torch.minimum(torch.maximum(x, low), high)


@op("CheckNumerics", shape=same)
def check_numerics(x: Any, *, message: str, op: Any) -> Any:
    """The value; an error where it holds NaN or infinity."""
    if not bool(torch.isfinite(x).all()):
        found = "NaN" if bool(torch.isnan(x).any()) else "Inf"
        raise errors.InvalidArgumentError(None, op, f"{message} : Tensor had {found} values")
    return x


@op("Select", shape=lambda node: [node.inputs[1].shape.merge_with(node.inputs[2].shape)])
def select(condition: Any, x: Any, y: Any) -> Any:
    """X where the condition holds, else y; a vector condition chooses rows."""
    if condition.ndim == 1 and x.ndim > 1:
        condition = condition.reshape(-1, *[1] * (x.ndim - 1))
    return torch.where(condition, x, y)


@op("SelectV2", shape=broadcast)
def select_v2(condition: Any, x: Any, y: Any) -> Any:
    """X where the condition holds, else y, with broadcasting."""
    return torch.where(condition, x, y)
