"""What the rows say together: one claim for each operation and rival, with its geometric means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.row import Row, Timed
from evenkeel.bench.timing import Ratio, geometric_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A claim: geometric means of the rival's time over evenkeel's, and the rows that lose.

    ``claim`` is the sentence to publish it under; ``fastest`` is the mean of each side's fastest steps;
    ``reachable`` is the mean for a kernel that moves the least traffic as fast as a copy does, in a
    call that costs what an empty one does (None where those were not timed); for a network, all its
    normalizations do so;
    ``by_layout``, ``by_network`` and ``by_size`` are means of a part of the rows; ``worst`` is the
    lowest ratio, that of ``worst_row``; ``slower`` names those below 1.
    """

    claim: str
    operation: str
    rival: str
    dtype: str
    rows: int
    ratio: float
    fastest: float
    reachable: float | None
    forward_ratio: float
    backward_ratio: float
    by_layout: Mapping[str, float]
    by_network: Mapping[str, float]
    by_size: Mapping[str, float]
    worst: float
    worst_row: str
    slower: tuple[str, ...]


TRAINING_STEP, REUSED = "training step", "bn_relu, buffers reused"
OPERATIONS_IN_WORDS = {name: operation.about for name, operation in OPERATIONS.items()} | {
    TRAINING_STEP: "Training step of a network",
    REUSED: "BN + ReLU, training, buffers reused",
}
RIVALS_IN_WORDS = {
    "torch": "torch eager",
    "compile": "torch.compile",
    "float32": "evenkeel in float32",
    "jax": "JAX, jit",
    "tensorflow": "TensorFlow, XLA",
    "multiply-add": "one multiply-add pass",
    "floor": "the traffic floor",
}


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """One claim for each operation, dtype and rival, in the order of the rows."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        for name, side in row.sides.items():
            if side.ratio:
                found.setdefault((row.operation, name, row.dtype), []).append(row)
    return [_summary(*key, own) for key, own in found.items()]


def claim_of(operation: str, rival: str, dtype: str) -> str:
    """The claim in words.

    >>> claim_of("bn_relu", "torch", "bfloat16")
    'BN + ReLU, training, bfloat16, against torch eager'
    """
    words = OPERATIONS_IN_WORDS.get(operation, operation)
    return f"{words}, {dtype}, against {RIVALS_IN_WORDS.get(rival, rival)}"


def _summary(operation: str, rival: str, dtype: str, rows: Sequence[Row]) -> Summary:
    sides = [row.sides[rival] for row in rows]
    whole = {row.case: _median(side.ratio) for row, side in zip(rows, sides, strict=True)}
    worst = min(whole, key=lambda case: whole[case])
    return Summary(
        claim=claim_of(operation, rival, dtype),
        operation=operation,
        rival=rival,
        dtype=dtype,
        rows=len(rows),
        ratio=geometric_mean(list(whole.values())),
        fastest=geometric_mean([side.ratio.fastest for side in sides if side.ratio]),
        reachable=_reachable(rows, rival),
        forward_ratio=_mean(sides, lambda side: side.forward_ratio),
        backward_ratio=_mean(sides, lambda side: side.backward_ratio),
        by_layout=_parts(rows, whole, lambda row: row.layout),
        by_network=_parts(rows, whole, lambda row: row.network),
        by_size={} if operation == TRAINING_STEP else _parts(rows, whole, _size),
        worst=whole[worst],
        worst_row=worst,
        slower=tuple(case for case, ratio in whole.items() if ratio < 1),
    )


def _reachable(rows: Sequence[Row], rival: str) -> float | None:
    ratios = [row.sides[rival].ms / limit for row in rows if (limit := _limit_ms(row))]
    return geometric_mean(ratios) if ratios else None


def _limit_ms(row: Row) -> float | None:
    """The empty call, and the least traffic at the copy's bandwidth."""
    copy, empty = row.sides.get("copy"), row.sides.get("empty call")
    if copy is None or empty is None:
        return None
    operation = OPERATIONS["bn_relu" if row.operation == TRAINING_STEP else row.operation]
    return empty.ms + (operation.forward_passes + operation.backward_passes) / 2 * copy.ms


def _parts(
    rows: Sequence[Row], whole: Mapping[str, float], part: Callable[[Row], str]
) -> dict[str, float]:
    """The geometric mean of each part's rows."""
    parts: dict[str, list[float]] = {}
    for row in rows:
        parts.setdefault(part(row), []).append(whole[row.case])
    return {name: geometric_mean(values) for name, values in parts.items()}


def _size(row: Row) -> str:
    """Beyond the caches, within them, or so small that the call itself counts."""
    if row.megabytes > 16:
        return "over 16 MB"
    return "1 to 16 MB" if row.megabytes >= 1 else "under 1 MB"


def _mean(sides: Sequence[Timed], ratio: Callable[[Timed], Ratio | None]) -> float:
    """NaN where no side has this part."""
    return geometric_mean([found.median for side in sides if (found := ratio(side))])


def _median(ratio: Ratio | None) -> float:
    return ratio.median if ratio else float("nan")
