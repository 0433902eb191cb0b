"""The index of a bundle: its header and entries out of the table that holds them."""

from collections.abc import Mapping

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.entries import STRING, Entry, Header
from evenkeel.checkpoint.sstable import read_table
from evenkeel.checkpoint.text import read_text
from evenkeel.errors import BadData


def read_index(data: memoryview) -> tuple[Header, dict[str, Entry]]:
    """The header and the entries of an index, given its bytes.

    Raises:  BadData
    """
    header, entries = None, {}
    for key, value in read_table(data):
        if not key:
            header = Header.read(value)
        elif key[0]:  # the keys that begin with 0 are pieces of partitioned variables
            entries[key.decode("utf-8", "surrogateescape")] = Entry.read(value)
    if header is None:
        raise BadData(
            "the index has no header: this is a table, but not a V2 checkpoint's",
            got=f"{len(entries)} entries",
            do="a V1 checkpoint can be saved again with tf.train.Saver of TensorFlow 1.15",
        )
    return header, entries


def intact(data: memoryview, header: Header, entries: Mapping[str, Entry]) -> bool:
    """Whether one data file is what the entries say, to its last byte and checksum."""
    places = list(entries.values())
    end = max((entry.offset + entry.size for entry in places), default=0)
    if header.shards != 1 or end != len(data):
        return False
    return all(not entry.shard and _fits(data, entry) for entry in places)


def _fits(data: memoryview, entry: Entry) -> bool:
    piece = data[entry.offset : entry.offset + entry.size]
    if entry.dtype != STRING:
        return masked(piece) == entry.crc
    try:
        read_text(piece, entry.shape, entry.crc)
    except BadData:
        return False
    return True
