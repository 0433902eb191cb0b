"""Suite ``determinism``: the same bits from any number of threads, and from every repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from evenkeel.bench.cases import Case, cases_of
from evenkeel.bench.operations import OPERATIONS, SEPARATE
from evenkeel.bench.options import Options
from evenkeel.bench.problem import problem_of
from evenkeel.bench.rivals import OURS, eager
from evenkeel.bench.sides import Side, evenkeel_side
from evenkeel.bench.suite import Work
from evenkeel.threads import borrowed_threads

THREADS, QUICK_THREADS = (1, 2, 3, 7), (1, 2)
REPEATS, QUICK_REPEATS = 100, 3
LARGE, LARGE_REPEATS = 1 << 18, 10  # a hundred repeats of a larger row would take minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class BitsRow:
    """Which arrays changed a bit, by side: with the threads, and over repeats at the last count.

    An empty list says that outputs, gradients and running statistics were the same bits.
    """

    case: str
    operation: str
    dtype: str
    threads: tuple[int, ...]
    repeats: int
    by_threads: Mapping[str, tuple[str, ...]]
    by_repeats: Mapping[str, tuple[str, ...]]


def determinism(options: Options) -> Work:
    """Every case under every operation."""
    cases = cases_of(options.case, options.quick)
    tasks = [partial(bits_row, case, name, options) for case in cases for name in SEPARATE]
    return Work(tasks=tasks, measure=lambda task: task())


def bits_row(case: Case, name: str, options: Options) -> BitsRow:
    """One case under one operation."""
    problem = problem_of(case, OPERATIONS[name], options.torch_dtype)
    sides: dict[str, Side] = {OURS: evenkeel_side(problem), "torch": eager(problem)}
    counts = QUICK_THREADS if options.quick else THREADS
    repeats = LARGE_REPEATS if problem.x.numel() > LARGE else REPEATS
    repeats = QUICK_REPEATS if options.quick else repeats
    return BitsRow(
        case=case.name,
        operation=name,
        dtype=options.dtype,
        threads=counts,
        repeats=repeats,
        by_threads={side: changed(run, counts) for side, run in sides.items()},
        by_repeats={side: changed(run, counts[-1:] * repeats) for side, run in sides.items()},
    )


def changed(side: Side, counts: tuple[int, ...]) -> tuple[str, ...]:
    """The arrays that differ in a bit from the first step's, over one step at each thread count."""
    found: dict[str, None] = {}
    first: dict[str, Tensor] = {}
    for count in counts:
        with borrowed_threads(count):
            arrays = {name: bits(array) for name, array in side.arrays().items()}
        first = first or arrays
        found |= {name: None for name in arrays if not torch.equal(arrays[name], first[name])}
    return tuple(found)


def bits(array: Tensor) -> Tensor:
    """The array's bits as whole numbers: -0 differs from 0, and a NaN equals itself.

    >>> bits(torch.tensor([0.0, -0.0]))
    tensor([ 0, -2147483648], dtype=torch.int32)
    """
    # clone: the next step may write where this one did
    return array.clone().view(
        {2: torch.int16, 4: torch.int32, 8: torch.int64}[array.element_size()]
    )
