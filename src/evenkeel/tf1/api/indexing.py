"""Indexing: ``x[...]``, gathers, masks, one-hot, the largest, the unique."""

from typing import Any

import numpy as np

from evenkeel.tf1 import build
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype, float32, int32
from evenkeel.tf1.nodes import Tensor

__all__ = [
    "boolean_mask", "gather", "gather_nd", "one_hot", "scatter_nd", "strided_slice", "unique",
]  # fmt: skip


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Any:
    """A slice with steps."""
    from evenkeel.tf1.api.constants import ones_like

    masks: dict[str, Any] = {
        "begin_mask": begin_mask,
        "end_mask": end_mask,
        "ellipsis_mask": ellipsis_mask,
        "new_axis_mask": new_axis_mask,
        "shrink_axis_mask": shrink_axis_mask,
    }
    steps = ones_like(begin) if strides is None else strides
    return apply("StridedSlice", input_, begin, end, steps, **masks, name=name)


class _Index:
    """The bounds and masks of one index expression."""

    def __init__(self) -> None:
        self.begin: list[Any] = []
        self.end: list[Any] = []
        self.strides: list[Any] = []
        self.masks: dict[str, Any] = dict.fromkeys(
            ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
        )

    def add(self, item: Any) -> None:
        """One part of the index."""
        bit = 1 << len(self.begin)
        if isinstance(item, slice):
            self._slice(item, bit)
        elif item is Ellipsis:
            self._put(0, 0, 1, "ellipsis_mask", bit)
        elif item is None:
            self._put(0, 0, 1, "new_axis_mask", bit)
        else:
            _check(item)
            self._put(item, item + 1, 1, "shrink_axis_mask", bit)

    def _put(self, begin: Any, end: Any, stride: Any, mask: str, bit: int) -> None:
        self.begin.append(begin)
        self.end.append(end)
        self.strides.append(stride)
        self.masks[mask] |= bit

    def _slice(self, item: slice, bit: int) -> None:
        for bound, values, mask in (
            (item.start, self.begin, "begin_mask"),
            (item.stop, self.end, "end_mask"),
        ):
            if bound is not None:
                _check(bound)
            else:
                self.masks[mask] |= bit
            values.append(0 if bound is None else bound)
        self.strides.append(1 if item.step is None else item.step)


def _check(item: Any) -> None:
    whole = isinstance(item, int | np.integer | Tensor) or hasattr(item, "_dense_var_to_tensor")
    if not whole and not hasattr(item, "__index__"):
        raise TypeError(
            "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
            f"tf.int32/tf.int64 tensors are valid indices, got {item!r}"
        )


def getitem(tensor: Any, key: Any, var: Any = None) -> Any:
    """``tensor[key]``, as a StridedSlice node."""
    from evenkeel.tf1.api.arrays import stack

    if isinstance(key, Tensor) and key.dtype.is_bool:
        return boolean_mask(tensor, key)
    index = _Index()
    for item in key if isinstance(key, list | tuple) else (key,):
        index.add(item)
    values = [tensor, *index.begin, *index.end, *index.strides]
    with name_scope(None, "strided_slice", values) as scope:
        if index.begin:
            bounds = [stack(index.begin), stack(index.end), stack(index.strides)]
        else:
            bounds = [build.constant(np.array([], np.int32)) for _ in range(3)]
        kinds = {b.dtype.base_dtype.name for b in bounds}
        if "int64" in kinds and len(kinds) > 1:
            from evenkeel.tf1.api.math import cast

            bounds = [cast(b, "int64") for b in bounds]
        return apply("StridedSlice", tensor, *bounds, **index.masks, name=scope)


def gather(
    params: Any, indices: Any, validate_indices: Any = None, name: Any = None, axis: Any = None,
    batch_dims: int = 0,
) -> Any:  # fmt: skip
    """The slices at indices."""
    return apply(
        "GatherV2", params, indices, 0 if axis is None else axis, batch_dims=batch_dims, name=name
    )


def gather_nd(params: Any, indices: Any, name: Any = None, batch_dims: int = 0) -> Any:
    """The slices at index tuples."""
    return apply("GatherNd", params, indices, name=name)


def scatter_nd(indices: Any, updates: Any, shape: Any, name: Any = None) -> Any:
    """Zeros with values added at index tuples."""
    return apply("ScatterNd", indices, updates, shape, name=name)


def unique(x: Any, out_idx: Any = int32, name: Any = None) -> Any:
    """The different values, and which each value is."""
    return apply("Unique", x, out_idx=out_idx, name=name)


def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None,
    dtype: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """One value at each index, another elsewhere."""
    with name_scope(name, "one_hot", [indices, depth, on_value, off_value]) as scope:
        given = [convert(v).dtype.base_dtype for v in (on_value, off_value) if v is not None]
        kind = as_dtype(dtype) if dtype is not None else (given[0] if given else float32)
        if any(g != kind for g in given):
            raise TypeError(f"dtypes of on_value, off_value and dtype differ: {given}, {kind}")
        on = convert(1, kind, name="on_value") if on_value is None else on_value
        off = convert(0, kind, name="off_value") if off_value is None else off_value
        at = -1 if axis is None else axis
        return apply("OneHot", indices, depth, on, off, axis=at, T=kind, name=scope)


def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: Any = None) -> Any:
    """The values where the mask holds."""
    from evenkeel.tf1.api.arrays import concat, reshape, shape, squeeze, where
    from evenkeel.tf1.api.reductions import reduce_prod

    with name_scope(name, values=[tensor, mask]):
        source, chosen = convert(tensor, name="tensor"), convert(mask, name="mask")
        wide = chosen.shape.ndims
        if wide is None:
            raise ValueError(
                "Number of mask dimensions must be specified, even if some dimensions are None."
            )
        at = 0 if axis is None else int(axis)
        source.shape[at : at + wide].assert_is_compatible_with(chosen.shape)
        leading = reduce_prod(shape(source)[at : at + wide], [0])
        parts = [shape(source)[:at], [leading], shape(source)[at + wide :]]
        flat = reshape(source, concat(parts, 0))
        rows = squeeze(where(reshape(chosen, [-1])), axis=[1])
        return gather(flat, rows, axis=at)
