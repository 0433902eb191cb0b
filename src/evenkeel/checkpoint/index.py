"""The index of a bundle: its header and entries out of the table that holds them."""

from collections.abc import Iterable, Sequence

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.dtypes import STRING
from evenkeel.checkpoint.entries import Entry, Header
from evenkeel.checkpoint.sstable import read_table
from evenkeel.checkpoint.text import read_text
from evenkeel.errors import BadData


def read_index(data: memoryview) -> tuple[Header, dict[str, Entry], dict[bytes, Entry]]:
    """The header, the tensors, and the pieces of partitioned ones by key, of an index's bytes.

    Raises:  BadData
    """
    header, entries, pieces = None, {}, {}
    for key, value in read_table(data):
        if not key:
            header = Header.read(value)
        elif key[0]:
            entries[key.decode("utf-8", "surrogateescape")] = Entry.read(value)
        else:
            pieces[key] = Entry.read(value)
    if header is None:
        raise BadData(
            "the index has no header: this is a table, but not a V2 checkpoint's",
            got=f"{len(entries)} entries",
            do="check that this is the index that TensorFlow wrote",
        )
    return header, entries, pieces


def intact(files: Sequence[memoryview], entries: Iterable[Entry]) -> bool:
    """Whether data files are what the entries say, each to its last byte and checksum."""
    places = [entry for entry in entries if not entry.slices]
    ends = [0] * len(files)
    for entry in places:
        if entry.shard >= len(files):
            return False
        ends[entry.shard] = max(ends[entry.shard], entry.offset + entry.size)
    if ends != [len(data) for data in files]:
        return False
    return all(_fits(files[entry.shard], entry) for entry in places)


def _fits(data: memoryview, entry: Entry) -> bool:
    piece = data[entry.offset : entry.offset + entry.size]
    if entry.dtype != STRING:
        return masked(piece) == entry.crc
    try:
        read_text(piece, entry.shape, entry.crc)
    except BadData:
        return False
    return True
