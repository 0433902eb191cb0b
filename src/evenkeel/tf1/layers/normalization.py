"""Batch normalization as a layer: fused, unfused, renormalized, in virtual batches."""

from typing import Any

from evenkeel.tf1 import build, nn
from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.control import smart_cond, smart_constant_value
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.layers import moving
from evenkeel.tf1.layers.base import ONES, ZEROS, InputSpec, Layer
from evenkeel.tf1.layers.renorm import renormalized
from evenkeel.tf1.shapes import TensorShape

_CLIPS = ("rmax", "rmin", "dmax")


class BatchNormalization(Layer):
    """Normalization by the batch while training, by moving averages else."""

    def __init__(
        self, axis: Any = -1, momentum: Any = 0.99, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Any = ZEROS, gamma_initializer: Any = ONES,
        moving_mean_initializer: Any = ZEROS, moving_variance_initializer: Any = ONES,
        beta_regularizer: Any = None, gamma_regularizer: Any = None, beta_constraint: Any = None,
        gamma_constraint: Any = None, renorm: bool = False, renorm_clipping: Any = None,
        renorm_momentum: Any = 0.99, fused: Any = None, trainable: bool = True,
        virtual_batch_size: Any = None, adjustment: Any = None, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, **kwargs)
        if not isinstance(axis, int | list | tuple):
            raise TypeError(f"axis must be int or list, type given: {type(axis)}")
        self.axis: Any = [axis] if isinstance(axis, int) else list(axis)
        self.momentum, self.epsilon, self.center, self.scale = momentum, epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint
        self.renorm, self.renorm_clipping = renorm, dict(renorm_clipping or {})
        self.renorm_momentum, self.virtual_batch_size = renorm_momentum, virtual_batch_size
        self.adjustment, self.fused = adjustment, True if fused is None else fused
        self.gamma: Any = None
        self.beta: Any = None
        if renorm and set(self.renorm_clipping) - set(_CLIPS):
            raise ValueError(
                f"renorm_clipping {renorm_clipping} contains keys not in {list(_CLIPS)}"
            )

    @property
    def _fits(self) -> bool:
        """Whether one fused node can do what is asked for."""
        special = self.renorm or self.adjustment is not None
        return not special and self.virtual_batch_size is None and self.axis in ([1], [3])

    def build(self, input_shape: TensorShape) -> None:
        """Make scale, offset and moving averages."""
        if not input_shape.ndims:
            raise ValueError("Input has undefined rank:", input_shape)
        rank = input_shape.ndims
        self.axis = [a + rank if a < 0 else a for a in self.axis]
        self._check_axes(rank)
        self.fused = bool(self.fused) and rank == 4 and self._fits
        sizes = {a: input_shape.sizes[a] for a in self.axis}
        if None in sizes.values():
            raise ValueError("Input has undefined `axis` dimension. Input shape: ", input_shape)
        self.input_spec = InputSpec(ndim=rank, axes=sizes)
        shape = self._parameter_shape(rank, sizes)
        kind = self._dtype
        narrow = kind is not None and kind.name in ("float16", "bfloat16")
        kind = float32 if narrow else kind
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", shape, kind, self.gamma_initializer, self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )  # fmt: skip
        elif self.fused:
            self._gamma = build.constant(1.0, kind, shape)
        if self.center:
            self.beta = self.add_weight(
                "beta", shape, kind, self.beta_initializer, self.beta_regularizer,
                constraint=self.beta_constraint,
            )  # fmt: skip
        elif self.fused:
            self._beta = build.constant(0.0, kind, shape)
        self._build_averages(shape, kind)

    def _check_axes(self, rank: int) -> None:
        for axis in self.axis:
            if not 0 <= axis < rank:
                raise ValueError(f"Invalid axis: {axis}")
        if len(set(self.axis)) != len(self.axis):
            raise ValueError(f"Duplicate axis: {self.axis}")
        if self.virtual_batch_size is None:
            return
        if self.virtual_batch_size <= 0:
            raise ValueError(
                "virtual_batch_size must be a positive integer that divides the true batch size of "
                "the input Tensor"
            )
        if 0 in self.axis:
            raise ValueError(
                "When using virtual_batch_size, the batch dimension must be 0 and thus axis cannot "
                "include 0"
            )
        if self.adjustment is not None:
            raise ValueError("When using virtual_batch_size, adjustment cannot be specified")

    def _parameter_shape(self, rank: int, sizes: dict[int, Any]) -> list[Any]:
        """A vector for one channel axis; 1 in the place of every other axis for several."""
        virtual = self.virtual_batch_size is not None
        if len(sizes) == 1 and not virtual:
            return list(sizes.values())
        shape = [sizes.get(i, 1) for i in range(rank)]
        if virtual:
            shape.insert(1, 1)
            self.axis = [a + 1 for a in self.axis]
        return shape

    def _build_averages(self, shape: list[Any], kind: Any) -> None:
        def average(name: str, initializer: Any) -> Any:
            return self.add_weight(name, shape, kind, initializer, trainable=False)

        self.moving_mean = average("moving_mean", self.moving_mean_initializer)
        self.moving_variance = average("moving_variance", self.moving_variance_initializer)
        if self.renorm:
            start = self.moving_variance_initializer
            root = lambda s, dtype=None, **_: apply("Sqrt", start(s, dtype=dtype))  # noqa: E731
            self.moving_stddev = average("moving_stddev", root)
            self.renorm_mean = average("renorm_mean", self.moving_mean_initializer)
            self.renorm_stddev = average("renorm_stddev", root)

    def call(self, inputs: Any, training: Any = False, **_: Any) -> Any:
        """Make the nodes."""
        if self.virtual_batch_size is None:
            return (
                self._fused_nodes(inputs, training) if self.fused else self._nodes(inputs, training)
            )
        whole = [-1, *inputs.shape.as_list()[1:]]
        parts = arrays.reshape(inputs, [self.virtual_batch_size, -1, *whole[1:]])
        return arrays.reshape(self._nodes(parts, training), whole)

    def _fused_nodes(self, inputs: Any, training: Any) -> Any:
        gamma = self.gamma if self.scale else self._gamma
        beta = self.beta if self.center else self._beta
        fmt = "NCHW" if self.axis == [1] else "NHWC"

        def by_batch() -> Any:
            return nn.fused_batch_norm(inputs, gamma, beta, epsilon=self.epsilon, data_format=fmt)

        def by_averages() -> Any:
            return nn.fused_batch_norm(
                inputs, gamma, beta, self.moving_mean, self.moving_variance, self.epsilon, fmt,
                is_training=False,
            )  # fmt: skip

        output, mean, variance = smart_cond(training, by_batch, by_averages)
        known = smart_constant_value(training)
        if known is None:
            momentum = smart_cond(training, lambda: self.momentum, lambda: 1.0)
        else:
            momentum = convert(self.momentum)
        if known is not False:
            self.add_update(lambda: moving.average(self.moving_mean, mean, momentum))
            self.add_update(lambda: moving.average(self.moving_variance, variance, momentum))
        return output

    def _nodes(self, inputs: Any, training: Any) -> Any:
        shape, rank = inputs.shape, len(inputs.shape)
        axes = [i for i in range(rank) if i not in self.axis]
        if self.virtual_batch_size is not None:
            del axes[1]  # the parts of a batch keep statistics of their own
        last = axes == list(range(rank - 1))

        def wide(vector: Any) -> Any:
            if vector is None or last or len(vector.shape) == rank:
                return vector
            at = self.axis[0]
            return arrays.reshape(vector, [1] * at + [shape.sizes[at]] + [1] * (rank - at - 1))

        scale, offset = wide(self.gamma), wide(self.beta)
        if smart_constant_value(training) is False:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            scale, offset, mean, variance = self._by_batch(
                inputs, training, axes, scale, offset, wide
            )
        kind = inputs.dtype.base_dtype
        mean, variance = cast(mean, kind), cast(variance, kind)
        offset = offset if offset is None else cast(offset, kind)
        scale = scale if scale is None else cast(scale, kind)
        outputs = nn.batch_normalization(
            inputs, wide(mean), wide(variance), offset, scale, self.epsilon
        )
        outputs.set_shape(shape)
        return outputs

    def _by_batch(
        self, inputs: Any, training: Any, axes: Any, scale: Any, offset: Any, wide: Any
    ) -> Any:
        if self.adjustment is not None:
            factor, move = self.adjustment(arrays.shape(inputs))
            factor, move = _only_in_training(training, factor, move)
            scale, offset = composed(factor, move, scale, offset)
        keep = self.virtual_batch_size is not None or len(self.axis) > 1
        source = cast(inputs, self.moving_mean.dtype.base_dtype)
        mean, variance = nn.moments(source, axes, keep_dims=keep)
        found = mean, variance
        mean = smart_cond(training, lambda: found[0], lambda: convert(self.moving_mean))
        variance = smart_cond(training, lambda: found[1], lambda: convert(self.moving_variance))
        new_mean, new_variance = mean, variance
        if self.virtual_batch_size is not None:
            from evenkeel.tf1.api.reductions import reduce_mean

            new_mean = reduce_mean(mean, axis=1, keepdims=True)
            new_variance = reduce_mean(variance, axis=1, keepdims=True)
        if self.renorm:
            r, d, new_mean, new_variance = renormalized(self, new_mean, new_variance, training)
            r = wide(apply("StopGradient", r, name="renorm_r"))
            d = wide(apply("StopGradient", d, name="renorm_d"))
            scale, offset = composed(r, d, scale, offset)
        self._move(training, new_mean, new_variance)
        return scale, offset, mean, variance

    def _move(self, training: Any, mean: Any, variance: Any) -> None:
        def of_mean() -> Any:
            return moving.average(self.moving_mean, mean, self.momentum)

        def of_variance() -> Any:
            if not self.renorm:
                return moving.average(self.moving_variance, variance, self.momentum)
            root = apply("Sqrt", variance + self.epsilon)
            deviation = moving.average(self.moving_stddev, root, self.momentum)
            squared = apply("Relu", deviation * deviation - self.epsilon)
            return moving.value(self.moving_variance, squared)

        self.add_update(lambda: smart_cond(training, of_mean, lambda: self.moving_mean))
        self.add_update(lambda: smart_cond(training, of_variance, lambda: self.moving_variance))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        return TensorShape(input_shape)


def composed(scale: Any, offset: Any, then_scale: Any, then_offset: Any) -> Any:
    """One scale and offset for two, one after the other."""
    if then_scale is not None:
        scale, offset = scale * then_scale, offset * then_scale
    if then_offset is not None:
        offset = offset + then_offset
    return scale, offset


def _only_in_training(training: Any, factor: Any, move: Any) -> Any:
    from evenkeel.tf1.api.constants import ones_like, zeros_like

    return (
        smart_cond(training, lambda: factor, lambda: ones_like(factor)),
        smart_cond(training, lambda: move, lambda: zeros_like(move)),
    )
