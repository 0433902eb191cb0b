"""The cells: simple, gated, long short-term memory."""

from typing import Any, NamedTuple

from evenkeel.tf1.api.arrays import concat, split
from evenkeel.tf1.api.constants import constant
from evenkeel.tf1.api.initializers import constant_initializer, zeros_initializer
from evenkeel.tf1.api.math import clip_by_value, matmul
from evenkeel.tf1.build import apply
from evenkeel.tf1.layers.base import Layer
from evenkeel.tf1.nn.activations import bias_add, sigmoid, tanh
from evenkeel.tf1.nn.rnn_cell.base import RNNCell


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM: what it remembers, and what it gave."""

    c: Any
    h: Any

    @property
    def dtype(self) -> Any:
        """The element type of both."""
        if self.c.dtype != self.h.dtype:
            raise TypeError(f"Inconsistent internal state: {self.c.dtype} vs {self.h.dtype}")
        return self.c.dtype


class _Cell(RNNCell):
    """A cell with ``num_units`` values in its output."""

    def __init__(
        self, num_units: int, activation: Any = None, reuse: Any = None, name: str | None = None,
        dtype: Any = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(trainable=trainable, name=name, dtype=dtype, _reuse=reuse)
        self._num_units, self._activation = num_units, activation or tanh

    def __call__(
        self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """(output, new state); weights are made at the first call."""
        return Layer.__call__(self, inputs, state, *args, scope=scope, **kwargs)

    @property
    def state_size(self) -> Any:
        """``num_units``."""
        return self._num_units

    @property
    def output_size(self) -> Any:
        """``num_units``."""
        return self._num_units

    def _affine(
        self, name: str, depth: int, units: int, kernel: Any = None, bias: Any = None
    ) -> Any:
        """The weights of a linear map: (kernel, bias)."""
        at = f"{name}/" if name else ""
        made = self.add_weight(f"{at}kernel", [depth, units], initializer=kernel)
        start = bias or zeros_initializer(dtype=self.dtype)
        return made, self.add_weight(f"{at}bias", [units], initializer=start)


def _depth(input_shape: Any) -> int:
    depth = input_shape[-1]
    depth = getattr(depth, "value", depth)
    if depth is None:
        raise ValueError(f"Expected inputs.shape[-1] to be known, saw shape: {input_shape}")
    return int(depth)


def _linear(parts: list[Any], weights: Any) -> Any:
    kernel, bias = weights
    return bias_add(matmul(concat(parts, 1), kernel), bias)


class BasicRNNCell(_Cell):
    """The simplest cell.

    Math:    output = new state = activation([x, h] W + b)
    Source:  TensorFlow 1.15, tf.nn.rnn_cell.BasicRNNCell
    """

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self._weights = self._affine("", _depth(input_shape) + self._num_units, self._num_units)

    def call(self, inputs: Any, state: Any) -> Any:  # type: ignore[override]
        """(output, new state)."""
        output = self._activation(_linear([inputs, state], self._weights))
        return output, output


class GRUCell(_Cell):
    """The gated recurrent unit.

    Math:    r, u = σ([x, h] Wg + bg); c = activation([x, r h] Wc + bc); h' = u h + (1 − u) c
    Source:  Cho et al. 2014; TensorFlow 1.15, tf.nn.rnn_cell.GRUCell (bg begins at 1)
    """

    def __init__(
        self, num_units: int, activation: Any = None, reuse: Any = None,
        kernel_initializer: Any = None, bias_initializer: Any = None, name: str | None = None,
        dtype: Any = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_units, activation, reuse, name, dtype, trainable)
        self._kernel, self._bias = kernel_initializer, bias_initializer

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        depth, units = _depth(input_shape) + self._num_units, self._num_units
        ones = self._bias or constant_initializer(1.0, dtype=self.dtype)
        self._gates = self._affine("gates", depth, 2 * units, self._kernel, ones)
        self._candidate = self._affine("candidate", depth, units, self._kernel, self._bias)

    def call(self, inputs: Any, state: Any) -> Any:  # type: ignore[override]
        """(output, new state)."""
        gates = sigmoid(_linear([inputs, state], self._gates))
        r, u = split(value=gates, num_or_size_splits=2, axis=1)
        c = self._activation(_linear([inputs, r * state], self._candidate))
        new = u * state + (1 - u) * c
        return new, new


class BasicLSTMCell(_Cell):
    """Long short-term memory without projection, clipping or peepholes.

    Math:    i, j, f, o = [x, h] W + b; c' = c σ(f + forget_bias) + σ(i) activation(j);
             h' = activation(c') σ(o)
    Source:  Zaremba et al. 2014; TensorFlow 1.15, tf.nn.rnn_cell.BasicLSTMCell
    """

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, state_is_tuple: bool = True,
        activation: Any = None, reuse: Any = None, name: str | None = None, dtype: Any = None,
        trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_units, activation, reuse, name, dtype, trainable)
        self._forget_bias, self._is_tuple = forget_bias, state_is_tuple

    @property
    def state_size(self) -> Any:
        """The sizes of c and h."""
        units = self._num_units
        return LSTMStateTuple(units, units) if self._is_tuple else 2 * units

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        units = self._num_units
        self._weights = self._affine("", _depth(input_shape) + units, 4 * units)

    def call(self, inputs: Any, state: Any) -> Any:  # type: ignore[override]
        """(output, new state)."""
        one = constant(1, dtype="int32")
        c, h = state if self._is_tuple else split(value=state, num_or_size_splits=2, axis=one)
        gates = _linear([inputs, h], self._weights)
        i, j, f, o = split(value=gates, num_or_size_splits=4, axis=one)
        bias = constant(self._forget_bias, dtype=f.dtype)
        kept = apply("Mul", c, sigmoid(apply("Add", f, bias)))
        new_c = apply("Add", kept, apply("Mul", sigmoid(i), self._activation(j)))
        new_h = apply("Mul", self._activation(new_c), sigmoid(o))
        packed = LSTMStateTuple(new_c, new_h) if self._is_tuple else concat([new_c, new_h], 1)
        return new_h, packed


class LSTMCell(_Cell):
    """Long short-term memory with peepholes, clipping and a projection where asked for.

    Math:    BasicLSTMCell's; with peepholes i, f see w c and o sees w c'; h' = clip(h' P) with a
             projection P
    Source:  Sak et al. 2014; TensorFlow 1.15, tf.nn.rnn_cell.LSTMCell
    """

    def __init__(
        self, num_units: int, use_peepholes: bool = False, cell_clip: float | None = None,
        initializer: Any = None, num_proj: int | None = None, proj_clip: float | None = None,
        num_unit_shards: Any = None, num_proj_shards: Any = None, forget_bias: float = 1.0,
        state_is_tuple: bool = True, activation: Any = None, reuse: Any = None,
        name: str | None = None, dtype: Any = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_units, activation, reuse, name, dtype, trainable)
        if num_unit_shards is not None or num_proj_shards is not None:
            raise NotImplementedError("LSTMCell takes no num_unit_shards and num_proj_shards here")
        self._peepholes, self._cell_clip, self._initializer = use_peepholes, cell_clip, initializer
        self._projected, self._proj_clip = num_proj, proj_clip
        self._forget_bias, self._is_tuple = forget_bias, state_is_tuple

    @property
    def state_size(self) -> Any:
        """The sizes of c and h."""
        sizes = LSTMStateTuple(self._num_units, self.output_size)
        return sizes if self._is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """``num_proj``, or ``num_units`` without one."""
        return self._projected or self._num_units

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        units, start = self._num_units, self._initializer
        self._weights = self._affine("", _depth(input_shape) + self.output_size, 4 * units, start)
        if self._peepholes:
            self._diagonals = [
                self.add_weight(f"w_{gate}_diag", [units], initializer=start) for gate in "fio"
            ]
        if self._projected:
            self._projection = self.add_weight(
                "projection/kernel", [units, self._projected], initializer=start
            )

    def call(self, inputs: Any, state: Any) -> Any:  # type: ignore[override]
        """(output, new state)."""
        sizes = [self._num_units, self.output_size]
        c, h = state if self._is_tuple else split(value=state, num_or_size_splits=sizes, axis=1)
        gates = _linear([inputs, h], self._weights)
        i, j, f, o = split(value=gates, num_or_size_splits=4, axis=1)
        kept = sigmoid(self._seen(f + self._forget_bias, 0, c)) * c
        new_c = kept + sigmoid(self._seen(i, 1, c)) * self._activation(j)
        new_c = _clipped(new_c, self._cell_clip)
        new_h = sigmoid(self._seen(o, 2, new_c)) * self._activation(new_c)
        if self._projected:
            new_h = _clipped(matmul(new_h, self._projection), self._proj_clip)
        packed = LSTMStateTuple(new_c, new_h) if self._is_tuple else concat([new_c, new_h], 1)
        return new_h, packed

    def _seen(self, gate: Any, number: int, c: Any) -> Any:
        """A gate with what it sees of the memory through its peephole."""
        return gate + self._diagonals[number] * c if self._peepholes else gate


def _clipped(x: Any, limit: float | None) -> Any:
    return x if limit is None else clip_by_value(x, -limit, limit)
