"""Pieces of tensors: a partitioned variable is saved as boxes of one whole.

A piece is its extents, (start, length) an axis; length -1 is the whole axis. Its key in a table is
TensorFlow's ordered code of 0, the name, the rank and the extents, so that pieces come before names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenkeel.checkpoint.dtypes import Array
from evenkeel.checkpoint.wire import (
    bytes_field,
    cut,
    fields,
    integer,
    number_field,
    octets,
    write_varint,
)
from evenkeel.errors import BadShape

WHOLE = -1
MAX_PIECES = 10_000  # partitioners make one a parameter server; comparing all pairs takes a second

_ESCAPED = {0: b"\0\xff", 0xFF: b"\xff\0"}

Extents = tuple[tuple[int, int], ...]
Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some of the values of a larger tensor, to be written: of ``shape``, from ``start`` on.

    >>> Piece(np.zeros((2, 3)), shape=(4, 3), start=(2, 0)).extents
    ((2, 2), (0, 3))
    """

    values: Array
    shape: tuple[int, ...]
    start: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = self.values.shape
        ranks = {len(self.shape), len(self.start), len(sizes)}
        if len(ranks) > 1 or not all(
            first >= 0 and first + size <= full
            for first, size, full in zip(self.start, sizes, self.shape, strict=True)
        ):
            raise BadShape(
                "a piece must lie inside its tensor",
                got=f"{list(sizes)} from {list(self.start)} on in {list(self.shape)}",
                do="give start and shape one number an axis, as the partitioner does",
            )

    @property
    def extents(self) -> Extents:
        """(start, length) of each axis."""
        return tuple(zip(self.start, self.values.shape, strict=True))

    @property
    def is_all(self) -> bool:
        """Whether nothing of the whole is missing."""
        return self.values.shape == self.shape


def read_extents(message: memoryview) -> Extents:
    """A TensorSliceProto: 1 extent (1 start, 2 length, absent for the whole axis).

    Raises:  BadData
    """
    found = []
    for number, value in fields(message):
        if number == 1:
            extent = dict(fields(octets(value)))
            length = integer(extent[2]) if 2 in extent else WHOLE
            found.append((integer(extent.get(1, 0)), length))
    return tuple(found)


def write_extents(extents: Extents) -> bytes:
    """The bytes of a TensorSliceProto."""
    return b"".join(bytes_field(1, _extent(start, length)) for start, length in extents)


def _extent(start: int, length: int) -> bytes:
    if length == WHOLE:
        return b""
    return number_field(1, start) + b"\x10" + write_varint(length)  # a length of 0 is written too


def box_of(extents: Sequence[tuple[int, int]], shape: Sequence[int]) -> Box:
    """Where a piece lies in the whole.

    Raises:  BadData for a piece that reaches outside

    >>> box_of(((2, 2), (0, -1)), (4, 3))
    (slice(2, 4, None), slice(0, 3, None))
    """
    if len(extents) != len(shape):
        raise cut(f"a piece of rank {len(extents)} in a tensor of rank {len(shape)}")
    box = []
    for (start, length), size in zip(extents, shape, strict=True):
        end = size if length == WHOLE else start + length
        if not 0 <= start <= end <= size or (length == WHOLE and start):
            raise cut(f"a piece from {start} to {end} on an axis of {size}")
        box.append(slice(start, end))
    return tuple(box)


def sizes_of(box: Box) -> tuple[int, ...]:
    """The shape of what a box holds."""
    return tuple(side.stop - side.start for side in box)


def overlap(box: Box, other: Box) -> Box | None:
    """What two boxes share; None where that is nothing."""
    both = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, other, strict=True)
    )
    return both if all(side.start < side.stop for side in both) else None


def inside(box: Box, outer: Box) -> Box:
    """A box counted from the corner of another that holds it."""
    return tuple(
        slice(side.start - corner.start, side.stop - corner.start)
        for side, corner in zip(box, outer, strict=True)
    )


def check_tiling(boxes: Sequence[Box], shape: Sequence[int]) -> None:
    """That boxes fill a shape, each value once: as many values, and no two boxes overlap.

    Raises:  BadData
    """
    if len(boxes) > MAX_PIECES:
        raise cut(f"a tensor in {len(boxes)} pieces, where {MAX_PIECES} are read")
    whole = int(np.prod(shape, dtype=object))
    held = sum(int(np.prod(sizes_of(box), dtype=object)) for box in boxes)
    if held != whole:
        raise cut(f"pieces of {held} values in all for a tensor of {whole}")
    starts = np.array([[side.start for side in box] for box in boxes], np.int64)
    stops = np.array([[side.stop for side in box] for box in boxes], np.int64)
    filled = np.flatnonzero((stops > starts).all(axis=1))
    for i in filled:
        shared: Array = (starts[filled] < stops[i]) & (starts[i] < stops[filled])
        hits = filled[shared.all(axis=1)]  # the box itself is one
        if len(hits) > 1:
            raise cut(f"pieces that overlap: {list(boxes[hits[0]])} and {list(boxes[hits[1]])}")


def piece_key(name: str, extents: Extents) -> bytes:
    r"""The key of a piece.

    Source:  TensorFlow's saved_tensor_slice_util.h and ordered_code.h

    >>> piece_key("v", ((0, 100),))
    b'\x00v\x00\x01\x01\x01\x80\xc0d'
    """
    text = b"".join(
        _ESCAPED.get(byte, bytes([byte])) for byte in name.encode("utf-8", "surrogateescape")
    )
    numbers = b"".join(_signed(n) for extent in extents for n in extent)
    return b"\0" + text + b"\0\1" + _unsigned(len(extents)) + numbers


def _unsigned(number: int) -> bytes:
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([len(body)]) + body


def _signed(number: int) -> bytes:
    """Two's complement, high byte first; as many of its high bits flipped as it has bytes."""
    size = (max(number, ~number).bit_length() + 7) // 7
    header = 0xFFFF << (16 - size) & 0xFFFF
    flipped = (number & (1 << 8 * size) - 1) ^ (header << 8 * size >> 16)
    return flipped.to_bytes(size, "big")


def read_spec(text: str) -> tuple[tuple[int, ...], Extents] | None:
    """A ``shape_and_slice`` of TensorFlow: sizes, then ``start,length`` or ``-`` an axis; None for "".

    Raises:  BadShape

    >>> read_spec("4 3 0,2:-")
    ((4, 3), ((0, 2), (0, -1)))
    """
    if not text:
        return None
    *sizes, slices = text.split(" ")
    try:
        shape = tuple(int(size) for size in sizes)
        extents = tuple(_side(side) for side in slices.split(":")) if sizes else ()
        box_of(extents, shape)
    except ValueError as error:  # also the errors of this package
        raise BadShape(
            "a shape and slice is sizes, a blank, and `start,length` or `-` an axis, as `4 3 0,2:-`",
            got=repr(text),
            do="take it from the variable's SaveSliceInfo.spec",
        ) from error
    return shape, extents


def _side(text: str) -> tuple[int, int]:
    if text == "-":
        return 0, WHOLE
    start, length = text.split(",")
    if int(start) < 0 or int(length) <= 0:
        raise ValueError(text)
    return int(start), int(length)
