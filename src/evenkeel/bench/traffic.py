"""Suite ``traffic``: large tensors on reused buffers, beside the traffic that nothing can save.

A training forward pass of BN + ReLU reads x twice and writes y, a backward pass reads x and dy twice
and writes dx: 1.5 and 2.5 plain copies of x. The rival "floor" is that many copies, timed in turn.
A share above 100% is possible: in NCHW a channel may stay in a cache between its two readings.
"""

from dataclasses import replace
from functools import partial

from evenkeel.bench.cases import CASES, Case
from evenkeel.bench.limits import Copy
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.ops import timed
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import check, mismatch, part_of, reference, watched
from evenkeel.bench.problem import Problem, problem_of
from evenkeel.bench.reused import Reused
from evenkeel.bench.rivals import OURS
from evenkeel.bench.row import Row, Timed
from evenkeel.bench.sides import Lap, Side
from evenkeel.bench.suite import Work
from evenkeel.bench.summary import REUSED, summarize
from evenkeel.bench.timing import Laps, turn_by_turn
from evenkeel.errors import NoKernel, UnknownName
from evenkeel.kernels import library

LARGE = 16  # MB: more than a core's share of any cache
OPERATION = OPERATIONS["bn_relu"]


def traffic(options: Options) -> Work:
    """Every case of more than 16 MB; the smallest alone when quick.

    Raises:  NoKernel without the native library, UnknownName when no such case has the name
    """
    if reason := library.why_missing():
        raise NoKernel("traffic is that of the native kernels", got=reason, do="see evenkeel info")
    dtype = options.torch_dtype
    large = [case for case in CASES.values() if case.megabytes(dtype) > LARGE]
    found = [case for case in large if options.case in case.name]
    if not found:
        raise UnknownName(
            f"no case over {LARGE} MB has this in its name",
            got=options.case,
            do=f"leave --case out, or try {large[0].name}",
        )
    if options.quick:
        found = [min(found, key=lambda case: case.values)]
    return Work(tasks=found, measure=partial(row_of, options=options), summarize=summarize)


def row_of(case: Case, options: Options) -> Row:
    """One case: checked, then timed turn by turn with a copy of x."""
    problem = problem_of(case, OPERATION, options.torch_dtype)
    side, channels = Reused(problem), watched(problem)
    errors = check(problem, side.arrays(), reference(part_of(problem, channels)), channels)
    reason = mismatch(errors, problem.x.dtype)
    laps: Laps = {}
    if not reason:
        sides: dict[str, Side] = {OURS: side, "copy": Copy(problem)}
        laps = with_floor(turn_by_turn(sides, options.seconds, options.rounds))
    return Row(
        case=case.name,
        operation=REUSED,
        network=case.network,
        shape=case.shape,
        layout=case.layout,
        dtype=options.dtype,
        kernel=f"native, {library.native().isa}",
        rounds=len(laps.get(OURS, [])),
        megabytes=case.megabytes(problem.x.dtype),
        sides={name: _timed(name, laps, problem, errors) for name in laps},
        refused={OURS: reason} if reason else {},
    )


def with_floor(laps: Laps) -> Laps:
    """The laps, and what each round's copy says the floor would have taken.

    >>> with_floor({"copy": [Lap(2.0)]})["floor"]
    [Lap(total=8.0, forward=3.0, backward=5.0)]
    """
    forward, backward = OPERATION.forward_passes / 2, OPERATION.backward_passes / 2
    floor = [
        Lap((forward + backward) * lap.total, forward * lap.total, backward * lap.total)
        for lap in laps["copy"]
    ]
    return laps | {"floor": floor}


def _timed(name: str, laps: Laps, problem: Problem, errors: dict[str, float]) -> Timed:
    found = timed(name, laps, problem, errors if name == OURS else {})
    return found if name != "floor" else replace(found, gb_per_s=None)
