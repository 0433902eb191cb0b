"""``tf.train.QueueRunner``: threads that fill a queue."""

import threading
import weakref
from typing import Any

from evenkeel.tf1 import errors, logging
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import default_session, get_default_graph


class QueueRunner:
    """Runs each of some enqueue operations again and again, on a thread of its own."""

    def __init__(
        self, queue: Any = None, enqueue_ops: Any = None, close_op: Any = None,
        cancel_op: Any = None, queue_closed_exception_types: Any = None,
        queue_runner_def: Any = None, import_scope: str | None = None,
    ) -> None:  # fmt: skip
        if queue_runner_def is not None:
            if queue or enqueue_ops:
                raise ValueError("queue_runner_def and queue are mutually exclusive.")
            self._adopt(queue_runner_def, import_scope)
        else:
            if not queue or not enqueue_ops:
                raise ValueError("Must provide queue and enqueue_ops.")
            self._queue, self._enqueue_ops = queue, list(enqueue_ops)
            self._close_op = queue.close() if close_op is None else close_op
            self._cancel_op = (
                queue.close(cancel_pending_enqueues=True) if cancel_op is None else cancel_op
            )
            self._ends = _checked(queue_closed_exception_types)
        self._lock = threading.Lock()
        self._running: Any = weakref.WeakKeyDictionary()
        self._raised: list[BaseException] = []

    def _adopt(self, proto: Any, scope: str | None) -> None:
        graph, before = get_default_graph(), f"{scope}/" if scope else ""
        self._queue = graph.as_graph_element(before + proto.queue_name)
        self._enqueue_ops = [graph.as_graph_element(before + n) for n in proto.enqueue_op_name]
        self._close_op = graph.as_graph_element(before + proto.close_op_name)
        self._cancel_op = graph.as_graph_element(before + proto.cancel_op_name)
        codes = proto.queue_closed_exception_types
        self._ends = tuple(map(errors.exception_type_from_error_code, codes)) or _ENDED

    @property
    def queue(self) -> Any:
        """The queue."""
        return self._queue

    @property
    def enqueue_ops(self) -> list[Any]:
        """What fills it."""
        return self._enqueue_ops

    @property
    def close_op(self) -> Any:
        """What closes it at the end of the input."""
        return self._close_op

    @property
    def cancel_op(self) -> Any:
        """What closes it when everything stops."""
        return self._cancel_op

    @property
    def queue_closed_exception_types(self) -> tuple[type[errors.OpError], ...]:
        """The errors that are an end."""
        return self._ends

    @property
    def exceptions_raised(self) -> list[BaseException]:
        """What went wrong in threads without a coordinator."""
        return self._raised

    @property
    def name(self) -> str:
        """The name of the queue."""
        return str(self._queue.name)

    def create_threads(
        self, sess: Any, coord: Any = None, daemon: bool = False, start: bool = False
    ) -> list[threading.Thread]:
        """The threads for a session; none where they run already."""
        with self._lock:
            if self._running.get(sess, 0) > 0:
                return []
            self._running[sess] = len(self._enqueue_ops)
            self._raised = []
        threads = [
            threading.Thread(
                target=self._run, args=(sess, op, coord), daemon=daemon,
                name=f"QueueRunnerThread-{self.name}-{op.name}",
            )
            for op in self._enqueue_ops
        ]  # fmt: skip
        if coord:
            name = f"QueueRunnerThread-{self.name}-close_on_stop"
            args = (sess, coord)
            threads.append(
                threading.Thread(target=self._close_on_stop, args=args, daemon=daemon, name=name)
            )
        for thread in threads:
            if coord:
                coord.register_thread(thread)
            if start:
                thread.start()
        return threads

    def _run(self, session: Any, op: Any, coord: Any) -> None:
        try:
            while not (coord and coord.should_stop()):
                self._fill(session, op)
        except self._ends:
            with self._lock:
                last = self._running[session] == 1
            if last:
                _quietly(session, self._close_op)
        except Exception as error:  # noqa: BLE001  # it is raised by the coordinator, or kept
            if coord:
                coord.request_stop(error)
            else:
                logging.error("Exception in QueueRunner: %s", error)
                self._raised.append(error)
        finally:
            with self._lock:
                self._running[session] -= 1

    def _fill(self, session: Any, op: Any) -> None:
        session.run(op)

    def _close_on_stop(self, session: Any, coord: Any) -> None:
        coord.wait_for_stop()
        _quietly(session, self._cancel_op)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """A QueueRunnerDef; None for a queue outside the scope."""
        from evenkeel.tf1.proto import QueueRunnerDef

        before = f"{export_scope}/" if export_scope else ""
        if not self.name.startswith(before):
            return None
        return QueueRunnerDef(
            queue_name=self.name.removeprefix(before),
            enqueue_op_name=[op.name.removeprefix(before) for op in self._enqueue_ops],
            close_op_name=self._close_op.name.removeprefix(before),
            cancel_op_name=self._cancel_op.name.removeprefix(before),
            queue_closed_exception_types=[e.code for e in self._ends],
        )

    @staticmethod
    def from_proto(queue_runner_def: Any, import_scope: str | None = None) -> "QueueRunner":
        """The runner that a QueueRunnerDef describes, in the default graph."""
        return QueueRunner(queue_runner_def=queue_runner_def, import_scope=import_scope)


_ENDED = (errors.OutOfRangeError,)


def _checked(kinds: Any) -> tuple[type[errors.OpError], ...]:
    if kinds is None:
        return _ENDED
    listed = kinds if isinstance(kinds, tuple) else ()
    if not listed or not all(issubclass(k, errors.OpError) for k in listed):
        raise TypeError(
            "queue_closed_exception_types, when provided, must be a tuple of tf.error types, but saw: "
            f"{kinds}"
        )
    return listed


def _quietly(session: Any, op: Any) -> None:
    """Close a queue; a session that is closed already needs no closing."""
    try:
        session.run(op)
    except Exception as error:  # noqa: BLE001  # said to nobody: the thread ends anyway
        logging.vlog(1, "Ignored exception: %s", error)


def add_queue_runner(qr: QueueRunner, collection: str = GraphKeys.QUEUE_RUNNERS) -> None:
    """``start_queue_runners`` starts this runner too."""
    get_default_graph().add_to_collection(collection, qr)


def start_queue_runners(
    sess: Any = None, coord: Any = None, daemon: bool = True, start: bool = True,
    collection: str = GraphKeys.QUEUE_RUNNERS,
) -> list[threading.Thread]:  # fmt: skip
    """The threads of every queue runner of the graph, started."""
    session = default_session() if sess is None else sess
    if session is None:
        raise ValueError(
            "Cannot start queue runners: No default session is registered. Use `with "
            "sess.as_default()` or pass an explicit session to tf.start_queue_runners(sess=sess)"
        )
    session = session._tf_sess() if hasattr(session, "_tf_sess") else session
    runners = session.graph.get_collection(collection)
    return [
        thread
        for runner in runners
        for thread in runner.create_threads(session, coord=coord, daemon=daemon, start=start)
    ]
