"""``test_util``'s decorators: what would also run eagerly, or under XLA, runs in the graph alone."""

import functools
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.test.case import TestCase as TensorFlowTestCase
from evenkeel.tf1.test.comparisons import Comparisons

__all__ = [
    "IsMklEnabled", "TensorFlowTestCase", "also_run_as_tf_function", "assert_no_garbage_created",
    "assert_no_new_tensors", "build_as_function_and_v1_graph", "deprecated_graph_mode_only",
    "disable_all_xla", "disable_control_flow_v2", "disable_xla", "enable_control_flow_v2",
    "force_gpu", "run_all_in_deprecated_graph_mode_only", "run_all_in_graph_and_eager_modes",
    "run_cuda_only", "run_deprecated_v1", "run_gpu_only", "run_in_graph_and_eager_modes",
    "run_v1_only", "run_v2_only", "skip_if", "use_gpu", "with_control_flow_v2",
]  # fmt: skip
_Test = Callable[..., Any]


def _as_it_is(func: Any = None, *_: Any, **__: Any) -> Any:
    """The test or class, which runs in the graph as it stands."""
    return func


run_deprecated_v1 = deprecated_graph_mode_only = run_all_in_deprecated_graph_mode_only = _as_it_is
enable_control_flow_v2 = with_control_flow_v2 = also_run_as_tf_function = _as_it_is
build_as_function_and_v1_graph = assert_no_garbage_created = _as_it_is


def _explained(description: str) -> Callable[[Any], Any]:
    """A decorator that was given a reason, and has none here to act on."""
    return _as_it_is


run_v1_only = disable_xla = disable_all_xla = disable_control_flow_v2 = _explained


def run_in_graph_and_eager_modes(
    func: Any = None, config: Any = None, use_gpu: bool = True, reset_test: bool = True,
    assert_no_eager_garbage: bool = False,
) -> Any:  # fmt: skip
    """The test inside a session: the graph half, for there is no eager mode."""

    def decorator(test: _Test) -> _Test:
        if isinstance(test, type):
            raise TypeError("`run_in_graph_and_eager_modes` only supports test methods.")

        @functools.wraps(test)
        def decorated(self: Any, *args: Any, **kwargs: Any) -> None:
            with self.test_session(use_gpu=use_gpu, config=config):
                test(self, *args, **kwargs)

        return decorated

    return decorator if func is None else decorator(func)


def run_all_in_graph_and_eager_modes(cls: Any) -> Any:
    """Every test of a class inside a session."""
    for name in unittest.TestLoader().getTestCaseNames(cls):
        if name != "test_session" and not hasattr(Comparisons, name):
            setattr(cls, name, run_in_graph_and_eager_modes(getattr(cls, name)))
    return cls


def _skipping(reason: str, when: Callable[[], bool]) -> Callable[[_Test], _Test]:
    def decorator(test: _Test) -> _Test:
        @functools.wraps(test)
        def decorated(self: Any, *args: Any, **kwargs: Any) -> Any:
            if when():
                self.skipTest(reason)
            return test(self, *args, **kwargs)

        return decorated

    return decorator


def _no_gpu() -> bool:
    from evenkeel.tf1.test import is_gpu_available

    return not is_gpu_available()


def run_v2_only(func: _Test) -> _Test:
    """Skipped: this is TensorFlow 1."""
    return _skipping("Test is only compatible with v2", lambda: True)(func)


def run_gpu_only(func: _Test) -> _Test:
    """Skipped without a GPU."""
    return _skipping("Test requires GPU", _no_gpu)(func)


run_cuda_only = run_gpu_only


def skip_if(condition: Any) -> Callable[[_Test], _Test]:
    """Does nothing where the condition holds."""

    def decorator(test: _Test) -> _Test:
        @functools.wraps(test)
        def decorated(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not (condition() if callable(condition) else condition):
                test(self, *args, **kwargs)

        return decorated

    return decorator


def assert_no_new_tensors(func: _Test) -> _Test:
    """Fails where the test leaves nodes in the default graph."""

    @functools.wraps(func)
    def decorated(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = len(get_default_graph().get_operations())
        result = func(self, *args, **kwargs)
        made = get_default_graph().get_operations()[before:]
        if made:
            self.fail(f"{len(made)} new nodes in the graph: {[op.name for op in made[:10]]}")
        return result

    return decorated


@contextmanager
def use_gpu() -> Iterator[None]:
    """Nothing: sessions compute on the device of the run."""
    yield


force_gpu = use_gpu


def IsMklEnabled() -> bool:
    """Whether TensorFlow was built with MKL: no."""
    return False
