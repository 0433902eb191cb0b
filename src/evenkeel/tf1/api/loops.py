"""``tf.while_loop``: the nodes of a loop, as TensorFlow makes them."""

from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.contexts import switch_of
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.shapes import as_shape
from evenkeel.tf1.stacks import get_default_graph

__all__ = ["while_loop"]


def while_loop(
    cond: Any,
    body: Any,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:
    """The loop variables after ``body`` ran as long as ``cond`` held."""
    if not loop_vars:
        raise ValueError("No loop variables provided")
    if not callable(cond) or not callable(body):
        raise TypeError("cond and body must be callable.")
    graph = get_default_graph()
    with name_scope(name, "while", loop_vars):
        if maximum_iterations is not None:
            cond, body, loop_vars = _counted(cond, body, loop_vars, maximum_iterations)
        context = WhileContext("while_context", parallel_iterations)
        start = [convert(v) for v in loop_vars]
        graph.add_to_collection(GraphKeys.WHILE_CONTEXT, context)
        before = graph._get_control_flow_context()
        graph._set_control_flow_context(context)
        try:
            exits = _build(context, cond, body, start, shape_invariants)
        finally:
            graph._set_control_flow_context(before)
    if context.outer_context is not None:
        for exit_ in exits:
            context.outer_context.AddName(exit_.name)
    if maximum_iterations is not None:
        exits = exits[1:]
    return exits if len(exits) > 1 or return_same_structure else exits[0]


def _build(context: WhileContext, cond: Any, body: Any, start: list[Any], invariants: Any) -> Any:
    enters = [context.enter(v, constant=False) for v in start]
    for tensor, shape in zip(enters, invariants or (), strict=False):
        tensor._shape = as_shape(shape)
    merges = [apply("Merge", [e, e], name="Merge")[0] for e in enters]
    context.merges, context.pivot_for_pred = merges, merges[0]
    context.pivot = apply("LoopCond", convert(cond(*merges)), name="LoopCond")
    switches = [switch_of(m, context.pivot) for m in merges]
    context.switches = [s[0].op for s in switches]
    inside = [apply("Identity", s[1], name="Identity") for s in switches]
    context.pivot_for_body = inside[0]
    returned = body(*inside)
    flat = list(returned) if isinstance(returned, list | tuple) else [returned]
    if len(flat) != len(start):
        raise ValueError(
            "The number of inputs and outputs of body must match loop_vars: "
            f"{len(start)}, {len(flat)}"
        )
    results = [convert(v) for v in flat]
    for merge, value in zip(merges, results, strict=True):
        following = apply("NextIteration", value, name="NextIteration")
        if not merge.shape.is_compatible_with(following.shape):
            raise ValueError(
                f"The shape for {merge.name} is not an invariant for the loop. It enters the loop "
                f"with shape {merge.shape}, but has shape {following.shape} after one iteration."
            )
        merge.op._update_input(1, following)
    context.exits = [apply("Exit", s[0], name="Exit") for s in switches]
    return context.exits


def _counted(cond: Any, body: Any, loop_vars: Any, limit: Any) -> Any:
    """The loop with a counter before its variables."""
    count = convert(0, name="iteration_counter")
    most = convert(limit, "int32", name="maximum_iterations")

    def goes_on(i: Any, *values: Any) -> Any:
        return apply("LogicalAnd", apply("Less", i, most), cond(*values))

    def step(i: Any, *values: Any) -> Any:
        made = body(*values)
        return [i + 1, *(made if isinstance(made, list | tuple) else [made])]

    return goes_on, step, [count, *loop_vars]
