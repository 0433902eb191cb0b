"""Philox 4x32-10: words that are a function of a key and a counter; and a stream of them."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
MASK64, MASK128 = (1 << 64) - 1, (1 << 128) - 1


class Place(NamedTuple):
    """Where words begin: the key (64 bits) and the counter of the first block (128 bits).

    >>> Place(key=1, counter=(1 << 128) - 1).after(3)
    Place(key=1, counter=2)
    """

    key: int
    counter: int

    def after(self, blocks: int) -> "Place":
        """The place this many blocks later; the counter comes round after 2^128."""
        return Place(self.key, (self.counter + blocks) & MASK128)


_reserving = Lock()  # one for all streams: held for two assignments


@dataclass
class Stream:
    """The random numbers of one operation: the words that it has not used yet.

    Source:  GuardedPhiloxRandom of TensorFlow 1.15

    An operation takes a run's words with ``reserve``, and its next run goes on behind them.

    >>> stream = Stream.seeded(42, 7)
    >>> stream.reserve(256) == Stream.seeded(42, 7).place
    True
    >>> stream.place.counter - Stream.seeded(42, 7).place.counter
    256
    """

    place: Place = field(default_factory=lambda: Place(secrets.randbits(64), _entropy()))

    @classmethod
    def seeded(cls, seed: int | None, seed2: int | None) -> "Stream":
        """The stream of an operation with these two attributes; (0, 0) and None: unpredictable.

        ``seed`` is the key, ``seed2`` the upper half of the counter.
        """
        first, second = seed or 0, seed2 or 0
        if not first and not second:
            return cls()
        return cls(Place(first & MASK64, (second & MASK64) << 64))

    def reserve(self, blocks: int) -> Place:
        """Take the next blocks; where they begin. Safe from several threads."""
        with _reserving:
            taken = self.place
            self.place = taken.after(blocks)
        return taken


def _entropy() -> int:
    return secrets.randbits(64) << 64


def words(place: Place, offsets: NDArray[np.uint64]) -> Words:
    """The four words of the block at each offset.

    Shapes:  offsets [n]; the words [n, 4]
    Source:  Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"

    >>> words(Place(0, 0), np.zeros(1, np.uint64))  # the authors' known answer for zeros
    array([[1713891541, 3781805453, 3159862348, 2600524760]], dtype=uint32)
    """
    low = np.uint64(place.counter & MASK64) + offsets
    carry = (low < offsets).astype(np.uint64)
    high = np.uint64(place.counter >> 64) + carry
    c = [low & LOW, low >> HALF, high & LOW, high >> HALF]
    for first, second in _keys(place.key):
        a, b = FACTORS[0] * c[0], FACTORS[1] * c[2]
        c = [(b >> HALF) ^ c[1] ^ first, b & LOW, (a >> HALF) ^ c[3] ^ second, a & LOW]
    return np.stack(c, axis=1).astype(np.uint32)


def _keys(key: int) -> Iterator[tuple[np.uint64, np.uint64]]:
    """The two halves of the key in each round."""
    first, second = key & 0xFFFFFFFF, key >> 32
    for turn in range(ROUNDS):
        yield (
            np.uint64((first + turn * WEYL[0]) & 0xFFFFFFFF),
            np.uint64((second + turn * WEYL[1]) & 0xFFFFFFFF),
        )
