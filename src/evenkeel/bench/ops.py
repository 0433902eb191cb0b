"""Suite ``ops``: the normalization alone, on every shape, forward, backward and inference."""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite

from evenkeel.bench.cases import Case, cases_of
from evenkeel.bench.limits import Copy, MultiplyAdd, empty_call
from evenkeel.bench.machine import kernel_of
from evenkeel.bench.operations import OPERATIONS, Operation
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import check, mismatch, part_of, reference, watched
from evenkeel.bench.problem import Problem, problem_of
from evenkeel.bench.rivals import OURS, Rival, chosen
from evenkeel.bench.row import Row, Timed
from evenkeel.bench.sides import Lap, Side, evenkeel_side
from evenkeel.bench.suite import Work
from evenkeel.bench.summary import summarize
from evenkeel.bench.timing import Laps, Ratio, median, ratio, seconds_of, turn_by_turn

LIMITS: dict[str, Callable[[Problem], Side]] = {
    "copy": Copy,
    "empty call": empty_call,
    "multiply-add": MultiplyAdd,
}
NO_RIVALS = (OURS, "copy", "empty call")
PASSES = {"copy": 2, "empty call": 0, "multiply-add": 2}
Errors = dict[str, dict[str, float]]


def ops(options: Options) -> Work:
    """Check and time every case under every operation."""
    rivals, left_out = chosen(options.rivals, options.quick)

    def row_of(task: tuple[Case, Operation]) -> Row:
        return measure(problem_of(*task, options.torch_dtype), rivals, options)

    cases = cases_of(options.case, options.quick)
    tasks = [(case, operation) for case in cases for operation in OPERATIONS.values()]
    return Work(tasks=tasks, measure=row_of, summarize=summarize, left_out=left_out)


def measure(problem: Problem, rivals: Mapping[str, Rival], options: Options) -> Row:
    """One row: all sides checked, those that are right timed turn by turn.

    When this library itself is wrong, nothing is timed.
    """
    sides, errors, refused = checked(problem, rivals)
    layer = getattr(sides.get(OURS), "layer", None)
    kernel = None if layer is None else kernel_of(layer, problem.x)
    laps: Laps = {}
    if OURS in sides:
        limits = [name for name in LIMITS if name != "multiply-add" or problem.operation.in_place]
        bounds: dict[str, Side] = {name: LIMITS[name](problem) for name in limits}
        laps = turn_by_turn(sides | bounds, options.seconds, options.rounds)
    case = problem.case
    return Row(
        case=case.name,
        operation=problem.operation.name,
        network=case.network,
        shape=case.shape,
        layout=case.layout,
        dtype=str(problem.x.dtype).removeprefix("torch."),
        kernel=kernel,
        rounds=len(laps.get(OURS, [])),
        megabytes=case.megabytes(problem.x.dtype),
        sides={name: timed(name, laps, problem, errors.get(name, {})) for name in laps},
        refused=refused,
    )


def checked(
    problem: Problem, rivals: Mapping[str, Rival]
) -> tuple[dict[str, Side], Errors, dict[str, str]]:
    """The sides whose results are right, the errors of all, and the sides refused with a reason."""
    channels = watched(problem)
    want = reference(part_of(problem, channels))
    sides: dict[str, Side] = {}
    errors: Errors = {}
    refused: dict[str, str] = {}
    for name, side in _built(problem, rivals):
        if isinstance(side, str):
            refused[name] = side
            continue
        errors[name] = check(problem, side.arrays(), want, channels)
        reason = mismatch(errors[name], problem.x.dtype)
        if reason:
            refused[name] = reason
        else:
            sides[name] = side
    return sides, errors, refused


def timed(name: str, laps: Laps, problem: Problem, errors: Mapping[str, float]) -> Timed:
    """One side's figures beside evenkeel's and the copy's."""
    own, ours, copy = laps[name], laps[OURS], median(seconds_of(laps["copy"]))
    operation, size = problem.operation, problem.x.numel() * problem.x.element_size()
    forward, backward = _part(own, "forward"), _part(own, "backward")
    whole = median(seconds_of(own))
    passes = PASSES.get(name, operation.forward_passes + operation.backward_passes)
    return Timed(
        ms=whole * 1e3,
        forward_ms=forward and forward * 1e3,
        backward_ms=backward and backward * 1e3,
        ratio=None
        if name in (OURS, "copy", "empty call")
        else ratio(seconds_of(ours), seconds_of(own)),
        forward_ratio=_part_ratio(name, laps, "forward"),
        backward_ratio=_part_ratio(name, laps, "backward"),
        gb_per_s=passes * size / whole / 1e9,
        share=passes / 2 * copy / whole,
        forward_copies=forward and forward / copy,
        backward_copies=backward and backward / copy,
        errors=errors,
    )


def _built(problem: Problem, rivals: Mapping[str, Rival]) -> Iterator[tuple[str, Side | str]]:
    """Each side, or the reason why it cannot run."""
    yield OURS, evenkeel_side(problem)
    for name, rival in rivals.items():
        reason = rival.refuses(problem)
        if reason:
            continue
        try:
            yield name, rival.build(problem)
        except RuntimeError as error:  # a compiler that fails is a result, not the end
            yield name, f"it cannot be built: {str(error).splitlines()[0]}"


def _part(laps: list[Lap], part: str) -> float | None:
    value = median([getattr(lap, part) for lap in laps])
    return value if isfinite(value) else None


def _part_ratio(name: str, laps: Laps, part: str) -> Ratio | None:
    ours, theirs = ([getattr(lap, part) for lap in laps[side]] for side in (OURS, name))
    if name == OURS or not all(map(isfinite, ours + theirs)):
        return None
    return ratio(ours, theirs)
