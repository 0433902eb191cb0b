"""``tf.contrib.layers.batch_norm``: through the layer, as one fused node, or composed."""

from typing import Any

from evenkeel.tf1 import build, layers, nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.control import smart_cond, smart_constant_value
from evenkeel.tf1.api.initializers import Ones, Zeros
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import convert
from evenkeel.tf1.contrib.arg_scope import add_arg_scope
from evenkeel.tf1.contrib.layers.moving import assign_moving_average
from evenkeel.tf1.contrib.layers.outputs import (
    collect_named_outputs,
    collect_variable,
    variable_collections,
)
from evenkeel.tf1.contrib.variables import getter_of, model_variable
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph

_STARTS: dict[str, Any] = {
    "beta": Zeros(), "gamma": Ones(), "moving_mean": Zeros(), "moving_variance": Ones(),
}  # fmt: skip


class _Wanted:
    """The arguments of one call."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)
        self.starts = self.param_initializers or {}
        self.costs = self.param_regularizers or {}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def start(self, name: str) -> Any:
        """What a variable starts from."""
        return self.starts.get(name, _STARTS[name])

    def variable(self, name: str, shape: Any, dtype: Any = float32) -> Any:
        """A variable of the layer; moving averages are not trained."""
        fixed = name.startswith("moving")
        return model_variable(
            name, shape=shape, dtype=dtype, initializer=self.start(name),
            regularizer=None if fixed else self.costs.get(name),
            collections=variable_collections(self.variables_collections, name),
            trainable=False if fixed else self.trainable,
        )  # fmt: skip

    def parameter(self, name: str, shape: Any, there: bool, value: float) -> Any:
        """A variable, or a constant in the place of one that is not wanted."""
        if there:
            return self.variable(name, shape)
        return build.constant(value, float32, shape.as_list())

    def finished(self, outputs: Any, name: str) -> Any:
        """After the activation, in the collections asked for."""
        if self.activation_fn is not None:
            outputs = self.activation_fn(outputs)
        return collect_named_outputs(self.outputs_collections, name, outputs)

    def moved(self, mean: Any, variance: Any, new_mean: Any, new_variance: Any) -> Any:
        """Both assignments of moving averages."""
        first = assign_moving_average(mean, new_mean, self.decay, self.zero_debias_moving_mean)
        return first, assign_moving_average(variance, new_variance, self.decay, zero_debias=False)


@add_arg_scope
def batch_norm(
    inputs: Any, decay: Any = 0.999, center: bool = True, scale: bool = False,
    epsilon: float = 0.001, activation_fn: Any = None, param_initializers: Any = None,
    param_regularizers: Any = None, updates_collections: Any = GraphKeys.UPDATE_OPS,
    is_training: Any = True, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, batch_weights: Any = None,
    fused: Any = None, data_format: Any = "NHWC", zero_debias_moving_mean: bool = False,
    scope: Any = None, renorm: bool = False, renorm_clipping: Any = None, renorm_decay: Any = 0.99,
    adjustment: Any = None,
) -> Any:  # fmt: skip
    """Normalization by the batch while training, by moving averages else."""
    given = {k: v for k, v in locals().items() if k not in ("inputs", "scope")}
    wanted = _Wanted(**given)
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError("data_format has to be either NCHW or NHWC.")
    source = convert(inputs)
    rank = source.shape.ndims
    plain = batch_weights is None and not renorm and adjustment is None and rank in (2, 4)
    default = updates_collections == GraphKeys.UPDATE_OPS
    fuse = True if fused is None else fused
    if fuse and plain and (zero_debias_moving_mean or rank == 2 or not default):
        return _fused(source, wanted, scope)
    with variable_scope(
        scope, "BatchNorm", [source], reuse=reuse, custom_getter=getter_of({})
    ) as sc:
        if batch_weights is None and default and not zero_debias_moving_mean:
            return _layer(source, wanted, sc, fuse)
        if renorm:
            raise ValueError(
                "renorm is not supported with batch_weights, updates_collections or "
                "zero_debias_moving_mean"
            )
        return _composed(source, wanted, sc)


def _layer(inputs: Any, wanted: Any, scope: Any, fused: bool) -> Any:
    layer = layers.BatchNormalization(
        axis=1 if wanted.data_format == "NCHW" else -1, momentum=wanted.decay,
        epsilon=wanted.epsilon, center=wanted.center, scale=wanted.scale,
        beta_initializer=wanted.start("beta"), gamma_initializer=wanted.start("gamma"),
        moving_mean_initializer=wanted.start("moving_mean"),
        moving_variance_initializer=wanted.start("moving_variance"),
        beta_regularizer=wanted.costs.get("beta"), gamma_regularizer=wanted.costs.get("gamma"),
        trainable=wanted.trainable, renorm=wanted.renorm, renorm_clipping=wanted.renorm_clipping,
        renorm_momentum=wanted.renorm_decay, adjustment=wanted.adjustment, name=scope.name,
        _scope=scope, _reuse=wanted.reuse, fused=fused,
    )  # fmt: skip
    outputs = layer.apply(inputs, training=wanted.is_training)
    for name in ("beta", "gamma", "moving_mean", "moving_variance"):
        if (variable := getattr(layer, name)) is not None:
            collect_variable(variable, wanted.variables_collections, name)
    return wanted.finished(outputs, scope.name)


def _fused(original: Any, wanted: Any, scope: Any) -> Any:
    fmt = wanted.data_format
    with variable_scope(scope, "BatchNorm", [original], reuse=wanted.reuse) as sc:
        rank, inputs = original.shape.ndims, original
        if rank == 2:
            channels = original.shape.sizes[-1]
            if channels is None:
                raise ValueError("`C` dimension must be known but is None")
            shape = [-1, 1, 1, channels] if fmt == "NHWC" else [-1, channels, 1, 1]
            inputs = arrays.reshape(original, shape)
        sizes = inputs.shape[-1:] if fmt == "NHWC" else inputs.shape[1:2]
        if not sizes.is_fully_defined():
            raise ValueError(f"Inputs {inputs.name} has undefined `C` dimension {sizes}.")
        beta = wanted.parameter("beta", sizes, wanted.center, 0.0)
        gamma = wanted.parameter("gamma", sizes, wanted.scale, 1.0)
        moving_mean = wanted.variable("moving_mean", sizes)
        moving_variance = wanted.variable("moving_variance", sizes)

        def by_batch() -> Any:
            return nn.fused_batch_norm(inputs, gamma, beta, epsilon=wanted.epsilon, data_format=fmt)

        def by_averages() -> Any:
            return nn.fused_batch_norm(
                inputs, gamma, beta, moving_mean, moving_variance, wanted.epsilon, fmt,
                is_training=False,
            )  # fmt: skip

        outputs, mean, variance = smart_cond(wanted.is_training, by_batch, by_averages)
        if smart_constant_value(wanted.is_training) is not False:
            outputs = _moved(wanted, outputs, moving_mean, moving_variance, mean, variance)
        outputs.set_shape(inputs.shape)
        if rank == 2:
            outputs = arrays.reshape(outputs, arrays.shape(original))
        return wanted.finished(outputs, sc.name)


def _moved(wanted: Any, outputs: Any, average: Any, spread: Any, mean: Any, variance: Any) -> Any:
    """The outputs after the averages moved, or the assignments in their collections."""
    graph = get_default_graph()

    def delayed() -> Any:
        return wanted.moved(average, spread, mean, variance)

    def forced() -> Any:
        with graph.control_dependencies(list(delayed())):
            return arrays.identity(outputs)

    if wanted.updates_collections is None:
        return smart_cond(wanted.is_training, forced, lambda: outputs)
    for update in smart_cond(wanted.is_training, delayed, lambda: (average, spread)):
        graph.add_to_collections(wanted.updates_collections, update)
    return outputs


def _composed(inputs: Any, wanted: Any, scope: Any) -> Any:
    shape, rank = inputs.shape, inputs.shape.ndims
    if rank is None:
        raise ValueError(f"Inputs {inputs.name} has undefined rank")
    first = wanted.data_format == "NCHW"
    axes = [0, *range(2, rank)] if first else list(range(rank - 1))
    sizes = shape[1:2] if first else shape[-1:]
    kind = inputs.dtype.base_dtype
    weights = wanted.batch_weights
    if weights is not None:
        weights = arrays.reshape(convert(weights), [-1] + [1] * (rank - 1))
    beta = wanted.variable("beta", sizes, kind) if wanted.center else None
    gamma = wanted.variable("gamma", sizes, kind) if wanted.scale else None
    averages = (
        wanted.variable("moving_mean", sizes, kind), wanted.variable("moving_variance", sizes, kind),
    )  # fmt: skip
    mean, variance = averages
    if smart_constant_value(wanted.is_training) is not False:
        found = _moments(inputs, axes, weights, first)
        mean, variance = _chosen(wanted, averages, found)
    parts = [mean, variance, beta, gamma]
    if first:
        wide = [1, sizes.as_list()[0]] + [1] * (rank - 2)
        parts = [p if p is None else arrays.reshape(p, wide) for p in parts]
    outputs = nn.batch_normalization(inputs, *parts, wanted.epsilon)
    outputs.set_shape(shape)
    return wanted.finished(outputs, scope.name)


def _moments(inputs: Any, axes: list[int], weights: Any, first: bool) -> Any:
    if weights is None:
        found = nn.moments(inputs, axes, keep_dims=first)
    else:
        found = nn.weighted_moments(inputs, axes, weights, keep_dims=first)
    return tuple(arrays.reshape(f, [-1]) for f in found) if first else found


def _chosen(wanted: Any, averages: Any, found: Any) -> Any:
    """The batch's statistics or the averages, after these moved or beside their updates."""
    graph = get_default_graph()

    def delayed() -> Any:
        return wanted.moved(*averages, *found)

    def forced() -> Any:
        with graph.control_dependencies(list(delayed())):
            return arrays.identity(found[0]), arrays.identity(found[1])

    if wanted.updates_collections is None:
        return smart_cond(wanted.is_training, forced, lambda: averages)
    for update in smart_cond(wanted.is_training, delayed, lambda: averages):
        graph.add_to_collections(wanted.updates_collections, update)
    return smart_cond(wanted.is_training, lambda: found, lambda: averages)
