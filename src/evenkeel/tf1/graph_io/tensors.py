"""TensorProto and numpy: every element type; sizes are checked before memory is taken."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evenkeel.tf1.dtypes import DType, as_dtype
from evenkeel.tf1.proto import TensorProto, TensorShapeProto
from evenkeel.tf1.shapes import TensorShape, as_shape

Array = np.ndarray[Any, Any]
LARGEST = 2**31  # bytes: what protobuf allows for one message


@dataclass(frozen=True)
class _Field:
    """Where the values of an element type stand, and what they are there."""

    name: str
    stored: Any  # numpy's type of one stored number
    values: Any  # numpy's type of one value; as wide as what is stored in its low bytes
    content: bool = True  # whether TensorFlow's Python writes whole tensors as bytes


_FIELDS = {
    "float32": _Field("float_val", np.float32, np.float32),
    "float64": _Field("double_val", np.float64, np.float64),
    "int32": _Field("int_val", np.int32, np.int32),
    "uint8": _Field("int_val", np.int32, np.uint8),
    "int16": _Field("int_val", np.int32, np.int16),
    "int8": _Field("int_val", np.int32, np.int8),
    "int64": _Field("int64_val", np.int64, np.int64),
    "uint16": _Field("int_val", np.int32, np.uint16),
    "uint32": _Field("uint32_val", np.uint32, np.uint32),
    "uint64": _Field("uint64_val", np.uint64, np.uint64),
    "bool": _Field("bool_val", np.bool_, np.bool_, content=False),
    "float16": _Field("half_val", np.int32, np.float16, content=False),
    "bfloat16": _Field("half_val", np.int32, np.uint16, content=False),
    "complex64": _Field("scomplex_val", np.float32, np.complex64, content=False),
    "complex128": _Field("dcomplex_val", np.float64, np.complex128, content=False),
    "qint8": _Field("int_val", np.int32, np.int8),
    "quint8": _Field("int_val", np.int32, np.uint8),
    "qint16": _Field("int_val", np.int32, np.int16),
    "quint16": _Field("int_val", np.int32, np.uint16),
    "qint32": _Field("int_val", np.int32, np.int32),
}


# ---- shapes


def shape_to_proto(shape: Any) -> Any:
    """A shape as a message; -1 is an unknown size."""
    known = as_shape(shape)
    if known.ndims is None:
        return TensorShapeProto(unknown_rank=True)
    dims = [TensorShapeProto.Dim(size=-1 if s is None else s) for s in known.sizes]
    return TensorShapeProto(dim=dims)


def shape_of_proto(proto: Any) -> TensorShape:
    """The shape in a message; ValueError for a size below -1."""
    bad = [d.size for d in proto.dim if d.size < -1]
    if bad:
        raise ValueError(f"Shape has a dimension of size {bad[0]}: sizes are -1 (unknown) or more")
    return TensorShape(proto)


# ---- values


def make_tensor_proto(values: Any, dtype: Any = None, shape: Any = None) -> Any:
    """A TensorProto of Python or numpy values, as ``tf.make_tensor_proto``.

    >>> make_ndarray(make_tensor_proto([[1, 2], [3, 4]])).tolist()
    [[1, 2], [3, 4]]
    """
    from evenkeel.tf1 import literal

    if isinstance(values, TensorProto):
        return values
    kind = None if dtype is None else as_dtype(dtype)
    array = literal.as_array(values, kind, shape)
    return tensor_to_proto(array, kind or literal.dtype_of(array))


def tensor_to_proto(array: Any, dtype: DType) -> Any:
    """A TensorProto of a constant's array."""
    if isinstance(array, TensorProto):
        return array  # a type without values here: kept as it was read
    base = dtype.base_dtype
    proto = TensorProto(dtype=base.as_datatype_enum, tensor_shape=shape_to_proto(array.shape))
    if base.name == "string":
        proto.string_val.extend(array.reshape(-1).tolist())
        return proto
    field = _FIELDS[base.name]
    if array.size > 1 and not any(array.strides):
        array = array.reshape(-1)[:1]  # one value everywhere: written once
    raw = _to_stored(np.ascontiguousarray(array), base.name)
    if field.content and array.size > 1:
        proto.tensor_content = raw.astype(field.values, copy=False).tobytes()
    else:
        flat = raw.reshape(-1)
        parts = flat.view(field.stored) if flat.dtype.kind == "c" else _bits(flat, base.name)
        getattr(proto, field.name).extend(parts.tolist())
    return proto


def _to_stored(array: Array, name: str) -> Array:
    if name != "bfloat16" or array.dtype == np.uint16:
        return array
    bits = np.asarray(array, np.float32).view(np.uint32)
    # Rounded to nearest, ties to even, as TensorFlow and torch do.
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _bits(flat: Array, name: str) -> Array:
    return flat.view(np.uint16) if name == "float16" else flat


def make_ndarray(tensor: Any) -> Any:
    """The values of a TensorProto as numpy, as ``tf.make_ndarray``."""
    return tensor_of_proto(tensor)


def tensor_of_proto(proto: Any) -> Any:
    """The array of a TensorProto; the message itself for types that have no values here.

    A shape that the bytes do not fill is refused before any memory is taken; one value that stands
    for all is a view without memory of its own.
    """
    shape = shape_of_proto(proto.tensor_shape)
    if not shape.is_fully_defined():
        raise ValueError(f"A constant needs a known shape, and this one has {shape}")
    sizes = tuple(s or 0 for s in shape.sizes)
    count = shape.num_elements() or 0
    name = as_dtype(proto.dtype).base_dtype.name
    if name != "string" and name not in _FIELDS:
        return proto
    width = 8 if name == "string" else np.dtype(_FIELDS[name].values).itemsize
    if count * width > LARGEST:
        raise ValueError(f"A constant of shape {shape} is larger than {LARGEST} bytes")
    if name == "string":
        return _texts(proto, sizes, count)
    field = _FIELDS[name]
    flat = _flat(proto, field, count)
    return _of_stored(_shaped(flat, sizes, count, shape), name)


def _flat(proto: Any, field: _Field, count: int) -> Array:
    if proto.tensor_content:
        raw = proto.tensor_content
        wanted = count * np.dtype(field.values).itemsize
        if len(raw) != wanted:
            raise ValueError(
                f"A constant of {count} values needs {wanted} bytes, and tensor_content has {len(raw)}"
            )
        return np.frombuffer(raw, field.values)
    stored = np.array(getattr(proto, field.name), dtype=field.stored)
    if np.dtype(field.values).kind == "c":
        return stored[: stored.size // 2 * 2].view(field.values)
    if field.name == "half_val":
        return stored.astype(np.uint16).view(field.values)
    return stored.astype(field.values)


def _shaped(flat: Array, sizes: tuple[int, ...], count: int, shape: TensorShape) -> Array:
    """``flat`` in its shape: zeros where nothing is stored, the last value repeated where less is."""
    if flat.size > count:
        raise ValueError(f"A constant of shape {shape} has {count} values, and {flat.size} stored")
    if flat.size == count:
        return flat.reshape(sizes)
    if flat.size <= 1:
        one = flat.reshape(()) if flat.size else np.zeros((), flat.dtype)
        return np.broadcast_to(one, sizes)
    rest = np.full(count - flat.size, flat[-1], flat.dtype)
    return np.concatenate([flat, rest]).reshape(sizes)


def _of_stored(array: Array, name: str) -> Array:
    if name != "bfloat16":
        return array
    if not any(array.strides) and array.ndim:  # one value everywhere stays a view
        one = (array[(0,) * array.ndim].astype(np.uint32) << 16).view(np.float32)
        return np.broadcast_to(one, array.shape)
    return (array.astype(np.uint32) << 16).view(np.float32)


def _texts(proto: Any, sizes: tuple[int, ...], count: int) -> Array:
    stored = list(proto.string_val)
    if not stored and count:
        stored = [b""]
    if len(stored) > count or (len(stored) not in (1, count) and count):
        raise ValueError(f"A constant of {count} texts has {len(stored)} stored")
    flat = np.empty(len(stored), object)
    flat[:] = stored
    return flat.reshape(sizes) if len(stored) == count else np.broadcast_to(flat[0], sizes)
