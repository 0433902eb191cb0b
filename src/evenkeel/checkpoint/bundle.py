"""The reader of TensorFlow's checkpoints (V2 bundles): an index, and the data files it points into."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.entries import BFLOAT16, DTYPES, STRING, Entry, Header
from evenkeel.checkpoint.files import map_file, missing, shard_path
from evenkeel.checkpoint.index import read_index
from evenkeel.checkpoint.recovery import finish_interrupted
from evenkeel.checkpoint.text import read_text
from evenkeel.errors import BadData, UnknownName, located

Array = NDArray[Any]  # of whatever dtype the checkpoint holds


class Bundle(Mapping[str, Array]):
    """The tensors of a checkpoint by name, each read from disk and checked when it is asked for.

    Shapes:  as saved
    Dtypes:  TensorFlow's numbers as NumPy's own; bfloat16 widened to float32; strings as objects of
             bytes. Numbers are read-only views of the file where its alignment lets them be
    Raises:  BadData for a file that is missing, cut or damaged, with the tensor and its place: every
             length is checked before anything is read, every tensor against its checksum;
             UnknownName for a name that is not in the checkpoint
    Source:  TensorFlow's tensor_bundle.proto; its checkpoints of version 2, in any number of shards

    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", {"w": np.arange(3.0)})
    ...     Bundle(f"{folder}/model.ckpt")["w"]
    array([0., 1., 2.])
    """

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = str(prefix)
        index = finish_interrupted(self.prefix)
        if not index.is_file():
            raise missing(self.prefix)
        with located(str(index)):
            self._header, self.entries = read_index(map_file(index))
        self._shards: dict[int, memoryview] = {}
        self._checked: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        entry = self._entry(name)
        path = shard_path(self.prefix, entry.shard, self._header.shards)
        with located(f"{path}, tensor {name!r} at byte {entry.offset}"):
            _check_entry(entry, self._header)
            data = _within(self._shard(entry.shard, path), entry)
            if entry.dtype == STRING:
                return read_text(data, entry.shape, entry.crc)
            if name not in self._checked:
                _check_sum(data, entry)
                self._checked.add(name)
            return _decoded(data, entry, self._header.big_endian)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __repr__(self) -> str:
        return f"Bundle({self.prefix!r}: {len(self)} tensors)"

    def _entry(self, name: str) -> Entry:
        if name in self.entries:
            return self.entries[name]
        near = get_close_matches(str(name), self.entries, n=3)
        raise UnknownName(
            f"the checkpoint has no tensor {name!r}",
            got=f"{len(self)} others",
            do=f"try {' or '.join(near)}" if near else "list(bundle) gives the names",
            at=self.prefix,
        )

    def _shard(self, number: int, path: Path) -> memoryview:
        if number not in self._shards:
            self._shards[number] = map_file(path)
        return self._shards[number]


def _check_entry(entry: Entry, header: Header) -> None:
    if entry.sliced:
        raise BadData(
            "the tensor was saved in pieces, as a partitioned variable, which is not read yet",
            got=f"shape {list(entry.shape)}",
            do="save it again without a partitioner",
        )
    if entry.shard >= header.shards:
        raise _lying(f"data file {entry.shard} of {header.shards}")
    if entry.dtype != STRING and entry.bytes_wanted is None:
        raise BadData(
            f"tensors of type {entry.dtype_name} cannot be read",
            got=f"shape {list(entry.shape)}",
            do="leave this tensor out",
        )
    if entry.bytes_wanted not in (None, entry.size):
        raise _lying(
            f"{entry.size} bytes for {entry.dtype_name} {list(entry.shape)}, "
            f"which needs {entry.bytes_wanted}"
        )


def _within(shard: memoryview, entry: Entry) -> memoryview:
    if entry.offset + entry.size > len(shard):
        raise BadData(
            "the data file is shorter than its index says",
            got=f"{len(shard)} bytes, {entry.size} wanted from byte {entry.offset} on",
            do="the copy was cut: copy the checkpoint again from where it was made",
        )
    return shard[entry.offset : entry.offset + entry.size]


def _check_sum(data: memoryview, entry: Entry) -> None:
    found = masked(data)
    if found != entry.crc:
        raise BadData(
            "the tensor does not fit its checksum: the data file was damaged, or is another's",
            got=f"{found:08x} where the index says {entry.crc:08x}",
            do="use another checkpoint, or copy this one again from where it was made",
        )


def _decoded(data: memoryview, entry: Entry, big_endian: bool) -> Array:
    stored = np.dtype("uint16" if entry.dtype == BFLOAT16 else DTYPES[entry.dtype])
    ordered = stored.newbyteorder(">" if big_endian else "<")
    values = np.frombuffer(data, ordered).reshape(entry.shape)
    if entry.dtype == BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    native = values.astype(stored, copy=big_endian)
    return native if native.flags.aligned else native.copy()


def _lying(got: str) -> BadData:
    return BadData(
        "the index contradicts itself",
        got=got,
        do="use another checkpoint, or copy this one again from where it was made",
    )
