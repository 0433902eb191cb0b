"""Separable convolutions as layers: one filter a channel, then 1 × 1 over the channels."""

from typing import Any

from evenkeel.tf1 import nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.layers.base import ZEROS
from evenkeel.tf1.layers.convolutional import Convolutional
from evenkeel.tf1.shapes import TensorShape


class SeparableConv2D(Convolutional):
    """A depthwise convolution, and one of 1 × 1."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = None, pointwise_initializer: Any = None,
        bias_initializer: Any = ZEROS, depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, depthwise_constraint: Any = None,
        pointwise_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True,
        name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            None, bias_initializer, None, bias_regularizer, activity_regularizer, None,
            bias_constraint, trainable, name, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self._of = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "pointwise": (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
        }

    def _kernel(self, kind: str, shape: list[int]) -> Any:
        initializer, regularizer, constraint = self._of[kind]
        return self.add_weight(
            f"{kind}_kernel", shape, initializer=initializer, regularizer=regularizer,
            constraint=constraint,
        )  # fmt: skip

    def build(self, input_shape: TensorShape) -> None:
        """Make both kernels and the bias."""
        channels = self._channels(input_shape)
        middle = channels * self.depth_multiplier
        self.depthwise_kernel = self._kernel(
            "depthwise", [*self.kernel_size, channels, self.depth_multiplier]
        )
        ones = [1] * self.rank
        self.pointwise_kernel = self._kernel("pointwise", [*ones, middle, self.filters])
        self._bias(self.filters)

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        steps = [1, 1, *self.strides] if self.first else [1, *self.strides, 1]
        outputs = nn.separable_conv2d(
            inputs, self.depthwise_kernel, self.pointwise_kernel, steps, self.padding.upper(),
            rate=self.dilation_rate, data_format=self.tf_format,
        )  # fmt: skip
        return self._finished(outputs)


class SeparableConv1D(SeparableConv2D):
    """The same for signals."""

    rank = 1

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        at = 2 if self.first else 1
        steps = list(self.strides) * 2
        fmt = "NCHW" if self.first else "NHWC"
        image = arrays.expand_dims(inputs, at)
        outputs = nn.separable_conv2d(
            image, arrays.expand_dims(self.depthwise_kernel, 0),
            arrays.expand_dims(self.pointwise_kernel, 0),
            [1, 1, *steps] if self.first else [1, *steps, 1], self.padding.upper(),
            rate=[1, *self.dilation_rate], data_format=fmt,
        )  # fmt: skip
        if self.use_bias:
            outputs = nn.bias_add(outputs, self.bias, fmt)
        outputs = arrays.squeeze(outputs, [at])
        return outputs if self.activation is None else self.activation(outputs)
