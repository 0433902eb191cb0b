"""The same numbers by the native library: ``ek_random``. Normals are TensorFlow's bits on glibc."""

from collections.abc import Callable
from ctypes import CDLL
from functools import cache
from struct import Struct

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.tf1.random.philox import MASK64, Place

ARGUMENTS = Struct("QQQ qqq iii4x P")  # ek_random_args
KINDS = {"uniform": 0, "normal": 1, "truncated_normal": 2, "integers": 3, "order": 4}
DTYPES = {**library.DTYPES, torch.int32: 16, torch.int64: 17}
SHORT = 1 << 16  # outputs up to which one thread does it


def uniform(place: Place, count: int, dtype: torch.dtype) -> Tensor:
    """Numbers in [0, 1)."""
    return _filled("uniform", place, count, dtype)


def normal(place: Place, count: int, dtype: torch.dtype) -> Tensor:
    """Box and Muller's normals."""
    return _filled("normal", place, count, dtype)


def truncated_normal(place: Place, count: int, dtype: torch.dtype) -> Tensor:
    """Normals nearer to 0 than 2."""
    return _filled("truncated_normal", place, count, dtype)


def integers(place: Place, count: int, dtype: torch.dtype, low: int, high: int) -> Tensor:
    """Integers in [low, high)."""
    return _filled("integers", place, count, dtype, low, high)


def order(place: Place, count: int) -> Tensor:
    """An order of 0 … count − 1."""
    return _filled("order", place, count, torch.int64)


def _filled(
    kind: str, place: Place, count: int, dtype: torch.dtype, low: int = 0, high: int = 0
) -> Tensor:
    out = torch.empty(count, dtype=dtype)
    if out.nbytes >= library.FRESH:
        library.native().fresh(out.data_ptr(), out.nbytes)
    threads = library.threads() if count > SHORT else 1
    counter = place.counter & MASK64, place.counter >> 64
    numbers = (place.key, *counter, low, high, count, KINDS[kind], DTYPES[dtype], threads)
    status = _entry()(ARGUMENTS.pack(*numbers, out.data_ptr()))
    if status:
        library.refused(status)
    return out


@cache
def _entry() -> Callable[[bytes], int]:
    library.native()  # refuses where there is none, and has opened the threads' runtime
    entry: Callable[[bytes], int] = CDLL(str(library.LIBRARY)).ek_random
    return entry
