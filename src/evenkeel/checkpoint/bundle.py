"""The reader of TensorFlow's checkpoints of version 2: an index, and the data files it points into."""

from pathlib import Path

import numpy as np

from evenkeel.checkpoint.dtypes import STRING, Array
from evenkeel.checkpoint.entries import Entry
from evenkeel.checkpoint.files import DataFile, map_file, missing, shard_path
from evenkeel.checkpoint.index import read_index
from evenkeel.checkpoint.reader import Checkpoint, assembled, check_readable, empty, wanted_box
from evenkeel.checkpoint.recovery import finish_interrupted
from evenkeel.checkpoint.slices import Box, Extents, box_of, piece_key, sizes_of
from evenkeel.checkpoint.text import read_text
from evenkeel.checkpoint.values import copy_into, view_of
from evenkeel.checkpoint.wire import cut
from evenkeel.errors import BadData, located


class Bundle(Checkpoint):
    """The tensors of a V2 checkpoint by name, each read from disk and checked when it is asked for.

    Shapes:  as saved; the pieces of a partitioned variable as the whole that they are of
    Dtypes:  TensorFlow's numbers as NumPy's own; bfloat16 widened to float32, quantized integers as the
             plain ones that hold them; strings as objects of bytes. Numbers are read-only views of the
             file where its alignment lets them be, and must not outlive a change of the file in place
    Raises:  BadData for a file that is missing, cut or damaged, with the tensor and its place: every
             length is checked before anything is read, every tensor against its checksum;
             UnknownName for a name that is not in the checkpoint
    Source:  TensorFlow's tensor_bundle.proto; its checkpoints of version 2, in any number of shards

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", {"w": np.arange(3.0)})
    ...     Bundle(f"{folder}/model.ckpt")["w"]
    array([0., 1., 2.])
    """

    entries: dict[str, Entry]

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = str(prefix)
        index = finish_interrupted(self.prefix)
        if not index.is_file():
            raise missing(self.prefix)
        with located(str(index)):
            self._header, self.entries, self._pieces = read_index(map_file(index))
        self._shards: dict[int, DataFile] = {}
        self._checked: set[Entry] = set()

    def read(self, name: str, extents: Extents | None = None) -> Array:
        """A tensor, or the part of it that ``extents`` (start and length of each axis) name.

        Raises:  BadShape for a part that the tensor has not; BadData, UnknownName
        """
        entry = self._find(self.entries, name)
        wanted = wanted_box(entry, extents)
        if not entry.slices:
            whole = self._whole(name, entry)
            # A number would leave NumPy's indexing as a scalar.
            return whole if extents is None else np.asarray(whole[wanted], whole.dtype)
        with located(f"{self.prefix}.index, tensor {name!r}"):
            check_readable(entry)
            pieces = [self._piece(name, entry, piece) for piece in entry.slices]
        known = dict(zip(entry.slices, pieces, strict=True))

        def put(target: Array, piece: Extents, part: Box) -> None:
            self._put(target, name, known[piece], part)

        with located(f"{self.prefix}.index, tensor {name!r}"):
            return assembled(entry, wanted, put)

    def _piece(self, name: str, whole: Entry, extents: Extents) -> Entry:
        """The entry of a piece, which must be what the whole says of it."""
        piece = self._pieces.get(piece_key(name, extents))
        if piece is None:
            raise cut(f"no piece at {list(extents)}, which the tensor names")
        sizes = sizes_of(box_of(extents, whole.shape))
        if (piece.dtype, piece.shape) != (whole.dtype, sizes) or piece.slices:
            raise cut(f"a piece of {piece.dtype_name} {list(piece.shape)} for {list(extents)}")
        with located(self._place(name, piece)):
            self._check(piece)
            self._file(piece).range(piece.offset, piece.size)  # is there, before memory is taken
        return piece

    def _put(self, target: Array, name: str, piece: Entry, part: Box) -> None:
        if piece.dtype != STRING and sizes_of(part) == piece.shape:
            with located(self._place(name, piece)):
                copy_into(target, self._file(piece), piece, big_endian=self._header.big_endian)
        else:
            target[...] = self._whole(name, piece)[part]

    def _whole(self, name: str, entry: Entry) -> Array:
        """The values of one entry."""
        with located(self._place(name, entry)):
            self._check(entry)
            file = self._file(entry)
            if entry.dtype == STRING:
                return read_text(file.range(entry.offset, entry.size), entry.shape, entry.crc)
            if not self._header.big_endian:
                view = view_of(file, entry, checked=entry in self._checked)
                if view is not None:
                    self._checked.add(entry)
                    return view
            file.range(entry.offset, entry.size)  # is there, before memory is taken
            out = empty(entry.dtype, entry.shape)
            copy_into(out, file, entry, big_endian=self._header.big_endian)
            return out

    def _place(self, name: str, entry: Entry) -> str:
        path = shard_path(self.prefix, entry.shard, self._header.shards)
        return f"{path}, tensor {name!r} at byte {entry.offset}"

    def _file(self, entry: Entry) -> DataFile:
        if entry.shard not in self._shards:
            path = shard_path(self.prefix, entry.shard, self._header.shards)
            self._shards[entry.shard] = DataFile(path)
        return self._shards[entry.shard]

    def _check(self, entry: Entry) -> None:
        if entry.shard >= self._header.shards:
            raise _lying(f"data file {entry.shard} of {self._header.shards}")
        check_readable(entry)
        if entry.bytes_wanted not in (None, entry.size):
            raise _lying(
                f"{entry.size} bytes for {entry.dtype_name} {list(entry.shape)}, "
                f"which needs {entry.bytes_wanted}"
            )


def _lying(got: str) -> BadData:
    return BadData(
        "the index contradicts itself",
        got=got,
        do="use another checkpoint, or copy this one again from where it was made",
    )
