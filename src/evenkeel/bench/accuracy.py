"""Suite ``accuracy``: errors of ours and torch's against float64, and the variance far from zero."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

import evenkeel
from evenkeel.bench.cases import Case, cases_of
from evenkeel.bench.operations import OPERATIONS, SEPARATE
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import error, errors_of, reference
from evenkeel.bench.problem import batch_statistics, problem_of
from evenkeel.bench.rivals import OURS, eager
from evenkeel.bench.sides import evenkeel_side
from evenkeel.bench.suite import Work

OFFSETS = (0.0, 1.0, 1e2, 1e4)
VARIANCE = "variance"
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "nchw": Tensor.contiguous,
    "nhwc": lambda x: x.contiguous(memory_format=torch.channels_last),
    "strided": lambda x: torch.stack([x, x], -1)[..., 0],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """Largest errors per array and side; ``offset`` is |mean|/std of x."""

    case: str
    operation: str
    offset: float
    dtype: str
    sides: Mapping[str, Mapping[str, float]]


def accuracy(options: Options) -> Work:
    """Every case under every operation; then the variance at each |mean|/std in each layout."""
    cases = cases_of(options.case, options.quick)
    dtype = options.torch_dtype
    tasks: list[Callable[[], ErrorRow]] = [
        partial(errors_at, case, name, dtype) for case in cases for name in SEPARATE
    ]
    tasks += [partial(variance_at, *pair, dtype) for pair in product(LAYOUTS, OFFSETS)]
    return Work(tasks=tasks, measure=lambda task: task())


def errors_at(case: Case, name: str, dtype: torch.dtype) -> ErrorRow:
    """One case under one operation."""
    problem = problem_of(case, OPERATIONS[name], dtype)
    want = reference(problem)
    sides = {OURS: evenkeel_side(problem), "torch": eager(problem)}
    errors = {side: errors_of(run.arrays(), want) for side, run in sides.items()}
    return _row(case.name, name, 0.5, dtype, errors)


def variance_at(layout: str, offset: float, dtype: torch.dtype) -> ErrorRow:
    """The batch's variance, read from running statistics that keep the last batch alone."""
    draw = torch.Generator().manual_seed(0)
    x = LAYOUTS[layout]((torch.randn(16, 32, 28, 28, generator=draw) + offset).to(dtype))
    want = batch_statistics(x.double())[1]
    layers = {
        OURS: evenkeel.BatchNorm2d(32, momentum=1.0),
        "torch": nn.BatchNorm2d(32, momentum=1.0),
    }
    count = x.numel() // 32
    errors = {}
    for side, layer in layers.items():
        layer(x)
        moved = layer.state_dict()["running_var"].double()
        errors[side] = {"var": error(moved * (count - 1) / count, want)}
    return _row(f"16x32x28x28-{layout}", VARIANCE, offset, dtype, errors)


def _row(
    case: str,
    operation: str,
    offset: float,
    dtype: torch.dtype,
    sides: Mapping[str, Mapping[str, float]],
) -> ErrorRow:
    name = str(dtype).removeprefix("torch.")
    return ErrorRow(case=case, operation=operation, offset=offset, dtype=name, sides=sides)
