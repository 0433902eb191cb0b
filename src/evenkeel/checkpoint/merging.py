"""Several checkpoints into one: their data files become its shards, their indexes its index."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evenkeel.checkpoint.files import (
    index_path,
    map_file,
    missing,
    part_of,
    shard_path,
    unwritable,
)
from evenkeel.checkpoint.index import read_index
from evenkeel.checkpoint.recovery import finish_interrupted, put_all_in_place
from evenkeel.checkpoint.writer import Index
from evenkeel.errors import BadData, BadOption, located
from evenkeel.files import discard


def merge_bundles(prefixes: Sequence[str | Path], prefix: str | Path) -> None:
    """Make one checkpoint of several, whose files are moved, not copied, and are then gone.

    Raises:  BadData for one that is missing or damaged, or whose byte order differs; DuplicateRow for
             a tensor that two hold; BadOption for none, or for a ``prefix`` that is one of them. A kill
             at any moment leaves what ``prefix`` was, or the whole
    Source:  TensorFlow's MergeV2Checkpoints: the same bytes

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import Bundle, write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/1", {"a": np.zeros(2)})
    ...     write_bundle(f"{folder}/2", {"b": np.ones(2)})
    ...     merge_bundles([f"{folder}/1", f"{folder}/2"], f"{folder}/both")
    ...     print(len(list(Path(folder).iterdir())), Bundle(f"{folder}/both")["b"])
    3 [1. 1.]
    """
    prefix, index, moves = str(prefix), Index(), list[Path]()
    _check_places(prefixes, prefix)
    for each in map(str, prefixes):
        moves += _gather(each, index, len(moves))
    finish_interrupted(prefix)
    for shard, source in enumerate(moves):
        target = part_of(shard_path(prefix, shard, len(moves)))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)  # noqa: PTH105  # the tests count the system's calls
        except OSError as error:
            raise unwritable(target, error) from error
    put_all_in_place(prefix, len(moves), index.table(len(moves)))
    for merged in prefixes:
        discard(index_path(str(merged)))


def _check_places(prefixes: Sequence[str | Path], prefix: str) -> None:
    """That there is something to merge, and that it does not lie where the result goes."""
    if not prefixes:
        raise BadOption("there is nothing to merge", got="no prefix", do="give one at least")
    if Path(prefix).absolute() in [Path(each).absolute() for each in prefixes]:
        raise BadOption(
            "a checkpoint cannot be merged into its own place",
            got=prefix,
            do="give the result another prefix",
        )


def _gather(prefix: str, index: Index, before: int) -> list[Path]:
    """Enter what one checkpoint holds; its data files."""
    path = finish_interrupted(prefix)
    if not path.is_file():
        raise missing(prefix)
    with located(str(path)):
        header, entries, pieces = read_index(map_file(path))
        if header.big_endian:
            raise BadData(
                "checkpoints of the other byte order are not merged",
                got="a big-endian checkpoint",
                do="read it and write it again with write_bundle",
            )
        for key, entry in pieces.items():
            index.join(key, replace(entry, shard=entry.shard + before))
        for name, entry in entries.items():
            shard = 0 if entry.slices else entry.shard + before
            index.join(name.encode("utf-8", "surrogateescape"), replace(entry, shard=shard))
    return [shard_path(prefix, shard, header.shards) for shard in range(header.shards)]
