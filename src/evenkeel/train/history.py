"""What a run records while it trains: rows that a checkpoint keeps and metrics.csv shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from evenkeel.train.records import Evaluation, Percentiles, TrainRow

Row = TypeVar("Row", TrainRow, Evaluation, Percentiles)
HEADER = "step,event,loss,accuracy,lr,p15,p50,p85"
LOGGED_STEPS = 400
PROBED_STEPS = 200
EVALUATIONS = 16
NICE = (10, 5, 2.5, 2)


@dataclass(frozen=True, slots=True)
class Grid:
    """At which steps something is recorded: every so many, and at the last.

    >>> [step for step in range(1, 8) if step in Grid(every=3, last=7)]
    [3, 6, 7]
    """

    every: int
    last: int

    def __contains__(self, step: int) -> bool:
        return step % self.every == 0 or step == self.last


def log_grid(steps: int) -> Grid:
    """Training rows: 400 to 800 a run, every step of a shorter one."""
    return Grid(max(1, steps // LOGGED_STEPS), steps)


def probe_grid(steps: int) -> Grid:
    """Percentile rows: 200 to 400 a run, every step of a shorter one."""
    return Grid(max(1, steps // PROBED_STEPS), steps)


def evaluation_grid(steps: int) -> Grid:
    """Evaluations: 16 to 40 a run, at round numbers of steps.

    >>> [evaluation_grid(steps).every for steps in (3, 800, 5000, 5500)]
    [1, 50, 250, 250]
    """
    most = max(1, steps // EVALUATIONS)
    power = 1
    while power * 10 <= most:
        power *= 10
    fits = [int(nice * power) for nice in NICE if nice * power <= most and (nice * power) % 1 == 0]
    return Grid(max([power, *fits]), steps)


@dataclass(slots=True)
class History:
    """Training rows, evaluations and percentiles so far."""

    train: list[TrainRow] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    percentiles: list[Percentiles] = field(default_factory=list)

    def state(self) -> dict[str, Tensor]:
        """One float64 tensor a kind, as a checkpoint keeps them: much faster to write than lists."""
        return {
            "train": _table([(row.step, row.loss, row.accuracy, row.lr) for row in self.train]),
            "evaluations": _table([(row.step, row.loss, row.accuracy) for row in self.evaluations]),
            "percentiles": _table(
                [(row.step, row.p15, row.p50, row.p85) for row in self.percentiles]
            ),
        }

    @classmethod
    def restored(cls, state: dict[str, Tensor]) -> "History":
        """The history whose ``state`` this was.

        >>> history = History(evaluations=[Evaluation(100, 0.25, 0.9)])
        >>> History.restored(history.state()) == history
        True
        """
        return cls(
            _rows(TrainRow, state["train"]),
            _rows(Evaluation, state["evaluations"]),
            _rows(Percentiles, state["percentiles"]),
        )

    def csv(self) -> str:
        """metrics.csv: one row per event, by step.

        ``train`` rows hold loss and accuracy of the step's own batch and the learning rate,
        ``valid`` rows those of the whole validation split in inference mode, ``unit_input`` rows the
        percentiles of what the probed unit hands to its activation. Other columns stay empty.
        Numbers are written so that they read back exactly.

        >>> print(History(evaluations=[Evaluation(100, 0.25, 0.9)]).csv())
        step,event,loss,accuracy,lr,p15,p50,p85
        100,valid,0.25,0.9,,,,
        """
        events = sorted([*self._events()], key=lambda event: event[0])
        lines = [f"{step},{cells}" for step, cells in events]
        return "\n".join([HEADER, *lines]) + "\n"

    def _events(self) -> Iterable[tuple[int, str]]:
        for row in self.train:
            yield row.step, f"train,{row.loss},{row.accuracy},{row.lr},,,"
        for unit in self.percentiles:
            yield unit.step, f"unit_input,,,,{unit.p15},{unit.p50},{unit.p85}"
        for score in self.evaluations:
            yield score.step, f"valid,{score.loss},{score.accuracy},,,,"


def _table(rows: Sequence[tuple[float, ...]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _rows(kind: type[Row], table: Tensor) -> list[Row]:
    return [kind(int(step), *numbers) for step, *numbers in table.tolist()]
