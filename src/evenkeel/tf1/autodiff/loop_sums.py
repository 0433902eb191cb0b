"""The gradient of what every turn of a loop used: the sum of all turns, in a variable of its own."""

from typing import Any

from evenkeel.tf1.autodiff.loop_counters import entering, going_on, leaving
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.contexts import entered, inside, switch_of
from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.shapes import TensorShape


def summed(context: WhileContext, enter: Operation, grad: Any) -> Any:
    """The gradient of what ``enter`` brought in, from the gradients of the turns."""
    if isinstance(grad, IndexedSlices):
        return _rows(context, enter, grad)
    with inside(context.grad_state.called_in):
        start = _zeros(context, enter, grad)
    with inside(context):
        entry = entering(context, start, "b_acc")
        merge = apply("Merge", [entry, entry], name="b_acc")[0]
        switch = switch_of(merge, context.pivot)
        going_on(merge, apply("Add", switch[1], grad))
        return leaving(context, switch[0], "b_acc")


def _zeros(context: WhileContext, enter: Operation, grad: Tensor) -> Any:
    from evenkeel.tf1.api.arrays import shape_of
    from evenkeel.tf1.api.constants import zeros

    outer, around = context.outer_context, context.grad_state.outer
    value = enter.inputs[0]
    if grad.shape.is_fully_defined():
        with entered(outer):
            return constant(0, grad.dtype, grad.shape.as_list(), name="b_acc")
    if not isinstance(outer, WhileContext) or outer.grad_state is None:
        with entered(outer):
            return zeros(shape_of(value, optimize=False), grad.dtype)
    with entered(context.grad_state.forward.outer_context):
        sizes = shape_of(value, optimize=False)
    stack = around.push(sizes)
    with entered(outer):
        return zeros(around.pop(stack, sizes), grad.dtype)


def _rows(context: WhileContext, enter: Operation, grad: IndexedSlices) -> IndexedSlices:
    """Rows of all turns, one after another; the first is of zeros."""
    from evenkeel.tf1.api.arrays import concat

    with inside(context.grad_state.called_in), entered(context.outer_context):
        starts = _first_rows(enter, grad)
    with inside(context):
        entries = [entering(context, s, "b_acc") for s in starts]
        entries[0]._shape = TensorShape([None])
        if (known := starts[1].shape).ndims is not None:
            entries[1]._shape = TensorShape([None, *known.as_list()[1:]])
        merges = [apply("Merge", [e, e], name="b_acc")[0] for e in entries]
        switches = [switch_of(m, context.pivot) for m in merges]
        pairs = zip(switches, (grad.indices, grad.values), strict=False)
        following = [concat([switch[1], new], 0) for switch, new in pairs]
        if grad.dense_shape is not None:
            following.append(apply("Maximum", grad.dense_shape, switches[2][1]))
        made = [apply("NextIteration", f) for f in following]
        for merge, new in zip(merges, made, strict=True):
            merge.op._update_input(1, new)
        exits = [leaving(context, switch[0], "b_acc") for switch in switches]
    return IndexedSlices(exits[1], exits[0], exits[2] if len(exits) > 2 else None)


def _first_rows(enter: Operation, grad: IndexedSlices) -> list[Tensor]:
    from evenkeel.tf1.api.arrays import concat, shape_of
    from evenkeel.tf1.api.constants import zeros, zeros_like

    values, kind = grad.values, grad.values.dtype
    if values.shape.is_fully_defined():
        first = constant(0, kind, [1, *values.shape.as_list()[1:]], name="b_acc")
    else:
        rest = shape_of(enter.inputs[0], optimize=False)[1:]
        first = zeros(concat([[1], rest], 0), kind)
    starts = [constant([0], grad.indices.dtype), first]
    if grad.dense_shape is not None:
        sizes = grad.dense_shape
        if sizes.shape.is_fully_defined():
            starts.append(constant(0, sizes.dtype, sizes.shape.as_list()))
        else:
            kind = sizes.dtype
            asked = shape_of(enter.inputs[0], optimize=False, out_type=kind)
            starts.append(zeros_like(asked, optimize=False))
    return starts
