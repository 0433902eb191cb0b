"""What every cell is: a layer of an input and a state, with sizes and a state to begin with."""

from typing import Any

from evenkeel.tf1 import nest
from evenkeel.tf1.api.arrays import concat, expand_dims
from evenkeel.tf1.api.constants import constant, zeros
from evenkeel.tf1.api.variable_scopes import get_variable_scope, variable_scope
from evenkeel.tf1.build import name_scope
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.layers.base import Layer
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape, as_shape


class RNNCell(Layer):
    """A cell: ``call(inputs, state)`` gives (output, new state).

    A subclass has ``state_size`` and ``output_size`` and may override ``__call__`` alone, without
    calling this class's ``__init__``, as TFLearn's do.

    Shapes:  inputs [batch, depth]; state [batch, state_size], or a structure of such
    """

    @property
    def state_size(self) -> Any:
        """The size of the state, or a structure of sizes."""
        raise NotImplementedError("Abstract method")

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        raise NotImplementedError("Abstract method")

    def __call__(
        self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """(output, new state); weights are made at the first call."""
        with variable_scope(get_variable_scope() if scope is None else scope):
            return super().__call__(inputs, state, *args, **kwargs)

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Zeros in the form of ``state_size``."""
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            return nest.map_structure(
                lambda size: zeros_of(batch_size, size, dtype), self.state_size
            )

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        """The state before the first step."""
        if inputs is not None:
            from evenkeel.tf1.api.arrays import shape

            batch_size, dtype = shape(inputs)[0], inputs.dtype
        if batch_size is None or dtype is None:
            raise ValueError(
                "batch_size and dtype cannot be None while constructing initial state: "
                f"batch_size={batch_size}, dtype={dtype}"
            )
        return self.zero_state(batch_size, dtype)


def zeros_of(batch_size: Any, size: Any, dtype: Any, static: Any = None) -> Tensor:
    """Zeros of shape [batch_size, *size], with what is known of that shape.

    ``static`` is the static batch size as a list of one, where the caller knows it.
    """
    made = zeros(concat([vector(batch_size), vector(size)], 0), dtype=dtype)
    # TensorFlow makes both again for the static shape, and seeds count nodes.
    for again in (batch_size if static is None else static[0], size):
        if again is not None:
            vector(again)
    known = constant_value(batch_size) if isinstance(batch_size, Tensor) else batch_size
    rest = [size] if isinstance(size, int) else as_shape(size).as_list()
    made.set_shape(TensorShape([None if known is None else int(known), *rest]))
    return made


def vector(size: Any) -> Tensor:
    """A number, a shape or a tensor, as a vector of sizes."""
    if isinstance(size, Tensor):
        return expand_dims(size, 0) if size.shape.ndims == 0 else size
    sizes = (
        as_shape(size).as_list() if isinstance(size, TensorShape | list | tuple) else [int(size)]
    )
    return constant(sizes, dtype="int32")
