"""``tf.train.MonitoredSession`` and its kin: sessions with hooks around every run."""

import inspect
from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.coordinator import Coordinator
from evenkeel.tf1.train.hooks import CheckpointSaverHook, StepCounterHook, SummarySaverHook
from evenkeel.tf1.train.queue_runner import start_queue_runners
from evenkeel.tf1.train.scaffold import Scaffold
from evenkeel.tf1.train.session_manager import SessionManager
from evenkeel.tf1.train.session_run_hook import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunValues,
)

USE_DEFAULT: Any = object()
_LOST = (errors.AbortedError, errors.UnavailableError)  # a new session is made after these


class SessionCreator:
    """Makes sessions."""

    def create_session(self) -> Any:
        """A session that is ready."""
        raise NotImplementedError(f"create_session is not implemented for {self}.")


class ChiefSessionCreator(SessionCreator):
    """Makes sessions that are restored from a checkpoint or initialized."""

    def __init__(
        self, scaffold: Scaffold | None = None, master: str = "", config: Any = None,
        checkpoint_dir: Any = None, checkpoint_filename_with_path: Any = None,
    ) -> None:  # fmt: skip
        self._scaffold, self._master, self._config = scaffold or Scaffold(), master, config
        self._dir, self._path = checkpoint_dir, checkpoint_filename_with_path

    def _manager(self) -> SessionManager:
        scaffold = self._scaffold.finalize()
        return SessionManager(
            local_init_op=scaffold.local_init_op, ready_op=scaffold.ready_op,
            ready_for_local_init_op=scaffold.ready_for_local_init_op, graph=get_default_graph(),
        )  # fmt: skip

    def create_session(self) -> Any:
        """A session that is ready."""
        manager, scaffold = self._manager(), self._scaffold
        return manager.prepare_session(
            self._master, saver=scaffold.saver, checkpoint_dir=self._dir,
            checkpoint_filename_with_path=self._path, config=self._config,
            init_op=scaffold.init_op, init_feed_dict=scaffold.init_feed_dict,
            init_fn=scaffold.init_fn,
        )  # fmt: skip


class WorkerSessionCreator(ChiefSessionCreator):
    """Makes sessions of variables that someone else initializes."""

    def __init__(
        self, scaffold: Scaffold | None = None, master: str = "", config: Any = None,
        max_wait_secs: float = 1800,
    ) -> None:  # fmt: skip
        super().__init__(scaffold, master, config)
        self._seconds = max_wait_secs

    def create_session(self) -> Any:
        """A session that is ready; DeadlineExceededError where it does not become so."""
        return self._manager().wait_for_session(self._master, self._config, self._seconds)


class _Hooked:
    """A session whose runs the hooks see."""

    def __init__(self, session: Any, hooks: list[Any], coord: Coordinator, grace: float) -> None:
        self.session, self.coord = session, coord
        self._hooks, self._grace, self._stopped = hooks, grace, False

    def should_stop(self) -> bool:
        """Whether a hook or a thread asked for the end."""
        self.coord.raise_requested_exception()
        return self._stopped or self.coord.should_stop()

    def run(self, fetches: Any, feeds: Any, options: Any, metadata: Any) -> Any:
        """One run with what the hooks ask for."""
        if self._stopped:
            raise RuntimeError("Run called even after should_stop requested.")
        context = SessionRunContext(SessionRunArgs(fetches, feeds), self.session)
        wanted: dict[Any, Any] = {"caller": fetches}
        fed: dict[Any, Any] = {}
        for hook in self._hooks:
            asked = hook.before_run(context)
            if asked is not None:
                if asked.fetches is not None:
                    wanted[hook] = asked.fetches
                _join(fed, asked.feed_dict, "Same tensor is fed by two hooks.")
        _join(fed, feeds, "Same tensor is fed by a SessionRunHook and user.")
        try:
            results = self.session.run(wanted, fed or None, options, metadata)
        except _LOST:
            raise
        except Exception:
            self.coord.raise_requested_exception()  # what stopped a thread is the cause
            raise
        for hook in self._hooks:
            hook.after_run(context, SessionRunValues(results.get(hook), options, metadata))
        self._stopped = self._stopped or context.stop_requested
        return results["caller"]

    def close(self) -> None:
        """Stop the threads and free the session."""
        self.coord.request_stop()
        try:
            self.coord.join(stop_grace_period_secs=self._grace, ignore_live_threads=True)
        finally:
            self.session.close()


def _join(fed: dict[Any, Any], more: Any, words: str) -> None:
    both = set(fed) & set(more or ())
    if both:
        raise RuntimeError(f"{words} Conflict(s): {list(both)}")
    fed.update(more or {})


class StepContext:
    """What a function given to ``run_step_fn`` works with."""

    def __init__(self, session: Any, run_with_hooks: Any) -> None:
        self._session, self._run = session, run_with_hooks

    @property
    def session(self) -> Any:
        """The session, without hooks."""
        return self._session

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """A run that the hooks see."""
        return self._run(*args, **kwargs)

    def request_stop(self) -> None:
        """End the loop."""
        raise StopIteration("step_fn has requested the iterations to stop.")


class _MonitoredSession:
    """A session with hooks; a context in which OutOfRangeError ends the loop quietly."""

    StepContext = StepContext
    _recovers = True

    def __init__(
        self, session_creator: SessionCreator | None = None, hooks: Any = None,
        stop_grace_period_secs: float = 120,
    ) -> None:  # fmt: skip
        self._was_finalized = get_default_graph().finalized
        self._hooks, self._grace = list(hooks or []), stop_grace_period_secs
        for hook in self._hooks:
            hook.begin()
        self._creator = session_creator or ChiefSessionCreator()
        self._sess: _Hooked | None = self._created()

    def _created(self) -> _Hooked:
        while True:
            try:
                session = self._creator.create_session()
                coord = Coordinator(clean_stop_exception_types=[])
                if get_default_graph().get_collection(GraphKeys.QUEUE_RUNNERS):
                    start_queue_runners(session, coord)
                for hook in self._hooks:
                    hook.after_create_session(session, coord)
                return _Hooked(session, self._hooks, coord, self._grace)
            except _LOST:
                if not self._recovers:
                    raise

    @property
    def graph(self) -> Any:
        """The graph; None when closed."""
        return None if self._sess is None else self._sess.session.graph

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """One run with its hooks."""
        while True:
            if self._sess is None:
                raise RuntimeError("Session is already closed.")
            try:
                return self._sess.run(fetches, feed_dict, options, run_metadata)
            except _LOST:
                if not self._recovers:
                    raise
                self._sess.close()
                self._sess = self._created()

    def run_step_fn(self, step_fn: Any) -> Any:
        """``step_fn(step_context)``, which may run parts without hooks and parts with them."""
        names = [p for p in inspect.signature(step_fn).parameters if p != "self"]
        if names != ["step_context"]:
            raise ValueError(
                "`step_fn` may either have one `step_context` argument, or `self` and `step_context` "
                f"arguments if it's an instance method. Got {tuple(names)} instead."
            )
        return step_fn(StepContext(self._tf_sess(), self.run))

    def should_stop(self) -> bool:
        """Whether the loop should end."""
        return self._sess is None or self._sess.should_stop()

    def close(self) -> None:
        """Let the hooks end, and free the session."""
        self._close(True)

    def _close(self, well: bool) -> None:
        if self._sess is None:
            raise RuntimeError("Session is already closed.")
        try:
            if well:
                for hook in self._hooks:
                    hook.end(self._sess.session)
        finally:
            try:
                self._sess.close()
            finally:
                self._sess = None
                if not self._was_finalized:
                    get_default_graph()._unsafe_unfinalize()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        ended = kind in (errors.OutOfRangeError, StopIteration)
        if self._sess is not None or not kind:
            self._close(kind is None or ended)
        return ended

    def _is_closed(self) -> bool:
        return self._sess is None

    def _tf_sess(self) -> Any:
        return None if self._sess is None else self._sess.session


class MonitoredSession(_MonitoredSession):
    """A session with hooks, made again after AbortedError and UnavailableError."""


class SingularMonitoredSession(_MonitoredSession):
    """A session with hooks that is made once."""

    _recovers = False

    def __init__(
        self, hooks: Any = None, scaffold: Scaffold | None = None, master: str = "",
        config: Any = None, checkpoint_dir: Any = None, stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: Any = None,
    ) -> None:  # fmt: skip
        creator = ChiefSessionCreator(
            scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path
        )
        super().__init__(creator, hooks, stop_grace_period_secs)

    def raw_session(self) -> Any:
        """The session, without hooks."""
        return self._tf_sess()


def MonitoredTrainingSession(  # noqa: N802  # TensorFlow's name
    master: str = "", is_chief: bool = True, checkpoint_dir: Any = None,
    scaffold: Scaffold | None = None, hooks: Any = None, chief_only_hooks: Any = None,
    save_checkpoint_secs: Any = USE_DEFAULT, save_summaries_steps: Any = USE_DEFAULT,
    save_summaries_secs: Any = USE_DEFAULT, config: Any = None,
    stop_grace_period_secs: float = 120, log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200, save_checkpoint_steps: Any = USE_DEFAULT, summary_dir: Any = None,
) -> MonitoredSession:  # fmt: skip
    """A session for training: it restores, saves, and writes summaries and steps a second."""
    scaffold = scaffold or Scaffold()
    if not is_chief:
        worker = WorkerSessionCreator(scaffold, master, config, max_wait_secs)
        return MonitoredSession(worker, hooks, stop_grace_period_secs)
    creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir)
    all_hooks = list(chief_only_hooks or [])
    folder = summary_dir or checkpoint_dir
    if folder:
        if log_step_count_steps:
            all_hooks.append(StepCounterHook(every_n_steps=log_step_count_steps, output_dir=folder))
        steps, secs = _chosen(save_summaries_steps, save_summaries_secs, 100, None)
        if steps or secs:
            all_hooks.append(SummarySaverHook(steps, secs, folder, scaffold=scaffold))
    if checkpoint_dir:
        steps, secs = _chosen(save_checkpoint_steps, save_checkpoint_secs, None, 600)
        if steps or secs:
            all_hooks.append(CheckpointSaverHook(checkpoint_dir, secs, steps, scaffold=scaffold))
    return MonitoredSession(creator, [*all_hooks, *(hooks or [])], stop_grace_period_secs)


def _chosen(steps: Any, secs: Any, default_steps: Any, default_secs: Any) -> tuple[Any, Any]:
    """Steps or seconds: the defaults hold where neither was given."""
    if steps is USE_DEFAULT and secs is USE_DEFAULT:
        return default_steps, default_secs
    return (None if steps is USE_DEFAULT else steps), (None if secs is USE_DEFAULT else secs)
