"""Philox against its authors' known answers and against itself in plain integers; streams."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evenkeel.tf1.random.philox import Place, Stream, words

SIXTY_FOUR, ALL = (1 << 64) - 1, (1 << 128) - 1

# kat_vectors of Random123 (Salmon et al. 2011), philox4x32 with 10 rounds; words low first.
ONES = "408f276d 41c83b0e a20bc7c6 6d5451fd"
PI = "d16cfe09 94fdcceb 5001e420 24126ea1"
KNOWN = [
    (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (SIXTY_FOUR, ALL, ONES),
    (0x299F31D0A4093822, 0x0370734413198A2E85A308D3243F6A88, PI),
]


@pytest.mark.parametrize(("key", "counter", "answer"), KNOWN)
def test_known_answers(key: int, counter: int, answer: str) -> None:
    got = words(Place(key, counter), np.zeros(1, np.uint64))[0]
    assert [int(w) for w in got] == [int(w, 16) for w in answer.split()]


def plain(key: int, counter: int) -> list[int]:
    """One block from the paper's definition, in Python's integers."""
    c = [counter >> 32 * i & 0xFFFFFFFF for i in range(4)]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for turn in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        r0, r1 = k0 + turn * 0x9E3779B9 & 0xFFFFFFFF, k1 + turn * 0xBB67AE85 & 0xFFFFFFFF
        c = [b >> 32 ^ c[1] ^ r0, b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ r1, a & 0xFFFFFFFF]
    return c


@example(key=0, counter=(1 << 32) - 2, offset=0)  # carries from word to word
@example(key=3, counter=(1 << 64) - 2, offset=SIXTY_FOUR)
@example(key=SIXTY_FOUR, counter=ALL - 1, offset=0)  # and all the way round
@given(st.integers(0, SIXTY_FOUR), st.integers(0, ALL), st.integers(0, SIXTY_FOUR))
def test_blocks_lie_where_the_counter_says(key: int, counter: int, offset: int) -> None:
    offsets = np.array([0, 1, 2, offset], np.uint64)
    got = words(Place(key, counter), offsets)
    want = [plain(key, (counter + int(o)) & ALL) for o in offsets]
    assert got.tolist() == want
    assert words(Place(key, counter).after(offset), np.zeros(1, np.uint64))[0].tolist() == want[3]


def test_seeds_are_key_and_upper_counter() -> None:
    assert Stream.seeded(5, 6).place == Place(5, 6 << 64)
    assert Stream.seeded(-5, -6).place == Place((1 << 64) - 5, ((1 << 64) - 6) << 64)
    assert Stream.seeded(5, None).place == Place(5, 0)


def test_without_seeds_no_two_streams_are_alike() -> None:
    streams = [Stream.seeded(0, 0), Stream.seeded(0, 0), Stream.seeded(None, None), Stream()]
    assert len({stream.place for stream in streams}) == 4


def test_a_run_goes_on_where_the_last_one_ended() -> None:
    stream = Stream.seeded(1, 2)
    first, second = stream.reserve(7), stream.reserve(3)
    assert (first.counter, second.counter) == (2 << 64, (2 << 64) + 7)
    assert stream.place.counter == (2 << 64) + 10


def test_threads_never_share_words() -> None:
    stream = Stream.seeded(1, 2)
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda _: stream.reserve(5), range(2000)))
    assert len(set(places)) == 2000
    assert stream.place.counter == (2 << 64) + 10000


def test_streams_are_values() -> None:
    stream = Stream.seeded(1, 2)
    stream.reserve(3)
    assert copy.deepcopy(stream) == stream == pickle.loads(pickle.dumps(stream))
    other = copy.copy(stream)
    other.reserve(1)
    assert other != stream
