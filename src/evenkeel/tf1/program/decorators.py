"""``tensorflow.python.util``'s ``tf_contextlib``, ``tf_decorator`` and ``tf_export``: decorators."""

from collections.abc import Callable
from contextlib import contextmanager
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from typing import Any

__all__ = [
    "contextmanager", "estimator_export", "keras_export", "make_decorator", "tf_export", "unwrap",
]  # fmt: skip
_DOC = tuple(name for name in WRAPPER_ASSIGNMENTS if name != "__doc__")


def make_decorator(
    target: Any, decorator_func: Any, decorator_name: str | None = None,
    decorator_doc: str = "", decorator_argspec: Any = None,
) -> Any:  # fmt: skip
    """``decorator_func`` with the name, text and signature of what it stands for.

    >>> make_decorator(len, lambda *given: 1).__name__
    'len'
    """
    made = update_wrapper(decorator_func, target, assigned=_DOC)
    made.__doc__ = decorator_doc or getattr(target, "__doc__", None)
    return made


def unwrap(maybe_decorated: Any) -> tuple[list[Any], Any]:
    """(the decorated functions from the outside in, the function inside).

    >>> unwrap(len)
    ([], <built-in function len>)
    """
    outside = []
    while hasattr(maybe_decorated, "__wrapped__"):
        outside.append(maybe_decorated)
        maybe_decorated = maybe_decorated.__wrapped__
    return outside, maybe_decorated


class tf_export:  # noqa: N801  # TensorFlow's name
    """Marks a function as public: returns it as it is."""

    def __init__(self, *names: str, **where: Any) -> None:
        self.names = names

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function."""
        return function


keras_export = estimator_export = tf_export
