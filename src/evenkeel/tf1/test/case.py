"""The test case: a new graph and the same seeds for every test, and sessions."""

import random
import shutil
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.tf1 import errors, nest, stacks
from evenkeel.tf1.session import Session
from evenkeel.tf1.test.comparisons import Comparisons

SEED = 87654321  # TensorFlow's own


class TestCase(Comparisons, unittest.TestCase):
    """A test case with a graph of its own for each test.

    Seeds of Python, NumPy and the graph are TensorFlow's. ``use_gpu`` and ``force_gpu`` are taken
    and have no meaning: sessions compute on the device of the run.
    """

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._cached: tuple[Any, Any] | None = None
        self._folder: str | None = None

    def setUp(self) -> None:
        """A new default graph, and the seeds."""
        super().setUp()
        self._forget()
        random.seed(SEED)
        np.random.seed(SEED)  # programs of this age draw from NumPy's global state
        stacks.reset_default_graph()
        stacks.get_default_graph().seed = SEED

    def tearDown(self) -> None:
        """Close the session of ``cached_session``."""
        self._forget()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        super().tearDown()

    def _forget(self) -> None:
        if self._cached is not None:
            self._cached[0].close()
            self._cached = None

    def get_temp_dir(self) -> str:
        """A folder for what this test writes; it goes with the test."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix=f"{Path(self.id()).name}_")
        return self._folder

    @contextmanager
    def session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Any]:
        """A new session, the default inside, with its graph the default."""
        with Session(graph=graph, config=config) as session:
            yield session

    @contextmanager
    def cached_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Any]:
        """The one session of this test: its variables last until the test ends."""
        if self._cached is None:
            self._cached = (Session(graph=graph, config=config), graph)
        session, first = self._cached
        if first is not graph:
            raise ValueError(
                "The graph used to get the cached session is different than the one that was used "
                "to create the session. Maybe create a new session with self.session()"
            )
        with session.graph.as_default(), session.as_default():
            yield session

    def test_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Any:
        """``cached_session`` without a graph, ``session`` with one."""
        if self.id().endswith(".test_session"):  # loaders take its name for a test's
            self.skipTest("Not a test.")
        sessions = self.cached_session if graph is None else self.session
        return sessions(graph, config, use_gpu, force_gpu)

    def evaluate(self, tensors: Any) -> Any:
        """The values, in the form that the tensors were given."""
        session = stacks.default_session()
        if session is None:
            with self.test_session() as session:
                return self._values(session, tensors)
        return self._values(session, tensors)

    def _values(self, session: Any, tensors: Any) -> Any:
        flat = nest.flatten(tensors)
        wanted = [t for t in flat if hasattr(t, "graph")]
        found = iter(session.run(wanted) if wanted else [])
        return nest.pack_sequence_as(
            tensors, [next(found) if hasattr(t, "graph") else t for t in flat]
        )

    def assertRaisesWithPredicateMatch(self, exception_type: Any, predicate: Any) -> Any:
        """An exception of a type whose text the predicate (a function or a pattern) accepts."""
        return _Raises(self, exception_type, predicate)

    def assertRaisesOpError(self, expected_err_re_or_predicate: Any) -> Any:
        """An error of ``tf.errors`` whose text the predicate or the pattern accepts."""
        return _Raises(self, errors.OpError, expected_err_re_or_predicate)

    def checkedThread(self, target: Any, args: Any = None, kwargs: Any = None) -> "CheckedThread":
        """A thread whose failure fails the test at ``join``."""
        return CheckedThread(self, target, args or (), kwargs or {})


class _Raises:
    """What ``with self.assertRaisesOpError(...)`` enters."""

    def __init__(self, case: TestCase, kind: Any, predicate: Any) -> None:
        self._case, self._kind = case, kind
        self._inner: Any = None
        self._accepts: Callable[[str], Any] | str = predicate

    def __enter__(self) -> "_Raises":
        self._inner = self._case.assertRaises(self._kind)
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: Any) -> bool:
        if not self._inner.__exit__(*raised):
            return False
        error = self._inner.exception
        if callable(self._accepts):
            self._case.assertTrue(self._accepts(error), f"unexpected exception: {error!r}")
        else:
            self._case.assertRegex(str(error), self._accepts)
        return True


class CheckedThread:
    """A thread; what it raised is a failure of the test."""

    def __init__(self, case: TestCase, target: Any, args: Any, kwargs: Any) -> None:
        self._case, self._error = case, None
        self._thread = threading.Thread(target=self._run, args=(target, args, kwargs))

    def _run(self, target: Any, args: Any, kwargs: Any) -> None:
        try:
            target(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # whatever it is, it fails the test
            self._error = error  # type: ignore[assignment]

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()
        if self._error is not None:
            self._case.fail(f"Error in checkedThread: {self._error}")

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()
