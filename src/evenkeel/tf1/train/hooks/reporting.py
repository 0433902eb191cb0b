"""What happens while training runs: values in the log, summaries, steps a second, NaN."""

from typing import Any

import numpy as np

from evenkeel.tf1 import logging
from evenkeel.tf1.events import FileWriterCache
from evenkeel.tf1.proto import SessionLog, Summary
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.hooks.steps import SecondOrStepTimer, global_step_read
from evenkeel.tf1.train.session_run_hook import SessionRunArgs, SessionRunHook
from evenkeel.tf1.train.steps import get_global_step


def element(thing: Any) -> Any:
    """The tensor that a hook was given, or that has the name given."""
    graph = get_default_graph()
    if not isinstance(thing, str):
        if getattr(thing, "graph", None) is not graph:
            raise ValueError(
                f"Passed {thing} should have graph attribute that is equal to current graph {graph}."
            )
        return thing
    if ":" in thing:
        return graph.as_graph_element(thing)
    found: Any = graph.as_graph_element(thing + ":0")
    if len(found.op.outputs) > 1:
        raise ValueError(
            f"Name {thing} is ambiguous, as this `Operation` has multiple outputs (at least 2)."
        )
    return found


class LoggingTensorHook(SessionRunHook):
    """Writes values into the log every so many runs or seconds, or at the end."""

    def __init__(
        self, tensors: Any, every_n_iter: int | None = None, every_n_secs: float | None = None,
        at_end: bool = False, formatter: Any = None,
    ) -> None:  # fmt: skip
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                "either at_end and/or exactly one of every_n_iter and every_n_secs must be provided."
            )
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}.")
        named = isinstance(tensors, dict)
        self._tags = sorted(tensors) if named else list(tensors)
        self._tensors = dict(tensors) if named else {t: t for t in tensors}
        self._formatter, self._at_end = formatter, at_end
        self._timer = None if only_at_end else SecondOrStepTimer(every_n_secs, every_n_iter)

    def begin(self) -> None:
        """Find the tensors."""
        if self._timer is not None:
            self._timer.reset()
        self._count = 0
        self._current = {tag: element(t) for tag, t in self._tensors.items()}

    def before_run(self, run_context: Any) -> SessionRunArgs | None:
        """Ask for the values where they are due."""
        self._due = self._timer is not None and self._timer.should_trigger_for_step(self._count)
        return SessionRunArgs(self._current) if self._due else None

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Write them."""
        if self._due:
            self._log(run_values.results)
        self._count += 1

    def end(self, session: Any) -> None:
        """Write the last values."""
        if self._at_end:
            self._log(session.run(self._current))

    def _log(self, values: Any) -> None:
        seconds = None
        if self._timer is not None:
            seconds, _ = self._timer.update_last_triggered_step(self._count)
        if self._formatter is not None:
            logging.info(self._formatter(values))
            return
        with np.printoptions(suppress=True):
            shown = ", ".join(f"{tag} = {values[tag]}" for tag in self._tags)
        logging.info("%s", shown if seconds is None else f"{shown} ({seconds:.3f} sec)")


class StepCounterHook(SessionRunHook):
    """Steps a second, in the log and as the summary ``global_step/sec``."""

    def __init__(
        self, every_n_steps: int | None = 100, every_n_secs: float | None = None,
        output_dir: str | None = None, summary_writer: Any = None,
    ) -> None:  # fmt: skip
        if (every_n_steps is None) == (every_n_secs is None):
            raise ValueError("exactly one of every_n_steps and every_n_secs should be provided.")
        self._timer = SecondOrStepTimer(every_secs=every_n_secs, every_steps=every_n_steps)
        self._writer, self._output_dir, self._last = summary_writer, output_dir, None

    def begin(self) -> None:
        """Open the event file, find the global step."""
        if self._writer is None and self._output_dir:
            self._writer = FileWriterCache.get(self._output_dir)
        self._step = global_step_read("StepCounterHook")
        self._tag = f"{get_global_step().op.name}/sec"

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask for the global step."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Write where it is due; warn where the global step stands still."""
        stale = run_values.results
        if self._timer.should_trigger_for_step(stale + 1):
            step = run_context.session.run(self._step)
            if self._timer.should_trigger_for_step(step):
                seconds, steps = self._timer.update_last_triggered_step(step)
                if seconds is not None and steps is not None:
                    self._record(steps / max(seconds, 1e-9), step)
        if stale == self._last:
            logging.log_first_n(
                logging.WARN,
                "It seems that global step (tf.train.get_global_step) has not been increased. "
                "Current value (could be stable): %s vs previous value: %s. You could increase the "
                "global step by passing tf.train.get_global_step() to Optimizer.apply_gradients or "
                "Optimizer.minimize.", 5, stale, self._last,
            )  # fmt: skip
        self._last = stale

    def _record(self, rate: float, step: int) -> None:
        if self._writer is not None:
            summary = Summary(value=[Summary.Value(tag=self._tag, simple_value=rate)])
            self._writer.add_summary(summary, step)
        logging.info("%s: %g", self._tag, rate)


class NanLossDuringTrainingError(RuntimeError):
    """The loss became NaN."""

    def __str__(self) -> str:
        return "NaN loss during training."


class NanTensorHook(SessionRunHook):
    """Ends the training when the loss is NaN: with an error, or quietly."""

    def __init__(self, loss_tensor: Any, fail_on_nan_loss: bool = True) -> None:
        self._loss, self._fails = loss_tensor, fail_on_nan_loss

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask for the loss."""
        return SessionRunArgs(self._loss)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Look at it."""
        if not np.isnan(run_values.results).any():
            return
        if self._fails:
            logging.error("Model diverged with loss = NaN.")
            raise NanLossDuringTrainingError
        logging.warning("Model diverged with loss = NaN.")
        run_context.request_stop()


class SummarySaverHook(SessionRunHook):
    """Writes summaries into an event file every so many steps or seconds."""

    def __init__(
        self, save_steps: int | None = None, save_secs: float | None = None,
        output_dir: str | None = None, summary_writer: Any = None, scaffold: Any = None,
        summary_op: Any = None,
    ) -> None:  # fmt: skip
        if (scaffold is None) == (summary_op is None):
            raise ValueError("Exactly one of scaffold or summary_op must be provided.")
        self._summary_op, self._scaffold = summary_op, scaffold
        self._writer, self._output_dir = summary_writer, output_dir
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)

    def begin(self) -> None:
        """Open the event file, find the global step."""
        if self._writer is None and self._output_dir:
            self._writer = FileWriterCache.get(self._output_dir)
        self._next: Any = None
        self._step = global_step_read("SummarySaverHook")

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask for the global step, and for the summaries where they are due."""
        self._due = self._next is None or self._timer.should_trigger_for_step(self._next)
        asked = {"global_step": self._step}
        if self._due and (ops := self._operations()):
            asked["summary"] = ops
        return SessionRunArgs(asked)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Write them."""
        if not self._writer:
            return
        step = run_values.results["global_step"] + 1
        if self._due:
            step = run_context.session.run(self._step)
        if self._next is None:
            self._writer.add_session_log(SessionLog(status=SessionLog.START), step)
        if self._due:
            self._timer.update_last_triggered_step(step)
            for summary in run_values.results.get("summary", ()):
                self._writer.add_summary(summary, step)
        self._next = step + 1

    def end(self, session: Any = None) -> None:
        """Bring everything to the file."""
        if self._writer:
            self._writer.flush()

    def _operations(self) -> list[Any]:
        chosen = self._summary_op if self._summary_op is not None else self._scaffold.summary_op
        if chosen is None:
            return []
        return chosen if isinstance(chosen, list) else [chosen]
