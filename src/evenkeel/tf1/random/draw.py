"""Tensors of random numbers, from the stream of one operation."""

from collections.abc import Callable, Sequence
from math import prod
from operator import index

import torch
from torch import Tensor

from evenkeel.errors import BadDtype, BadOption, BadShape
from evenkeel.kernels import library
from evenkeel.tables import Table
from evenkeel.tf1.random import definition, native
from evenkeel.tf1.random.philox import Place, Stream

RESERVED = 256  # blocks that a run takes for each output, whatever it uses
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MOST_BYTES = 1 << 47  # what a process can address

Fill = Callable[[Place, int, torch.dtype], Tensor]
FILLS = Table[str]("random operation")
for _type, _name in (
    ("RandomUniform", "uniform"),
    ("RandomStandardNormal", "normal"),
    ("TruncatedNormal", "truncated_normal"),
):
    FILLS.add(_type)(_name)


def fill(kind: str, dtype: torch.dtype, shape: Sequence[int], stream: Stream) -> Tensor:
    """The output of one run of a random operation; the stream goes on behind it.

    Shapes:  ``shape``, in row-major order
    Dtypes:  f16, bf16, f32, f64
    Error:   RandomUniform: TensorFlow's bits. Normals: TensorFlow's bits with the native library on
             glibc, else within 1e-6 of the largest; a truncated normal within 1e-7 of ±2 may then be
             kept or dropped otherwise, which shifts its group of four (f64: two)
    Raises:  BadShape (a negative size, or more than memory can hold), BadDtype, UnknownName
    Source:  TensorFlow 1.15, PhiloxRandomOp: kind is RandomUniform (in [0, 1)),
             RandomStandardNormal, or TruncatedNormal (standard, redrawn outside of (−2, 2))

    >>> fill("RandomUniform", torch.float32, [3], Stream.seeded(11, 12))
    tensor([0.9255, 0.1020, 0.0062])
    """
    name = FILLS[kind]
    if dtype not in FLOATS:
        raise BadDtype(f"{kind} has no kernel for this dtype", got=dtype, do="use a float dtype")
    sizes, count = _checked(shape, dtype)
    way: Fill = getattr(native if _is_native() else definition, name)
    return way(stream.reserve(count * RESERVED), count, dtype).reshape(sizes)


def integers(
    dtype: torch.dtype, shape: Sequence[int], stream: Stream, low: int, high: int
) -> Tensor:
    """Integers in [low, high), as RandomUniformInt draws them: TensorFlow's bits.

    Shapes:  ``shape``, in row-major order
    Dtypes:  int32, int64
    Raises:  BadOption unless low < high, both in the dtype; BadShape, BadDtype
    Source:  TensorFlow 1.15, RandomUniformIntOp

    A range that is no power of two is drawn with a bias of range / 2^32 (int64: / 2^64).

    >>> integers(torch.int32, [3], Stream.seeded(5, 6), -7, 11)
    tensor([ 2,  6, -6], dtype=torch.int32)
    """
    if dtype not in (torch.int32, torch.int64):
        raise BadDtype(
            "RandomUniformInt has no kernel for this dtype", got=dtype, do="use int32 or int64"
        )
    low, high, limits = index(low), index(high), torch.iinfo(dtype)
    if low >= high:
        raise BadOption(
            f"Need minval < maxval, got {low} >= {high}",
            got=f"minval={low}, maxval={high}",
            do="give a range that holds at least one integer; maxval itself is never drawn",
        )
    if low < limits.min or high > limits.max:
        raise BadOption(f"the range does not fit {dtype}", got=f"[{low}, {high})", do="draw int64")
    sizes, count = _checked(shape, dtype)
    way = native.integers if _is_native() else definition.integers
    return way(stream.reserve(count * RESERVED), count, dtype, low, high).reshape(sizes)


def shuffle(x: Tensor, stream: Stream) -> Tensor:
    """``x`` with its rows in random order, as RandomShuffle puts them: TensorFlow's order.

    Shapes:  x [N, *]; so is the result
    Dtypes:  any
    Source:  TensorFlow 1.15, RandomShuffleOp; ⌈(N − 1) / 4⌉ blocks a run

    What has no order (a scalar, fewer than two rows or values) comes back as it is, and the stream
    stays where it was.

    >>> shuffle(torch.arange(6), Stream.seeded(5, 6))
    tensor([3, 0, 1, ...])
    """
    if x.dim() == 0 or x.numel() <= 1 or x.shape[0] <= 1:
        return x
    rows = x.shape[0]
    way = native.order if _is_native() else definition.order
    return x[way(stream.reserve((rows + 2) // 4), rows).to(x.device)]


def _is_native() -> bool:
    return not library.why_missing()


def _checked(shape: Sequence[int], dtype: torch.dtype) -> tuple[list[int], int]:
    """The sizes as Python's integers, and their product."""
    sizes = [index(size) for size in shape]
    for place, size in enumerate(sizes):
        if size < 0:
            raise BadShape(
                f"Dimension {size} must be >= 0",
                got=f"shape {sizes}: {size} on axis {place}",
                do="give sizes of 0 or more; an unknown size must be known when the graph runs",
            )
    count = prod(sizes)
    if count * dtype.itemsize > MOST_BYTES:
        raise BadShape(
            "a tensor of this shape fits in no memory",
            got=f"shape {sizes}: {count} values of {dtype}",
            do="check the order of the sizes",
        )
    return sizes, count
