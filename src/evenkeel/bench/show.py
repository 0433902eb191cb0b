"""A suite's result as tables of text, losing rows included."""

from collections.abc import Callable, Sequence
from math import isfinite

from rich.table import Table

from evenkeel.bench.accuracy import ErrorRow
from evenkeel.bench.determinism import BitsRow
from evenkeel.bench.memory import MemoryRow
from evenkeel.bench.record import Record
from evenkeel.bench.rivals import OURS
from evenkeel.bench.row import Row, Timed
from evenkeel.bench.summary import Summary


def tables_of(record: Record) -> list[Table]:
    """The rows, then geometric means where there are any."""
    tables = [TABLES[record.suite](record.rows)]
    if not record.summary:
        return tables
    return [*tables, claims_table(record.summary), parts_table(record.summary)]


def timed_table(rows: Sequence[Row]) -> Table:
    """One line a row and side."""
    left = ("case", "operation", "side")
    right = ("ms", "ratio", "p10–p90", "forward", "backward", "GB/s", "of copy", "largest error")
    table = _table(left, right)
    for row in rows:
        for name, side in row.sides.items():
            table.add_row(row.case, row.operation, _side(row, name), *_figures(side))
        for name, reason in row.refused.items():
            table.add_row(row.case, row.operation, name, f"refused: {reason}")
    return table


def claims_table(summaries: Sequence[Summary]) -> Table:
    """Every claim with its geometric means."""
    means = ("geometric mean", "of fastest steps", "reachable", "forward", "backward", "worst")
    table = _table(("claim",), ("rows", "slower", *means))
    for one in summaries:
        whole = (one.ratio, one.fastest, one.reachable)
        parts = (one.forward_ratio, one.backward_ratio, one.worst)
        numbers = [_number(value, ".2f") for value in (*whole, *parts)]
        table.add_row(one.claim, str(one.rows), str(len(one.slower)), *numbers)
    return table


def parts_table(summaries: Sequence[Summary]) -> Table:
    """The same claims' geometric means by layout, network and size."""
    parts = [{**one.by_layout, **one.by_network, **one.by_size} for one in summaries]
    names = dict.fromkeys(name for part in parts for name in part)
    table = _table(("claim",), tuple(names))
    for one, part in zip(summaries, parts, strict=True):
        table.add_row(one.claim, *[_number(part.get(name), ".2f") for name in names])
    return table


def traffic_table(rows: Sequence[Row]) -> Table:
    """Times in copies of x, and the floor's share of them."""
    right = ("copy ms", "GB/s", "forward ms", "copies", "of floor")
    table = _table(("case", "kernel"), (*right, "backward ms", "copies", "of floor", "error"))
    for row in rows:
        if row.refused:
            table.add_row(row.case, row.kernel, f"refused: {row.refused[OURS]}")
            continue
        ours, copy, floor = (row.sides[name] for name in (OURS, "copy", "floor"))
        figures = [f"{copy.ms:.2f}", _number(copy.gb_per_s, ".1f")]
        parts = [
            (ours.forward_ms, ours.forward_copies, floor.forward_ratio),
            (ours.backward_ms, ours.backward_copies, floor.backward_ratio),
        ]
        for ms, copies, share in parts:
            figures += [_number(ms, ".2f"), _number(copies, ".2f")]
            figures.append(_number(share.median if share else None, ".0%"))
        table.add_row(row.case, row.kernel, *figures, f"{max(ours.errors.values()):.1e}")
    return table


def error_table(rows: Sequence[ErrorRow]) -> Table:
    """Largest error of any array, ours and torch's."""
    right = ("|mean|/std", "evenkeel", "torch", "in")
    table = _table(("case", "operation"), right)
    for row in rows:
        ours, theirs = row.sides[OURS], row.sides["torch"]
        worst = max(ours, key=lambda name: ours[name])
        numbers = (f"{max(ours.values()):.1e}", f"{max(theirs.values()):.1e}")
        table.add_row(row.case, row.operation, f"{row.offset:g}", *numbers, worst)
    return table


def memory_table(rows: Sequence[MemoryRow]) -> Table:
    """Peaks in tensors of x's size."""
    table = _table(("case", "operation"), ("evenkeel", "torch", "ratio"))
    for row in rows:
        peaks = [f"{row.tensors[side]:.2f}" for side in (OURS, "torch")]
        table.add_row(row.case, row.operation, *peaks, f"{row.ratio:.2f}")
    return table


def bits_table(rows: Sequence[BitsRow]) -> Table:
    """What changes with threads and over repeats."""
    table = _table(("case", "operation", "side", "with threads", "over repeats"), ("repeats",))
    for row in rows:
        for side, found in row.by_threads.items():
            words = (_changed(found), _changed(row.by_repeats[side]))
            table.add_row(row.case, row.operation, side, *words, str(row.repeats))
    return table


TABLES: dict[str, Callable[..., Table]] = {
    "ops": timed_table,
    "nets": timed_table,
    "accuracy": error_table,
    "traffic": traffic_table,
    "memory": memory_table,
    "determinism": bits_table,
}


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def _side(row: Row, name: str) -> str:
    return f"{name} ({row.kernel})" if name == OURS and row.kernel else name


def _figures(side: Timed) -> list[str]:
    ratio = side.ratio
    return [
        f"{side.ms:.3f}",
        "" if ratio is None else f"{ratio.median:.2f}{' slower' if ratio.median < 1 else ''}",
        "" if ratio is None else f"{ratio.p10:.2f}–{ratio.p90:.2f}",
        _number(side.forward_ratio.median if side.forward_ratio else None, ".2f"),
        _number(side.backward_ratio.median if side.backward_ratio else None, ".2f"),
        _number(side.gb_per_s, ".1f"),
        _number(side.share, ".0%"),
        f"{max(side.errors.values()):.1e}" if side.errors else "",
    ]


def _number(value: float | None, form: str) -> str:
    return format(value, form) if value is not None and isfinite(value) else ""


def _changed(names: tuple[str, ...]) -> str:
    return f"changed: {', '.join(names)}" if names else "same bits"
