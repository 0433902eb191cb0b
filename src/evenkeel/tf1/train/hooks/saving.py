"""Saving checkpoints while training runs."""

import os
from pathlib import Path
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.events import FileWriterCache
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.proto import SessionLog
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.hooks.steps import SecondOrStepTimer, global_step_read
from evenkeel.tf1.train.session_run_hook import SessionRunArgs, SessionRunHook


class CheckpointSaverListener:
    """Does something around each checkpoint; every method may stay as it is."""

    def begin(self) -> None:
        """Before the session is made."""

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Before a checkpoint is written."""

    def after_save(self, session: Any, global_step_value: int) -> Any:
        """After a checkpoint was written; what is true ends the training."""

    def end(self, session: Any, global_step_value: int) -> None:
        """At the end, after the last checkpoint."""


class CheckpointSaverHook(SessionRunHook):
    """Saves at the beginning, every ``save_secs`` or ``save_steps``, and at the end."""

    def __init__(
        self, checkpoint_dir: str, save_secs: float | None = None, save_steps: int | None = None,
        saver: Any = None, checkpoint_basename: str = "model.ckpt", scaffold: Any = None,
        listeners: Any = None,
    ) -> None:  # fmt: skip
        logging.info("Create CheckpointSaverHook.")
        if saver is not None and scaffold is not None:
            raise ValueError("You cannot provide both saver and scaffold.")
        self._saver, self._scaffold = saver, scaffold
        self._checkpoint_dir = os.fspath(checkpoint_dir)
        self._save_path = os.path.join(self._checkpoint_dir, checkpoint_basename)  # noqa: PTH118
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)
        self._listeners = list(listeners or [])

    def begin(self) -> None:
        """Open the event file, find the global step."""
        self._writer = FileWriterCache.get(self._checkpoint_dir)
        self._step = global_step_read("CheckpointSaverHook")
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Write the graph, and a checkpoint of where training begins."""
        step = session.run(self._step)
        graph = get_default_graph()
        _write_graph(graph, self._checkpoint_dir, self._writer)
        self._save(session, step)
        self._timer.update_last_triggered_step(step)

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask for the global step."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Save where it is due; what was read may be from before the step."""
        if not self._timer.should_trigger_for_step(run_values.results + 1):
            return
        step = run_context.session.run(self._step)
        if self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            if self._save(run_context.session, step):
                run_context.request_stop()

    def end(self, session: Any) -> None:
        """Save the last step, unless it was saved."""
        step = session.run(self._step)
        if step != self._timer.last_triggered_step():
            self._save(session, step)
        for listener in self._listeners:
            listener.end(session, step)

    def _save(self, session: Any, step: int) -> bool:
        logging.info("Saving checkpoints for %d into %s.", step, self._save_path)
        for listener in self._listeners:
            listener.before_save(session, step)
        self._chosen_saver().save(session, self._save_path, global_step=step)
        log = SessionLog(status=SessionLog.CHECKPOINT, checkpoint_path=self._save_path)
        self._writer.add_session_log(log, step)
        stops = [listener for listener in self._listeners if listener.after_save(session, step)]
        for listener in stops:
            logging.info(
                "A CheckpointSaverListener requested that training be stopped. listener: %s",
                listener,
            )
        return bool(stops)

    def _chosen_saver(self) -> Any:
        if self._saver is None and self._scaffold is not None:
            return self._scaffold.saver
        if self._saver is None:
            key = GraphKeys.SAVERS
            savers = get_default_graph().get_collection(key)
            if not savers:
                raise RuntimeError(
                    f"No items in collection {key}. Please add a saver to the collection or provide "
                    "a saver or scaffold."
                )
            if len(savers) > 1:
                raise RuntimeError(
                    f"More than one item in collection {key}. Please indicate which one to use by "
                    "passing it to the constructor."
                )
            self._saver = savers[0]
        return self._saver


def _write_graph(graph: Any, folder: str, writer: Any) -> None:
    """``graph.pbtxt``, and the graph in the event file."""
    from evenkeel.tf1.graph_io.files import write_message

    made = graph.as_graph_def(add_shapes=True)
    write_message(Path(folder) / "graph.pbtxt", made, True)
    writer.add_graph(graph_def=made)
