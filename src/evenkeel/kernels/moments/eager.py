"""Moments on torch's operators: two passes, the second about the first one's rounding error."""

from math import prod

from torch import Tensor

from evenkeel.views import statistics_dtype


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``, kept as axes of size 1.

    The mean of float32 values around 10⁴ is off by some 10⁻³; the deviations from it are exact, so
    their own mean is that error, and taking it off gives the variance of the true deviations.
    Measured on N(10⁴, 1), float32, NHWC [32, 64, 56, 56]: relative variance error 2·10⁻⁷; torch's
    own kernel 5·10⁻³.
    """
    wide, count = x.to(statistics_dtype(x)), prod([x.shape[axis] for axis in axes])
    mean = summed(wide, axes) / count
    deviation = wide - mean
    rounding = summed(deviation, axes) / count
    var = summed((deviation - rounding).square(), axes) / count
    return mean + rounding, var


def summed(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The sum over ``axes``, kept as axes of size 1, one axis after the other.

    Over several axes at once torch adds one float32 after the other where memory does not let it
    join them: with [120000, 4, 3, 2] over axes (0, 1, 3) the variance was off by 3·10⁻⁵.
    """
    for axis in axes:
        x = x.sum(axis, keepdim=True)
    return x
