"""Damaged files: cut at any byte, or with a byte changed, they are read exactly or refused by name."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from evenkeel.checkpoint import open_checkpoint
from evenkeel.errors import BadData

# A checkpoint, and the file of it that is damaged.
FILES = {
    "index": ("small", "small.index"),
    "data": ("small", "small.data-00000-of-00001"),
    "index of pieces": ("grid", "grid.index"),
    "data of pieces": ("grid", "grid.data-00000-of-00001"),
    "shard": ("shards", "shards.data-00000-of-00003"),
    "version 1": ("v1", "v1"),
    "pieces of version 1": ("v1grid", "v1grid"),
}
FLIPS = 10_000  # over all files
every_file = pytest.mark.parametrize("kind", FILES)


def contents(prefix: str) -> dict[str, tuple[str, str]]:
    checkpoint = open_checkpoint(prefix)
    return {
        name: (str(checkpoint[name].dtype), repr(checkpoint[name].tolist())) for name in checkpoint
    }


def verdict(prefix: str, path: Path, whole: dict[str, tuple[str, str]]) -> str:
    """``read`` or ``refused``; raises for anything that is neither exact nor named."""
    try:
        checkpoint = open_checkpoint(prefix)
    except BadData as error:
        assert path.name in str(error), error
        assert error.got, error
        return "refused"
    assert set(checkpoint) == set(whole)
    found = "read"
    for name, (dtype, values) in whole.items():
        try:
            array = checkpoint[name]
        except BadData as error:
            assert f"tensor {name!r}" in error.at, error
            assert path.name in error.at or "pieces" in error.problem, error
            assert " at byte " in error.at or path.suffix != ".data-00000-of-00001", error
            found = "refused"
        else:
            assert (str(array.dtype), repr(array.tolist())) == (dtype, values), name
    return found


def cut(whole: bytes) -> Iterator[bytes]:
    yield from (whole[:length] for length in range(len(whole)))


def flipped(whole: bytes, seed: int) -> Iterator[bytes]:
    draw = random.Random(seed)
    while True:
        place = draw.randrange(len(whole))
        other = whole[place] ^ draw.randrange(1, 256)
        yield whole[:place] + bytes([other]) + whole[place + 1 :]


def judged(folder: Path, kind: str, damaged: Iterator[bytes]) -> dict[str, int]:
    """How often a damaged file was read exactly, how often refused."""
    prefix, path = str(folder / FILES[kind][0]), folder / FILES[kind][1]
    whole, counts = contents(prefix), {"read": 0, "refused": 0}
    for content in damaged:
        path.write_bytes(content)
        counts[verdict(prefix, path, whole)] += 1
    return counts


@every_file
def test_some_cuts_are_found(recorded: Path, kind: str) -> None:
    whole = (recorded / FILES[kind][1]).read_bytes()
    counts = judged(recorded, kind, islice(cut(whole), 0, None, 11))
    assert counts["read"] == 0


@every_file
def test_some_changed_bytes_are_found(recorded: Path, kind: str) -> None:
    whole = (recorded / FILES[kind][1]).read_bytes()
    counts = judged(recorded, kind, islice(flipped(whole, 1), 40))
    assert counts["refused"] > 20  # the padding of a footer holds nothing


@pytest.mark.slow
@every_file
def test_every_cut_is_found(recorded: Path, kind: str) -> None:
    whole = (recorded / FILES[kind][1]).read_bytes()
    counts = judged(recorded, kind, cut(whole))
    assert counts == {"read": 0, "refused": len(whole)}


@pytest.mark.slow
@every_file
def test_ten_thousand_changed_bytes_are_found(recorded: Path, kind: str) -> None:
    whole = (recorded / FILES[kind][1]).read_bytes()
    counts = judged(recorded, kind, islice(flipped(whole, 2), FLIPS))
    assert sum(counts.values()) == FLIPS
    assert counts["refused"] > FLIPS // 2
