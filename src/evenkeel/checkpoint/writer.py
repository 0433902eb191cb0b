"""The writer of TensorFlow's checkpoints: data and their index, byte for byte TensorFlow's."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.dtypes import CODES, STORED, STRING, Array, narrowed
from evenkeel.checkpoint.entries import Entry, Header
from evenkeel.checkpoint.files import part_file, shard_path
from evenkeel.checkpoint.recovery import finish_interrupted, put_all_in_place
from evenkeel.checkpoint.slices import Piece, piece_key
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.checkpoint.text import write_text
from evenkeel.errors import BadDtype, BadOption, BadShape, DuplicateRow, UnknownName

Tensors = Mapping[str, Any] | Iterable[tuple[str, Any]]


def write_bundle(
    prefix: str | Path, tensors: Tensors, *, dtypes: Mapping[str, str] | None = None
) -> None:
    """Save ``tensors`` as the checkpoint ``prefix``, in the order given; the index is sorted.

    Shapes:  any; a ``Piece`` is a part of a larger tensor, whose other pieces come under the same name
    Dtypes:  what TensorFlow has of NumPy's numbers; arrays of objects or of bytes become strings.
             ``dtypes`` names, by tensor, what NumPy has no word for: ``bfloat16`` (given as floats,
             rounded to nearest), ``qint8``, ``quint8``, ``qint16``, ``quint16``, ``qint32``
    Raises:  BadDtype for other dtypes, DuplicateRow for a name twice, BadShape for pieces of different
             wholes, BadOption for a name that is no text, UnknownName for ``dtypes`` of what is not
             saved, BadData when the files cannot be written. After an error, or a kill at any moment,
             the checkpoint that was there before stands, or the new one does: see recovery.py
    Source:  TensorFlow 1.15.5, whose Saver writes the same bytes

    The folder is made where it is missing.

    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import Bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", [("b", np.zeros(2)), ("a", np.ones(2))])
    ...     list(Bundle(f"{folder}/model.ckpt"))
    ['a', 'b']
    """
    prefix, pairs = str(prefix), storable(tensors, dtypes or {})
    index = Index()
    if lost := set(dtypes or {}) - {name for name, _, _ in pairs}:
        raise UnknownName(
            "dtypes names tensors that are not saved",
            got=", ".join(map(repr, sorted(lost))),
            do="give dtypes the names of the tensors",
        )
    for name, piece, _ in pairs:
        index.claim(name, piece)
    finish_interrupted(prefix)
    with part_file(shard_path(prefix)) as file:
        for name, piece, dtype in pairs:
            index.add(name, piece, _append(file, piece.values, dtype))
    put_all_in_place(prefix, 1, index.table())


class Index:
    """The entries of an index as they gather: tensors by name, pieces by their keys.

    Raises:  DuplicateRow for what is there already; BadShape for pieces of different wholes
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self._wholes: dict[str, tuple[tuple[int, ...], bool]] = {}
        self._claimed: set[bytes] = set()

    def claim(self, name: str, piece: Piece) -> None:
        """Reserve a name, or a piece's place under it."""
        key = _key(name, piece)
        shape, is_all = self._wholes.setdefault(name, (piece.shape, piece.is_all))
        if not name or key in self._claimed or is_all != piece.is_all:
            raise _twice(name)
        if shape != piece.shape:
            raise BadShape(
                f"the pieces of {name!r} are of different wholes",
                got=f"{list(shape)} and {list(piece.shape)}",
                do="give every piece the shape of the whole tensor",
            )
        self._claimed.add(key)

    def add(self, name: str, piece: Piece, entry: Entry) -> None:
        """Enter where the values went."""
        key = _key(name, piece)
        self.entries[key] = entry
        if not piece.is_all:
            whole = name.encode("utf-8", "surrogateescape")
            self.join(whole, Entry(entry.dtype, piece.shape, (piece.extents,)))

    def join(self, key: bytes, entry: Entry) -> None:
        """Enter a tensor, or more pieces of one that is there."""
        known = self.entries.get(key)
        if known is None:
            self.entries[key] = entry
            return
        if not (known.slices and entry.slices) or (known.dtype, known.shape) != (
            entry.dtype,
            entry.shape,
        ):
            raise _twice(key.decode("utf-8", "surrogateescape"))
        self.entries[key] = replace(known, slices=known.slices + entry.slices)

    def table(self, shards: int = 1) -> bytes:
        """The bytes of the index file."""
        rows = sorted((key, entry.write()) for key, entry in self.entries.items())
        return write_table([(b"", Header(shards).write()), *rows])


def _key(name: str, piece: Piece) -> bytes:
    if piece.is_all:
        return name.encode("utf-8", "surrogateescape")
    return piece_key(name, piece.extents)


def _twice(name: str) -> DuplicateRow:
    return DuplicateRow(
        "each tensor of a checkpoint needs a name of its own",
        got=f"twice: {name!r}" if name else "an empty name",
        do="give every tensor another name",
    )


def _append(file: BinaryIO, values: Array, dtype: int) -> Entry:
    """Write the values of a tensor; where they went."""
    offset = file.tell()
    if dtype == STRING:
        content, crc = write_text(values)
        file.write(content)
        return Entry(dtype, values.shape, (), 0, offset, len(content), crc)
    data = np.ascontiguousarray(narrowed(values, dtype)).reshape(-1).view(np.uint8).data
    file.write(data)
    return Entry(dtype, values.shape, (), 0, offset, len(data), masked(data))


def storable(tensors: Tensors, dtypes: Mapping[str, str]) -> list[tuple[str, Piece, int]]:
    """Name, values and number of the dtype of each tensor.

    Raises:  BadDtype for a dtype that a checkpoint cannot hold, or that the values do not fit;
             BadOption for a name that is no text
    """
    found = []
    for name, value in tensors.items() if isinstance(tensors, Mapping) else tensors:
        _check_name(name)
        if not isinstance(value, Piece):
            array = np.asarray(value)
            value = Piece(array, array.shape, (0,) * array.ndim)
        values = value.values
        if values.dtype.kind in "OSU" and name not in dtypes:
            found.append((name, replace(value, values=_strings(name, values)), STRING))
        else:
            found.append((name, value, _number(name, values, dtypes.get(name))))
    return found


def _check_name(name: str) -> None:
    try:
        name.encode("utf-8", "surrogateescape")
    except (AttributeError, UnicodeEncodeError):
        raise BadOption(
            "the name of a tensor is text that UTF-8 can hold",
            got=repr(name),
            do="give each tensor a str",
        ) from None


def _strings(name: str, values: Array) -> Array:
    """The values as ``bytes``."""
    found = np.empty(values.shape, object)
    for place, value in np.ndenumerate(values):
        if not isinstance(value, str | bytes):
            raise BadDtype(
                f"a checkpoint cannot hold the objects of tensor {name!r}",
                got=repr(value),
                do="give numbers as an array of a numeric dtype, strings as str or bytes",
            )
        found[place] = value.encode() if isinstance(value, str) else value
    return found


def _number(name: str, values: Array, wanted: str | None) -> int:
    code = CODES.get(wanted or values.dtype.name)
    if code in (None, STRING):
        raise BadDtype(
            f"a checkpoint cannot hold the dtype of tensor {name!r}",
            got=wanted or values.dtype,
            do=f"convert it to one of {', '.join(CODES)}",
        )
    fits = wanted in (None, "bfloat16", values.dtype.name) or STORED[code] == values.dtype
    if not fits or (wanted == "bfloat16" and values.dtype.kind != "f" and values.dtype.kind != "V"):
        raise BadDtype(
            f"the values of tensor {name!r} are not what {wanted} is stored as",
            got=values.dtype,
            do=f"give {'floats' if wanted == 'bfloat16' else STORED[code].name}",
        )
    return code
