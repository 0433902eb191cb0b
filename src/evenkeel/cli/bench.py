"""`evenkeel bench`: measure the library on this machine."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from evenkeel.bench.record import Record

REFUSED = 1
WIDEST = 180  # characters: more than any table has
EVERY = 10  # seconds


def bench(
    suite: Annotated[
        str,
        typer.Argument(
            metavar="SUITE", help="ops, nets, accuracy, traffic, memory, determinism or all."
        ),
    ] = "ops",
    *,
    threads: Annotated[int | None, typer.Option(help="CPU threads. (default: torch's)")] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Where to write. (default: runs/bench-NNN)"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few small rows and rounds: does it work?")
    ] = False,
    case: Annotated[
        str, typer.Option(metavar="PART", help="Only rows with this in their name.")
    ] = "",
    dtype: Annotated[
        str, typer.Option(metavar="float32|bfloat16", help="Of the tensors.")
    ] = "float32",
    rivals: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="torch,compile,float32,jax,tensorflow. (default: those installed)",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="How long a row is timed, all sides together. (default: 0.4)"),
    ] = None,
) -> None:
    """Check results against float64, then time this library and its rivals turn by turn.

    A ratio is the rival's time over evenkeel's: above 1, evenkeel is faster. Rows where it is slower
    stay in. The exit code is 1 when a side was refused for a wrong result.
    """
    import torch
    from rich.console import Console

    from evenkeel.bench import Options
    from evenkeel.bench import bench as library
    from evenkeel.bench.options import QUICK_SECONDS, SECONDS

    options = Options(
        threads=torch.get_num_threads() if threads is None else threads,
        case=case,
        dtype=dtype,
        rivals=rivals,
        seconds=(QUICK_SECONDS if quick else SECONDS) if seconds is None else seconds,
        quick=quick,
        progress=_progress,
    )
    console, refused = Console(soft_wrap=True), 0
    for record, files in library(suite, options, out):
        refused += _show(console, record, files)
    if refused:
        sys.exit(REFUSED)


def _show(console: "Console", record: "Record", files: "list[Path]") -> int:
    """Print a suite's machine, tables, what was left out and the files; how many were refused."""
    from rich.console import Console

    from evenkeel.bench.row import Row, refusals
    from evenkeel.bench.show import tables_of

    machine = record.machine
    _say(
        console, f"\n{record.suite} on {machine.cpu}, {machine.threads} of {machine.cores} threads"
    )
    _say(
        console, f"load {machine.load:g} at the start, evenkeel {machine.evenkeel}, {machine.torch}"
    )
    if machine.load > machine.cores:
        _say(console, "others are at work on this machine: publish no figure of this run")
    # A figure broken over two lines cannot be read: a table is as wide as it has to be.
    wide = Console(width=max(console.width, WIDEST), soft_wrap=True)
    for table in tables_of(record):
        wide.print(table)
    for name, reason in record.left_out.items():
        _say(console, f"left out: {name}: {reason}")
    lines = refusals([row for row in record.rows if isinstance(row, Row)])
    for line in lines:
        _say(console, f"refused: {line}")
    for path in files:
        _say(console, f"written: {path}")
    return len(lines)


def _progress(title: str, items: Sequence[Any]) -> Iterable[Any]:
    """Items one by one, with a bar on standard error for a person, else a line now and then."""
    return _shown(title, items) if sys.stderr.isatty() else _told(title, items)


def _shown(title: str, items: Sequence[Any]) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, title, console=Console(stderr=True), transient=True)


def _told(title: str, items: Sequence[Any]) -> Iterator[Any]:
    last = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            typer.echo(f"{title}: {number} of {len(items)} rows", err=True)
        yield item


def _say(console: "Console", line: str) -> None:
    console.print(line, highlight=False, markup=False)
