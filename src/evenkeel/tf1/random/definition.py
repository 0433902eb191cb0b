"""What TensorFlow's CPU kernels make of Philox's words, in NumPy: the definition.

Each function takes the place where an operation's words begin and how many outputs are wanted. An
output depends on its own place alone. Uniform numbers, integers and orders are TensorFlow's bits.
Normals take logarithm, sine and cosine in float64 and round once, where TensorFlow calls glibc's
``logf`` and ``sincosf``: each is one or two units in the last place from TensorFlow's.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenkeel.tf1.random.philox import Place, Words, words

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Drawn = Float32 | Float64

RUN = 1 << 15  # blocks at a time: 4 MiB for each temporary
RESERVED = 256  # words that a truncated normal may use for each output
SMALLEST = 1.0e-7  # of what goes into the logarithm
EDGE = 2.0  # where truncated normals end


def uniform(place: Place, count: int, dtype: torch.dtype) -> Tensor:
    """Numbers in [0, 1): the random bits are the fraction of a number in [1, 2)."""
    return _joined(_of_uniform[dtype](w) for w in _runs(place, count, dtype))[:count].to(dtype)


def integers(place: Place, count: int, dtype: torch.dtype, low: int, high: int) -> Tensor:
    """Integers in [low, high): a word (two for int64) modulo the width of the range."""
    wide = dtype is torch.int64
    unsigned, signed = (np.uint64, np.int64) if wide else (np.uint32, np.int32)
    start, width = unsigned(low % (1 << (64 if wide else 32))), unsigned(high - low)
    runs = ((_joint(w) if wide else w.ravel()) % width for w in _runs(place, count, dtype))
    return _joined((start + drawn).view(signed) for drawn in runs)[:count].to(dtype)


def normal(place: Place, count: int, dtype: torch.dtype) -> Tensor:
    """Box and Muller's normals, in float32 for 16 bits."""
    pairs = _pairs(dtype)
    return _joined(pairs(w) for w in _runs(place, count, dtype))[:count].to(dtype)


def truncated_normal(place: Place, count: int, dtype: torch.dtype) -> Tensor:
    """Normals nearer to 0 than 2. Each group of outputs draws from a stretch of words of its own."""
    pairs, size = _pairs(dtype), per_block(dtype)
    step = size * RESERVED // 4
    groups = -(-count // size)
    out = np.empty((groups, size), np.float64 if dtype is torch.float64 else np.float32)
    for first in range(0, groups, RUN):
        offsets = np.arange(first, min(first + RUN, groups), dtype=np.uint64) * np.uint64(step)
        _fill_groups(out[first : first + RUN], place, offsets, pairs)
    return torch.from_numpy(out.reshape(-1)[:count]).to(dtype)


def order(place: Place, count: int) -> Tensor:
    """An order of 0 … count − 1: Fisher and Yates from the front, one word a swap."""
    runs = _runs(place, max(count - 1, 0), torch.int32)
    places = list(range(count))
    for i, word in zip(
        range(count - 1), (n for w in runs for n in w.ravel().tolist()), strict=False
    ):
        other = i + word % (count - i)
        places[i], places[other] = places[other], places[i]
    return torch.tensor(places, dtype=torch.int64)


def per_block(dtype: torch.dtype) -> int:
    """Outputs that one block of four words gives."""
    return 2 if dtype.itemsize == 8 else 4


def unit64(high: Words, low: Words) -> Float64:
    """float64 in [0, 1) of two words."""
    fraction = (high.astype(np.uint64) & np.uint64(0xFFFFF)) << np.uint64(32)
    bits = fraction | low.astype(np.uint64) | np.uint64(1023 << 52)
    return np.asarray(bits.view(np.float64) - 1.0)


def unit32(word: Words) -> Float32:
    """float32 in [0, 1) of one word."""
    bits = (word & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)
    return np.asarray(bits.view(np.float32) - np.float32(1.0))


def _pairs64(w: Words) -> Float64:
    """Two normals of each block."""
    u = np.maximum(unit64(w[:, 0], w[:, 1]), SMALLEST)
    angle, radius = 2 * np.pi * unit64(w[:, 2], w[:, 3]), np.sqrt(-2.0 * np.log(u))
    return np.stack([np.sin(angle) * radius, np.cos(angle) * radius], axis=1).ravel()


def _pairs32(w: Words) -> Float32:
    """Four normals of each block, from its two pairs of words."""
    u, turn = np.maximum(unit32(w[:, ::2]), np.float32(SMALLEST)), unit32(w[:, 1::2])
    angle = (2 * np.pi * turn.astype(np.float64)).astype(np.float32).astype(np.float64)
    log = np.log(u.astype(np.float64)).astype(np.float32)
    radius = np.sqrt(np.float32(-2.0) * log)
    ends = np.stack([np.sin(angle), np.cos(angle)], axis=2).astype(np.float32)
    return np.asarray(ends * radius[:, :, None]).ravel()


def _pairs(dtype: torch.dtype) -> Callable[[Words], Drawn]:
    return _pairs64 if dtype is torch.float64 else _pairs32


_of_uniform: dict[torch.dtype, Callable[[Words], Drawn]] = {
    torch.float16: lambda w: (w & np.uint32(0x3FF)).astype(np.float32).ravel() / np.float32(1024),
    torch.bfloat16: lambda w: (w & np.uint32(0x7F)).astype(np.float32).ravel() / np.float32(128),
    torch.float32: lambda w: unit32(w.ravel()),
    torch.float64: lambda w: unit64(w[:, ::2].ravel(), w[:, 1::2].ravel()),
}


def _fill_groups(
    out: Drawn, place: Place, offsets: NDArray[np.uint64], pairs: Callable[[Words], Drawn]
) -> None:
    """Fill each row with the first normals inside the edge that its stretch of words gives."""
    rows, size = out.shape
    have = np.zeros(rows, np.int64)
    open_rows = np.arange(rows)
    while len(open_rows):
        drawn = pairs(words(place, offsets[open_rows])).reshape(len(open_rows), size)
        for column in drawn.T:
            fits = (np.abs(column) < EDGE) & (have[open_rows] < size)
            taken = open_rows[fits]
            out[taken, have[taken]] = column[fits]
            have[taken] += 1
        offsets = offsets + np.uint64(1)
        open_rows = open_rows[have[open_rows] < size]


def _runs(place: Place, count: int, dtype: torch.dtype) -> Iterator[Words]:
    """The words of all outputs, a run of blocks at a time."""
    blocks = -(-count // per_block(dtype))
    for first in range(0, blocks, RUN):
        yield words(place, np.arange(first, min(first + RUN, blocks), dtype=np.uint64))


def _joint(w: Words) -> NDArray[np.uint64]:
    """64-bit words of pairs, the low half first."""
    wide = w.astype(np.uint64)
    return np.asarray(wide[:, ::2] | wide[:, 1::2] << np.uint64(32)).ravel()


def _joined(parts: Iterator[NDArray[np.generic]]) -> Tensor:
    arrays = [torch.from_numpy(part) for part in parts]
    return torch.cat(arrays) if arrays else torch.empty(0)
