"""The writer of TensorFlow's checkpoints: one data file and its index, byte for byte TensorFlow's."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.entries import CODES, STRING, Entry, Header
from evenkeel.checkpoint.files import index_path, part_file, put_in_place, shard_path
from evenkeel.checkpoint.recovery import finish_interrupted
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.checkpoint.text import write_text
from evenkeel.errors import BadDtype, DuplicateRow

Array = NDArray[Any]  # of any dtype that a checkpoint can hold


def write_bundle(
    prefix: str | Path, tensors: Mapping[str, Any] | Iterable[tuple[str, Any]]
) -> None:
    """Save ``tensors`` as the checkpoint ``prefix``, in the order given; the index is sorted.

    Shapes:  any
    Dtypes:  what TensorFlow has of NumPy's numbers; arrays of objects or of bytes become strings
    Raises:  BadDtype for other dtypes, DuplicateRow for a name twice, BadData when the files cannot be
             written. After an error, or a kill at any moment, the checkpoint that was there before
             stands, or the new one does: see recovery.py
    Source:  TensorFlow 1.15.5, whose Saver writes the same bytes

    The folder is made where it is missing.

    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import Bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", [("b", np.zeros(2)), ("a", np.ones(2))])
    ...     list(Bundle(f"{folder}/model.ckpt"))
    ['a', 'b']
    """
    prefix = str(prefix)
    pairs = list(tensors.items() if isinstance(tensors, Mapping) else tensors)
    _check_names([name for name, _ in pairs])
    arrays = [(name, _storable(name, np.asarray(value))) for name, value in pairs]
    data, index = shard_path(prefix), index_path(prefix)
    finish_interrupted(prefix)
    with part_file(data) as file:
        entries = {}
        for (name, entry), content in _laid_out(arrays):
            file.write(content)
            entries[name.encode("utf-8", "surrogateescape")] = entry.write()
    with part_file(index) as file:
        file.write(write_table([(b"", Header().write()), *sorted(entries.items())]))
    put_in_place(data)
    put_in_place(index)


def _laid_out(arrays: list[tuple[str, Array]]) -> Iterator[tuple[tuple[str, Entry], bytes]]:
    """Each tensor with its place and its bytes, one after the other."""
    offset = 0
    for name, array in arrays:
        if array.dtype == object:
            content, crc = write_text(array)
            code = STRING
        else:
            content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
            crc, code = masked(content), CODES[array.dtype.name]
        yield (name, Entry(code, array.shape, 0, offset, len(content), crc)), content
        offset += len(content)


def _storable(name: str, array: Array) -> Array:
    if array.dtype.kind in "OSU":
        return array.astype(object)
    if array.dtype.name not in CODES:
        raise BadDtype(
            f"a checkpoint cannot hold the dtype of tensor {name!r}",
            got=array.dtype,
            do=f"convert it to one of {', '.join(CODES)}",
        )
    return array


def _check_names(names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1} if len({*names}) < len(names) else ()
    if twice or "" in names:
        raise DuplicateRow(
            "each tensor of a checkpoint needs a name of its own",
            got=f"twice: {sorted(twice)}" if twice else "an empty name",
            do="give every tensor another name",
        )
