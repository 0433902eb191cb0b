"""Who hears of a run while it goes on: a progress bar, plain lines, TensorBoard, or nobody."""

import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evenkeel.errors import MissingExtra
from evenkeel.train.records import Evaluation, TrainRow

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

REFRESH_SECONDS = 0.2


class Listener(AbstractContextManager["Listener"]):
    """Hears every step, every logged row and every evaluation; this one ignores them all."""

    def stepped(self, step: int) -> None:
        """A training step is done."""

    def logged(self, row: TrainRow) -> None:
        """A step's loss and accuracy were recorded."""

    def evaluated(self, row: Evaluation) -> None:
        """The validation split was scored."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put away what was opened."""


class Lines(Listener):
    """One plain line an evaluation, for logs and pipes."""

    def __init__(self, console: Console, label: str, steps: int) -> None:
        self._console, self._steps, self._loss = console, steps, float("nan")
        console.print(label, highlight=False, markup=False, soft_wrap=True)

    def logged(self, row: TrainRow) -> None:
        """Keep the loss for the next line."""
        self._loss = row.loss

    def evaluated(self, row: Evaluation) -> None:
        """Print where the run stands."""
        self._console.print(
            f"step {row.step:>{len(str(self._steps))}} of {self._steps}  loss {self._loss:.4f}  "
            f"validation loss {row.loss:.4f}, accuracy {row.accuracy:.4f}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


class Bar(Listener):
    """A progress bar with step, loss and validation accuracy, for 80 columns."""

    def __init__(self, console: Console, label: str, steps: int, step: int) -> None:
        self._bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            refresh_per_second=1 / REFRESH_SECONDS,
        )
        console.print(label, highlight=False, markup=False)
        self._task = self._bar.add_task("training", total=steps, completed=step, figures="")
        self._loss = self._accuracy = ""
        self._next = 0.0

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def stepped(self, step: int) -> None:
        """Move the bar, a few times a second at most."""
        if (now := time.monotonic()) >= self._next:
            self._next = now + REFRESH_SECONDS
            self._show(step)

    def logged(self, row: TrainRow) -> None:
        """Keep the loss."""
        self._loss = f"loss {row.loss:.4f}"

    def evaluated(self, row: Evaluation) -> None:
        """Show the accuracy."""
        self._accuracy = f"validation {row.accuracy:.4f}"
        self._show(row.step)

    def _show(self, step: int) -> None:
        figures = "  ".join(filter(None, [self._loss, self._accuracy]))
        self._bar.update(self._task, completed=step, figures=figures)


class Events(Listener):
    """TensorBoard events: losses, accuracies and the learning rate."""

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = _writer(folder, step)

    def logged(self, row: TrainRow) -> None:
        """Write the step's figures."""
        self._write(row.step, loss=row.loss, accuracy=row.accuracy, of="train")
        self._writer.add_scalar("lr", row.lr, row.step)

    def evaluated(self, row: Evaluation) -> None:
        """Write the evaluation's figures."""
        self._write(row.step, loss=row.loss, accuracy=row.accuracy, of="valid")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Bring all events to disk."""
        self._writer.close()

    def _write(self, step: int, *, loss: float, accuracy: float, of: str) -> None:
        self._writer.add_scalar(f"{of}/loss", loss, step)
        self._writer.add_scalar(f"{of}/accuracy", accuracy, step)


def progress_listener(label: str, steps: int, step: int) -> Listener:
    """A bar on a terminal, plain lines elsewhere; on standard error, so that results stay apart."""
    console = Console(stderr=True)
    if console.is_terminal:
        return Bar(console, label, steps, step)
    return Lines(console, label, steps)


def check_tensorboard() -> None:
    """Refuse early what could not be written later.

    Raises:  MissingExtra when tensorboard is not installed
    """
    try:
        import torch.utils.tensorboard  # noqa: F401 -- an extra, and slow to import
    except ImportError as error:
        raise MissingExtra(
            "TensorBoard events need the package tensorboard",
            got=error,
            do="pip install 'evenkeel[tensorboard]', or leave out --tensorboard",
        ) from error


def _writer(folder: Path, step: int) -> "SummaryWriter":
    from torch.utils.tensorboard import SummaryWriter  # checked before, see above

    # Events after the step resumed from are of work that was lost; readers drop them.
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
