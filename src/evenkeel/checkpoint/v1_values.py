"""The values of a TensorProto, as V1 checkpoints hold them: repeated fields by dtype, packed or not.

TensorProto: 4 tensor_content, 5 float_val, 6 double_val, 7 int_val, 8 string_val, 9 scomplex_val,
10 int64_val, 11 bool_val, 12 dcomplex_val, 13 half_val (the bits), 16 uint32_val, 17 uint64_val.
"""

from math import prod

import numpy as np

from evenkeel.checkpoint.dtypes import NAMES, STORED, STRING, Array
from evenkeel.checkpoint.wire import (
    LONGEST,
    bytes_field,
    cut,
    fields,
    octets,
    write_varint,
)

CONTENT, TEXT, HALVES = 4, 8, 13
# Values of fixed width: the field of each, and its type on the wire.
_FIXED = {
    "float32": (5, "<f4"),
    "float64": (6, "<f8"),
    "complex64": (9, "<c8"),
    "complex128": (12, "<c16"),
}
# Integers as varints, a negative one as 64 bits: the field of each.
_VARINTS = dict.fromkeys(("int32", "int16", "int8", "uint8", "uint16"), 7)
_VARINTS |= dict.fromkeys(("qint32", "qint16", "qint8", "quint8", "quint16"), 7)
_VARINTS |= {"int64": 10, "bool": 11, "uint32": 16, "uint64": 17, "float16": 13, "bfloat16": 13}


def read_values(message: memoryview, dtype: int, shape: tuple[int, ...]) -> Array:
    """The values of a TensorProto, which must be as many as ``shape`` has, as they are stored.

    Raises:  BadData
    """
    found = [(number, value) for number, value in fields(message) if number >= CONTENT]
    if dtype == STRING:
        texts = [bytes(octets(value)) for number, value in found if number == TEXT]
        flat = np.empty(len(texts), object)
        flat[:] = texts
    else:
        flat = _numbers(found, dtype)
    if len(flat) != prod(shape):
        raise cut(f"{len(flat)} values for a tensor of shape {list(shape)}")
    return flat.reshape(shape)


def _numbers(found: list[tuple[int, int | memoryview]], dtype: int) -> Array:
    name, stored = NAMES[dtype], STORED[dtype]
    number, wire = _FIXED.get(name, (_VARINTS.get(name), ""))
    content = [octets(value) for key, value in found if key == CONTENT and value]
    if content:
        return _fixed(content[-1], stored.newbyteorder("<").str).astype(stored, copy=False)
    values = [value for key, value in found if key == number]
    if wire:
        pieces = [_fixed(octets(value), wire) for value in values]
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, wire), *pieces])
    pieces = [
        np.array([value], np.uint64) if isinstance(value, int) else varints(value)
        for value in values
    ]
    bits = np.concatenate([np.empty(0, np.uint64), *pieces])
    return bits.astype(np.uint16).view(stored) if number == HALVES else bits.astype(stored)


def _fixed(data: memoryview, wire: str) -> Array:
    if len(data) % np.dtype(wire).itemsize:
        raise cut(f"{len(data)} bytes of values of {np.dtype(wire).itemsize} each")
    return np.frombuffer(data, wire)


def varints(data: memoryview) -> Array:
    r"""Numbers one after the other, all at once.

    Raises:  BadData for one that does not end, or exceeds 64 bits

    >>> varints(memoryview(b"\x01\xac\x02"))
    array([  1, 300], dtype=uint64)
    """
    octet = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octet < 0x80)
    if not len(octet):
        return np.empty(0, np.uint64)
    if not len(ends) or ends[-1] != len(octet) - 1:
        raise cut("a number that does not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > LONGEST or np.any((lengths == LONGEST) & (octet[ends] > 1)):
        raise cut("a number of more than 64 bits")
    place = (np.arange(len(octet)) - np.repeat(starts, lengths)).astype(np.uint64)
    return np.bitwise_or.reduceat((octet & 0x7F).astype(np.uint64) << place * np.uint64(7), starts)


def write_values(values: Array, dtype: int) -> bytes:
    """The fields of a TensorProto that hold ``values``, packed."""
    name = NAMES[dtype]
    if dtype == STRING:
        return b"".join(bytes_field(TEXT, text) for text in values.ravel().tolist())
    if name in _FIXED:
        number, wire = _FIXED[name]
        data = values.astype(wire, copy=False).tobytes()
    else:
        number = _VARINTS[name]
        flat = np.ascontiguousarray(values).ravel()
        bits = flat.view(np.uint16) if number == HALVES else flat
        data = b"".join(write_varint(int(n) & 0xFFFFFFFFFFFFFFFF) for n in bits.tolist())
    return bytes_field(number, data) if data else b""
