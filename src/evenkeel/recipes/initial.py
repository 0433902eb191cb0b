"""Initial weights, drawn from the distributions that TensorFlow's initializers draw from."""

import math
from collections.abc import Callable

from torch import Tensor, nn

Initializer = Callable[[Tensor], Tensor]


def glorot_uniform(weight: Tensor) -> Tensor:
    """Uniform within ±√(6 / (fan in + fan out)): the default kernel of tf.layers and tf.get_variable.

    Source:  Glorot & Bengio 2010, equation 16
    """
    return nn.init.xavier_uniform_(weight)


def truncated_normal(stddev: float) -> Initializer:
    """Normal around 0, redrawn beyond two standard deviations: tf.truncated_normal.

    >>> import torch
    >>> bool((truncated_normal(0.1)(torch.empty(100)).abs() <= 0.2).all())
    True
    """

    def draw(weight: Tensor) -> Tensor:
        return nn.init.trunc_normal_(weight, 0.0, stddev, -2 * stddev, 2 * stddev)

    return draw


def normal(stddev: float) -> Initializer:
    """Normal around 0."""

    def draw(weight: Tensor) -> Tensor:
        return nn.init.normal_(weight, 0.0, stddev)

    return draw


def uniform_unit_scaling(weight: Tensor) -> Tensor:
    """Uniform within ±√(3 / fan in): TFLearn's default for convolutions, "uniform_scaling".

    Source:  Sussillo & Abbott 2014, arXiv:1412.6558, with a factor of 1
    """
    bound = math.sqrt(3 / weight[0].numel())
    return nn.init.uniform_(weight, -bound, bound)
