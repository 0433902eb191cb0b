"""Ctrl-C and SIGTERM: the run stops at the next step's end, saved; a second signal stops at once."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType

from evenkeel.train.folder import resume_command

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal after ``step`` steps; ``folder`` is what to resume.

    >>> print(Interrupted(Path("runs/conv20-001"), 412, 800))
    stopped and saved after step 412 of 800; go on with: evenkeel train --resume runs/conv20-001
    """

    def __init__(self, folder: Path, step: int, steps: int, number: int = signal.SIGINT) -> None:
        self.folder, self.step, self.steps, self.number = folder, step, steps, number
        super().__init__(
            f"stopped and saved after step {step} of {steps}; go on with: {resume_command(folder)}"
        )


class StopWish:
    """Turns the first SIGINT or SIGTERM into a wish, ``number``, for the loop to see between steps.

    Signals can be caught in the main thread only; elsewhere nothing is caught.

    >>> with StopWish() as wish:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     wish.number
    15
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopWish":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            self.claim()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from getsignal

    def claim(self) -> None:
        """Catch the signals, also if someone else caught them in between: Lightning does."""
        if self._before:
            for number in SIGNALS:
                signal.signal(number, self._caught)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.number = number
