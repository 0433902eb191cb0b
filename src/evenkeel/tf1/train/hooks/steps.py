"""Counting steps: when something is due, and when training ends."""

import time
from typing import Any

from evenkeel.tf1.train.session_run_hook import SessionRunArgs, SessionRunHook
from evenkeel.tf1.train.steps import get_global_step, get_or_create_global_step_read


def global_step_read(hook: str) -> Any:
    """The tensor that hooks read the global step from; RuntimeError where there is none.

    The node that TensorFlow reads is there too. Its value is behind a ``tf.cond``, which here runs
    late; a sum with the variable's snapshot is made early, before a training step counts.
    """
    found = get_or_create_global_step_read()
    if found is None:
        raise RuntimeError(f"Global step should be created to use {hook}.")
    step = get_global_step()
    if not hasattr(step, "initialized_value"):
        return found
    graph = step.graph
    with graph.as_default(), graph.name_scope(None), graph.name_scope(f"{step.op.name}/"):
        return step.value() + 0


class SecondOrStepTimer:
    """Says when something is due: every so many seconds, or every so many steps.

    >>> timer = SecondOrStepTimer(every_steps=10)
    >>> timer.should_trigger_for_step(3), timer.update_last_triggered_step(3)
    (True, (None, None))
    >>> timer.should_trigger_for_step(12), timer.should_trigger_for_step(13)
    (False, True)
    """

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        if every_secs is None and every_steps is None:
            raise ValueError("Either every_secs or every_steps should be provided.")
        if every_secs is not None and every_steps is not None:
            raise ValueError("Can not provide both every_secs and every_steps.")
        self._every_secs, self._every_steps = every_secs, every_steps
        self.reset()

    def reset(self) -> None:
        """Forget the last time: everything is due."""
        self._last_step: Any = None
        self._last_time = 0.0

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether it is due at this step."""
        if self._last_step is None:
            return True
        if self._last_step == step:
            return False
        if self._every_secs is not None:
            return time.time() >= self._last_time + self._every_secs
        return bool(step >= self._last_step + self._every_steps)

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Note that it was done; the seconds and steps since the time before."""
        now, before = time.time(), self._last_step
        since = (None, None) if before is None else (now - self._last_time, step - before)
        self._last_step, self._last_time = step, now
        return since

    def last_triggered_step(self) -> Any:
        """The step at which it was done last, or None."""
        return self._last_step


class StopAtStepHook(SessionRunHook):
    """Ends after ``num_steps`` more steps, or when the global step is ``last_step``."""

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if num_steps is None and last_step is None:
            raise ValueError("One of num_steps or last_step must be specified.")
        if num_steps is not None and last_step is not None:
            raise ValueError("Only one of num_steps or last_step can be specified.")
        self._num_steps, self._last_step = num_steps, last_step

    def begin(self) -> None:
        """Find the global step."""
        self._step = global_step_read("StopAtStepHook")

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Count from the step that the session begins with."""
        if self._last_step is None:
            self._last_step = int(session.run(self._step)) + (self._num_steps or 0)

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask for the global step."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """What was read may be from before the step: at the end it is read again."""
        last = self._last_step or 0
        near = run_values.results + 1 >= last
        if near and run_context.session.run(self._step) >= last:
            run_context.request_stop()
