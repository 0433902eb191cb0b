"""A writer that was killed between its renames: what it had finished is finished.

A checkpoint is several files, and no call renames two. The data files go first; a kill before the index
follows leaves new data under the old index. But the new index is whole on disk beside it, as a part:
if it fits the data to the last checksum, it is the index.
"""

from pathlib import Path

from evenkeel.checkpoint.files import (
    index_path,
    map_file,
    part_file,
    part_of,
    put_in_place,
    shard_path,
)
from evenkeel.checkpoint.index import intact, read_index
from evenkeel.errors import BadData


def put_all_in_place(prefix: str, shards: int, index: bytes) -> None:
    """Give the data files of a checkpoint, which stand as parts, their names, and then an index.

    Raises:  BadData where that cannot be done; the next reader or writer finishes what it can
    """
    with part_file(index_path(prefix)) as file:
        file.write(index)
    for path in _data_files(prefix, shards):
        put_in_place(path)
    put_in_place(index_path(prefix))


def finish_interrupted(prefix: str) -> Path:
    """The index to read for ``prefix``; brings it to its place if a kill kept it from there."""
    index = index_path(prefix)
    part = part_of(index)
    if not part.is_file():
        return index
    try:
        header, entries, pieces = read_index(map_file(part))
        files = _data_files(prefix, header.shards)
        waiting = [path for path in files if part_of(path).exists()]
        # All of them parts still: the kill came before the first rename, the old files belong together.
        if len(waiting) == len(files):
            return index
        there = [map_file(part_of(path) if path in waiting else path) for path in files]
        if not intact(there, [*entries.values(), *pieces.values()]):
            return index
    except BadData:
        return index
    try:
        for path in [*waiting, index]:
            put_in_place(path)
    except BadData:
        return index if waiting else part  # a folder that we may not write to
    return index


def _data_files(prefix: str, shards: int) -> list[Path]:
    return [shard_path(prefix, shard, shards) for shard in range(shards)]
