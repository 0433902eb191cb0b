"""Hooks that feed, that wait, and that read values at the end."""

import time
from collections.abc import Callable
from typing import Any

from evenkeel.tf1 import errors, logging
from evenkeel.tf1.train.hooks.steps import global_step_read
from evenkeel.tf1.train.session_run_hook import SessionRunArgs, SessionRunHook


class FinalOpsHook(SessionRunHook):
    """Runs operations at the end and keeps their values."""

    def __init__(self, final_ops: Any, final_ops_feed_dict: Any = None) -> None:
        self._ops, self._feeds, self._values = final_ops, final_ops_feed_dict, None

    @property
    def final_ops_values(self) -> Any:
        """The values."""
        return self._values

    def end(self, session: Any) -> None:
        """Run them."""
        if self._ops is None:
            return
        try:
            self._values = session.run(self._ops, feed_dict=self._feeds)
        except (errors.OutOfRangeError, StopIteration):
            logging.warning(
                "An OutOfRangeError or StopIteration exception is raised by the code in "
                "FinalOpsHook: the operations that it runs read from an input that has ended. "
                "Metrics must give (value_op, update_op), and value_op may read variables only."
            )
            raise


class FeedFnHook(SessionRunHook):
    """Feeds what a function gives, in every run."""

    def __init__(self, feed_fn: Callable[[], Any]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask the function."""
        return SessionRunArgs(None, feed_dict=self.feed_fn())


class GlobalStepWaiterHook(SessionRunHook):
    """Delays the first run until the global step is reached, which someone else changes."""

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step = wait_until_step

    def begin(self) -> None:
        """Find the global step."""
        self._started = self._wait_until_step <= 0
        self._step = global_step_read("_GlobalStepWaiterHook")

    def before_run(self, run_context: Any) -> None:
        """Wait."""
        if self._started:
            return
        logging.info("Waiting for global step %d before starting training.", self._wait_until_step)
        while run_context.session.run(self._step) < self._wait_until_step:
            time.sleep(0.5)
        self._started = True
