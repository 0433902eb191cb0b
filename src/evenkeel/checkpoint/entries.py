"""What the index of a bundle holds: one header, and for each tensor where its bytes are.

BundleHeaderProto: 1 num_shards, 2 endianness (0 little, 1 big), 3 version (1 producer, 2 min_consumer).
BundleEntryProto:  1 dtype, 2 shape (2 dim (1 size), 3 unknown_rank), 3 shard_id, 4 offset, 5 size,
                   6 crc32c (masked, 4 bytes), 7 slices (of a partitioned variable).
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from evenkeel.checkpoint.wire import (
    bytes_field,
    cut,
    fields,
    fixed32_field,
    integer,
    number_field,
    octets,
)
from evenkeel.errors import BadData

VERSION = 1  # kTensorBundleVersion
STRING, BFLOAT16 = 7, 14
MAX_RANK, MAX_VALUES = 32, 2**58  # numpy 1's limits, for values of up to 16 bytes
# DataType of TensorFlow, and the NumPy type that holds its values.
DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
NAMES = DTYPES | {STRING: "string", BFLOAT16: "bfloat16"}
CODES = {name: code for code, name in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Header:
    """How many data files there are, and in which byte order.

    Raises:  BadData when read from bytes that are no header, or of a newer format
    """

    shards: int = 1
    big_endian: bool = False

    @classmethod
    def read(cls, message: memoryview) -> "Header":
        """The header from its bytes."""
        found = dict(fields(message))
        version = dict(fields(octets(found.get(3, memoryview(b"")))))
        needs = integer(version.get(2, 0))
        if needs > VERSION:
            raise BadData(
                f"this checkpoint needs a reader of version {needs}",
                got=f"version {integer(version.get(1, 0))} of the format; this reader knows {VERSION}",
                do="save it again with TensorFlow 1 or 2",
            )
        header = cls(integer(found.get(1, 0)), integer(found.get(2, 0)) == 1)
        if not 1 <= header.shards <= 99999:  # names give a shard five digits
            raise cut(f"{header.shards} data files")
        return header

    def write(self) -> bytes:
        """The bytes of the header, as TensorFlow writes them."""
        version = bytes_field(3, number_field(1, VERSION))
        return number_field(1, self.shards) + number_field(2, int(self.big_endian)) + version


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor is and what it is; ``dtype`` is TensorFlow's number.

    Raises:  BadData when read from bytes that are no entry
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool = False

    @property
    def count(self) -> int:
        """The number of values."""
        return prod(self.shape)

    @property
    def dtype_name(self) -> str:
        """``float32``, ``string``, ``bfloat16`` …; the number where it is unknown."""
        return NAMES.get(self.dtype, f"DataType {self.dtype}")

    @property
    def bytes_wanted(self) -> int | None:
        """The bytes that dtype and shape need; None for text, and for what cannot be read."""
        if self.dtype == BFLOAT16:
            return 2 * self.count
        name = DTYPES.get(self.dtype)
        return np.dtype(name).itemsize * self.count if name else None

    @classmethod
    def read(cls, message: memoryview) -> "Entry":
        """The entry from its bytes."""
        found = dict(fields(message))
        crc = octets(found.get(6, memoryview(bytes(4))))
        if len(crc) != 4:
            raise cut(f"a checksum of {len(crc)} bytes")
        return cls(
            dtype=integer(found.get(1, 0)),
            shape=_read_shape(octets(found.get(2, memoryview(b"")))),
            shard=integer(found.get(3, 0)),
            offset=integer(found.get(4, 0)),
            size=integer(found.get(5, 0)),
            crc=int.from_bytes(crc, "little"),
            sliced=7 in found,
        )

    def write(self) -> bytes:
        """The bytes of the entry, as TensorFlow writes them."""
        sizes = b"".join(bytes_field(2, number_field(1, size)) for size in self.shape)
        place = number_field(3, self.shard) + number_field(4, self.offset)
        shape = bytes_field(2, sizes)
        return (
            number_field(1, self.dtype)
            + shape
            + place
            + number_field(5, self.size)
            + fixed32_field(6, self.crc)
        )


def _read_shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for number, value in fields(message):
        if number == 3 and value:
            raise cut("a tensor of unknown rank")
        if number == 2:
            sizes.append(integer(dict(fields(octets(value))).get(1, 0)))
    if any(size >> 63 for size in sizes):  # int64, negative
        raise cut(f"a negative size, {[s - (s >> 63 << 64) for s in sizes]}")
    # NumPy refuses such arrays even where a size of 0 leaves nothing in them.
    if len(sizes) > MAX_RANK or prod(size or 1 for size in sizes) >= MAX_VALUES:
        raise cut(f"a tensor of shape {sizes}")
    return tuple(sizes)
