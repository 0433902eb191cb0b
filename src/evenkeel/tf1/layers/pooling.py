"""Pooling as layers."""

from typing import Any

from evenkeel.tf1 import nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.layers.base import InputSpec, Layer
from evenkeel.tf1.layers.sizes import format_of, outputs_of, tuple_of
from evenkeel.tf1.shapes import TensorShape


class Pooling(Layer):
    """The largest or the mean of each window."""

    rank, function = 2, "max_pool"

    def __init__(
        self, pool_size: Any, strides: Any, padding: str = "valid",
        data_format: str = "channels_last", name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self.pool_size = tuple_of(pool_size, self.rank, "pool_size")
        self.strides = tuple_of(pool_size if strides is None else strides, self.rank, "strides")
        self.padding, self.data_format = padding.lower(), data_format.lower()
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def first(self) -> bool:
        """Whether the channels follow the batch."""
        return self.data_format == "channels_first"

    def _each(self, values: Any) -> list[int]:
        return [1, 1, *values] if self.first else [1, *values, 1]

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        run = getattr(nn, self.function)
        return run(
            inputs, self._each(self.pool_size), self._each(self.strides), self.padding.upper(),
            data_format=format_of(self.rank, self.first),
        )  # fmt: skip

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        shape = TensorShape(input_shape).as_list()
        image = shape[2:] if self.first else shape[1:-1]
        ones = [1] * self.rank
        made = outputs_of(image, self.pool_size, self.strides, ones, self.padding)
        inner = [shape[1], *made] if self.first else [*made, shape[-1]]
        return TensorShape([shape[0], *inner])


class MaxPooling2D(Pooling):
    """The largest of each window of an image."""


class AveragePooling2D(Pooling):
    """The mean of each window of an image."""

    function = "avg_pool"


class MaxPooling3D(Pooling):
    """The largest of each window of a volume."""

    rank, function = 3, "max_pool3d"


class AveragePooling3D(Pooling):
    """The mean of each window of a volume."""

    rank, function = 3, "avg_pool3d"


class MaxPooling1D(Pooling):
    """The largest of each window of a signal: an image of height 1."""

    rank = 1

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        at = 3 if self.first else 2
        image = arrays.expand_dims(inputs, at)
        size, step = [*self.pool_size, 1], [*self.strides, 1]
        run = getattr(nn, self.function)
        made = run(
            image, self._each(size), self._each(step), self.padding.upper(),
            data_format=format_of(2, self.first),
        )  # fmt: skip
        return arrays.squeeze(made, at)


class AveragePooling1D(MaxPooling1D):
    """The mean of each window of a signal."""

    function = "avg_pool"
