"""``xavier_initializer``, ``variance_scaling_initializer``: scaled as contrib scales."""

from typing import Any

from evenkeel.errors import EvenkeelError
from evenkeel.tf1.api import random as nodes
from evenkeel.tf1.dtypes import as_dtype, float32
from evenkeel.tf1.random import contrib_variance_scaling
from evenkeel.tf1.shapes import TensorShape

_NODES = {"RandomUniform": nodes.random_uniform, "TruncatedNormal": nodes.truncated_normal}


def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: Any = None,
    dtype: Any = float32,
) -> Any:  # fmt: skip
    """Numbers whose variance is ``factor`` over the fan."""
    if not as_dtype(dtype).is_floating:
        raise TypeError("Cannot create initializer for non-floating point type.")

    def initializer(shape: Any, dtype: Any = dtype, partition_info: Any = None) -> Any:
        sizes: Any = TensorShape(shape).as_list()
        try:
            draw = contrib_variance_scaling(sizes, factor, mode, uniform)
        except EvenkeelError as error:
            raise TypeError(error.problem) from None
        return _NODES[draw.kind](shape, draw.first, draw.second, dtype, seed=seed)

    return initializer


def xavier_initializer(uniform: bool = True, seed: Any = None, dtype: Any = float32) -> Any:
    """Variance 1 over the mean of the fans (Glorot and Bengio 2010)."""
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer
