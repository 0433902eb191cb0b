"""Cells made of cells: stacked, with dropout, with a residual."""

import hashlib
from typing import Any

from evenkeel.tf1 import nest
from evenkeel.tf1.api.arrays import concat, split
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.nn.activations import dropout
from evenkeel.tf1.nn.rnn_cell.base import RNNCell
from evenkeel.tf1.nn.rnn_cell.cells import LSTMStateTuple


class MultiRNNCell(RNNCell):
    """Cells one after the other; the state is a tuple with one state a cell.

    Source:  TensorFlow 1.15, tf.nn.rnn_cell.MultiRNNCell
    """

    def __init__(self, cells: Any, state_is_tuple: bool = True) -> None:
        super().__init__()
        if not nest.is_nested(cells) or not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell, as a list.")
        self._cells, self._is_tuple = list(cells), state_is_tuple

    @property
    def state_size(self) -> Any:
        """One size a cell, or their sum."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """That of the last cell."""
        return self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """One state a cell."""
        if not self._is_tuple:
            return super().zero_state(batch_size, dtype)
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def call(self, inputs: Any, state: Any) -> Any:  # type: ignore[override]
        """(output of the last, new states)."""
        if not self._is_tuple:
            state = split(state, [cell.state_size for cell in self._cells], 1)
        states = []
        for number, (cell, before) in enumerate(zip(self._cells, state, strict=True)):
            with variable_scope(f"cell_{number}"):
                inputs, after = cell(inputs, before)
            states.append(after)
        return inputs, tuple(states) if self._is_tuple else concat(states, 1)


class _Wrapper(RNNCell):
    """A cell around a cell: sizes and states are the inner one's."""

    def __init__(self, cell: Any) -> None:
        super().__init__()
        self._cell = cell

    @property
    def state_size(self) -> Any:
        """The inner cell's."""
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        """The inner cell's."""
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """The inner cell's."""
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            return self._cell.zero_state(batch_size, dtype)


class DropoutWrapper(_Wrapper):
    """Dropout on inputs, outputs and states, a new mask a step; ``c`` of an LSTM is kept whole.

    Source:  TensorFlow 1.15, tf.nn.rnn_cell.DropoutWrapper without variational_recurrent
    """

    def __init__(
        self, cell: Any, input_keep_prob: Any = 1.0, output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0, variational_recurrent: bool = False, input_size: Any = None,
        dtype: Any = None, seed: int | None = None, dropout_state_filter_visitor: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(cell)
        if variational_recurrent or dropout_state_filter_visitor is not None:
            raise NotImplementedError(
                "DropoutWrapper takes no variational_recurrent and no filter of states here"
            )
        with name_scope("DropoutWrapperInit"):
            probabilities = (input_keep_prob, state_keep_prob, output_keep_prob)
            self._input, self._state, self._output = map(_keep, probabilities)
        self._seed = seed

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """(output, new state)."""
        dropped = self._dropped(inputs, self._input, "input")
        output, new = self._cell(dropped, state, scope=scope)
        if not _is_one(self._state):
            new = self._dropped_state(new)
        return self._dropped(output, self._output, "output"), new

    def _dropped_state(self, state: Any) -> Any:
        kept = [part is None for part in _memories(state)]
        return nest.pack_sequence_as(state, self._dropped(state, self._state, "state", kept))

    def _dropped(self, values: Any, keep: Any, salt: str, kept: Any = None) -> Any:
        if _is_one(keep):
            return values
        flat = nest.flatten(values)
        whole = kept or [False] * len(flat)
        made = [
            v if same else dropout(v, keep_prob=keep, seed=self._seed_of(salt, number))
            for number, (v, same) in enumerate(zip(flat, whole, strict=True))
        ]
        return made if kept else nest.pack_sequence_as(values, made)

    def _seed_of(self, salt: str, number: int) -> int | None:
        """TensorFlow's seed of one of the masks."""
        if self._seed is None:
            return None
        text = f"{self._seed}{salt}_{number}".encode()
        return int(hashlib.md5(text, usedforsecurity=False).hexdigest()[:8], 16) & 0x7FFFFFFF


def _memories(state: Any) -> list[Any]:
    """The parts of a state in order, None for what an LSTM remembers."""
    if isinstance(state, LSTMStateTuple):
        return [None, state.h]
    if isinstance(state, tuple | list):
        return [part for inner in state for part in _memories(inner)]
    return [state]


def _keep(probability: Any) -> Any:
    """A number where it is known, else the tensor."""
    tensor = convert(probability)
    value = constant_value(tensor)
    if value is None:
        return tensor
    if not 0 <= value <= 1:
        raise ValueError(f"Parameter keep_prob must be between 0 and 1: {float(value)}")
    return float(value)


def _is_one(keep: Any) -> bool:
    return isinstance(keep, float) and keep >= 1


class ResidualWrapper(_Wrapper):
    """The inner cell's output with its input added.

    Source:  TensorFlow 1.15, tf.nn.rnn_cell.ResidualWrapper
    """

    def __init__(self, cell: Any, residual_fn: Any = None) -> None:
        super().__init__(cell)
        self._sum = residual_fn

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """(output, new state)."""
        output, new = self._cell(inputs, state, scope=scope)
        add = self._sum or (lambda x, y: nest.map_structure(lambda a, b: a + b, x, y))
        return add(inputs, output), new
