"""``tf.train.Coordinator``: threads that end together, and the error that ended them."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.errors import OutOfRangeError


class Coordinator:
    """Several threads ask it whether to stop; the first error of one stops all, and ``join`` raises it.

    >>> coord = Coordinator()
    >>> with coord.stop_on_exception():
    ...     raise OutOfRangeError(None, None, "the end")
    >>> coord.should_stop(), coord.join()
    (True, None)
    """

    def __init__(self, clean_stop_exception_types: Any = None) -> None:
        clean = (
            (OutOfRangeError,) if clean_stop_exception_types is None else clean_stop_exception_types
        )
        self._clean = tuple(clean)
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._error: BaseException | None = None
        self._joined = False
        self._threads: set[Any] = set()

    def should_stop(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    def request_stop(self, ex: Any = None) -> None:
        """Ask for a stop; an error given comes up again in ``join``, unless it is a clean end."""
        error = ex[1] if isinstance(ex, tuple) else ex
        clean = error is None or isinstance(error, self._clean)
        with self._lock:
            if self._joined and not clean:
                raise error
            if not self._stop.is_set() and not clean:
                logging.info("Error reported to Coordinator: %s, %s", type(error), error)
                self._error = error
            self._stop.set()

    def clear_stop(self) -> None:
        """Forget the stop and its error."""
        with self._lock:
            self._joined, self._error = False, None
            self._stop.clear()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Whether a stop was asked for, at the latest after ``timeout`` seconds."""
        return self._stop.wait(timeout)

    @contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """An error inside asks for a stop."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001  # whatever it is, it stops the threads
            self.request_stop(error)

    def register_thread(self, thread: Any) -> None:
        """``join`` waits for this thread too."""
        with self._lock:
            self._threads.add(thread)

    def join(
        self, threads: Iterable[Any] | None = None, stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """Wait for the threads; after a stop at most so many seconds. Raises what stopped them."""
        with self._lock:
            waited = list(self._threads | set(threads or ()))
        while any(t.is_alive() for t in waited) and not self._stop.wait(0.05):
            pass
        end = time.monotonic() + stop_grace_period_secs
        for thread in (t for t in waited if t.is_alive()):  # one may not have begun
            thread.join(max(0.0, end - time.monotonic()))
        alive = [t.name for t in waited if t.is_alive()]
        with self._lock:
            self._joined, self._threads = True, set()
            if self._error is not None:
                raise self._error
        if alive:
            words = f"Coordinator stopped with threads still running: {' '.join(alive)}"
            if not ignore_live_threads:
                raise RuntimeError(words)
            logging.info("%s", words)

    @property
    def joined(self) -> bool:
        """Whether ``join`` was called."""
        return self._joined

    def raise_requested_exception(self) -> None:
        """Raise the error that asked for the stop, if there is one."""
        with self._lock:
            if self._error is not None:
                raise self._error


class LooperThread(threading.Thread):
    """Calls a function again and again, every so many seconds, until the coordinator stops."""

    def __init__(
        self, coord: Coordinator, timer_interval_secs: float | None, target: Any = None,
        args: Any = None, kwargs: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._coord, self._seconds = coord, timer_interval_secs
        self._call = (target, args or (), kwargs or {})
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator, timer_interval_secs: float | None, target: Any, args: Any = None,
        kwargs: Any = None,
    ) -> "LooperThread":  # fmt: skip
        """A started thread."""
        thread = LooperThread(coord, timer_interval_secs, target, args, kwargs)
        thread.start()
        return thread

    def run(self) -> None:
        """Loop."""
        with self._coord.stop_on_exception():
            self.start_loop()
            following = time.monotonic()
            while not self._coord.wait_for_stop(max(0.0, following - time.monotonic())):
                following += self._seconds or 0.0
                self.run_loop()
            self.stop_loop()

    def start_loop(self) -> None:
        """Before the first call."""

    def run_loop(self) -> None:
        """One call."""
        target, args, kwargs = self._call
        if target is not None:
            target(*args, **kwargs)

    def stop_loop(self) -> None:
        """After the last call."""
