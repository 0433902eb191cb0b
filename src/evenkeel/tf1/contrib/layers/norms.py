"""Layer normalization and instance normalization, composed of moments."""

from typing import Any

from evenkeel.tf1 import nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.initializers import Ones, Zeros
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import convert
from evenkeel.tf1.contrib.arg_scope import add_arg_scope
from evenkeel.tf1.contrib.layers.outputs import collect_named_outputs, variable_collections
from evenkeel.tf1.contrib.variables import model_variable

_ZEROS, _ONES = Zeros(), Ones()


def _variable(name: str, shape: Any, inputs: Any, start: Any, collections: Any, train: bool) -> Any:
    return model_variable(
        name, shape=shape, dtype=inputs.dtype.base_dtype, initializer=start,
        collections=variable_collections(collections, name), trainable=train,
    )  # fmt: skip


@add_arg_scope
def layer_norm(
    inputs: Any, center: bool = True, scale: bool = True, activation_fn: Any = None,
    reuse: Any = None, variables_collections: Any = None, outputs_collections: Any = None,
    trainable: bool = True, begin_norm_axis: int = 1, begin_params_axis: int = -1,
    scope: Any = None,
) -> Any:  # fmt: skip
    """Each example normalized by its own moments."""
    with variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as sc:
        source = convert(inputs)
        shape, rank = source.shape, source.shape.ndims
        if rank is None:
            raise ValueError(f"Inputs {source.name} has undefined rank.")
        begin = begin_norm_axis + rank if begin_norm_axis < 0 else begin_norm_axis
        if begin_params_axis >= rank or begin >= rank:
            raise ValueError(
                f"begin_params_axis ({begin_params_axis}) and begin_norm_axis ({begin}) must be < "
                f"rank(inputs) ({rank})"
            )
        sizes = shape[begin_params_axis:]
        if not sizes.is_fully_defined():
            raise ValueError(
                f"Inputs {source.name}: shape(inputs)[{begin_params_axis}:] is not fully defined: "
                f"{shape}"
            )
        collections = variables_collections
        args = (source, collections, trainable)
        beta = _variable("beta", sizes, args[0], _ZEROS, *args[1:]) if center else None
        gamma = _variable("gamma", sizes, args[0], _ONES, *args[1:]) if scale else None
        mean, variance = nn.moments(source, list(range(begin, rank)), keep_dims=True)
        eps = 1e-3 if source.dtype.base_dtype.name == "float16" else 1e-12
        outputs = nn.batch_normalization(source, mean, variance, beta, gamma, eps)
        outputs.set_shape(shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def instance_norm(
    inputs: Any, center: bool = True, scale: bool = True, epsilon: float = 1e-06,
    activation_fn: Any = None, param_initializers: Any = None, reuse: Any = None,
    variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
    data_format: str = "NHWC", scope: Any = None,
) -> Any:  # fmt: skip
    """Each channel of each example normalized by its own moments."""
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError("data_format has to be either NCHW or NHWC.")
    with variable_scope(scope, "InstanceNorm", [inputs], reuse=reuse) as sc:
        source = convert(inputs)
        shape, rank = source.shape, source.shape.ndims
        if rank is None:
            raise ValueError(f"Inputs {source.name} has undefined rank.")
        first = data_format == "NCHW"
        axes = list(range(2, rank)) if first else list(range(1, rank - 1))
        channels = shape.sizes[1 if first else -1]
        if channels is None:
            raise ValueError(f"Inputs {source.name} has undefined channels dimension {shape}.")
        starts = {"beta": _ZEROS, "gamma": _ONES} | (param_initializers or {})
        wide = [1, channels] + [1] * (rank - 2)

        def parameter(name: str) -> Any:
            found = _variable(
                name, [channels], source, starts[name], variables_collections, trainable
            )
            return arrays.reshape(found, wide) if first else found

        beta = parameter("beta") if center else None
        gamma = parameter("gamma") if scale else None
        mean, variance = nn.moments(source, axes, keep_dims=True)
        outputs = nn.batch_normalization(
            source, mean, variance, beta, gamma, epsilon, name="instancenorm"
        )
        outputs.set_shape(shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)
