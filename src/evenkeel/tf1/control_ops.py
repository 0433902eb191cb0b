"""Nodes that only order others: groups, tuples, dependencies."""

from contextlib import ExitStack
from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph


def no_op(name: str | None = None) -> Operation:
    """A node that does nothing."""
    return apply("NoOp", name=name)  # type: ignore[no-any-return]


def group(*inputs: Any, name: str | None = None) -> Operation:
    """One node that waits for all of these."""
    with name_scope(name, "group_deps", inputs) as chosen:
        found = [_operation(i) for item in inputs for i in _flat(item)]
        if not found:
            return no_op(name=chosen)
        by_device: dict[str, list[Operation]] = {}
        for op in found:
            by_device.setdefault(op.device, []).append(op)
        if len(by_device) == 1:
            return _group_on(next(iter(by_device)), found, chosen)
        with name_scope(chosen):
            groups = [_group_on(d, by_device[d], None) for d in sorted(by_device)]
            with get_default_graph().control_dependencies(groups):
                return no_op(name=chosen)


def _group_on(device: str, ops: list[Operation], name: str | None) -> Operation:
    graph = get_default_graph()
    with graph.control_dependencies(ops), graph.device(device or None):
        return no_op(name=name)


def _flat(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [v for value in item.values() for v in _flat(value)]
    return [v for value in item for v in _flat(value)] if isinstance(item, list | tuple) else [item]


def _operation(thing: Any) -> Operation:
    if not hasattr(thing, "device"):
        raise TypeError(f"Expected tf.group() expected Tensor objects not None; got {thing!r}")
    return thing if isinstance(thing, Operation) else thing.op


def with_dependencies(dependencies: Any, output: Any, name: str | None = None) -> Any:
    """``output`` as a tensor that waits for ``dependencies``."""
    values = [*dependencies, output]
    graph = get_default_graph()
    with ExitStack() as stack:
        scope = stack.enter_context(name_scope(name, "control_dependency", values))
        stack.enter_context(graph.colocate_with(output))
        with graph.control_dependencies(dependencies):
            tensor = convert(output) if not isinstance(output, IndexedSlices) else output
            return identity_of(tensor, scope)


def identity_of(value: Any, name: str | None = None) -> Any:
    """An Identity node of a tensor, or of every part of IndexedSlices."""
    if isinstance(value, Tensor):
        return apply("Identity", value, name=name)
    parts = [identity_of(value.values, name), identity_of(value.indices, f"{name or ''}indices")]
    return IndexedSlices(parts[0], parts[1], value.dense_shape)
