"""Initial values of weights: which random operation, and what is done with its output."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from evenkeel.errors import BadOption, BadShape
from evenkeel.tables import Table
from evenkeel.tf1.random.draw import fill
from evenkeel.tf1.random.philox import Stream

# The standard deviation of a standard normal between −2 and 2: √(1 − 4·φ(2) / (2·Φ(2) − 1)).
TRUNCATED_STDDEV = 0.87962566103423978
# What contrib puts in its place, under the root.
CONTRIB_FACTOR = 1.3


class Fans(NamedTuple):
    """How many values go into one output, and how many outputs one value goes to."""

    fan_in: int
    fan_out: int


class Scaling(NamedTuple):
    """The arguments of ``variance_scaling`` behind an initializer's name."""

    scale: float
    mode: str
    distribution: str


SCALINGS = Table[Scaling]("scaled initializer")
for _name, _scale, _mode in (
    ("glorot", 1.0, "fan_avg"),
    ("he", 2.0, "fan_in"),
    ("lecun", 1.0, "fan_in"),
):
    SCALINGS.add(f"{_name}_uniform")(Scaling(_scale, _mode, "uniform"))
    SCALINGS.add(f"{_name}_normal")(Scaling(_scale, _mode, "truncated_normal"))


@dataclass(frozen=True)
class Draw:
    """A random operation and what is done with its output.

    Math:    RandomUniform: u · (second − first) + first; normals: z · second + first

    >>> Draw("RandomUniform", -0.3, 0.7).tensor(torch.float32, [2], Stream.seeded(42, 3)).shape
    torch.Size([2])
    """

    kind: str
    first: float
    second: float

    def tensor(self, dtype: torch.dtype, shape: Sequence[int], stream: Stream) -> Tensor:
        """The values; every step is rounded to ``dtype``, as TensorFlow's nodes round."""
        first, second = (torch.tensor(n, dtype=dtype) for n in (self.first, self.second))
        width = second - first if self.kind == "RandomUniform" else second
        return fill(self.kind, dtype, shape, stream) * width + first


def fans(shape: Sequence[int]) -> Fans:
    """Fans of a kernel [*, inputs, outputs]; a vector's are its size, a scalar's 1.

    >>> fans([3, 3, 4, 5])
    Fans(fan_in=36, fan_out=45)
    """
    if len(shape) < 2:
        size = int(shape[0]) if shape else 1
        return Fans(size, size)
    field = math.prod(shape[:-2])
    return Fans(int(shape[-2] * field), int(shape[-1] * field))


def variance_scaling(
    shape: Sequence[int],
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
) -> Draw:
    """Values of variance scale / n, as tf.initializers.variance_scaling draws them.

    Math:    n = max(1, fan_in, fan_out or their mean); "uniform": ±√(3·scale/n);
             "truncated_normal" ("normal"): deviation √(scale/n) / 0.8796…, so that what is left
             after truncation has √(scale/n); "untruncated_normal": deviation √(scale/n)
    Shapes:  the kernel's, [*, inputs, outputs]
    Raises:  BadOption
    Source:  TensorFlow 1.15, init_ops.VarianceScaling; ``SCALINGS`` names glorot, he and lecun

    >>> variance_scaling([20, 8], *SCALINGS["glorot_uniform"]).second ** 2 * 28
    6.0
    """
    if scale <= 0:
        raise BadOption(
            "`scale` must be positive float.", got=f"scale={scale}", do="give a scale > 0"
        )
    share = scale / max(1.0, _counted(fans(shape), mode))
    if distribution == "uniform":
        limit = math.sqrt(3.0 * share)
        return Draw("RandomUniform", -limit, limit)
    if distribution == "untruncated_normal":
        return Draw("RandomStandardNormal", 0.0, math.sqrt(share))
    if distribution in ("normal", "truncated_normal"):
        return Draw("TruncatedNormal", 0.0, math.sqrt(share) / TRUNCATED_STDDEV)
    raise BadOption(
        f"Invalid `distribution` argument: {distribution}",
        got=repr(distribution),
        do="use uniform, truncated_normal or untruncated_normal",
    )


def contrib_variance_scaling(
    shape: Sequence[int], factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False
) -> Draw:
    """Values as tf.contrib.layers.variance_scaling_initializer draws them.

    Math:    n = fan_in, fan_out or their mean; uniform: ±√(3·factor/n); else a truncated normal of
             deviation √(1.3·factor/n)
    Shapes:  the kernel's, [*, inputs, outputs]
    Raises:  BadOption
    Source:  TensorFlow 1.15, contrib/layers/initializers.py; xavier_initializer is factor 1.0,
             FAN_AVG, uniform by default

    >>> contrib_variance_scaling([20, 8], 1.0, "FAN_AVG", uniform=True).second ** 2 * 28
    6.0
    """
    count = _counted(fans(shape), mode.lower())
    if uniform:
        limit = math.sqrt(3.0 * factor / count)
        return Draw("RandomUniform", -limit, limit)
    return Draw("TruncatedNormal", 0.0, math.sqrt(CONTRIB_FACTOR * factor / count))


def unit_scaling(shape: Sequence[int], factor: float = 1.0) -> Draw:
    """Values as tf.uniform_unit_scaling_initializer draws them: ±factor·√(3 / inputs).

    Shapes:  the kernel's, [*, outputs]: all sizes but the last count as inputs
    Source:  TensorFlow 1.15, init_ops.UniformUnitScaling

    >>> unit_scaling([3, 4, 7]).second
    0.5
    """
    limit = math.sqrt(3 / max(float(math.prod(shape[:-1])), 1.0)) * factor
    return Draw("RandomUniform", -limit, limit)


def orthogonal_source(shape: Sequence[int]) -> tuple[int, int]:
    """The shape of the normals that ``orthogonal`` is made of: the kernel as a tall matrix.

    Raises:  BadShape for fewer than two axes

    >>> orthogonal_source([2, 2, 2, 20])
    (20, 8)
    """
    if len(shape) < 2:
        raise BadShape(
            "The tensor to initialize must be at least two-dimensional",
            got=f"shape {list(shape)}",
            do="use another initializer for vectors",
        )
    rows, columns = math.prod(shape[:-1]), shape[-1]
    return max(rows, columns), min(rows, columns)


def orthogonal(normals: Tensor, shape: Sequence[int], gain: float = 1.0) -> Tensor:
    """The kernel whose columns (or rows, where those are fewer) are orthogonal, of norm ``gain``.

    Math:    normals = Q·R with R's diagonal positive; gain·Q, transposed where the kernel is wide
    Shapes:  normals ``orthogonal_source(shape)``; the kernel ``shape``
    Error:   1e-6 of the largest against TensorFlow's own factorization
    Raises:  BadShape
    Source:  TensorFlow 1.15, init_ops.Orthogonal; Saxe et al. 2014, arXiv:1312.6120

    >>> q = orthogonal(torch.randn(6, 5), [6, 5])
    >>> torch.allclose(q.T @ q, torch.eye(5), atol=1e-5)
    True
    """
    rows, columns = orthogonal_source(shape)
    q, r = torch.linalg.qr(normals.reshape(rows, columns))
    q = q * r.diagonal().sign()
    tall = math.prod(shape[:-1]) >= shape[-1]
    kernel: Tensor = (q if tall else q.T).reshape(tuple(shape))
    return kernel * gain


def _counted(both: Fans, mode: str) -> float:
    if mode == "fan_avg":
        return (both.fan_in + both.fan_out) / 2.0
    if mode not in ("fan_in", "fan_out"):
        raise BadOption(
            f"Invalid `mode` argument: {mode}", got=repr(mode), do="use fan_in, fan_out or fan_avg"
        )
    return float(both.fan_in if mode == "fan_in" else both.fan_out)
