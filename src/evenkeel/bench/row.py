"""A measured problem: every side's figures, and the sides that were refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evenkeel.bench.timing import Ratio


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
    """One measured problem, x of so many 2²⁰ bytes.

    ``refused`` has the sides that were not timed, with the reason.
    """

    case: str
    operation: str
    network: str
    shape: tuple[int, ...]
    layout: str
    dtype: str
    kernel: str | None
    rounds: int
    megabytes: float
    sides: Mapping[str, Timed]
    refused: Mapping[str, str]


def refusals(rows: Sequence[Row]) -> list[str]:
    """Every side that gave a wrong result or could not run, as a line of text."""
    return [
        f"{row.case} {row.operation}, {name}: {reason}"
        for row in rows
        for name, reason in row.refused.items()
    ]
