"""Dense layers, dropout, flattening."""

from typing import Any

from evenkeel.tf1 import nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.control import smart_cond
from evenkeel.tf1.api.tensordot import tensordot
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.layers.base import ZEROS, InputSpec, Layer
from evenkeel.tf1.shapes import TensorShape


class Dense(Layer):
    """activation(inputs · kernel + bias)."""

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = ZEROS,
        kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, activity_regularizer=activity_regularizer, **kwargs)
        self.units, self.activation, self.use_bias = int(units), activation, use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel: Any = None
        self.bias: Any = None
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: TensorShape) -> None:
        """Make the kernel and the bias."""
        last = input_shape[-1].value
        if last is None:
            raise ValueError(
                "The last dimension of the inputs to `Dense` should be defined. Found `None`."
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: last})
        self.kernel = self.add_weight(
            "kernel", [last, self.units], initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", [self.units], initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        rank = len(inputs.shape)
        if rank > 2:
            outputs = tensordot(inputs, self.kernel, [[rank - 1], [0]])
            outputs.set_shape([*inputs.shape.as_list()[:-1], self.units])
        else:
            outputs = apply("MatMul", inputs, self.kernel)
        if self.use_bias:
            outputs = nn.bias_add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        shape: TensorShape = TensorShape(input_shape)[:-1].concatenate([self.units])
        return shape


class Dropout(Layer):
    """Zeros in the place of a share ``rate`` of the values, while training."""

    def __init__(
        self, rate: Any = 0.5, noise_shape: Any = None, seed: Any = None, name: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed

    def _noise(self, inputs: Any) -> Any:
        if self.noise_shape is None or not isinstance(self.noise_shape, list | tuple):
            return self.noise_shape
        sizes = arrays.shape(inputs) if None in self.noise_shape else None
        listed = enumerate(self.noise_shape)
        return convert([v if v is not None or sizes is None else sizes[i] for i, v in listed])

    def call(self, inputs: Any, training: Any = False, **_: Any) -> Any:
        """Make the nodes."""

        def dropped() -> Any:
            noise = self._noise(inputs)
            return nn.dropout(inputs, noise_shape=noise, seed=self.seed, rate=self.rate)

        return smart_cond(training, dropped, lambda: arrays.identity(inputs))


class Flatten(Layer):
    """All axes but the first as one."""

    def __init__(self, data_format: Any = None, name: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.data_format = data_format
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any, **_: Any) -> Any:
        """Make the nodes."""
        rank = inputs.shape.ndims
        if self.data_format == "channels_first" and rank is not None and rank > 1:
            inputs = arrays.transpose(inputs, [0, *range(2, rank), 1])
        flat = self._length(inputs.shape)
        known = inputs.shape.sizes[0] if rank else None
        size = arrays.shape(inputs)[0] if known is None else known
        outputs = arrays.reshape(inputs, [size, -1])
        outputs.set_shape([known, flat])
        return outputs

    @staticmethod
    def _length(shape: TensorShape) -> int | None:
        rest = shape[1:]
        return rest.num_elements() if rest.is_fully_defined() else None

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        shape = TensorShape(input_shape)
        return TensorShape([shape.sizes[0], self._length(shape)])
