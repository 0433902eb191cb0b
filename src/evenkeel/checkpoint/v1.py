"""Checkpoints of version 1: tables whose values are protocol buffers, one file or several shards.

The key "" holds the table of contents, a SavedTensorSlices (1 meta): SavedTensorSliceMeta (1 tensor,
2 versions) of SavedSliceMeta (1 name, 2 shape, 3 type, 4 slice). Each piece of a tensor has its own key
(``slices.piece_key``) and a SavedTensorSlices (2 data): SavedSlice (1 name, 2 slice, 3 TensorProto).
"""

from pathlib import Path

from evenkeel.checkpoint.dtypes import STRING, Array, widened
from evenkeel.checkpoint.entries import TensorInfo, read_shape
from evenkeel.checkpoint.files import map_file, missing, v1_files
from evenkeel.checkpoint.reader import Checkpoint, assembled, check_readable, wanted_box
from evenkeel.checkpoint.slices import (
    Box,
    Extents,
    box_of,
    piece_key,
    read_extents,
    sizes_of,
)
from evenkeel.checkpoint.sstable import Table
from evenkeel.checkpoint.v1_values import read_values
from evenkeel.checkpoint.wire import cut, fields, integer, octets
from evenkeel.errors import BadData, located

VERSION = 1  # TF_CHECKPOINT_VERSION, the newest there will ever be


class V1Checkpoint(Checkpoint):
    """The tensors of a V1 checkpoint by name; ``prefix`` is its file, or a pattern of its shards.

    Shapes:  as saved; the pieces of a partitioned variable as the whole that they are of
    Dtypes:  as ``Bundle``
    Raises:  BadData for a file that is missing, cut or damaged, with the tensor; UnknownName
    Source:  TensorFlow's saved_tensor_slice.proto
    """

    entries: dict[str, TensorInfo]

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = str(prefix)
        paths = v1_files(self.prefix)
        if not paths:
            raise missing(self.prefix)
        self._tables: list[tuple[Path, Table]] = []
        self._homes: dict[bytes, int] = {}
        self.entries = {}
        for path in paths:
            with located(str(path)):
                self._tables.append((path, Table(map_file(path))))
                self._enter(len(self._tables) - 1)

    def read(self, name: str, extents: Extents | None = None) -> Array:
        """A tensor, or the part of it that ``extents`` (start and length of each axis) name.

        Raises:  BadShape for a part that the tensor has not; BadData, UnknownName
        """
        info = self._find(self.entries, name)
        wanted = wanted_box(info, extents)
        with located(f"{self.prefix}, tensor {name!r}"):
            check_readable(info)
            boxes = [box_of(piece, info.shape) for piece in info.slices]
            if len(boxes) == 1 and sizes_of(boxes[0]) == info.shape:
                return self._piece(name, info, info.slices[0])[wanted]
            # Every piece is read, so is there, before memory is taken for the whole.
            pieces = {piece: self._piece(name, info, piece) for piece in info.slices}

            def put(target: Array, piece: Extents, part: Box) -> None:
                target[...] = pieces[piece][part]

            return assembled(info, wanted, put)

    def _enter(self, number: int) -> None:
        """Take up the contents of one file."""
        value = self._tables[number][1].get(b"")
        meta = dict(fields(value)).get(1) if value is not None else None
        if meta is None:
            raise BadData(
                "this table is no V1 checkpoint: it has no table of contents",
                got="no meta under the empty key",
                do="give the prefix of a V2 checkpoint without .index or .data-…",
            )
        for key, message in fields(octets(meta)):
            if key == 2 and integer(dict(fields(octets(message))).get(2, 0)) > VERSION:
                raise cut("a format newer than version 1")
            if key == 1:
                self._tensor(number, octets(message))

    def _tensor(self, number: int, message: memoryview) -> None:
        pairs = list(fields(message))
        found = dict(pairs)
        name = bytes(octets(found.get(1, memoryview(b"")))).decode("utf-8", "surrogateescape")
        shape = read_shape(octets(found.get(2, memoryview(b""))))
        pieces = tuple(read_extents(octets(value)) for key, value in pairs if key == 4)
        info = TensorInfo(integer(found.get(3, 0)), shape, pieces)
        known = self.entries.get(name)
        if known is not None:
            if (known.dtype, known.shape) != (info.dtype, shape):
                raise cut(f"tensor {name!r} as {known.dtype_name} and as {info.dtype_name}")
            info = TensorInfo(info.dtype, shape, known.slices + pieces)
        self.entries[name] = info
        self._homes |= {piece_key(name, piece): number for piece in pieces}

    def _piece(self, name: str, info: TensorInfo, extents: Extents) -> Array:
        key = piece_key(name, extents)
        path, table = self._tables[self._homes[key]]
        with located(f"{path}, tensor {name!r}"):
            value = table.get(key)
            if value is None:
                raise cut(f"no piece at {list(extents)}, which the table of contents names")
            data = dict(fields(value)).get(2, memoryview(b""))
            tensor = dict(fields(octets(data))).get(3, memoryview(b""))
            sizes = sizes_of(box_of(extents, info.shape))
            stored = read_values(octets(tensor), info.dtype, sizes)
            return stored if info.dtype == STRING else widened(stored, info.dtype)
