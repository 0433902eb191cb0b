"""A suite is a list of tasks and a function from a task to a row; its record grows row by row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evenkeel.bench.machine import this_machine
from evenkeel.bench.options import Options
from evenkeel.bench.record import Record
from evenkeel.bench.summary import Summary


def no_summary(_: Sequence[Any]) -> list[Summary]:
    """For a suite without ratios."""
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a suite has to do; ``left_out`` is what it leaves, each with the reason."""

    tasks: Sequence[Any]  # whatever ``measure`` takes
    measure: Callable[[Any], Any]  # gives this suite's own row
    summarize: Callable[[Sequence[Any]], list[Summary]] = no_summary
    left_out: Mapping[str, str] = field(default_factory=dict)


def records(name: str, work: Work, options: Options) -> Iterator[Record]:
    """The record after every row, so that an interrupted run keeps what it has; at least one."""
    machine, rows = this_machine(), list[Any]()

    def so_far() -> Record:
        return Record(
            suite=name,
            machine=machine,
            options=options.told(),
            planned=len(work.tasks),
            rows=tuple(rows),
            summary=work.summarize(rows),
            left_out=work.left_out,
        )

    for task in options.progress(name, work.tasks):
        rows.append(work.measure(task))
        yield so_far()
    if not work.tasks:
        yield so_far()
