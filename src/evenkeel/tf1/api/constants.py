"""Constants, placeholders, tensors of one value, ranges."""

from typing import Any

from evenkeel.tf1 import build
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype, float32, int32
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape

__all__ = [
    "constant",
    "convert_to_tensor",
    "fill",
    "lin_space",
    "linspace",
    "ones",
    "ones_like",
    "placeholder",
    "placeholder_with_default",
    "range",
    "zeros",
    "zeros_like",
]

SMALL = 1000  # a tensor of fewer equal values is a constant, a larger one a Fill


def constant(
    value: Any,
    dtype: Any = None,
    shape: Any = None,
    name: str = "Const",
    verify_shape: bool = False,
) -> Tensor:
    """A constant."""
    made = build.constant(value, dtype, None if verify_shape else shape, name)
    if verify_shape and shape is not None and made.shape != TensorShape(shape):
        raise TypeError(
            f"Expected Tensor's shape: {tuple(shape)}, got {tuple(made.shape.as_list())}."
        )
    return made


def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: Any = None,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
) -> Tensor:
    """A tensor of a value."""
    return convert(value, dtype, name, preferred_dtype or dtype_hint)


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """What every run must feed."""
    return apply("Placeholder", dtype=as_dtype(dtype), shape=TensorShape(shape), name=name)  # type: ignore[no-any-return]


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """What a run may feed."""
    return apply("PlaceholderWithDefault", input, shape=TensorShape(shape), name=name)  # type: ignore[no-any-return]


def _uniform(value: Any, shape: Any, dtype: Any, name: str | None, default: str) -> Tensor:
    kind = as_dtype(dtype).base_dtype
    filler: Any = (
        b"" if kind.name == "string" and not value else bool(value) if kind.is_bool else value
    )
    with name_scope(name, default, [shape]) as scope:
        known = shape
        if not isinstance(shape, Tensor):
            try:
                sizes = TensorShape(shape).as_list()
                if (TensorShape(sizes).num_elements() or 0) < SMALL and None not in sizes:
                    return build.constant(filler, kind, shape=sizes, name=scope)
                known = convert(TensorShape(shape), int32, name="shape_as_tensor")
            except (AttributeError, TypeError, ValueError):  # a size that is a tensor
                known = convert(shape, int32)
        if known.shape.ndims == 0:
            known = apply("Reshape", known, [-1])
        return apply("Fill", known, build.constant(filler, kind), name=scope)  # type: ignore[no-any-return]


def zeros(shape: Any, dtype: Any = float32, name: str | None = None) -> Tensor:
    """Zeros."""
    return _uniform(0, shape, dtype, name, "zeros")


def ones(shape: Any, dtype: Any = float32, name: str | None = None) -> Tensor:
    """Ones."""
    return _uniform(1, shape, dtype, name, "ones")


def zeros_like(tensor: Any, dtype: Any = None, name: Any = None, optimize: bool = True) -> Tensor:
    """Zeros in the shape of another tensor."""
    from evenkeel.tf1.api.arrays import shape_of

    with name_scope(name, "zeros_like", [tensor]) as scope:
        source = convert(tensor, name="tensor")
        kind = source.dtype.base_dtype if dtype is None else as_dtype(dtype)
        if optimize and source.shape.is_fully_defined():
            return zeros(source.shape, kind, name=scope)
        if kind != source.dtype.base_dtype:
            return zeros(shape_of(source, optimize=optimize), kind, name=scope)
        return apply("ZerosLike", source, name=scope)  # type: ignore[no-any-return]


def ones_like(tensor: Any, dtype: Any = None, name: Any = None, optimize: bool = True) -> Tensor:
    """Ones in the shape of another tensor."""
    from evenkeel.tf1.api.arrays import shape_of

    with name_scope(name, "ones_like", [tensor]) as scope:
        source = convert(tensor, name="tensor")
        sizes = shape_of(source, optimize=optimize)
        kind = source.dtype.base_dtype if dtype is None else as_dtype(dtype)
        made = ones(sizes, kind, name=scope)
        made.set_shape(source.shape)
        return made


def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """One value everywhere."""
    return apply("Fill", dims, value, name=name)  # type: ignore[no-any-return]


def range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = "range"
) -> Tensor:
    """Numbers from ``start`` up to ``limit``, without it."""
    if limit is None:
        start, limit = 0, start
    order = ["int32", "int64", "float32", "float64"]
    with name_scope(name, "Range", [start, limit, delta]) as scope:
        parts = [
            convert(v, dtype, name=n)
            for v, n in zip((start, limit, delta), ("start", "limit", "delta"), strict=True)
        ]
        if dtype is None:
            widest = max((p.dtype.base_dtype.name for p in parts), key=order.index)
            from evenkeel.tf1.api.math import cast

            parts = [cast(p, widest) for p in parts]
        return apply("Range", *parts, name=scope)  # type: ignore[no-any-return]


def lin_space(start: Any, stop: Any, num: Any, name: str | None = None) -> Tensor:
    """Evenly spaced numbers, both ends included."""
    return apply("LinSpace", start, stop, num, name=name)  # type: ignore[no-any-return]


linspace = lin_space
