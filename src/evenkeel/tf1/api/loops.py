"""``tf.while_loop``: the nodes of a loop, as TensorFlow makes them."""

from dataclasses import dataclass
from typing import Any

from evenkeel.tf1 import nest
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.contexts import inside, switch_of
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.loop_context import WhileContext, is_constant_enter
from evenkeel.tf1.nodes import Tensor
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
    """The loop variables after ``body`` ran as long as ``cond`` held.

    Turns run one after the other here: ``parallel_iterations`` and ``swap_memory`` are only noted.
    """
    if not loop_vars:
        raise ValueError("No loop variables provided")
    if not callable(cond) or not callable(body):
        raise TypeError("cond and body must be callable.")
    if parallel_iterations < 1:
        raise TypeError("parallel_iterations must be a positive integer.")
    with name_scope(name, "while", nest.flatten(loop_vars)):
        functions = cond, body
        if maximum_iterations is not None:
            limit = convert(maximum_iterations, name="maximum_iterations")
            functions, loop_vars, shape_invariants = _counted(
                *functions, loop_vars, shape_invariants, limit
            )
        context = WhileContext("while_context", parallel_iterations, back_prop, swap_memory)
        context.maximum_iterations = None if maximum_iterations is None else limit
        if context.outer_context is None:
            get_default_graph().add_to_collection(GraphKeys.WHILE_CONTEXT, context)
        start = [convert(_flow(v)) for v in nest.flatten(loop_vars)]
        with inside(context):
            result = _Loop(context, loop_vars, shape_invariants).build(start, *functions)
    if maximum_iterations is not None:
        return result[1]
    return result[0] if len(start) == 1 and not return_same_structure else result


@dataclass
class _Loop:
    """A loop under construction."""

    context: WhileContext
    loop_vars: Any
    invariants: Any

    def build(self, start: list[Tensor], cond: Any, body: Any) -> Any:
        """All its nodes; what leaves it, in the form of what ``body`` returned."""
        context = self.context
        context.enters = self._enters(start)
        merges = [apply("Merge", [e, e], name="Merge")[0] for e in context.enters]
        context.pivot_for_pred = merges[0]
        context.pivot = apply("LoopCond", convert(cond(*self._packed(merges))), name="LoopCond")
        switches = [switch_of(m, context.pivot) for m in merges]
        into = [apply("Identity", s[1], name="Identity") for s in switches]
        context.pivot_for_body = into[0]
        given = self._packed(into)
        returned = body(*given)
        returned = returned if nest.is_nested(returned) else [returned]
        nest.assert_same_structure(list(given), list(returned))
        results = [convert(_flow(v)) for v in nest.flatten(returned)]
        for merge, value in zip(merges, results, strict=True):
            _go_on(merge, value)
        context.exits = [apply("Exit", s[0], name="Exit") for s in switches]
        if context.outer_context is not None:
            for exit_ in context.exits:
                context.outer_context.AddName(exit_.name)
        return _with_flows(returned, context.exits)

    def _enters(self, start: list[Tensor]) -> list[Tensor]:
        context, outer = self.context, self.context.outer_context
        real = start if outer is None else [outer.AddValue(v) for v in start]
        made = [context.enter(v, constant=False) for v in real]
        pivot = None
        while outer is not None and pivot is None:
            body = outer.pivot if outer.pred is not None else outer.pivot_for_body
            pivot = body if outer.pred is not None or body is not None else outer.pivot_for_pred
            outer = outer.outer_context
        for enter in made:
            if pivot is not None and is_constant_enter(enter.op.inputs[0].op):
                enter.op._add_control_input(pivot.op)
        shapes = [] if self.invariants is None else _shapes(self.loop_vars, self.invariants)
        for tensor, shape in zip(made, shapes, strict=False):
            tensor._shape = as_shape(shape)
        return made

    def _packed(self, values: list[Tensor]) -> Any:
        return _with_flows(self.loop_vars, values)


def _flow(value: Any) -> Any:
    """What goes through a loop for a value: of a TensorArray its flow."""
    return getattr(value, "flow", value)


def _with_flows(structure: Any, flows: list[Any]) -> Any:
    """The flows in the form of a structure; TensorArrays with theirs."""
    pairs = zip(nest.flatten(structure), flows, strict=True)
    made = [v.with_flow(f) if hasattr(v, "with_flow") else f for v, f in pairs]
    return nest.pack_sequence_as(structure, made)


def _shapes(structure: Any, invariants: Any) -> list[Any]:
    """One shape for each variable: a list of sizes is one thing."""
    if not nest.is_nested(structure):
        return [invariants]
    pairs = zip(structure, invariants, strict=True)
    return [shape for part, given in pairs for shape in _shapes(part, given)]


def _go_on(merge: Tensor, value: Tensor) -> None:
    following = apply("NextIteration", value, name="NextIteration")
    if not merge.shape.is_compatible_with(following.shape) or _is_wider(following, merge):
        raise ValueError(
            f"The shape for {merge.name} is not an invariant for the loop. It enters the loop "
            f"with shape {merge.shape}, but has shape {following.shape} after one iteration."
        )
    merge.op._update_input(1, following)


def _is_wider(value: Tensor, than: Tensor) -> bool:
    """Whether a size that is known of ``than`` is not of ``value``."""
    known, found = than.shape, value.shape
    if known.ndims is None:
        return False
    if found.ndims is None:
        return True
    pairs = zip(known.as_list(), found.as_list(), strict=True)
    return any(a is not None and b is None for a, b in pairs)


def _counted(cond: Any, body: Any, loop_vars: Any, shapes: Any, limit: Tensor) -> Any:
    """The loop with a counter before its variables: ((cond, body), variables, shapes)."""
    count = convert(0, limit.dtype, name="iteration_counter")
    one = len(loop_vars) == 1
    inner = loop_vars[0] if one else loop_vars

    def goes_on(i: Any, values: Any) -> Any:
        return apply("LogicalAnd", i < limit, cond(values) if one else cond(*values))

    def step(i: Any, values: Any) -> Any:
        return i + 1, body(values) if one else body(*values)

    wanted = None if shapes is None else [[], shapes[0] if one else shapes]
    return (goes_on, step), (count, inner), wanted
