"""Layers with weights, pooling, flattening and dropout, under contrib's names."""

from typing import Any

from evenkeel.tf1 import layers, nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.initializers import Zeros
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.contrib.arg_scope import add_arg_scope
from evenkeel.tf1.contrib.layers.initializers import xavier_initializer
from evenkeel.tf1.contrib.layers.outputs import collect_named_outputs, collect_variable
from evenkeel.tf1.contrib.variables import getter_of

_XAVIER, _ZEROS = xavier_initializer(), Zeros()
_NAMES = {"kernel": "weights", "bias": "biases"}
_FIRST = ("NCW", "NCHW", "NCDHW")


def _format(data_format: Any) -> str:
    return "channels_first" if data_format in _FIRST else "channels_last"


def _made(initializer: Any) -> Any:
    return initializer() if isinstance(initializer, type) else initializer


def _finished(
    outputs: Any, normalizer: Any, params: Any, activation: Any, collections: Any, name: str
) -> Any:
    if normalizer is not None:
        outputs = normalizer(outputs, **(params or {}))
    if activation is not None:
        outputs = activation(outputs)
    return collect_named_outputs(collections, name, outputs)


def _with_weights(layer: Any, inputs: Any, collections: Any) -> Any:
    outputs = layer.apply(inputs)
    collect_variable(layer.kernel, collections, "weights")
    if layer.use_bias:
        collect_variable(layer.bias, collections, "biases")
    return outputs


_CONVOLUTIONS = {3: layers.Conv1D, 4: layers.Conv2D, 5: layers.Conv3D}


@add_arg_scope
def convolution(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: Any = None, rate: Any = 1, activation_fn: Any = nn.relu,
    normalizer_fn: Any = None, normalizer_params: Any = None, weights_initializer: Any = _XAVIER,
    weights_regularizer: Any = None, biases_initializer: Any = _ZEROS,
    biases_regularizer: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
    conv_dims: Any = None,
) -> Any:  # fmt: skip
    """activation(normalizer(convolution)), with biases where there is no normalizer."""
    with variable_scope(
        scope, "Conv", [inputs], reuse=reuse, custom_getter=getter_of(_NAMES)
    ) as sc:
        source = convert(inputs)
        rank = source.shape.ndims
        if rank not in _CONVOLUTIONS or (conv_dims is not None and conv_dims + 2 != rank):
            wanted = None if conv_dims is None else conv_dims + 2
            raise ValueError(f"Convolution expects input with rank {wanted}, got {rank}")
        layer = _CONVOLUTIONS[rank](
            num_outputs, kernel_size, stride, padding, _format(data_format), rate,
            use_bias=not normalizer_fn and biases_initializer is not None,
            kernel_initializer=_made(weights_initializer),
            bias_initializer=_made(biases_initializer), kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer, trainable=trainable, name=sc.name,
            dtype=source.dtype.base_dtype, _scope=sc, _reuse=reuse,
        )  # fmt: skip
        outputs = _with_weights(layer, source, variables_collections)
        return _finished(
            outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections, sc.name
        )


def _of_rank(dims: int) -> Any:
    def convolve(inputs: Any, num_outputs: int, kernel_size: Any, *args: Any, **given: Any) -> Any:
        return convolution(inputs, num_outputs, kernel_size, *args, **{**given, "conv_dims": dims})

    convolve.__doc__ = f"``convolution`` of images of {dims} axes."
    convolve.__name__ = convolve.__qualname__ = f"convolution{dims}d"
    return add_arg_scope(convolve)


convolution1d = conv1d = _of_rank(1)
convolution2d = conv2d = _of_rank(2)
convolution3d = conv3d = _of_rank(3)


@add_arg_scope
def convolution2d_transpose(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: Any = "NHWC", activation_fn: Any = nn.relu, normalizer_fn: Any = None,
    normalizer_params: Any = None, weights_initializer: Any = _XAVIER,
    weights_regularizer: Any = None, biases_initializer: Any = _ZEROS,
    biases_regularizer: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """The gradient of a convolution by its input, as a layer."""
    with variable_scope(
        scope, "Conv2d_transpose", [inputs], reuse=reuse, custom_getter=getter_of(_NAMES)
    ) as sc:
        source = convert(inputs)
        layer = layers.Conv2DTranspose(
            num_outputs, kernel_size, stride, padding, _format(data_format),
            use_bias=not normalizer_fn and biases_initializer is not None,
            kernel_initializer=_made(weights_initializer),
            bias_initializer=_made(biases_initializer), kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer, trainable=trainable, name=sc.name,
            dtype=source.dtype.base_dtype, _scope=sc, _reuse=reuse,
        )  # fmt: skip
        outputs = _with_weights(layer, source, variables_collections)
        return _finished(
            outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections, sc.name
        )


conv2d_transpose = convolution2d_transpose


@add_arg_scope
def fully_connected(
    inputs: Any, num_outputs: int, activation_fn: Any = nn.relu, normalizer_fn: Any = None,
    normalizer_params: Any = None, weights_initializer: Any = _XAVIER,
    weights_regularizer: Any = None, biases_initializer: Any = _ZEROS,
    biases_regularizer: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """activation(normalizer(inputs · weights)), with biases where there is no normalizer."""
    if not isinstance(num_outputs, int):
        raise ValueError(  # noqa: TRY004  # TensorFlow's class
            f"num_outputs type should be one of (<class 'int'>,), got {num_outputs}"
        )
    with variable_scope(
        scope, "fully_connected", [inputs], reuse=reuse, custom_getter=getter_of(_NAMES)
    ) as sc:
        source = convert(inputs)
        layer = layers.Dense(
            num_outputs, use_bias=not normalizer_fn and biases_initializer is not None,
            kernel_initializer=_made(weights_initializer),
            bias_initializer=_made(biases_initializer), kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer, trainable=trainable, name=sc.name,
            dtype=source.dtype.base_dtype, _scope=sc, _reuse=reuse,
        )  # fmt: skip
        outputs = _with_weights(layer, source, variables_collections)
        return _finished(
            outputs, normalizer_fn, normalizer_params, activation_fn, outputs_collections, sc.name
        )


def linear(*args: Any, **kwargs: Any) -> Any:
    """A fully connected layer without activation."""
    return fully_connected(*args, **({"activation_fn": None} | kwargs))


def relu(*args: Any, **kwargs: Any) -> Any:
    """A fully connected layer with Relu."""
    return fully_connected(*args, **({"activation_fn": nn.relu} | kwargs))


@add_arg_scope
def flatten(inputs: Any, outputs_collections: Any = None, scope: Any = None) -> Any:
    """All axes but the first as one."""
    with name_scope(scope, "Flatten", [inputs]) as sc:
        outputs = layers.flatten(convert(inputs))
        return collect_named_outputs(outputs_collections, sc, outputs)


def _pooling(kind: Any, name: str) -> Any:
    def pooling(
        inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID",
        data_format: Any = "NHWC", outputs_collections: Any = None, scope: Any = None,
    ) -> Any:  # fmt: skip
        if data_format not in ("NHWC", "NCHW"):
            raise ValueError("data_format has to be either NCHW or NHWC.")
        with name_scope(scope, name, [inputs]) as sc:
            layer = kind(kernel_size, stride, padding, _format(data_format), _scope=sc)
            outputs = layer.apply(convert(inputs))
            return collect_named_outputs(outputs_collections, sc, outputs)

    pooling.__doc__ = f"{kind.__doc__}"
    pooling.__name__ = pooling.__qualname__ = name
    return add_arg_scope(pooling)


max_pool2d = _pooling(layers.MaxPooling2D, "MaxPool2D")
avg_pool2d = _pooling(layers.AveragePooling2D, "AvgPool2D")


@add_arg_scope
def dropout(
    inputs: Any, keep_prob: Any = 0.5, noise_shape: Any = None, is_training: Any = True,
    outputs_collections: Any = None, scope: Any = None, seed: Any = None,
) -> Any:  # fmt: skip
    """Zeros in the place of a share of the values, while training."""
    with variable_scope(scope, "Dropout", [inputs], custom_getter=getter_of({})) as sc:
        layer = layers.Dropout(
            1 - keep_prob, noise_shape=noise_shape, seed=seed, name=sc.name, _scope=sc
        )
        outputs = layer.apply(convert(inputs), training=is_training)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def one_hot_encoding(
    labels: Any, num_classes: int, on_value: Any = 1.0, off_value: Any = 0.0,
    outputs_collections: Any = None, scope: Any = None,
) -> Any:  # fmt: skip
    """Labels as rows of one 1."""
    from evenkeel.tf1.api.indexing import one_hot
    from evenkeel.tf1.api.math import to_int64

    with name_scope(scope, "OneHotEncoding", [labels, num_classes]) as sc:
        source = convert(labels)
        source = to_int64(source) if source.dtype.base_dtype.name == "int32" else source
        outputs = one_hot(source, num_classes, on_value=on_value, off_value=off_value)
        return collect_named_outputs(outputs_collections, sc, outputs)


@add_arg_scope
def unit_norm(inputs: Any, dim: int, epsilon: float = 1e-7, scope: Any = None) -> Any:
    """The value at length 1 along an axis."""
    from evenkeel.tf1.api.constants import ones
    from evenkeel.tf1.api.indexing import strided_slice
    from evenkeel.tf1.api.reductions import reduce_sum
    from evenkeel.tf1.build import apply

    with variable_scope(scope, "UnitNorm", [inputs]):
        rank = len(inputs.shape)
        lengths = apply("Sqrt", epsilon + reduce_sum(apply("Square", inputs), dim, keepdims=True))
        copies = [ones([dim], "int32")] if dim > 0 else []
        copies.append(strided_slice(arrays.shape(inputs), [dim], [dim + 1]))
        if dim < rank - 1:
            copies.append(ones([rank - 1 - dim], "int32"))
        return apply("RealDiv", inputs, arrays.tile(lengths, arrays.concat(copies, 0)), name="div")


def stack(inputs: Any, layer: Any, stack_args: Any, **kwargs: Any) -> Any:
    """One layer after the other, each with its own arguments."""
    scope = kwargs.pop("scope", None)
    if not isinstance(stack_args, list | tuple):
        raise ValueError("stack_args need to be a list or tuple")  # noqa: TRY004  # TensorFlow's class
    with variable_scope(scope, "Stack", [inputs]):
        chosen = scope or layer.__name__
        for index, args in enumerate(stack_args):
            listed = args if isinstance(args, list | tuple) else [args]
            inputs = layer(inputs, *listed, **{**kwargs, "scope": f"{chosen}_{index + 1}"})
        return inputs


@add_arg_scope
def repeat(inputs: Any, repetitions: int, layer: Any, *args: Any, **kwargs: Any) -> Any:
    """The same layer several times, one after the other."""
    scope = kwargs.pop("scope", None)
    with variable_scope(scope, "Repeat", [inputs]):
        chosen = scope or getattr(layer, "__name__", "repeat")
        for index in range(repetitions):
            inputs = layer(inputs, *args, **{**kwargs, "scope": f"{chosen}_{index + 1}"})
        return inputs
