"""``arg_scope``: arguments for every call of some functions inside a block."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_stack: list[dict[str, dict[str, Any]]] = [{}]
_known: dict[str, tuple[str, ...]] = {}


def key_of(function: Any) -> str:
    """Under which key the arguments of a function are kept."""
    return getattr(function, "_key_op", None) or f"{function.__module__}.{function.__name__}"


def add_arg_scope(function: Any) -> Any:
    """Let ``arg_scope`` give arguments to a function."""
    key = key_of(function)

    @functools.wraps(function)
    def scoped(*args: Any, **kwargs: Any) -> Any:
        given = _stack[-1].get(key)
        return function(*args, **({**given, **kwargs} if given else kwargs))

    scoped._key_op = key  # type: ignore[attr-defined]
    code = getattr(function, "__code__", None)
    count = code.co_argcount if code else 0
    defaults = len(function.__defaults__ or ()) if code else 0
    _known[key] = code.co_varnames[count - defaults : count] if code else ()
    return scoped


@contextmanager
def arg_scope(list_ops_or_scope: Any, **kwargs: Any) -> Iterator[dict[str, dict[str, Any]]]:
    """These functions take these arguments inside, unless a call gives its own."""
    if isinstance(list_ops_or_scope, dict):
        if kwargs:
            raise ValueError(
                "When attempting to re-use a scope by suppling a dictionary, kwargs must be empty."
            )
        current = dict(list_ops_or_scope)
    else:
        if not isinstance(list_ops_or_scope, list | tuple):
            raise TypeError(
                "list_ops_or_scope must either be a list/tuple or reused scope (i.e. dict)"
            )
        current = dict(_stack[-1])
        for function in list_ops_or_scope:
            key = key_of(function)
            if key not in _known:
                raise ValueError(f"{key} is not decorated with @add_arg_scope")
            current[key] = {**current.get(key, {}), **kwargs}
    _stack.append(current)
    try:
        yield current
    finally:
        _stack.pop()


def has_arg_scope(function: Any) -> bool:
    """Whether ``arg_scope`` can give arguments to a function."""
    return key_of(function) in _known


def arg_scoped_arguments(function: Any) -> tuple[str, ...]:
    """The arguments that ``arg_scope`` can give to a function."""
    return _known[key_of(function)]


def current_arg_scope() -> dict[str, dict[str, Any]]:
    """The arguments that hold now."""
    return _stack[-1]
