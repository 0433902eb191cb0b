"""What every checkpoint is to who reads it: tensors by name, whole, as a part, or put together."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from operator import index
from typing import TypeVar

import numpy as np

from evenkeel.checkpoint.dtypes import STORED, STRING, Array, widened
from evenkeel.checkpoint.entries import TensorInfo
from evenkeel.checkpoint.slices import (
    Box,
    Extents,
    box_of,
    check_tiling,
    inside,
    overlap,
    sizes_of,
)
from evenkeel.errors import BadData, BadShape, UnknownName

Info = TypeVar("Info", bound=TensorInfo)


class Checkpoint(Mapping[str, Array]):
    """Tensors of a checkpoint by name; ``entries`` says what each is without reading it.

    Raises:  UnknownName for a name that is not there; BadData for what cannot be read
    """

    prefix: str
    entries: Mapping[str, TensorInfo]

    def __getitem__(self, name: str) -> Array:
        return self.read(name)

    @abstractmethod
    def read(self, name: str, extents: Extents | None = None) -> Array:
        """A tensor, or the part of it that ``extents`` (start and length of each axis) name."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.prefix!r}: {len(self)} tensors)"

    def _find(self, entries: Mapping[str, Info], name: str) -> Info:
        if name in entries:
            return entries[name]
        near = get_close_matches(str(name), entries, n=3)
        raise UnknownName(
            f"the checkpoint has no tensor {name!r}",
            got=f"{len(self)} others",
            do=f"try {' or '.join(near)}" if near else "list(checkpoint) gives the names",
            at=self.prefix,
        )


def wanted_box(info: TensorInfo, extents: Extents | None) -> Box:
    """Where the part that is asked for lies.

    Raises:  BadShape for one that the tensor has not
    """
    if extents is None:
        return tuple(slice(0, size) for size in info.shape)
    try:
        return box_of([(index(start), index(length)) for start, length in extents], info.shape)
    except (TypeError, ValueError) as error:
        got = error.got if isinstance(error, BadData) else repr(extents)
        raise BadShape(
            "the tensor has no such part",
            got=f"{got}, of shape {list(info.shape)}",
            do="ask for start and length of each axis inside the shape",
        ) from None


def assembled(info: TensorInfo, wanted: Box, put: Callable[[Array, Extents, Box], None]) -> Array:
    """A tensor, or a part, out of its pieces; ``put(target, piece, part of the piece)`` copies one.

    Raises:  BadData where the pieces leave something out, or overlap
    """
    boxes = [box_of(extents, info.shape) for extents in info.slices]
    check_tiling(boxes, info.shape)
    out = empty(info.dtype, sizes_of(wanted))
    for extents, box in zip(info.slices, boxes, strict=True):
        shared = overlap(box, wanted)
        if shared is not None:
            put(out[inside(shared, wanted)], extents, inside(shared, box))
    return out


def empty(dtype: int, shape: tuple[int, ...]) -> Array:
    """An array for values of a dtype of TensorFlow."""
    if dtype == STRING:
        return np.empty(shape, object)
    return np.empty(shape, widened(np.empty(0, STORED[dtype]), dtype).dtype)


def check_readable(info: TensorInfo) -> None:
    """That NumPy can hold such values.

    Raises:  BadData
    """
    if info.dtype != STRING and info.bytes_wanted is None:
        raise BadData(
            f"tensors of type {info.dtype_name} cannot be read",
            got=f"shape {list(info.shape)}",
            do="leave this tensor out",
        )
