"""What programs of the era write around their loops: coordinators and queue runners.

There are no queues here: nothing is started, and a coordinator only remembers that it was stopped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1.errors import CancelledError, OutOfRangeError
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph


class Coordinator:
    """Remembers that a loop should stop, and why."""

    def __init__(self, clean_stop_exception_types: Any = None) -> None:
        self._clean = tuple(clean_stop_exception_types or (OutOfRangeError, CancelledError))
        self._stopped = False
        self._error: BaseException | None = None

    def should_stop(self) -> bool:
        """Whether a stop was asked for."""
        return self._stopped

    def request_stop(self, ex: Any = None) -> None:
        """Ask for a stop; an error given comes up again in ``join``."""
        self._stopped = True
        error = ex[1] if isinstance(ex, tuple) else ex
        if isinstance(error, BaseException) and not isinstance(error, self._clean):
            self._error = self._error or error

    def clear_stop(self) -> None:
        """Forget the stop."""
        self._stopped, self._error = False, None

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Whether a stop was asked for, at the latest after ``timeout`` seconds."""
        if not self._stopped and timeout:
            time.sleep(timeout)
        return self._stopped

    @contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """An error inside asks for a stop."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever it is, it stops the loop
            self.request_stop(error)

    def register_thread(self, thread: Any) -> None:
        """Accepted: there are no queues whose threads to wait for."""

    def join(
        self, threads: Any = None, stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """Wait for threads, and raise the error that stopped the loop."""
        for thread in threads or []:
            thread.join(stop_grace_period_secs)
        if self._error is not None:
            raise self._error

    @property
    def joined(self) -> bool:
        """Whether everything ended."""
        return True


def start_queue_runners(
    sess: Any = None, coord: Any = None, daemon: bool = True, start: bool = True,
    collection: str = GraphKeys.QUEUE_RUNNERS,
) -> list[Any]:  # fmt: skip
    """Nothing, where there are no queues; NotImplementedError where a program added some."""
    if get_default_graph().get_collection(collection):
        raise NotImplementedError(
            "queue runners are not part of this dialect; feed the values, or use tf.data"
        )
    return []
