"""``tf.train.SessionManager``: sessions whose variables have values, from a checkpoint or afresh."""

import time
from typing import Any

from evenkeel.tf1 import errors, logging
from evenkeel.tf1.session import Session
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.checkpoints import get_checkpoint_state


class SessionManager:
    """Makes a session, restores or initializes it, and checks that it is ready."""

    def __init__(
        self, local_init_op: Any = None, ready_op: Any = None, ready_for_local_init_op: Any = None,
        graph: Any = None, recovery_wait_secs: float = 30, local_init_run_options: Any = None,
    ) -> None:  # fmt: skip
        if ready_for_local_init_op is not None and local_init_op is None:
            raise ValueError(
                "If you pass a ready_for_local_init_op you must also pass a local_init_op , "
                f"ready_for_local_init_op [{ready_for_local_init_op}]"
            )
        self._graph = graph or get_default_graph()
        self._local_init_op, self._ready_op = local_init_op, ready_op
        self._ready_for_local, self._wait = ready_for_local_init_op, recovery_wait_secs

    def prepare_session(
        self, master: str, init_op: Any = None, saver: Any = None, checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None, wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200, config: Any = None, init_feed_dict: Any = None,
        init_fn: Any = None,
    ) -> Any:  # fmt: skip
        """A session that is restored where there is a checkpoint, else initialized."""
        session, restored = self._restored(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, config,
            max_wait_secs if wait_for_checkpoint else 0,
        )  # fmt: skip
        if not restored:
            if init_op is None and not init_fn and self._local_init_op is None:
                raise RuntimeError(
                    "Model is not initialized and no init_op or init_fn or local_init_op was given"
                )
            if init_op is not None:
                session.run(init_op, feed_dict=init_feed_dict)
            if init_fn:
                init_fn(session)
        named = f"Init op: {getattr(init_op, 'name', init_op)}, init fn: {init_fn}"
        if problem := self._initialized_locally(session):
            raise RuntimeError(
                "Init operations did not make model ready for local_init.  "
                f"{named}, error: {problem}"
            )
        if problem := _unready(self._ready_op, session, "Model not ready"):
            raise RuntimeError(
                f"Init operations did not make model ready.  {named}, local_init_op: "
                f"{self._local_init_op}, error: {problem}"
            )
        return session

    def recover_session(
        self, master: str, saver: Any = None, checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None, wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200, config: Any = None,
    ) -> tuple[Any, bool]:  # fmt: skip
        """A session, and whether a checkpoint made it ready."""
        session, restored = self._restored(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, config,
            max_wait_secs if wait_for_checkpoint else 0,
        )  # fmt: skip
        problem = self._initialized_locally(session)
        problem = problem or _unready(self._ready_op, session, "Model not ready")
        if restored and problem:
            logging.info("Restoring the model did not make it ready: %s", problem)
        return session, restored and not problem

    def wait_for_session(
        self, master: str, config: Any = None, max_wait_secs: float | None = None
    ) -> Any:
        """A session that is ready; DeadlineExceededError where it does not become so."""
        end = float("inf") if max_wait_secs is None else time.monotonic() + max_wait_secs
        while True:
            session = Session(master, graph=self._graph, config=config)
            problem = self._initialized_locally(session)
            problem = problem or _unready(self._ready_op, session, "Model not ready")
            if not problem:
                return session
            session.close()
            if time.monotonic() + self._wait > end:
                raise errors.DeadlineExceededError(
                    None, None, f"Session was not ready after waiting {max_wait_secs} secs."
                )
            time.sleep(self._wait)

    def _restored(
        self, master: str, saver: Any, folder: Any, path: Any, config: Any, wait: float
    ) -> tuple[Any, bool]:
        session = Session(master, graph=self._graph, config=config)
        if folder and path:
            raise ValueError(
                "Can not provide both checkpoint_dir and checkpoint_filename_with_path."
            )
        if not saver or not (folder or path):
            return session, False
        if path:
            saver.restore(session, path)
            return session, True
        end = time.monotonic() + wait
        while not (state := get_checkpoint_state(folder)) or not state.model_checkpoint_path:
            if time.monotonic() >= end:
                return session, False
            logging.info("Waiting for checkpoint to be available.")
            time.sleep(self._wait)
        saver.restore(session, state.model_checkpoint_path)
        saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return session, True

    def _initialized_locally(self, session: Any) -> str:
        """What is wrong, or nothing."""
        if self._local_init_op is None:
            return ""
        if problem := _unready(self._ready_for_local, session, "Model not ready for local init"):
            return problem
        logging.info("Running local_init_op.")
        session.run(self._local_init_op)
        logging.info("Done running local_init_op.")
        return ""


def _unready(op: Any, session: Any, words: str) -> str:
    """What an operation that lists what is not ready finds; nothing where all is."""
    if op is None:
        return ""
    try:
        found = session.run(op)
    except errors.FailedPreconditionError as error:
        return f"{words}: {error}"
    if found is None or getattr(found, "size", 0) == 0:
        return ""
    return f"Variables not initialized: {', '.join(name.decode() for name in found)}"
