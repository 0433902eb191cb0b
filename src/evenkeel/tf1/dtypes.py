"""TensorFlow's element types: names, numbers, limits, and what they are in numpy and torch."""

from typing import Any

import numpy as np
import torch


class DType:
    """One element type; ``float32_ref`` and its kin are the types of variables.

    >>> float32.as_numpy_dtype
    <class 'numpy.float32'>
    >>> float32._as_ref.name
    'float32_ref'
    """

    __slots__ = ("_numpy", "_torch", "as_datatype_enum", "name")

    def __init__(
        self, name: str, enum: int, numpy: type | None, torch_dtype: torch.dtype | None
    ) -> None:
        self.name, self.as_datatype_enum = name, enum
        self._numpy, self._torch = numpy, torch_dtype

    @property
    def is_ref(self) -> bool:
        """Whether this is the type of a variable's reference."""
        return self.as_datatype_enum > 100

    @property
    def base_dtype(self) -> "DType":
        """The type of the values."""
        return _BY_ENUM[self.as_datatype_enum % 100]

    @property
    def _as_ref(self) -> "DType":
        return self if self.is_ref else _BY_ENUM[self.as_datatype_enum + 100]

    @property
    def real_dtype(self) -> "DType":
        """The type of one part of a complex number; any other type is its own."""
        parts = {"complex64": "float32", "complex128": "float64"}
        return as_dtype(parts.get(self.base_dtype.name, self.name))

    @property
    def as_numpy_dtype(self) -> Any:  # a numpy scalar class, of any kind
        """The numpy class; ``object`` for strings."""
        if self._numpy is None:
            raise TypeError(f"{self!r} has no numpy type")
        return self._numpy

    @property
    def as_torch_dtype(self) -> torch.dtype:
        """The torch dtype of the values."""
        if self._torch is None:
            raise TypeError(f"torch has no tensors of {self.name}")
        return self._torch

    @property
    def has_torch(self) -> bool:
        """Whether values of this type are torch tensors rather than numpy arrays."""
        return self._torch is not None

    @property
    def is_floating(self) -> bool:
        """Whether the values are real floating point."""
        return self.base_dtype.name in ("float16", "bfloat16", "float32", "float64")

    @property
    def is_complex(self) -> bool:
        """Whether the values are complex."""
        return self.base_dtype.name in ("complex64", "complex128")

    @property
    def is_integer(self) -> bool:
        """Whether the values are plain integers; quantized ones are not."""
        return "int" in self.name and not self.is_quantized

    @property
    def is_bool(self) -> bool:
        """Whether the values are truth values."""
        return self.base_dtype.name == "bool"

    @property
    def is_unsigned(self) -> bool:
        """Whether the values are unsigned integers."""
        return self.name.startswith("uint")

    @property
    def is_quantized(self) -> bool:
        """Whether the values are quantized integers."""
        return self.name.startswith("q")

    @property
    def size(self) -> int:
        """Bytes of one value."""
        return 1 if self._numpy is object else int(np.dtype(self.as_numpy_dtype).itemsize)

    @property
    def min(self) -> Any:
        """The least value, of numpy's type."""
        return _limit(self, "min")

    @property
    def max(self) -> Any:
        """The greatest value, of numpy's type."""
        return _limit(self, "max")

    @property
    def limits(self) -> tuple[Any, Any]:
        """Least and greatest value that images of this type are scaled to."""
        return (0, self.max) if self.is_integer else (0, 1)

    def is_compatible_with(self, other: object) -> bool:
        """Whether values of ``other`` can stand where this type is asked for."""
        there = as_dtype(other)
        return self in (there, there._as_ref) if self.is_ref else self == there.base_dtype

    def __eq__(self, other: object) -> bool:
        if other is None:
            return False
        try:
            return self.as_datatype_enum == as_dtype(other).as_datatype_enum
        except TypeError:
            return False

    def __hash__(self) -> int:
        return self.as_datatype_enum

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)

    def __int__(self) -> int:
        return self.as_datatype_enum


def _limit(dtype: DType, end: str) -> Any:
    if dtype.is_bool:
        return end == "max"
    if dtype.base_dtype.name == "bfloat16":
        return getattr(torch.finfo(torch.bfloat16), end)
    kind = np.dtype(dtype.base_dtype.as_numpy_dtype)
    if kind.kind not in "fiu":
        raise TypeError(f"Cannot find {end}imum value of {dtype}.")
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    return getattr(info, end)


# The numbers are those of TensorFlow's `types.proto`: they are written into graphs and checkpoints.
_ROWS: tuple[tuple[str, int, type | None, torch.dtype | None], ...] = (
    ("float32", 1, np.float32, torch.float32),
    ("float64", 2, np.float64, torch.float64),
    ("int32", 3, np.int32, torch.int32),
    ("uint8", 4, np.uint8, torch.uint8),
    ("int16", 5, np.int16, torch.int16),
    ("int8", 6, np.int8, torch.int8),
    ("string", 7, object, None),
    ("complex64", 8, np.complex64, torch.complex64),
    ("int64", 9, np.int64, torch.int64),
    ("bool", 10, np.bool_, torch.bool),
    ("qint8", 11, None, None),
    ("quint8", 12, None, None),
    ("qint32", 13, None, None),
    ("bfloat16", 14, None, torch.bfloat16),
    ("qint16", 15, None, None),
    ("quint16", 16, None, None),
    ("uint16", 17, np.uint16, torch.uint16),
    ("complex128", 18, np.complex128, torch.complex128),
    ("float16", 19, np.float16, torch.float16),
    ("resource", 20, object, None),
    ("variant", 21, object, None),
    ("uint32", 22, np.uint32, torch.uint32),
    ("uint64", 23, np.uint64, torch.uint64),
)
_BY_ENUM: dict[int, DType] = {}
for _name, _enum, _numpy, _torch in _ROWS:
    _BY_ENUM[_enum] = DType(_name, _enum, _numpy, _torch)
    _BY_ENUM[_enum + 100] = DType(f"{_name}_ref", _enum + 100, _numpy, _torch)
_BY_NAME = {dtype.name: dtype for dtype in _BY_ENUM.values()}
_BY_NAME |= {"half": _BY_NAME["float16"], "float": _BY_NAME["float32"]}
_BY_NAME |= {"double": _BY_NAME["float64"], "half_ref": _BY_NAME["float16_ref"]}
_BY_NUMPY = {np.dtype(n): _BY_ENUM[e] for _, e, n, _ in _ROWS if n is not None and n is not object}
_BY_TORCH = {t: _BY_ENUM[e] for _, e, _, t in _ROWS if t is not None}

# The short names in TensorFlow's own messages: those of the C++ side.
_ALIASES = {"float32": "float", "float64": "double", "float16": "half"}

float32, float64, float16 = _BY_NAME["float32"], _BY_NAME["float64"], _BY_NAME["float16"]
bfloat16, half, double = _BY_NAME["bfloat16"], _BY_NAME["half"], _BY_NAME["double"]
int8, int16, int32, int64 = (_BY_NAME[n] for n in ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = (_BY_NAME[n] for n in ("uint8", "uint16", "uint32", "uint64"))
complex64, complex128 = _BY_NAME["complex64"], _BY_NAME["complex128"]
bool_, string = _BY_NAME["bool"], _BY_NAME["string"]
qint8, quint8, qint16 = _BY_NAME["qint8"], _BY_NAME["quint8"], _BY_NAME["qint16"]
quint16, qint32 = _BY_NAME["quint16"], _BY_NAME["qint32"]
resource, variant = _BY_NAME["resource"], _BY_NAME["variant"]
QUANTIZED_DTYPES = frozenset(d for d in _BY_ENUM.values() if d.is_quantized)


def as_dtype(value: object) -> DType:
    """The DType of a name, a number, a numpy or torch dtype, or a Python class.

    >>> as_dtype("float"), as_dtype(np.int64), as_dtype(bool), as_dtype(torch.float16)
    (tf.float32, tf.int64, tf.bool, tf.float16)
    """
    found = value if isinstance(value, DType) else _look_up(value)
    if found is None:
        raise TypeError(f"Cannot convert value {value!r} to a TensorFlow DType.")
    return found


def _look_up(value: object) -> DType | None:
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    if isinstance(value, torch.dtype):
        return _BY_TORCH.get(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _BY_ENUM.get(value)
    if value is float:
        return float32
    if value is int:
        return int64
    return None if value is None else _of_numpy(value)


def _of_numpy(value: object) -> DType | None:
    try:
        kind = np.dtype(value)  # type: ignore[call-overload]  # anything at all may be asked for
    except TypeError:
        return None
    return string if kind.kind in "SUO" else _BY_NUMPY.get(kind)


def short_name(dtype: DType) -> str:
    """The name in messages of TensorFlow's C++ side: ``float`` for float32."""
    base = dtype.base_dtype.name
    return _ALIASES.get(base, base) + ("_ref" if dtype.is_ref else "")
