"""TensorFlow's element types as checkpoints hold them: their numbers, and NumPy's type for their bytes.

NumPy has no bfloat16 and no quantized integers. A bfloat16 is the upper half of a float32, so it is
widened to one, exactly; a quantized integer comes as the plain integer that it is stored as.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # of whatever dtype a checkpoint holds

STRING, BFLOAT16 = 7, 14
# DataType of TensorFlow's types.proto: number, name, what NumPy reads the bytes as.
_ROWS = (
    (1, "float32", "float32"),
    (2, "float64", "float64"),
    (3, "int32", "int32"),
    (4, "uint8", "uint8"),
    (5, "int16", "int16"),
    (6, "int8", "int8"),
    (8, "complex64", "complex64"),
    (9, "int64", "int64"),
    (10, "bool", "bool"),
    (11, "qint8", "int8"),
    (12, "quint8", "uint8"),
    (13, "qint32", "int32"),
    (BFLOAT16, "bfloat16", "uint16"),
    (15, "qint16", "int16"),
    (16, "quint16", "uint16"),
    (17, "uint16", "uint16"),
    (18, "complex128", "complex128"),
    (19, "float16", "float16"),
    (22, "uint32", "uint32"),
    (23, "uint64", "uint64"),
)
STORED = {number: np.dtype(stored) for number, _, stored in _ROWS}
NAMES = {number: name for number, name, _ in _ROWS} | {STRING: "string"}
CODES = {name: number for number, name in NAMES.items()}


def widened(stored: Array, dtype: int) -> Array:
    """The values of what was stored, in this machine's byte order; a view where nothing changes.

    >>> widened(np.array([0x3FC0], np.uint16), BFLOAT16)
    array([1.5], dtype=float32)
    """
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if dtype == BFLOAT16:
        return (native.astype(np.uint32) << 16).view(np.float32)
    return native


def narrowed(values: Array, dtype: int) -> Array:
    """What is stored for the values, little-endian; rounded to the nearest, ties to even.

    >>> narrowed(np.array([1.5, 3.14159, np.nan], np.float32), BFLOAT16)
    array([16320, 16457, 32704], dtype=uint16)
    """
    if dtype == BFLOAT16 and values.dtype.name != "bfloat16":
        values = _rounded(np.ascontiguousarray(values, np.float32)).reshape(values.shape)
    elif dtype == BFLOAT16:
        values = values.view(np.uint16)  # the extension type of the package ml_dtypes
    return values.astype(STORED[dtype].newbyteorder("<"), copy=False)


def _rounded(values: Array) -> Array:
    bits = values.view(np.uint32)
    odd = bits >> 16 & 1
    rounded = bits.astype(np.uint64) + 0x7FFF + odd >> 16
    quiet = bits >> 16 | 0x40  # the mantissa of a NaN must not be rounded away
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)
