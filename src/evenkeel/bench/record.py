"""What a benchmark leaves behind: one JSON file a suite, whose form has a version."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evenkeel.bench.machine import Machine
from evenkeel.bench.timing import Ratio, geometric_mean

FORMAT, VERSION = "evenkeel-bench", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One side of a row: medians in milliseconds, errors, and how it stands to the others.

    ``ratio`` is this side's time over evenkeel's, round by round; above 1, evenkeel is faster.
    ``copies`` is time over that of a plain copy of x; ``share`` the bandwidth of the traffic floor as
    a share of the copy's. None where there is nothing to compare with.
    """

    ms: float
    forward_ms: float | None = None
    backward_ms: float | None = None
    ratio: Ratio | None = None
    forward_ratio: Ratio | None = None
    backward_ratio: Ratio | None = None
    gb_per_s: float | None = None
    share: float | None = None
    forward_copies: float | None = None
    backward_copies: float | None = None
    errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured problem; ``refused`` has the sides that were not timed, with the reason."""

    case: str
    operation: str
    network: str
    shape: tuple[int, ...]
    layout: str
    dtype: str
    kernel: str | None
    rounds: int
    sides: Mapping[str, Timed]
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A rival over all rows of an operation: geometric means of ratios, losing rows by name."""

    operation: str
    rival: str
    rows: int
    ratio: float
    forward_ratio: float
    backward_ratio: float
    worst: float
    slower: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A suite's result. ``rows`` are this suite's own records, one dataclass a suite."""

    suite: str
    machine: Machine
    options: Mapping[str, Any]  # values of the command line, of several types
    rows: Sequence[Any]  # Row, or the row of another suite
    summary: Sequence[Summary] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION


def as_text(record: Record) -> str:
    """The record as JSON; a float that is not finite becomes null."""
    text = json.dumps(_finite(asdict(record)), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """One summary for each operation and rival, in the order of the rows."""
    pairs = dict.fromkeys(
        (row.operation, name) for row in rows for name, side in row.sides.items() if side.ratio
    )
    return [_summary(operation, rival, rows) for operation, rival in pairs]


def refusals(rows: Sequence[Row]) -> list[str]:
    """Every side that gave a wrong result or could not run, as a line of text."""
    return [
        f"{row.case} {row.operation}, {name}: {reason}"
        for row in rows
        for name, reason in row.refused.items()
    ]


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(operation: str, rival: str, rows: Sequence[Row]) -> Summary:
    pairs = [
        (row, row.sides[rival])
        for row in rows
        if row.operation == operation and rival in row.sides and row.sides[rival].ratio
    ]
    whole = [side.ratio.median for _, side in pairs if side.ratio]
    forward = [side.forward_ratio.median for _, side in pairs if side.forward_ratio]
    backward = [side.backward_ratio.median for _, side in pairs if side.backward_ratio]
    return Summary(
        operation=operation,
        rival=rival,
        rows=len(pairs),
        ratio=geometric_mean(whole),
        forward_ratio=geometric_mean(forward),
        backward_ratio=geometric_mean(backward),
        worst=min(whole),
        slower=tuple(row.case for row, side in pairs if side.ratio and side.ratio.median < 1),
    )
