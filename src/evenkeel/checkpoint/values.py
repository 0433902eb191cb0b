"""A tensor's numbers out of its bytes in a data file, checked on the way.

Numbers that lie as this machine wants them are a view of the file's map. Others (out of line, in the
other byte order, bfloat16, pieces of a larger tensor) are copied block by block, so that no more than
one block is in memory twice.
"""

import weakref

import numpy as np

from evenkeel.checkpoint.checksum import crc32c, mask
from evenkeel.checkpoint.dtypes import BFLOAT16, STORED, Array, widened
from evenkeel.checkpoint.entries import Entry
from evenkeel.checkpoint.files import BLOCK, DataFile
from evenkeel.errors import BadData


def view_of(file: DataFile, entry: Entry, *, checked: bool) -> Array | None:
    """The numbers as a read-only view of the file; None where they cannot be one.

    Raises:  BadData where they are not those of the checksum, unless ``checked`` before
    """
    stored = STORED[entry.dtype]
    flat = np.frombuffer(file.range(entry.offset, entry.size), stored)
    if entry.dtype == BFLOAT16 or not flat.flags.aligned:
        return None
    if not checked:
        _check(file, entry)
    if entry.size >= BLOCK:
        # The pages of a large tensor leave memory with it, not with the whole checkpoint.
        weakref.finalize(flat, file.release, entry.offset, entry.size).atexit = False
    return flat.reshape(entry.shape)


def copy_into(target: Array, file: DataFile, entry: Entry, *, big_endian: bool = False) -> None:
    """Put the numbers into ``target``, an array of the tensor's shape that may be part of another.

    Raises:  BadData where they are not those of the checksum; ``target`` is then half written
    """
    stored = STORED[entry.dtype].newbyteorder(">" if big_endian else "<")
    # A part of a larger array has no flat view that can be written: its iterator has one.
    flat = target.reshape(-1) if target.flags.c_contiguous else target.flat
    crc = place = 0
    for block in file.blocks(entry.offset, entry.size):
        crc = crc32c(block, crc)
        values = widened(np.frombuffer(block, stored), entry.dtype)
        flat[place : place + len(values)] = values
        place += len(values)
    _compare(crc, entry)


def _check(file: DataFile, entry: Entry) -> None:
    crc = 0
    for block in file.blocks(entry.offset, entry.size):
        crc = crc32c(block, crc)
    _compare(crc, entry)


def _compare(crc: int, entry: Entry) -> None:
    if mask(crc) != entry.crc:
        raise BadData(
            "the tensor does not fit its checksum: the data file was damaged, or is another's",
            got=f"{mask(crc):08x} where the index says {entry.crc:08x}",
            do="use another checkpoint, or copy this one again from where it was made",
        )
