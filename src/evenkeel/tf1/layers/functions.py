"""``tf.layers.dense`` and its like: a layer made, called once, and let go."""

import inspect
from typing import Any

from evenkeel.tf1.layers.base import Layer
from evenkeel.tf1.layers.convolutional import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
)
from evenkeel.tf1.layers.core import Dense, Dropout, Flatten
from evenkeel.tf1.layers.normalization import BatchNormalization
from evenkeel.tf1.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from evenkeel.tf1.layers.separable import SeparableConv1D, SeparableConv2D

_TRAINING = ("training",)


def _function(name: str, kind: type[Layer], *, reuse: bool = True, after: str = "") -> Any:
    """A function of the inputs and the layer's own arguments, in the layer's order.

    ``training`` stands before the argument ``after``; ``reuse`` is the last.
    """
    order = [
        p.name
        for p in list(inspect.signature(kind.__init__).parameters.values())[1:]
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    if after:
        order.insert(order.index(after), "training")
    if reuse:
        at = order.index("name") + 1
        order.insert(at, "reuse")

    def layer(inputs: Any, *args: Any, **given: Any) -> Any:
        if len(args) > len(order):
            raise TypeError(f"{name}() takes at most {len(order) + 1} arguments")
        given |= dict(zip(order, args, strict=False))
        again = given.pop("reuse", None)
        call = {k: given.pop(k) for k in _TRAINING if k in given}
        made = kind(**given, _reuse=again, _scope=given.get("name"))
        return made(inputs, **call)

    layer.__name__ = layer.__qualname__ = name
    layer.__doc__ = f"{kind.__doc__} A layer made and called once."
    return layer


dense = _function("dense", Dense)
dropout = _function("dropout", Dropout, reuse=False, after="name")
flatten = _function("flatten", Flatten, reuse=False)
conv1d, conv2d = _function("conv1d", Conv1D), _function("conv2d", Conv2D)
conv3d = _function("conv3d", Conv3D)
conv2d_transpose = _function("conv2d_transpose", Conv2DTranspose)
conv3d_transpose = _function("conv3d_transpose", Conv3DTranspose)
separable_conv1d = _function("separable_conv1d", SeparableConv1D)
separable_conv2d = _function("separable_conv2d", SeparableConv2D)
max_pooling1d = _function("max_pooling1d", MaxPooling1D, reuse=False)
max_pooling2d = _function("max_pooling2d", MaxPooling2D, reuse=False)
max_pooling3d = _function("max_pooling3d", MaxPooling3D, reuse=False)
average_pooling1d = _function("average_pooling1d", AveragePooling1D, reuse=False)
average_pooling2d = _function("average_pooling2d", AveragePooling2D, reuse=False)
average_pooling3d = _function("average_pooling3d", AveragePooling3D, reuse=False)


def batch_normalization(
    inputs: Any, axis: Any = -1, momentum: Any = 0.99, epsilon: float = 1e-3, center: bool = True,
    scale: bool = True, beta_initializer: Any = None, gamma_initializer: Any = None,
    moving_mean_initializer: Any = None, moving_variance_initializer: Any = None,
    beta_regularizer: Any = None, gamma_regularizer: Any = None, beta_constraint: Any = None,
    gamma_constraint: Any = None, training: Any = False, trainable: bool = True, name: Any = None,
    reuse: Any = None, renorm: bool = False, renorm_clipping: Any = None,
    renorm_momentum: Any = 0.99, fused: Any = None, virtual_batch_size: Any = None,
    adjustment: Any = None,
) -> Any:  # fmt: skip
    """Normalization by the batch while training, by moving averages else."""
    given = {k: v for k, v in locals().items() if v is not None}
    for key in ("inputs", "training", "reuse"):
        given.pop(key, None)
    layer = BatchNormalization(**given, _reuse=reuse, _scope=name)
    return layer(inputs, training=training)
