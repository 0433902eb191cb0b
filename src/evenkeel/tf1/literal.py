"""Python and numpy values as constants: which element type they take, and TensorFlow's refusals."""

from typing import Any

import numpy as np

from evenkeel.tf1 import dtypes
from evenkeel.tf1.dtypes import DType
from evenkeel.tf1.shapes import Dimension, TensorShape


def as_array(value: Any, dtype: DType | None = None, shape: Any = None) -> np.ndarray[Any, Any]:
    """The numpy array of a constant; a shorter value fills ``shape`` with its last element.

    >>> as_array(1.5).dtype, as_array([1, 2]).dtype, as_array(np.float64(2)).dtype
    (dtype('float32'), dtype('int32'), dtype('float64'))
    """
    array = _typed(_plain(value), dtype)
    return array if shape is None else _filled(array, TensorShape(shape))


def _plain(value: Any) -> Any:
    if isinstance(value, TensorShape):
        if not value.is_fully_defined():
            raise ValueError(f"Cannot convert a partially known TensorShape to a Tensor: {value}")
        return np.array(value.as_list(), _index_kind(value.as_list()))
    if isinstance(value, Dimension):
        if value.value is None:
            raise ValueError("Cannot convert an unknown Dimension to a Tensor: ?")
        return np.array(value.value, _index_kind([value.value]))
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, DType):
        raise TypeError(f"Expected a value, got the type {value!r}")
    return value


def _index_kind(sizes: list[Any]) -> type:
    return np.int64 if max(sizes, default=0) > np.iinfo(np.int32).max else np.int32


def _typed(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    if value is None:
        raise ValueError("None values not supported.")
    if dtype is not None:
        return _of_type(value, dtype)
    array = _array(value)
    if array.dtype.kind in "SU":
        return _objects(value)
    if isinstance(value, np.ndarray | np.generic) or _holds_numpy(value):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and _fits(array):
        return array.astype(np.int32)
    if array.dtype.kind == "O":
        return _objects(value)
    return array


def _array(value: Any) -> np.ndarray[Any, Any]:
    try:
        return np.array(value)
    except ValueError as error:
        raise ValueError(f"Argument must be a dense tensor: {value!r}: {error}") from None


def _fits(array: np.ndarray[Any, Any]) -> bool:
    limits = np.iinfo(np.int32)
    return not array.size or bool(array.min() >= limits.min and array.max() <= limits.max)


def _holds_numpy(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, np.ndarray | np.generic)


def _of_type(value: Any, dtype: DType) -> np.ndarray[Any, Any]:
    base = dtype.base_dtype
    if base.name == "string":
        return _objects(value)
    if base.name == "bfloat16":
        return np.array(value, np.float32)
    array = _array(value)
    bad = _mismatch(value, array, base)
    if bad is not None:
        kind = type(bad).__name__
        raise TypeError(f"Expected {base.name}, got {bad!r} of type '{kind}' instead.")
    return array.astype(base.as_numpy_dtype, order="C")


def _mismatch(value: Any, array: np.ndarray[Any, Any], base: DType) -> Any:
    """A Python value that a constant of this type refuses; numpy values are converted."""
    if isinstance(value, np.ndarray | np.generic) or not array.size:
        return None
    kind = array.dtype.kind
    allowed = {"b": base.is_bool, "f": base.is_floating or base.is_complex, "c": base.is_complex}
    numbers = base.is_integer or base.is_floating or base.is_complex
    if allowed.get(kind, numbers if kind in "iu" else False):
        return None
    found = value
    while isinstance(found, list | tuple):
        found = found[0]
    return None if isinstance(found, np.ndarray | np.generic) and kind != "O" else found


def _objects(value: Any) -> np.ndarray[Any, Any]:
    array = np.array(value, dtype=object)
    encode = np.frompyfunc(_bytes, 1, 1)
    out = np.empty(array.shape, object)
    out[...] = encode(array)
    return out


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(
        f"Failed to convert object of type {type(value)} to Tensor. Contents: {value!r}. Consider "
        "casting elements to a supported type."
    )


def _filled(array: np.ndarray[Any, Any], shape: TensorShape) -> np.ndarray[Any, Any]:
    sizes = [s or 0 for s in shape.sizes]
    total = int(np.prod(sizes))
    if array.size == total:
        return array.reshape(sizes)
    if array.size > total or not array.size:
        raise ValueError(
            f"Too many elements provided. Needed at most {total}, but received {array.size}"
        )
    if array.size == 1:
        return np.broadcast_to(array.reshape(()), sizes)  # one value, kept and written once
    flat = array.reshape(-1)
    rest = np.full(total - flat.size, flat[-1], dtype=flat.dtype)
    return np.concatenate([flat, rest]).reshape(sizes)


def dtype_of(array: np.ndarray[Any, Any]) -> DType:
    """The element type of a constant's array."""
    return dtypes.as_dtype(array.dtype)
