"""TFLearn's data flow, whose batches are read while another thread shuffles what they point to.

One thread of ``FeedDictFlow`` shuffles the array of sample numbers in place, another slices inputs
and then targets by views of that array: with both between, samples get other samples' targets. It
depends on when threads are interrupted, so it happens under TensorFlow too, less often.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from evenkeel.tf1.program.lent import asked_first

_MODULE = "tflearn.data_flow"
_EXCLUSIVE = ("retrieve_data", "shuffle_samples")


class _Watch(MetaPathFinder):
    """Finds TFLearn's data flow where Python would, and changes its class once it is there."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == _MODULE else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._stack.enter_context(_exclusive(module.FeedDictFlow))

            vars(spec.loader)["exec_module"] = exec_module
        return spec


def whole_batches() -> AbstractContextManager[None]:
    """Inside, TFLearn shuffles between batches, never within one."""
    return asked_first(_Watch)


@contextmanager
def _exclusive(flow: type) -> Iterator[None]:
    """Inside, one thread at a time reads a batch or shuffles."""
    lock = threading.Lock()
    before = {name: vars(flow)[name] for name in _EXCLUSIVE}
    for name, method in before.items():
        setattr(flow, name, _locked(method, lock))
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(flow, name, method)


def _locked(method: Callable[..., Any], lock: threading.Lock) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return method(*args, **kwargs)

    return locked
