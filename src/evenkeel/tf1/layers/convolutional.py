"""Convolutions as layers, in one to three dimensions."""

from typing import Any

from evenkeel.tf1 import nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.layers.base import ZEROS, InputSpec, Layer
from evenkeel.tf1.layers.sizes import format_of, outputs_of, tuple_of
from evenkeel.tf1.nn.convolutions import Convolution
from evenkeel.tf1.shapes import TensorShape


class Convolutional(Layer):
    """activation(convolution(inputs, kernel) + bias) over images of ``rank`` axes."""

    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None,
        use_bias: bool = True, kernel_initializer: Any = None, bias_initializer: Any = ZEROS,
        kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, activity_regularizer=activity_regularizer, **kwargs)
        self.filters = filters
        self.kernel_size = tuple_of(kernel_size, self.rank, "kernel_size")
        self.strides = tuple_of(strides, self.rank, "strides")
        self.dilation_rate = tuple_of(dilation_rate, self.rank, "dilation_rate")
        self.padding = padding.lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(
                'The `padding` argument must be a list/tuple or one of "valid", "same" (or '
                f'"causal", only for `Conv1D). Received: {padding}'
            )
        self.data_format = data_format.lower()
        self.activation, self.use_bias = activation, use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel: Any = None
        self.bias: Any = None
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def first(self) -> bool:
        """Whether the channels follow the batch."""
        return self.data_format == "channels_first"

    @property
    def tf_format(self) -> str:
        """TensorFlow's word for the layout."""
        return format_of(self.rank, self.first)

    def _channels(self, shape: TensorShape) -> int:
        axis = 1 if self.first else -1
        size: int | None = shape[axis].value
        if size is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: size})
        return size

    def build(self, input_shape: TensorShape) -> None:
        """Make the kernel and the bias."""
        channels = self._channels(input_shape)
        self._weights([*self.kernel_size, channels, self.filters], self.filters)
        self._convolve = Convolution(
            self.rank, self.padding, list(self.strides), list(self.dilation_rate),
            self.tf_format, None,
        )  # fmt: skip

    def _weights(self, shape: list[int], outputs: int) -> None:
        self.kernel = self.add_weight(
            "kernel", shape, initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self._bias(outputs)

    def _bias(self, outputs: int) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", [outputs], initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        return self._finished(self._convolve(inputs, self.kernel))

    def _finished(self, outputs: Any) -> Any:
        if self.use_bias:
            outputs = self._biased(outputs)
        return outputs if self.activation is None else self.activation(outputs)

    def _biased(self, outputs: Any) -> Any:
        if self.rank == 1 and self.first:
            return outputs + arrays.reshape(self.bias, (1, self.filters, 1))
        if self.rank == 3 and self.first:
            return nn.bias_add(outputs, self.bias, "NCHW")
        return nn.bias_add(outputs, self.bias, "NCHW" if self.first else "NHWC")

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        shape = TensorShape(input_shape).as_list()
        image = shape[2:] if self.first else shape[1:-1]
        made = outputs_of(image, self.kernel_size, self.strides, self.dilation_rate, self.padding)
        inner = [self.filters, *made] if self.first else [*made, self.filters]
        return TensorShape([shape[0], *inner])


class Conv1D(Convolutional):
    """A convolution of signals."""

    rank = 1


class Conv2D(Convolutional):
    """A convolution of images."""


class Conv3D(Convolutional):
    """A convolution of volumes."""

    rank = 3


class Conv2DTranspose(Convolutional):
    """The gradient of a convolution of images by its input."""

    def build(self, input_shape: TensorShape) -> None:
        """Make the kernel and the bias."""
        channels = self._channels(input_shape)
        self._weights([*self.kernel_size, self.filters, channels], self.filters)

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        sizes = arrays.shape(inputs)
        batch = sizes[0]
        at = 2 if self.first else 1
        image = [sizes[at + i] for i in range(self.rank)]
        made = self._enlarged(image)
        shape = [batch, self.filters, *made] if self.first else [batch, *made, self.filters]
        steps = [1, 1, *self.strides] if self.first else [1, *self.strides, 1]
        outputs = self._transposed(inputs, arrays.stack(shape), steps)
        outputs.set_shape(self.compute_output_shape(inputs.shape))
        return self._finished(outputs)

    def _transposed(self, inputs: Any, shape: Any, steps: list[int]) -> Any:
        shape[0]  # a node that TensorFlow makes too
        return nn.conv2d_transpose(
            inputs, self.kernel, shape, steps, self.padding.upper(), self.tf_format
        )

    def _enlarged(self, image: Any) -> list[Any]:
        """Sizes of the output: input · stride, and what a valid window reaches beyond."""
        made = []
        for size, kernel, stride in zip(image, self.kernel_size, self.strides, strict=True):
            value = None if size is None else size * stride
            more = max(kernel - stride, 0)
            if self.padding == "valid" and value is not None:
                value = value + more
            made.append(value)
        return made

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        shape = TensorShape(input_shape).as_list()
        made = self._enlarged(shape[2:] if self.first else shape[1:-1])
        inner = [self.filters, *made] if self.first else [*made, self.filters]
        return TensorShape([shape[0], *inner])


class Conv3DTranspose(Conv2DTranspose):
    """The gradient of a convolution of volumes by its input."""

    rank = 3

    def _transposed(self, inputs: Any, shape: Any, steps: list[int]) -> Any:
        return nn.conv3d_transpose(
            inputs, self.kernel, shape, steps, self.padding.upper(), self.tf_format
        )
