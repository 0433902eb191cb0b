"""A suite's result as tables of text, losing rows included."""

from collections.abc import Callable, Sequence
from math import isfinite

from rich.table import Table

from evenkeel.bench.accuracy import ErrorRow
from evenkeel.bench.determinism import BitsRow
from evenkeel.bench.memory import MemoryRow
from evenkeel.bench.record import Record, Row, Summary, Timed
from evenkeel.bench.rivals import OURS


def tables_of(record: Record) -> list[Table]:
    """The rows, then geometric means where there are any."""
    tables = [TABLES[record.suite](record.rows)]
    return [*tables, summary_table(record.summary)] if record.summary else tables


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


def summary_table(summaries: Sequence[Summary]) -> Table:
    """Geometric means by operation and rival."""
    right = ("rows", "geometric mean", "forward", "backward", "worst row", "slower rows")
    table = _table(("operation", "rival"), right)
    for one in summaries:
        figures = (one.ratio, one.forward_ratio, one.backward_ratio, one.worst)
        numbers = [_number(value, ".2f") for value in figures]
        table.add_row(one.operation, one.rival, str(one.rows), *numbers, str(len(one.slower)))
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
