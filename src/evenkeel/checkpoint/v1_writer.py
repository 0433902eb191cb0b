"""The writer of V1 checkpoints, for programs that ask for them: one table."""

from pathlib import Path

from evenkeel.checkpoint.dtypes import NAMES, STRING, narrowed
from evenkeel.checkpoint.entries import write_shape
from evenkeel.checkpoint.files import part_file, put_in_place
from evenkeel.checkpoint.slices import WHOLE, Extents, Piece, piece_key, write_extents
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.checkpoint.v1_values import write_values
from evenkeel.checkpoint.wire import bytes_field, number_field
from evenkeel.checkpoint.writer import Index, Tensors, storable
from evenkeel.errors import BadDtype

# TensorFlow 1.15.5: "Saving data type … not yet supported"
_NEVER = ("bfloat16", "uint32", "uint64", "qint16", "quint16")


def write_v1(path: str | Path, tensors: Tensors) -> None:
    """Save ``tensors`` as a V1 checkpoint, one file; everything is in memory at once.

    Shapes:  any; a ``Piece`` is a part of a larger tensor
    Dtypes:  as ``write_bundle``, but the unsigned integers of 32 and 64 bits
    Raises:  as ``write_bundle``
    Source:  TensorFlow 1.15.5's SaveSlices, which reads it; ``write_bundle`` writes what is read faster

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import open_checkpoint
    >>> with TemporaryDirectory() as folder:
    ...     write_v1(f"{folder}/model.ckpt", {"w": np.arange(3)})
    ...     open_checkpoint(f"{folder}/model.ckpt")["w"]
    array([0, 1, 2])
    """
    names, metas, rows = Index(), dict[str, bytes](), dict[bytes, bytes]()
    for name, piece, dtype in storable(tensors, {}):
        names.claim(name, piece)
        if NAMES[dtype] in _NEVER:
            raise BadDtype(
                f"a V1 checkpoint cannot hold the dtype of tensor {name!r}",
                got=NAMES[dtype],
                do="write version 2, as write_bundle does",
            )
        extents = _extents(piece)
        values = piece.values if dtype == STRING else narrowed(piece.values, dtype)
        text = bytes_field(1, name.encode("utf-8", "surrogateescape"))
        where = write_extents(extents)
        saved = text + bytes_field(2, where) + bytes_field(3, write_values(values, dtype))
        rows[piece_key(name, extents)] = bytes_field(2, saved)
        head = text + bytes_field(2, write_shape(piece.shape)) + number_field(3, dtype)
        metas[name] = metas.get(name, head) + bytes_field(4, where)
    meta = b"".join(bytes_field(1, message) for message in metas.values())
    version = bytes_field(2, number_field(1, 1))
    contents = bytes_field(1, meta + version)
    with part_file(Path(path)) as file:
        file.write(write_table([(b"", contents), *sorted(rows.items())]))
    put_in_place(Path(path))


def _extents(piece: Piece) -> Extents:
    if piece.is_all:
        return ((0, WHOLE),) * len(piece.shape)
    return piece.extents
