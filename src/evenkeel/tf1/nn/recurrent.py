"""Recurrent networks, step after step: every step has nodes of its own."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1 import nest
from evenkeel.tf1.api.arrays import (
    concat,
    shape,
    stack,
    unstack,
    where,
)
from evenkeel.tf1.api.control import cond
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.reductions import reduce_max, reduce_min
from evenkeel.tf1.api.sequences import reverse_sequence
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.nn.rnn_cell.base import zeros_of

__all__ = ["static_bidirectional_rnn", "static_rnn"]


class _Lengths:
    """Where sequences end: outputs beyond are zeros, states stay as they were."""

    def __init__(self, lengths: Any, zero: Any) -> None:
        self.each = cast(convert(lengths, name="sequence_length"), "int32")
        if self.each.shape.ndims not in (None, 1):
            raise ValueError("sequence_length must be a vector of length batch_size")
        self.least, self.most = reduce_min(self.each), reduce_max(self.each)
        self.zero = zero

    def step(self, time: int, state: Any, call: Callable[[], Any]) -> Any:
        """What ``call`` gives for sequences that are still going."""
        old = [*nest.flatten(self.zero), *nest.flatten(state)]
        ended = apply("LessEqual", self.each, time)

        def some() -> list[Any]:
            output, new = call()
            nest.assert_same_structure(state, new)
            made = [*nest.flatten(output), *nest.flatten(new)]
            return cond(  # type: ignore[no-any-return]
                apply("Greater", self.least, time),
                lambda: made,
                lambda: [where(ended, o, n) for o, n in zip(old, made, strict=True)],
            )

        found = cond(apply("LessEqual", self.most, time), lambda: old, some)
        for tensor, before in zip(found, old, strict=True):
            tensor.set_shape(before.shape)
        count = len(nest.flatten(self.zero))
        output = nest.pack_sequence_as(self.zero, found[:count])
        return output, nest.pack_sequence_as(state, found[count:])


def static_rnn(
    cell: Any, inputs: Any, initial_state: Any = None, dtype: Any = None,
    sequence_length: Any = None, scope: Any = None,
) -> Any:  # fmt: skip
    """The outputs of a cell for each input of a list, and the state after the last.

    Shapes:  each input [batch, depth]; outputs a list of [batch, cell.output_size]
    Raises:  TypeError for what is no cell or list; ValueError without inputs, or without a type
             for the first state
    Source:  TensorFlow 1.15, tf.nn.static_rnn
    """
    check_cell(cell)
    _check(inputs)
    with variable_scope(scope or "rnn") as opened:
        state, lengths = _begin(cell, inputs, initial_state, dtype, sequence_length)
        outputs = []
        for time, value in enumerate(inputs):
            if time > 0:
                opened.reuse_variables()

            def call(value: Any = value, state: Any = state) -> Any:
                return cell(value, state)

            output, state = call() if lengths is None else lengths.step(time, state, call)
            outputs.append(output)
        return outputs, state


def check_cell(cell: Any) -> None:
    """TypeError for what is no cell."""
    lacking = [
        f"'{name}' property is missing"
        for name in ("output_size", "state_size")
        if not hasattr(type(cell), name) and not hasattr(cell, name)
    ]
    if not hasattr(cell, "zero_state") and not hasattr(cell, "get_initial_state"):
        lacking.append("either 'zero_state' or 'get_initial_state' method is required")
    if not callable(cell):
        lacking.append("is not callable")
    if lacking:
        raise TypeError(f"The argument 'cell' ({cell}) is not an RNNCell: {', '.join(lacking)}.")


def _check(inputs: Any) -> None:
    if not nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")


def _begin(cell: Any, inputs: Any, state: Any, dtype: Any, lengths: Any) -> Any:
    """(the first state, where sequences end or None)."""
    first = nest.flatten(inputs)[0]
    known = first.shape.as_list()[0] if first.shape.ndims else None
    batch = shape(first)[0] if known is None else known
    if state is None and dtype is None:
        raise ValueError("If no initial_state is provided, dtype must be specified")
    if state is None:
        state = cell.zero_state(batch, dtype)
    if lengths is None:
        return state, None
    kind = dtype or nest.flatten(state)[0].dtype
    zero = nest.map_structure(lambda size: zeros_of(batch, size, kind, [known]), cell.output_size)
    return state, _Lengths(lengths, zero)


def static_bidirectional_rnn(
    cell_fw: Any, cell_bw: Any, inputs: Any, initial_state_fw: Any = None,
    initial_state_bw: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None,
) -> Any:  # fmt: skip
    """One cell forwards and one backwards: (outputs side by side, last state of each).

    Shapes:  outputs a list of [batch, cell_fw.output_size + cell_bw.output_size]
    Source:  TensorFlow 1.15, tf.nn.static_bidirectional_rnn
    """
    check_cell(cell_fw)
    check_cell(cell_bw)
    _check(inputs)
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as there:
            fw, state_fw = static_rnn(
                cell_fw, inputs, initial_state_fw, dtype, sequence_length, there
            )
        with variable_scope("bw") as back:
            turned = _reversed(inputs, sequence_length)
            bw, state_bw = static_rnn(
                cell_bw, turned, initial_state_bw, dtype, sequence_length, back
            )
    pairs = zip(fw, _reversed(bw, sequence_length), strict=True)
    outputs = [nest.map_structure(lambda a, b: concat([a, b], 1), one, two) for one, two in pairs]
    return outputs, state_fw, state_bw


def _reversed(steps: Any, lengths: Any) -> list[Any]:
    """Steps in reverse order, each sequence within its own length."""
    if lengths is None:
        return list(reversed(steps))
    joined = reverse_sequence(stack(steps), lengths, seq_axis=0, batch_axis=1)
    turned = unstack(joined)
    for tensor, step in zip(turned, steps, strict=True):
        tensor.set_shape(step.shape)
    return turned  # type: ignore[no-any-return]
