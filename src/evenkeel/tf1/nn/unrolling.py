"""Recurrent networks in a ``tf.while_loop``: one set of nodes for as many steps as there are."""

from dataclasses import dataclass
from typing import Any

from evenkeel.tf1 import nest
from evenkeel.tf1.api.arrays import (
    concat,
    identity,
    rank,
    reverse,
    shape,
    stack,
    transpose,
    where,
)
from evenkeel.tf1.api.constants import constant, zeros
from evenkeel.tf1.api.constants import range as numbers
from evenkeel.tf1.api.control import Assert
from evenkeel.tf1.api.loops import while_loop
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.reductions import reduce_all, reduce_max, reduce_min
from evenkeel.tf1.api.sequences import reverse_sequence
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nn.recurrent import check_cell
from evenkeel.tf1.nn.rnn_cell.base import vector
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.tensor_array import TensorArray

__all__ = ["bidirectional_dynamic_rnn", "dynamic_rnn"]


def dynamic_rnn(
    cell: Any, inputs: Any, sequence_length: Any = None, initial_state: Any = None,
    dtype: Any = None, parallel_iterations: int | None = None, swap_memory: bool = False,
    time_major: bool = False, scope: Any = None,
) -> Any:  # fmt: skip
    """The outputs of a cell along the time axis, and the state after the last step.

    Beyond its length a sequence has zeros as outputs, and its state stays.

    Shapes:  inputs [batch, time, depth] ([time, batch, depth] if time_major), outputs alike
    Raises:  TypeError for what is no cell; ValueError for an unknown depth, or without a type for
             the first state
    Source:  TensorFlow 1.15, tf.nn.dynamic_rnn
    """
    check_cell(cell)
    with variable_scope(scope or "rnn"):
        flat = nest.flatten(inputs)
        if not time_major:
            flat = [_turned(t) for t in [convert(x) for x in flat]]
        lengths = None if sequence_length is None else _lengths(sequence_length)
        batch = _batch(flat)
        state = initial_state
        if state is None:
            if not dtype:
                raise ValueError("If there is no initial_state, you must give a dtype.")
            begin = getattr(cell, "get_initial_state", None)
            state = begin(batch_size=batch, dtype=dtype) if begin else cell.zero_state(batch, dtype)
        if lengths is not None:
            lengths = _checked(lengths, batch)
        count = parallel_iterations or 32
        loop = _Loop(cell, inputs, flat, state, lengths, dtype, (count, swap_memory))
        outputs, state = loop.run()
        return (outputs if time_major else nest.map_structure(_turned, outputs)), state


def _turned(x: Tensor) -> Tensor:
    """Batch and time exchanged."""
    if x.shape.ndims is not None and x.shape.ndims < 2:
        return x
    places = rank(x)
    made: Tensor = transpose(x, concat(([1, 0], numbers(2, places)), axis=0))
    if x.shape.ndims is not None:
        batch, time, *rest = x.shape.as_list()
        made.set_shape(TensorShape([time, batch, *rest]))
    return made


def _lengths(given: Any) -> Tensor:
    made = cast(given, "int32")
    if made.shape.ndims not in (None, 1):
        raise ValueError(
            f"sequence_length must be a vector of length batch_size, but saw shape: {made.shape}"
        )
    return identity(made, name="sequence_length")  # type: ignore[no-any-return]


def _checked(lengths: Tensor, batch: Any) -> Tensor:
    """One length for each sequence of the batch, or an error when it runs."""
    found, wanted = shape(lengths), stack([batch])
    text = f"Expected shape for Tensor {lengths.name} is "
    same = reduce_all(apply("Equal", found, wanted))
    check = Assert(same, [text, wanted, " but saw shape: ", found])
    with get_default_graph().control_dependencies([check]):
        return identity(lengths, name="CheckSeqLen")  # type: ignore[no-any-return]


def _batch(flat: list[Tensor]) -> Any:
    """The number of sequences: a number where it is known."""
    for x in flat:
        if x.shape.ndims is not None and x.shape.ndims < 2:
            raise ValueError(f"Expected input tensor {x} to have rank at least 2")
        if x.shape.ndims is not None and x.shape.as_list()[1] is not None:
            return x.shape.as_list()[1]
    return shape(flat[0])[1]


@dataclass
class _Loop:
    """One network under construction."""

    cell: Any
    inputs: Any
    flat: list[Tensor]
    state: Any
    lengths: Tensor | None
    dtype: Any
    options: tuple[int, bool]

    def run(self) -> Any:
        """(outputs [time, batch, depth], the last state)."""
        steps = shape(self.flat[0])[0]
        batch = _batch(self.flat)
        self._check_inputs()
        kind = self.dtype or nest.flatten(self.state)[0].dtype
        sizes = nest.flatten(self.cell.output_size)
        self.zeros = [zeros(concat([vector(batch), vector(s)], 0), kind) for s in sizes]
        last = steps
        if self.lengths is not None:
            reduce_min(self.lengths)  # TensorFlow asks, and does not need it
            last = reduce_max(self.lengths)
        time = constant(0, dtype="int32", name="time")
        with name_scope("dynamic_rnn") as base:
            pass
        known = self.flat[0].shape.as_list()[:2]
        outputs = tuple(
            TensorArray(kind, steps, element_shape=TensorShape([known[1]]).concatenate(as_shape(s)),
                        tensor_array_name=f"{base}output_{i}")
            for i, s in enumerate(sizes)
        )  # fmt: skip
        arrays = [
            TensorArray(x.dtype, steps, element_shape=x.shape[1:],
                        tensor_array_name=f"{base}input_{i}")
            for i, x in enumerate(self.flat)
        ]  # fmt: skip
        self.rows = [array.unstack(x) for array, x in zip(arrays, self.flat, strict=True)]
        bound = apply("Minimum", steps, apply("Maximum", 1, last))
        _, outputs, state = while_loop(
            lambda i, *_: i < bound, self._step, (time, outputs, self.state), None,
            self.options[0], True, self.options[1], maximum_iterations=steps,
        )  # fmt: skip
        return self._whole(outputs, sizes, known), state

    def _check_inputs(self) -> None:
        first, every = self.flat[0].shape.as_list()[:2], "the elements in the input in a batch"
        for x in self.flat:
            if None in x.shape.as_list()[2:]:
                raise ValueError(
                    "Input size (depth of inputs) must be accessible via shape inference, but saw "
                    "value None."
                )
            if x.shape.as_list()[0] != first[0]:
                raise ValueError(f"Time steps is not the same for all {every}.")
            if x.shape.as_list()[1] != first[1]:
                raise ValueError(f"Batch_size is not the same for all {every}.")

    def _step(self, time: Any, arrays: Any, state: Any) -> Any:
        """One turn: a row of the inputs through the cell."""
        rows = [row.read(time) for row in self.rows]
        for row, x in zip(rows, self.flat, strict=True):
            row.set_shape(x.shape[1:])
        given = nest.pack_sequence_as(self.inputs, rows)
        if self.lengths is None:
            output, new = self.cell(given, state)
            flat = nest.flatten(output)
        else:
            flat, new = self._kept(time, given, state)
        pairs = zip(arrays, flat, strict=True)
        written = tuple([array.write(time, value) for array, value in pairs])
        return time + 1, written, new

    def _kept(self, time: Any, given: Any, state: Any) -> Any:
        """Zeros and the state as it was for sequences that are over."""
        over = time >= self.lengths
        output, new = self.cell(given, state)
        nest.assert_same_structure(self.cell.output_size, output)
        nest.assert_same_structure(state, new)
        before = [*self.zeros, *nest.flatten(state)]
        after = [*nest.flatten(output), *nest.flatten(new)]
        made = [
            a if b.shape.ndims == 0 else where(over, b, a)
            for b, a in zip(before, after, strict=True)
        ]
        for tensor, old in zip(made, before, strict=True):
            tensor.set_shape(old.shape)
        count = len(self.zeros)
        return made[:count], nest.pack_sequence_as(state, made[count:])

    def _whole(self, arrays: Any, sizes: list[Any], known: list[Any]) -> Any:
        made = [array.stack() for array in arrays]
        for tensor, size in zip(made, sizes, strict=True):
            if None not in known:
                vector(known)
            vector(size)  # TensorFlow makes them for the static shape, and seeds count nodes
            tensor.set_shape(TensorShape(known).concatenate(as_shape(size)))
        return nest.pack_sequence_as(self.cell.output_size, made)


def bidirectional_dynamic_rnn(
    cell_fw: Any, cell_bw: Any, inputs: Any, sequence_length: Any = None,
    initial_state_fw: Any = None, initial_state_bw: Any = None, dtype: Any = None,
    parallel_iterations: int | None = None, swap_memory: bool = False, time_major: bool = False,
    scope: Any = None,
) -> Any:  # fmt: skip
    """One cell forwards and one backwards along the time axis: ((outputs, outputs), (state, state)).

    Shapes:  inputs [batch, time, depth] ([time, batch, depth] if time_major), outputs alike
    Source:  TensorFlow 1.15, tf.nn.bidirectional_dynamic_rnn
    """
    check_cell(cell_fw)
    check_cell(cell_bw)
    time, batch = (0, 1) if time_major else (1, 0)

    def backwards(x: Any) -> Any:
        if sequence_length is None:
            return reverse(x, [time])
        return reverse_sequence(x, sequence_length, seq_axis=time, batch_axis=batch)

    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as there:
            fw, state_fw = dynamic_rnn(
                cell_fw, inputs, sequence_length, initial_state_fw, dtype, parallel_iterations,
                swap_memory, time_major, there,
            )  # fmt: skip
        with variable_scope("bw") as back:
            turned = nest.map_structure(backwards, inputs)
            bw, state_bw = dynamic_rnn(
                cell_bw, turned, sequence_length, initial_state_bw, dtype, parallel_iterations,
                swap_memory, time_major, back,
            )  # fmt: skip
    return (fw, nest.map_structure(backwards, bw)), (state_fw, state_bw)
