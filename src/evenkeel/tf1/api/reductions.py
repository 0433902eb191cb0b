"""Sums, means, extremes over axes; where extremes are."""

from typing import Any

import numpy as np

from evenkeel.tf1 import build
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import int32, int64
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape

__all__ = [
    "arg_max", "arg_min", "argmax", "argmin", "count_nonzero", "norm", "reduce_all", "reduce_any",
    "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum",
]  # fmt: skip


def _axes(x: Any, axis: Any) -> Any:
    if axis is not None:
        return axis
    if isinstance(x, Tensor) and x.shape.ndims is not None:
        return build.constant(np.arange(x.shape.ndims), int32)
    from evenkeel.tf1.api.arrays import rank
    from evenkeel.tf1.api.constants import range as range_

    return range_(0, rank(x))  # of variables too: TensorFlow looks at tensors only


def _reduction(kind: str) -> Any:
    def reduce(
        input_tensor: Any,
        axis: Any = None,
        keepdims: Any = None,
        name: str | None = None,
        reduction_indices: Any = None,
        keep_dims: Any = None,
    ) -> Any:
        chosen = reduction_indices if axis is None else axis
        keep = bool(keep_dims if keepdims is None else keepdims)
        axes = _axes(input_tensor, chosen)
        made = apply(kind, input_tensor, axes, keep_dims=keep, name=name)
        if chosen is None and not keep:
            made.set_shape(TensorShape([]))
        return made

    reduce.__doc__ = f"{kind} over axes, over all of them where none is named."
    return reduce


reduce_sum, reduce_mean, reduce_prod = _reduction("Sum"), _reduction("Mean"), _reduction("Prod")
reduce_max, reduce_min = _reduction("Max"), _reduction("Min")
reduce_all, reduce_any = _reduction("All"), _reduction("Any")


def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The mean square of the differences from the mean."""
    with name_scope(name or "reduce_variance", None, None):
        means = reduce_mean(input_tensor, axis=axis, keepdims=True)
        squares = apply("Square", input_tensor - means)
        return reduce_mean(squares, axis=axis, keepdims=keepdims)


def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The root of the variance."""
    with name_scope(name or "reduce_std", None, None):
        return apply("Sqrt", reduce_variance(input_tensor, axis=axis, keepdims=keepdims))


def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None,
    reduction_indices: Any = None, keep_dims: Any = None,
) -> Any:  # fmt: skip
    """The logarithm of the sum of exponentials, without overflow."""
    keep = bool(keep_dims if keepdims is None else keepdims)
    axis = reduction_indices if axis is None else axis
    from evenkeel.tf1.api.arrays import reshape, shape
    from evenkeel.tf1.api.constants import zeros_like

    with name_scope(name, "ReduceLogSumExp", [input_tensor]):
        source = convert(input_tensor)
        raw = reduce_max(source, axis=axis, keepdims=True)
        finite = apply("Select", apply("IsFinite", raw), raw, zeros_like(raw))
        top = apply("StopGradient", finite)
        total = reduce_sum(apply("Exp", apply("Sub", source, top)), axis=axis, keepdims=keep)
        result = apply("Log", total)
        if not keep:
            top = reshape(top, shape(result))
        return apply("Add", result, top)


def argmax(
    input: Any, axis: Any = None, name: Any = None, dimension: Any = None, output_type: Any = int64
) -> Any:
    """Where the largest value is."""
    chosen = dimension if axis is None else axis
    return apply(
        "ArgMax", input, 0 if chosen is None else chosen, output_type=output_type, name=name
    )


def argmin(
    input: Any, axis: Any = None, name: Any = None, dimension: Any = None, output_type: Any = int64
) -> Any:
    """Where the smallest value is."""
    chosen = dimension if axis is None else axis
    return apply(
        "ArgMin", input, 0 if chosen is None else chosen, output_type=output_type, name=name
    )


def arg_max(input: Any, dimension: Any, output_type: Any = int64, name: Any = None) -> Any:
    """Where the largest value is."""
    return argmax(input, dimension, name, output_type=output_type)


def arg_min(input: Any, dimension: Any, output_type: Any = int64, name: Any = None) -> Any:
    """Where the smallest value is."""
    return argmin(input, dimension, name, output_type=output_type)


def count_nonzero(
    input_tensor: Any, axis: Any = None, keepdims: Any = None, dtype: Any = int64, name: Any = None
) -> Any:
    """How many values are not zero."""
    from evenkeel.tf1.api.math import cast

    with name_scope(name, "count_nonzero", [input_tensor]):
        source = convert(input_tensor, name="input")
        zero = build.constant(0, source.dtype.base_dtype) if not source.dtype.is_bool else False
        whole = cast(apply("NotEqual", source, zero), int64)
        return cast(reduce_sum(whole, axis=axis, keepdims=keepdims), dtype)


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: Any = None
) -> Any:
    """The norm of vectors: Euclidean, 1, infinity or p."""
    with name_scope(name, "norm", [tensor]):
        source = convert(tensor)
        if ord in ("euclidean", "fro", 2):
            squares = reduce_sum(apply("Mul", source, source), axis, True)
            value = apply("Sqrt", squares)
        elif ord in (np.inf, "inf"):
            value = reduce_max(apply("Abs", source), axis, True)
        else:
            powers = apply("Pow", apply("Abs", source), float(ord))
            value = apply("Pow", reduce_sum(powers, axis, True), 1.0 / ord)
        return value if keepdims else apply("Squeeze", value, squeeze_dims=_listed(axis))


def _listed(axis: Any) -> Any:
    return None if axis is None else list(axis) if isinstance(axis, list | tuple) else [axis]
