"""``tf.train.Supervisor``: the older way to restore, to save and to summarize while training."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1.api import state
from evenkeel.tf1.events import FileWriter
from evenkeel.tf1.proto import SessionLog
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.coordinator import Coordinator, LooperThread
from evenkeel.tf1.train.queue_runner import start_queue_runners
from evenkeel.tf1.train.scaffold import Scaffold, saver_or_default
from evenkeel.tf1.train.session_manager import SessionManager
from evenkeel.tf1.train.steps import get_global_step

USE_DEFAULT: Any = object()


class Supervisor:
    """Makes sessions that are restored from ``logdir``, and threads that save and summarize.

    There are no other processes: ``is_chief`` must stay true.
    """

    USE_DEFAULT = USE_DEFAULT

    def __init__(
        self, graph: Any = None, ready_op: Any = USE_DEFAULT,
        ready_for_local_init_op: Any = USE_DEFAULT, is_chief: bool = True,
        init_op: Any = USE_DEFAULT, init_feed_dict: Any = None, local_init_op: Any = USE_DEFAULT,
        logdir: str | None = None, summary_op: Any = USE_DEFAULT, saver: Any = USE_DEFAULT,
        global_step: Any = USE_DEFAULT, save_summaries_secs: float = 120,
        save_model_secs: float = 600, recovery_wait_secs: float = 30, stop_grace_secs: float = 120,
        checkpoint_basename: str = "model.ckpt", session_manager: Any = None,
        summary_writer: Any = USE_DEFAULT, init_fn: Any = None, local_init_run_options: Any = None,
    ) -> None:  # fmt: skip
        if not is_chief:
            raise ValueError("is_chief=False: there are no other processes to wait for")
        self._graph = graph or get_default_graph()
        with self._graph.as_default():
            self._init_op = (
                state.global_variables_initializer() if init_op is USE_DEFAULT else init_op
            )
            names = state.report_uninitialized_variables
            self._ready_op = names() if ready_op is USE_DEFAULT else ready_op
            local = Scaffold.default_local_init_op
            self._local_init_op = local() if local_init_op is USE_DEFAULT else local_init_op
            self._ready_for_local = (
                None if ready_for_local_init_op is USE_DEFAULT else ready_for_local_init_op
            )
            self._summary_op = _summaries() if summary_op is USE_DEFAULT else summary_op
            self._saver = saver_or_default() if saver is USE_DEFAULT else saver
            self._global_step = get_global_step() if global_step is USE_DEFAULT else global_step
        self._init_feeds, self._init_fn, self._logdir = init_feed_dict, init_fn, logdir
        self._summary_secs, self._save_secs = save_summaries_secs, save_model_secs
        self._grace, self._base = stop_grace_secs, checkpoint_basename
        self._coord = Coordinator()
        self._manager = session_manager or SessionManager(
            self._local_init_op, self._ready_op, self._ready_for_local, self._graph,
            recovery_wait_secs,
        )  # fmt: skip
        self._writer = summary_writer
        if summary_writer is USE_DEFAULT:
            self._writer = FileWriter(logdir) if logdir else None

    # ---- what it has

    @property
    def coord(self) -> Coordinator:
        """The coordinator of its threads."""
        return self._coord

    @property
    def saver(self) -> Any:
        """The saver."""
        return self._saver

    @property
    def summary_writer(self) -> Any:
        """The writer of the event file, or None."""
        return self._writer

    @property
    def summary_op(self) -> Any:
        """The summaries, or None."""
        return self._summary_op

    @property
    def global_step(self) -> Any:
        """The global step, or None."""
        return self._global_step

    @property
    def session_manager(self) -> Any:
        """What makes the sessions."""
        return self._manager

    @property
    def save_path(self) -> str:
        """The name that checkpoints begin with."""
        return os.path.join(self._logdir or "", self._base)  # noqa: PTH118

    # ---- sessions

    def prepare_or_wait_for_session(
        self, master: str = "", config: Any = None, wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200, start_standard_services: bool = True,
    ) -> Any:  # fmt: skip
        """A session that is ready, with its threads."""
        self._coord.clear_stop()
        with self._graph.as_default():
            session = self._manager.prepare_session(
                master, init_op=self._init_op, saver=self._saver, checkpoint_dir=self._logdir,
                wait_for_checkpoint=wait_for_checkpoint, max_wait_secs=max_wait_secs,
                config=config, init_feed_dict=self._init_feeds, init_fn=self._init_fn,
            )  # fmt: skip
        if self._writer is not None:
            self._writer.add_graph(self._graph)
            self._log(session, SessionLog.START)
        if start_standard_services:
            self.start_standard_services(session)
        self.start_queue_runners(session)
        return session

    PrepareSession = prepare_or_wait_for_session

    def start_standard_services(self, sess: Any) -> list[LooperThread]:
        """The threads that save and summarize every so many seconds."""
        if not self._logdir:
            return []
        loops = []
        if self._summary_op is not None and self._summary_secs:
            loops.append((self._summary_secs, self._summarize))
        if self._saver is not None and self._save_secs:
            loops.append((self._save_secs, self._save))
        return [LooperThread.loop(self._coord, secs, call, (sess,)) for secs, call in loops]

    def start_queue_runners(self, sess: Any, queue_runners: Any = None) -> list[Any]:
        """The threads of the graph's queue runners, or of those given."""
        if queue_runners is None:
            return list(start_queue_runners(sess, self._coord))
        threads = [
            r.create_threads(sess, self._coord, daemon=True, start=True) for r in queue_runners
        ]
        return [thread for group in threads for thread in group]

    def loop(
        self, timer_interval_secs: float | None, target: Any, args: Any = None, kwargs: Any = None
    ) -> LooperThread:
        """A thread that calls a function every so many seconds."""
        return LooperThread.loop(self._coord, timer_interval_secs, target, args, kwargs)

    def summary_computed(self, sess: Any, summary: Any, global_step: Any = None) -> None:
        """Write a summary that the program computed itself."""
        if self._writer is None:
            raise RuntimeError("Writing a summary requires a summary writer.")
        step = self._step(sess) if global_step is None else global_step
        self._writer.add_summary(summary, step)

    def _step(self, session: Any) -> Any:
        return None if self._global_step is None else int(session.run(self._global_step))

    def _summarize(self, session: Any) -> None:
        self.summary_computed(session, session.run(self._summary_op))

    def _save(self, session: Any) -> None:
        self._saver.save(session, self.save_path, global_step=self._global_step)
        if self._writer is not None:
            self._log(session, SessionLog.CHECKPOINT)

    def _log(self, session: Any, status: Any) -> None:
        log = SessionLog(status=status, checkpoint_path=self.save_path)
        self._writer.add_session_log(log, self._step(session))

    def should_stop(self) -> bool:
        """Whether the loop should end."""
        return self._coord.should_stop()

    def request_stop(self, ex: Any = None) -> None:
        """Ask for the end."""
        self._coord.request_stop(ex)

    def wait_for_stop(self) -> None:
        """Wait for the end."""
        self._coord.wait_for_stop()

    def stop(
        self, threads: Any = None, close_summary_writer: bool = True,
        ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """End the threads, and raise what went wrong in one."""
        self._coord.request_stop()
        try:
            self._coord.join(threads, self._grace, ignore_live_threads)
        finally:
            if close_summary_writer and self._writer is not None:
                self._writer.close()

    @contextmanager
    def managed_session(
        self, master: str = "", config: Any = None, start_standard_services: bool = True,
        close_summary_writer: bool = True,
    ) -> Iterator[Any]:  # fmt: skip
        """A session for a training loop; an error inside ends the threads and comes up again."""
        session = None
        try:
            session = self.prepare_or_wait_for_session(
                master, config, start_standard_services=start_standard_services
            )
            with session.as_default():
                yield session
        except Exception as error:  # noqa: BLE001  # raised again by ``stop`` unless it is a clean end
            self.request_stop(error)
        finally:
            try:
                self.stop(close_summary_writer=close_summary_writer, ignore_live_threads=True)
            finally:
                if session is not None:
                    session.close()


def _summaries() -> Any:
    from evenkeel.tf1.summary import merge_all

    return merge_all()
