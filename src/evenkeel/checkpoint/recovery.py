"""A writer that was killed between its two renames: what it had finished is finished.

A checkpoint is two files, and no call renames two. The data file goes first; a kill before the index
follows leaves the new data under the old index. But the new index is whole on disk beside it, as a
part: if it fits the data to the last checksum, it is the index.
"""

from pathlib import Path

from evenkeel.checkpoint.files import index_path, map_file, part_of, put_in_place, shard_path
from evenkeel.checkpoint.index import intact, read_index
from evenkeel.errors import BadData


def finish_interrupted(prefix: str) -> Path:
    """The index to read for ``prefix``; brings it to its place if a kill kept it from there."""
    index = index_path(prefix)
    part = part_of(index)
    # Data that are a part still: the kill came before the first rename, the old files are a pair.
    if not part.is_file() or part_of(shard_path(prefix)).exists() or not _fits(prefix, part):
        return index
    try:
        put_in_place(index)
    except BadData:
        return part  # a folder that we may not write to
    return index


def _fits(prefix: str, part: Path) -> bool:
    try:
        header, entries = read_index(map_file(part))
        return intact(map_file(shard_path(prefix)), header, entries)
    except BadData:
        return False
