"""Arithmetic, comparison, functions of one value, casts, products."""

from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.nodes import IndexedSlices, Tensor

UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh",
    "diag": "Diag", "diag_part": "DiagPart", "digamma": "Digamma", "erf": "Erf", "erfc": "Erfc",
    "exp": "Exp", "expm1": "Expm1", "floor": "Floor", "invert_permutation": "InvertPermutation",
    "is_finite": "IsFinite", "is_inf": "IsInf", "is_nan": "IsNan", "lgamma": "Lgamma",
    "log": "Log", "log1p": "Log1p", "logical_not": "LogicalNot", "matrix_diag": "MatrixDiag",
    "matrix_diag_part": "MatrixDiagPart", "negative": "Neg", "reciprocal": "Reciprocal",
    "rint": "Rint", "rsqrt": "Rsqrt", "sigmoid": "Sigmoid", "sign": "Sign",
    "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "square": "Square", "tan": "Tan", "tanh": "Tanh",
    "cholesky": "Cholesky", "matrix_determinant": "MatrixDeterminant",
    "matrix_inverse": "MatrixInverse",
}  # fmt: skip
BINARY = {
    "add": "Add", "atan2": "Atan2", "equal": "Equal",
    "floormod": "FloorMod", "greater": "Greater", "greater_equal": "GreaterEqual",
    "less": "Less", "less_equal": "LessEqual", "logical_and": "LogicalAnd",
    "logical_or": "LogicalOr", "maximum": "Maximum", "minimum": "Minimum", "mod": "FloorMod",
    "multiply": "Mul", "not_equal": "NotEqual", "pow": "Pow", "realdiv": "RealDiv",
    "squared_difference": "SquaredDifference", "subtract": "Sub", "truncatediv": "TruncateDiv",
    "truncatemod": "TruncateMod",
}  # fmt: skip


def _unary(name: str, kind: str) -> Any:
    def function(x: Any, name: str | None = None) -> Any:
        if isinstance(x, IndexedSlices):
            return IndexedSlices(apply(kind, x.values, name=name), x.indices, x.dense_shape)
        return apply(kind, x, name=name)

    function.__doc__, function.__name__ = f"The operation {kind}.", name
    return function


def _binary(name: str, kind: str) -> Any:
    def function(x: Any, y: Any, name: str | None = None) -> Any:
        return apply(kind, x, y, name=name)

    function.__doc__, function.__name__ = f"The operation {kind}.", name
    return function


globals().update({name: _unary(name, kind) for name, kind in UNARY.items()})
globals().update({name: _binary(name, kind) for name, kind in BINARY.items()})

_AS_FLOAT = {"uint8": "float32", "int8": "float32", "uint16": "float32", "int16": "float32"} | {
    "int32": "float64", "int64": "float64"
}  # fmt: skip


def truediv(x: Any, y: Any, name: str | None = None) -> Any:
    """Division as Python 3 does it: integers become floats."""
    with name_scope(name, "truediv", [x, y]) as scope:
        left = convert(x, name="x")
        right = convert(y, left.dtype.base_dtype if not isinstance(y, Tensor) else None, name="y")
        if left.dtype.base_dtype != right.dtype.base_dtype:
            raise TypeError(
                f"x and y must have the same dtype, got {left.dtype!r} != {right.dtype!r}"
            )
        wider = _AS_FLOAT.get(left.dtype.base_dtype.name)
        if wider:
            left, right = cast(left, wider), cast(right, wider)
        return apply("RealDiv", left, right, name=scope)


def divide(x: Any, y: Any, name: str | None = None) -> Any:
    """X / y."""
    return truediv(x, y, name) if name is not None else convert(x) / y


def div(x: Any, y: Any, name: str | None = None) -> Any:
    """Division as Python 2 does it: integers round down."""
    with name_scope(name, "div", [x, y]) as scope:
        left = convert(x, name="x")
        right = convert(y, left.dtype.base_dtype, name="y")
        floats = left.dtype.is_floating or left.dtype.is_complex
        return apply("RealDiv" if floats else "FloorDiv", left, right, name=scope)


def div_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """X / y, and 0 where y is 0."""
    with name_scope(name, "div_no_nan", [x, y]) as scope:
        left = convert(x, name="x")
        return apply("DivNoNan", left, convert(y, left.dtype.base_dtype, name="y"), name=scope)


def floordiv(x: Any, y: Any, name: str | None = None) -> Any:
    """Division that rounds down."""
    with name_scope(name, "floordiv", [x, y]) as scope:
        return apply("FloorDiv", x, y, name=scope)


floor_div = floordiv


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """The values in another type; nothing where they have it already."""
    kind = as_dtype(dtype).base_dtype
    if isinstance(x, Tensor) and x.dtype == kind:
        return x
    with name_scope(name, "Cast", [x]) as scope:
        if isinstance(x, IndexedSlices):
            return IndexedSlices(cast(x.values, kind, name=scope), x.indices, x.dense_shape)
        source = convert(x, name="x")
        if source.dtype.base_dtype == kind:
            return source
        return apply("Cast", source, DstT=kind, Truncate=False, name=scope)


def round(x: Any, name: str | None = None) -> Any:
    """The nearest whole number, the even one of two; integers as they are."""
    source = convert(x, name="x")
    return source if source.dtype.is_integer else apply("Round", source, name=name)


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """The values in another type, cut at its limits."""
    kind = as_dtype(dtype)
    with name_scope(name, "saturate_cast", [value]) as scope:
        source = convert(value, name="value")
        if source.dtype.min < kind.min:
            source = apply("Maximum", source, convert(kind.min, source.dtype, name="min"))
        if source.dtype.max > kind.max:
            source = apply("Minimum", source, convert(kind.max, source.dtype, name="max"))
        return cast(source, kind, name=scope)


def _to(kind: str, default: str) -> Any:
    def function(x: Any, name: str = default) -> Any:
        return cast(x, kind, name=name)

    function.__doc__ = f"The values as {kind}."
    return function


to_float, to_double = _to("float32", "ToFloat"), _to("float64", "ToDouble")
to_int32, to_int64 = _to("int32", "ToInt32"), _to("int64", "ToInt64")


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """The product of matrices, or of batches of them."""
    with name_scope(name, "MatMul", [a, b]) as scope:
        if (transpose_a and adjoint_a) or (transpose_b and adjoint_b):
            raise ValueError("Only one of transpose and adjoint can be True.")
        left = convert(a, name="a")
        right = convert(b, left.dtype.base_dtype if not isinstance(b, Tensor) else None, name="b")
        if all(t.shape.ndims is None or t.shape.ndims > 2 for t in (left, right)):
            flips = {"adj_x": transpose_a or adjoint_a, "adj_y": transpose_b or adjoint_b}
            return apply("BatchMatMulV2", left, right, **flips, name=scope)
        turned = {"transpose_a": transpose_a or adjoint_a, "transpose_b": transpose_b or adjoint_b}
        return apply("MatMul", left, right, **turned, name=scope)


def logical_xor(x: Any, y: Any, name: str = "LogicalXor") -> Any:
    """Whether exactly one holds."""
    either = apply("LogicalOr", x, y)
    both = apply("LogicalNot", apply("LogicalAnd", x, y))
    return apply("LogicalAnd", either, both, name=name)


def add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of tensors of one shape."""
    if not isinstance(inputs, list | tuple) or not inputs:
        raise ValueError(
            "inputs must be an iterable of at least one Tensor/IndexedSlices with the same dtype "
            "and shape"
        )
    values = [convert(v) for v in inputs]
    if len(values) == 1:
        return apply("Identity", values[0], name=name) if name else values[0]
    return apply("AddN", values, name=name)


def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: Any = None) -> Any:
    """The sum of tensors of one shape."""
    return add_n(inputs, name)


def complex(real: Any, imag: Any, name: str | None = None) -> Any:
    """A complex number of its parts."""
    return apply("Complex", real, imag, name=name)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Values no smaller and no larger than two limits."""
    with name_scope(name, "clip_by_value", [t, clip_value_min, clip_value_max]) as scope:
        values = convert(t.values if isinstance(t, IndexedSlices) else t, name="t")
        lower = apply("Minimum", values, clip_value_max)
        values.shape.merge_with(lower.shape)
        clipped = apply("Maximum", lower, clip_value_min, name=scope)
        if isinstance(t, IndexedSlices):
            return IndexedSlices(clipped, t.indices, t.dense_shape)
        return clipped


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """A scalar times a tensor."""
    factor = convert(scalar, x.dtype.base_dtype, name="scalar")
    if factor.shape.ndims not in (0, None):
        raise ValueError(f"Only scalar multiply works, got shape {factor.shape}")
    if isinstance(x, IndexedSlices):
        return IndexedSlices(apply("Mul", factor, x.values, name=name), x.indices, x.dense_shape)
    return apply("Mul", factor, x, name=name)


def cumsum(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> Any:
    """The running sum."""
    with name_scope(name, "Cumsum", [x]) as scope:
        source = convert(x, name="x")
        return apply("Cumsum", source, axis, exclusive=exclusive, reverse=reverse, name=scope)


def cumprod(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> Any:
    """The running product."""
    with name_scope(name, "Cumprod", [x]) as scope:
        source = convert(x, name="x")
        return apply("Cumprod", source, axis, exclusive=exclusive, reverse=reverse, name=scope)


def _checked(x: Any, message: str, name: str | None = None) -> Any:
    return apply("CheckNumerics", x, message=message, name=name)


check_numerics = _checked
_OWN = [
    "accumulate_n",
    "add_n",
    "cast",
    "check_numerics",
    "clip_by_value",
    "complex",
    "cumprod",
    "cumsum",
]
_OWN += [
    "div",
    "div_no_nan",
    "divide",
    "floor_div",
    "floordiv",
    "logical_xor",
    "matmul",
    "saturate_cast",
]
_OWN += ["round", "scalar_mul", "to_double", "to_float", "to_int32", "to_int64", "truediv"]
__all__ = sorted([*UNARY, *BINARY, *_OWN])  # sorted() gives a list
