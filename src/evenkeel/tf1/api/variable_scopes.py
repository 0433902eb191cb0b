"""``tf.variable_scope`` and ``tf.get_variable``: names of variables, and what they inherit."""

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from evenkeel.tf1.build import name_scope
from evenkeel.tf1.dtypes import as_dtype, float32
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.variable_store import AUTO_REUSE, default_store

__all__ = [
    "AUTO_REUSE", "VariableScope", "get_local_variable", "get_variable", "get_variable_scope",
    "no_regularizer", "variable_op_scope", "variable_scope",
]  # fmt: skip
_KEY = ("__varscope",)
_INHERITED = ("initializer", "regularizer", "caching_device", "partitioner", "dtype", "constraint")


class VariableScope:
    """What ``get_variable`` takes from the scopes around it."""

    def __init__(
        self, reuse: Any = False, name: str = "", name_scope: str = "", **kept: Any
    ) -> None:
        self.name, self.reuse = name, reuse
        self.original_name_scope = name_scope
        self.custom_getter = kept.pop("custom_getter", None)
        self.use_resource = kept.pop("use_resource", None)
        self.dtype: Any = float32
        for key in _INHERITED:
            setattr(self, key, kept.get(key, float32 if key == "dtype" else None))

    def reuse_variables(self) -> None:
        """From now on take variables that exist."""
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """The initializer of variables that name none."""
        self.initializer = initializer

    def set_regularizer(self, regularizer: Any) -> None:
        """The regularizer of variables that name none."""
        self.regularizer = regularizer

    def set_dtype(self, dtype: Any) -> None:
        """The element type of variables that name none."""
        self.dtype = as_dtype(dtype)

    def set_custom_getter(self, custom_getter: Any) -> None:
        """The function through which variables are got."""
        self.custom_getter = custom_getter

    def global_variables(self) -> list[Any]:
        """The global variables of this scope."""
        return get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, self.name + "/")

    def trainable_variables(self) -> list[Any]:
        """The trainable variables of this scope."""
        return get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, self.name + "/")

    def copied(self, **changes: Any) -> "VariableScope":
        """A scope like this one but for what is given."""
        made = VariableScope(self.reuse, self.name, self.original_name_scope)
        made.__dict__.update(self.__dict__ | {k: v for k, v in changes.items() if v is not None})
        return made

    def get_variable(self, name: str, **wanted: Any) -> Any:
        """The variable of this name in this scope."""
        full = f"{self.name}/{name}" if self.name else name
        given = {k: v for k, v in wanted.items() if v is not None}
        for key in ("initializer", "regularizer", "caching_device", "constraint", "partitioner"):
            if getattr(self, key, None) is not None:
                given.setdefault(key, getattr(self, key))
        given.setdefault("dtype", self.dtype)
        given.setdefault("shape", None)
        getter = given.pop("custom_getter", None) or self.custom_getter
        if given.get("regularizer") is no_regularizer:
            given["regularizer"] = None
        if self.reuse is True or "reuse" not in given:
            given["reuse"] = self.reuse
        with name_scope(None):
            return default_store().get(full, getter, **given)


class _Scopes:
    """The current scope of a graph, and how often each name was opened."""

    def __init__(self) -> None:
        self.current = VariableScope()
        self.counts: dict[str, int] = {}

    def opened(self, name: str) -> None:
        """Note that a scope was opened."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def close_below(self, name: str) -> None:
        """Count anew what is opened inside ``name``."""
        for key in list(self.counts):
            if key.startswith(name + "/"):
                self.counts[key] = 0

    def unique(self, prefix: str) -> str:
        """``prefix``, numbered where it was opened before."""
        base = f"{self.current.name}/{prefix}" if self.current.name else prefix
        if not self.counts.get(base):
            return prefix
        index = 1
        while self.counts.get(f"{base}_{index}"):
            index += 1
        return f"{prefix}_{index}"


def _scopes() -> _Scopes:
    kept = get_default_graph().get_collection_ref(_KEY)
    if not kept:
        kept.append(_Scopes())
    return kept[0]  # type: ignore[no-any-return]


def get_variable_scope() -> VariableScope:
    """The current scope."""
    return _scopes().current


@contextmanager
def _pure(
    name_or_scope: Any, old_name_scope: str | None, reuse: Any, changes: dict[str, Any]
) -> Iterator[VariableScope]:
    """The variable side of a scope; names of operations are not touched."""
    scopes = _scopes()
    before, counts = scopes.current, dict(scopes.counts)
    getter = changes.pop("custom_getter", None)
    if isinstance(name_or_scope, VariableScope):
        full = name_or_scope.name
        made = name_or_scope.copied(**changes)
        made.reuse = (name_or_scope.reuse if reuse is None else reuse) or before.reuse
    else:
        full = f"{before.name}/{name_or_scope}" if before.name else name_or_scope
        made = before.copied(**changes)
        made.reuse = reuse or before.reuse
    made.name = full
    made.original_name_scope = old_name_scope or full
    made.custom_getter = _wrapped(getter, made.custom_getter)
    scopes.opened(full)
    scopes.current = made
    try:
        yield made
    finally:
        scopes.current = before
        scopes.close_below(full)
        if isinstance(name_or_scope, VariableScope):
            scopes.counts = counts


def _wrapped(getter: Any, outer: Any) -> Any:
    if getter is None or outer is None:
        return getter or outer
    return lambda true_getter, *args, **kwargs: getter(
        functools.partial(outer, true_getter), *args, **kwargs
    )


@contextmanager
def variable_scope(
    name_or_scope: Any,
    default_name: str | None = None,
    values: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    reuse: Any = None,
    dtype: Any = None,
    use_resource: Any = None,
    constraint: Any = None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:
    """Variables made inside are named ``scope/name`` and inherit what is given here."""
    _check(name_or_scope, default_name, reuse)
    changes = {
        "initializer": initializer, "regularizer": regularizer, "caching_device": caching_device,
        "partitioner": partitioner, "custom_getter": custom_getter, "use_resource": use_resource,
        "dtype": None if dtype is None else as_dtype(dtype), "constraint": constraint,
    }  # fmt: skip
    with ExitStack() as stack:
        own: str | None = None
        wanted = _node_scope(name_or_scope, default_name)
        if wanted and auxiliary_name_scope:
            own = stack.enter_context(name_scope(wanted, values=values))
        elif not auxiliary_name_scope:
            own = get_default_graph().get_name_scope()
        if isinstance(name_or_scope, VariableScope):
            own = name_or_scope.original_name_scope
        target = _scopes().unique(str(default_name)) if name_or_scope is None else name_or_scope
        yield stack.enter_context(_pure(target, own, reuse, changes))


def _check(name_or_scope: Any, default_name: str | None, reuse: Any) -> None:
    if default_name is None and name_or_scope is None:
        raise TypeError("If default_name is None then name_or_scope is required")
    if not isinstance(name_or_scope, str | VariableScope | None):
        raise TypeError("VariableScope: name_or_scope must be a string or VariableScope.")
    if name_or_scope is None and reuse:
        raise ValueError("reuse=True cannot be used without a name_or_scope")


def _node_scope(name_or_scope: Any, default_name: str | None) -> str | None:
    if name_or_scope is None:
        return default_name
    if isinstance(name_or_scope, str):
        return name_or_scope
    return str(name_or_scope.name).split("/")[-1]


def variable_op_scope(
    values: Any, name_or_scope: Any, default_name: Any = None, *args: Any, **kwargs: Any
) -> Any:
    """``variable_scope`` in its older order of arguments."""
    return variable_scope(name_or_scope, default_name, values, *args, **kwargs)


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: Any = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: Any = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """The variable of this name in the current scope: taken or made, as ``reuse`` says.

    A variable is a reference with ``use_resource`` too: its values are the same, its nodes are not.
    """
    return get_variable_scope().get_variable(
        name, shape=shape, dtype=dtype, initializer=initializer, regularizer=regularizer,
        trainable=trainable, collections=collections, caching_device=caching_device,
        validate_shape=validate_shape, custom_getter=custom_getter, constraint=constraint,
        partitioner=partitioner,
    )  # fmt: skip


def get_local_variable(name: str, *args: Any, **kwargs: Any) -> Any:
    """A variable that is neither trained nor saved."""
    keys = kwargs.pop("collections", None) or []
    kwargs |= {"trainable": False, "collections": [*keys, GraphKeys.LOCAL_VARIABLES]}
    return get_variable(name, *args, **kwargs)


def no_regularizer(_: Any) -> None:
    """Keeps the scope's regularizer away."""
