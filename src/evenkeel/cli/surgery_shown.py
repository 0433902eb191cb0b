"""What surgery did, on standard output: a table of sites, a verification line, the files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from evenkeel.surgery import Conversion

WIDEST = 160


def show_sites(report: "Conversion") -> None:
    """A row for every batch-norm layer, after the counts."""
    head, *_ = str(report).split("\n")
    say(head)
    rows = [(s.path or "(the model)", s.kind, s.into, s.remark) for s in report.sites]
    show_table(("layer", "what", "into", "remark"), rows)


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[str] = ()
) -> None:
    """Rows under columns; ``figures`` are set to the right."""
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 2))
    for column in columns:
        right = column in figures
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = Console()
    Console(width=max(console.width, WIDEST), soft_wrap=True).print(table)


def show_verified(line: str) -> None:
    """One line that says what was compared."""
    say(f"verified: {line}")


def show_unverified() -> None:
    """That nothing was compared, and how it would be."""
    say("not verified: give --data, and both models run on its first batch")


def show_files(files: Mapping[str, Path], do: str = "") -> None:
    """Where the files are, and how to go on."""
    for name, path in files.items():
        say(f"  {name:<12}{path}")
    if do:
        say(f"  {'to load':<12}{do}")


def say(line: str) -> None:
    """A line as it is."""
    Console().print(line, highlight=False, markup=False, soft_wrap=True)
