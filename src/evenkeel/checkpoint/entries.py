"""What the index of a bundle holds: one header, and for each tensor where its bytes are.

BundleHeaderProto: 1 num_shards, 2 endianness (0 little, 1 big), 3 version (1 producer, 2 min_consumer).
BundleEntryProto:  1 dtype, 2 shape (2 dim (1 size), 3 unknown_rank), 3 shard_id, 4 offset, 5 size,
                   6 crc32c (masked, 4 bytes), 7 slices (of a partitioned variable).
"""

from dataclasses import dataclass
from math import prod

from evenkeel.checkpoint.dtypes import NAMES, STORED
from evenkeel.checkpoint.slices import Extents, read_extents, write_extents
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
MAX_RANK, MAX_VALUES = 32, 2**58  # numpy 1's limits, for values of up to 16 bytes


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
class TensorInfo:
    """What a tensor is: TensorFlow's number of its dtype, its shape, its pieces if it is in pieces."""

    dtype: int
    shape: tuple[int, ...]
    slices: tuple[Extents, ...] = ()

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
        stored = STORED.get(self.dtype)
        return stored.itemsize * self.count if stored else None


@dataclass(frozen=True, slots=True)
class Entry(TensorInfo):
    """What a tensor is and where its bytes are.

    Raises:  BadData when read from bytes that are no entry
    """

    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0

    @classmethod
    def read(cls, message: memoryview) -> "Entry":
        """The entry from its bytes."""
        pairs = list(fields(message))
        found = dict(pairs)
        crc = octets(found.get(6, memoryview(bytes(4))))
        if len(crc) != 4:
            raise cut(f"a checksum of {len(crc)} bytes")
        return cls(
            dtype=integer(found.get(1, 0)),
            shape=read_shape(octets(found.get(2, memoryview(b"")))),
            slices=tuple(read_extents(octets(value)) for number, value in pairs if number == 7),
            shard=integer(found.get(3, 0)),
            offset=integer(found.get(4, 0)),
            size=integer(found.get(5, 0)),
            crc=int.from_bytes(crc, "little"),
        )

    def write(self) -> bytes:
        """The bytes of the entry, as TensorFlow writes them."""
        place = number_field(3, self.shard) + number_field(4, self.offset)
        return (
            number_field(1, self.dtype)
            + bytes_field(2, write_shape(self.shape))
            + place
            + number_field(5, self.size)
            + fixed32_field(6, self.crc)
            + b"".join(bytes_field(7, write_extents(piece)) for piece in self.slices)
        )


def read_shape(message: memoryview) -> tuple[int, ...]:
    """The sizes of a TensorShapeProto.

    Raises:  BadData for an unknown rank, and for what no array can be
    """
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


def write_shape(shape: tuple[int, ...]) -> bytes:
    """The bytes of a TensorShapeProto."""
    return b"".join(bytes_field(2, number_field(1, size)) for size in shape)
