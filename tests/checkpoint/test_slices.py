"""Pieces of tensors: their keys, that they fill the whole, and what is read of them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evenkeel.checkpoint import Bundle, Piece, open_checkpoint, write_bundle, write_v1
from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.entries import Entry, Header
from evenkeel.checkpoint.slices import WHOLE, Extents, check_tiling, piece_key, read_spec
from evenkeel.checkpoint.sstable_writer import write_table
from evenkeel.errors import BadData, BadShape, DuplicateRow

GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
ODD = "p\udcff\0"  # the name that more.txt gave the pieces, in bytes 70 ff 00


def pieces(values: NDArray[Any], cuts: list[list[int]]) -> list[Piece]:
    """The array cut along each axis at these places."""
    found = [Piece(values, values.shape, (0,) * values.ndim)]
    for axis, places in enumerate(cuts):
        bounds = [0, *places, values.shape[axis]]
        found = [_part(p, axis, low, high) for p in found for low, high in pairwise(bounds)]
    return found


def _part(piece: Piece, axis: int, low: int, high: int) -> Piece:
    start = list(piece.start)
    start[axis] = low
    cut = piece.values.take(range(low, high), axis)
    return Piece(cut, piece.shape, tuple(start))


@pytest.mark.parametrize("name", ["grid", "v1grid"])
def test_what_tensorflow_saved_in_pieces(recorded: Path, name: str) -> None:
    checkpoint = open_checkpoint(recorded / name)
    assert list(checkpoint) == [ODD, "rest"]
    np.testing.assert_array_equal(checkpoint[ODD], GRID)
    for part in (((1, 2), (1, 3)), ((0, 1), (3, 2)), ((0, WHOLE), (5, 1)), ((2, 0), (0, WHOLE))):
        box = tuple(slice(s, None if n == WHOLE else s + n) for s, n in part)
        np.testing.assert_array_equal(checkpoint.read(ODD, part), GRID[box])


def test_the_bytes_of_pieces_are_tensorflows(recorded: Path, tmp_path: Path) -> None:
    parts = [
        (ODD, Piece(GRID[:, :2], (4, 6), (0, 0))),
        (ODD, Piece(GRID[:1, 2:], (4, 6), (0, 2))),
        (ODD, Piece(GRID[1:, 2:], (4, 6), (1, 2))),
        ("rest", np.float32(1)),
    ]
    write_bundle(tmp_path / "mine", parts)
    for end in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"mine{end}").read_bytes() == (recorded / f"grid{end}").read_bytes()
    write_v1(tmp_path / "v1", parts)
    assert (tmp_path / "v1").read_bytes() == (recorded / "v1grid").read_bytes()


@given(
    st.sampled_from([np.float32, np.int8, np.complex128, object]),
    st.lists(st.integers(1, 6), max_size=2),
    st.booleans(),
    st.data(),
)
def test_any_partition_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Any,
    low: list[int],
    v1: bool,
    data: st.DataObject,
) -> None:
    shape = (7, 5, 6)
    values = np.arange(210).reshape(shape).astype(kind)
    if kind is object:
        values = np.array([str(v).encode() for v in range(210)], object).reshape(shape)
    cuts = [sorted({data.draw(st.integers(1, size - 1)) for _ in low}) for size in shape]
    prefix = tmp_path_factory.mktemp("law") / "a"
    parts = [("pad", np.int8(1)), *(("x", piece) for piece in pieces(values, cuts))]
    (write_v1 if v1 else write_bundle)(prefix, parts)
    checkpoint = open_checkpoint(prefix)
    assert checkpoint["x"].tolist() == values.tolist()
    starts = [data.draw(st.integers(0, size - 1)) for size in shape]
    part = tuple(
        (s, data.draw(st.integers(0, size - s))) for s, size in zip(starts, shape, strict=True)
    )
    box = tuple(slice(s, s + n) for s, n in part)
    assert checkpoint.read("x", part).tolist() == values[box].tolist()


@pytest.mark.parametrize(
    "number", [0, 1, 63, 64, 100, 8191, 8192, 2**20, 2**34, 2**55, 2**62, -1, -64, -65]
)
def test_keys_sort_as_their_numbers(number: int) -> None:
    keys = [piece_key("v", ((n, 1),)) for n in (number - 1, number, number + 1)]
    assert keys == sorted(keys)
    assert len({*keys}) == 3


def test_keys_sort_as_their_names() -> None:
    names = ["a", "a\0", "a\0b", "ab", "a\udcff", "b", "b\udcff\udcff"]
    keys = [piece_key(name, ()) for name in names]
    assert sorted(keys) == [
        piece_key(n, ()) for n in sorted(names, key=lambda n: n.encode("utf-8", "surrogateescape"))
    ]


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([(0, 2), (3, 4)], "pieces of 3 values"),
        ([(0, 2), (1, 3)], "overlap"),
        ([(0, 4), (0, 4)], "pieces of 8"),
        ([(0, 1)] * 10_001, "10001 pieces"),
    ],
)
def test_pieces_must_fill_the_whole(boxes: list[tuple[int, int]], words: str) -> None:
    with pytest.raises(BadData, match=words):
        check_tiling([(slice(a, b),) for a, b in boxes], (4,))


def test_empty_pieces_overlap_nothing() -> None:
    check_tiling([(slice(0, 4),), (slice(2, 2),)], (4,))
    check_tiling([(slice(2, 2),), (slice(0, 4),)], (4,))


HALF: Extents = ((0, 2),)
REST: Extents = ((2, 2),)
DATA = bytes(16)
LIES = {
    "a hole": (Entry(1, (4,), (HALF,)), {HALF: Entry(1, (2,), (), 0, 0, 8, masked(bytes(8)))}),
    "no such piece": (
        Entry(1, (4,), (HALF, REST)),
        {HALF: Entry(1, (2,), (), 0, 0, 8, masked(bytes(8)))},
    ),
    "outside": (Entry(1, (4,), (((3, 2),),)), {}),
    "of another rank": (Entry(1, (2, 2), (HALF,)), {}),
    "far outside": (Entry(1, (2**40,), (((0, 2**63),),)), {}),
    "of another type": (
        Entry(1, (2,), (HALF,)),
        {HALF: Entry(3, (2,), (), 0, 0, 8, masked(bytes(8)))},
    ),
    "of another shape": (
        Entry(1, (2,), (HALF,)),
        {HALF: Entry(1, (4,), (), 0, 0, 16, masked(DATA))},
    ),
    "in pieces itself": (Entry(1, (2,), (HALF,)), {HALF: Entry(1, (2,), (HALF,))}),
    "past the end": (
        Entry(1, (2**40,), (((0, WHOLE),),)),
        {((0, WHOLE),): Entry(1, (2**40,), (), 0, 0, 2**42, 0)},
    ),
}


@pytest.mark.parametrize(("whole", "parts"), LIES.values(), ids=LIES)
def test_pieces_that_lie_are_refused(
    tmp_path: Path, whole: Entry, parts: dict[Extents, Entry]
) -> None:
    rows = {b"": Header().write(), b"x": whole.write()}
    rows |= {piece_key("x", extents): entry.write() for extents, entry in parts.items()}
    (tmp_path / "a.index").write_bytes(write_table(sorted(rows.items())))
    (tmp_path / "a.data-00000-of-00001").write_bytes(DATA)
    with pytest.raises(BadData, match="tensor 'x'"):
        Bundle(tmp_path / "a")["x"]


def test_parts_that_are_not_there(recorded: Path) -> None:
    bundle = Bundle(recorded / "small")
    assert bundle.read("w/kernel", ((1, 2), (0, WHOLE))).shape == (2, 5)
    assert bundle.read("step", ()).shape == ()
    assert isinstance(bundle.read("step", ()), np.ndarray)
    wrong: list[Any] = [((0, 4), (0, 5)), ((0, 1),), ((4, 1), (0, 1)), ((-1, 1), (0, 1))]
    for part in [*wrong, ((0, 1.5), (0, 1)), (0, 1), "ab", ((2, -2), (0, 1))]:
        with pytest.raises(BadShape, match="no such part"):
            bundle.read("w/kernel", part)


def test_pieces_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadShape, match="inside its tensor"):
        Piece(np.zeros(3), (4,), (2,))
    with pytest.raises(BadShape, match="inside its tensor"):
        Piece(np.zeros(3), (4, 1), (0, 0))
    piece = Piece(np.zeros(2), (4,), (0,))
    with pytest.raises(DuplicateRow, match="twice: 'x'"):
        write_bundle(tmp_path / "a", [("x", piece), ("x", piece)])
    with pytest.raises(DuplicateRow, match="twice: 'x'"):
        write_bundle(tmp_path / "a", [("x", np.zeros(4)), ("x", piece)])
    with pytest.raises(BadShape, match="different wholes"):
        write_bundle(tmp_path / "a", [("x", piece), ("x", Piece(np.zeros(2), (6,), (2,)))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["4 3", "4 0,2:0,1", "4 x", "4 2,3", "4 -1,2", "4 0,0", "a 0,2"])
def test_specs_that_cannot_be(text: str) -> None:
    with pytest.raises(BadShape, match="shape and slice"):
        read_spec(text)
