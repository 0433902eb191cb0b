"""Contexts of control flow as messages, and given again to the nodes of an imported graph."""

from typing import Any

from evenkeel.tf1.contexts import CondContext
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.graph_io.scopes import element, under, without
from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.proto import CondContextDef, WhileContextDef

# ---- out


def context_to_proto(context: Any, inner: dict[Any, list[Any]], scope: str | None) -> Any:
    """The message of a context with those inside it; None for one outside of ``scope``."""
    name = without(context.name, scope)
    if name is None:
        return None
    branch = isinstance(context, CondContext)
    made = _cond(context, name, scope) if branch else _while(context, name, scope)
    _fill_values(made.values_def, context, scope)
    for child in inner.get(context, ()):
        nested = context_to_proto(child, inner, scope)
        if nested is not None:
            field = "cond_ctxt" if isinstance(child, CondContext) else "while_ctxt"
            getattr(made.nested_contexts.add(), field).CopyFrom(nested)
    return made


def _cond(context: Any, name: str, scope: str | None) -> Any:
    made = CondContextDef(context_name=name, branch=context.branch)
    made.pred_name = without(context.pred.name, scope) or ""
    made.pivot_name = without(context.pivot.name, scope) or ""
    return made


def _while(context: Any, name: str, scope: str | None) -> Any:
    made = WhileContextDef(
        context_name=name, parallel_iterations=context.parallel_iterations,
        back_prop=context.back_prop, swap_memory=context.swap_memory,
    )  # fmt: skip
    made.pivot_name = without(context.pivot.name, scope) or ""
    made.pivot_for_pred_name = without(context.pivot_for_pred.name, scope) or ""
    if context.pivot_for_body is not None:
        made.pivot_for_body_name = without(context.pivot_for_body.name, scope) or ""
    made.loop_exit_names.extend(without(t.name, scope) or "" for t in context.exits)
    made.loop_enter_names.extend(without(t.name, scope) or "" for t in context.enters)
    if context.maximum_iterations is not None:
        made.maximum_iterations_name = without(context.maximum_iterations.name, scope) or ""
    return made


def _fill_values(values: Any, context: Any, scope: str | None) -> None:
    inside = (without(name, scope) for name in context._values)
    values.values.extend(sorted(name for name in inside if name is not None))
    own = getattr(context, "pivot", None)
    for name, tensor in context._external.items():
        short, there = without(name, scope), without(tensor.name, scope)
        if short is not None and there is not None and tensor is not own:
            values.external_values[short] = there


def inner_contexts(graph: Graph) -> dict[Any, list[Any]]:
    """The contexts right inside each context; under None the outermost."""
    found: dict[Any, dict[Any, None]] = {}
    for op in graph.get_operations():
        context = op._get_control_flow_context()
        while context is not None:
            found.setdefault(context.outer_context, {})[context] = None
            context = context.outer_context
    return {outer: list(inside) for outer, inside in found.items()}


# ---- in


def cond_of_proto(graph: Graph, proto: Any, scope: str | None, outer: Any = None) -> CondContext:
    """A branch, given to its nodes."""
    place = f"the branch {proto.context_name!r}"
    pred = element(graph, proto.pred_name, scope, place)
    pivot = element(graph, proto.pivot_name, scope, place)
    name = under(proto.context_name, scope)
    context = CondContext.restored(name, pred, pivot, proto.branch, outer)
    _restore_values(context, graph, proto.values_def, scope, place)
    _nested(context, graph, proto, scope)
    return context


def while_of_proto(graph: Graph, proto: Any, scope: str | None, outer: Any = None) -> WhileContext:
    """A loop: its nodes have its context already, found by their frame."""
    place = f"the loop {proto.context_name!r}"
    pivot = element(graph, proto.pivot_name, scope, place)
    context = pivot.op._get_control_flow_context()
    if not isinstance(context, WhileContext):
        raise ValueError(f"{place}: {proto.pivot_name!r} is in no loop of the graph")  # noqa: TRY004  # a file's fault
    if outer is not None:
        context.outer_context = outer
    context.back_prop, context.swap_memory = proto.back_prop, proto.swap_memory
    _restore_values(context, graph, proto.values_def, scope, place)
    _nested(context, graph, proto, scope)
    return context


def _restore_values(context: Any, graph: Graph, values: Any, scope: str | None, place: str) -> None:
    # A pivot says whether the branch is taken: it stands before it.
    outside = {under(name, scope) for name in values.external_values} | {context.pivot.name}
    for name, stands in values.external_values.items():
        context._external[under(name, scope)] = element(graph, stands, scope, place)
    for name in values.values:
        full = under(name, scope)
        context._values.add(full)
        op = graph.operations.get(full.rpartition(":")[0])
        if full not in outside and op is not None:
            op._set_control_flow_context(context)


def _nested(context: Any, graph: Graph, proto: Any, scope: str | None) -> None:
    for inner in proto.nested_contexts:
        if inner.WhichOneof("ctxt") == "while_ctxt":
            while_of_proto(graph, inner.while_ctxt, scope, context)
        else:
            cond_of_proto(graph, inner.cond_ctxt, scope, context)


def place_without_outputs(ops: list[Operation]) -> None:
    """Give nodes without outputs, which no list of values has, the context of what they wait for."""
    for op in ops:
        if op.outputs or op._get_control_flow_context() is not None:
            continue
        before = [t.op for t in op.inputs] + op.control_inputs
        around = [c for c in (b._get_control_flow_context() for b in before) if c is not None]
        op._set_control_flow_context(max(around, key=_depth, default=None))


def _depth(context: Any) -> int:
    depth = 0
    while context is not None:
        depth, context = depth + 1, context.outer_context
    return depth
