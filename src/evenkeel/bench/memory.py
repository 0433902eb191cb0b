"""Suite ``memory``: the most that a training step of BN + ReLU has allocated at any moment."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch.profiler import ProfilerActivity, profile

from evenkeel.bench.cases import Case, cases_of
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.options import Options
from evenkeel.bench.problem import problem_of
from evenkeel.bench.rivals import OURS, eager
from evenkeel.bench.sides import Side, evenkeel_side
from evenkeel.bench.suite import Work

TRAINING = ("bn", "bn_relu", "bn_add_relu")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """Peak bytes beyond what was there before the step, as tensors of x's size, by side.

    ``ratio`` is torch's over ours: above 1, evenkeel needs less.
    """

    case: str
    operation: str
    dtype: str
    tensors: Mapping[str, float]
    ratio: float


def memory(options: Options) -> Work:
    """Every case under every training operation."""
    cases = cases_of(options.case, options.quick)
    tasks = [partial(peak_row, c, name, options.torch_dtype) for c in cases for name in TRAINING]
    return Work(tasks=tasks, measure=lambda task: task())


def peak_row(case: Case, name: str, dtype: torch.dtype) -> MemoryRow:
    """One case under one operation."""
    problem = problem_of(case, OPERATIONS[name], dtype)
    size = problem.x.numel() * problem.x.element_size()
    sides: dict[str, Side] = {OURS: evenkeel_side(problem), "torch": eager(problem)}
    peaks = {side: peak_bytes(run) for side, run in sides.items()}
    return MemoryRow(
        case=case.name,
        operation=name,
        dtype=str(dtype).removeprefix("torch."),
        tensors={side: peak / size for side, peak in peaks.items()},
        ratio=peaks["torch"] / peaks[OURS],
    )


def peak_bytes(side: Side) -> int:
    """The highest sum of what torch's allocator has given out and not taken back during a step."""
    side.lap()
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        side.lap()
    # The public events are grouped by operator and have lost their order in time.
    results = getattr(seen.profiler, "kineto_results", None)
    events = [] if results is None else results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's profiler (2.13) writes to descriptor 2 at each start and stop."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
