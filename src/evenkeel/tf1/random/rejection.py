"""Gamma and Poisson numbers: drawn until one is accepted, each output from words of its own."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from evenkeel.tf1.random.definition import SMALLEST, unit64
from evenkeel.tf1.random.draw import RESERVED
from evenkeel.tf1.random.philox import Place, Stream, Words, words

AHEAD = 4  # blocks of an output that are computed together with all others'
KNUTH = 10.0  # the rate from which Poisson numbers are made by transformed rejection


class Draws:
    """Uniform numbers and normals of one output, from its blocks in turn.

    A block gives two of either kind, and the second of them is used first.
    """

    def __init__(self, place: Place, ready: Words) -> None:
        self._place, self._ready, self._block = place, ready, 0
        self._uniforms: list[float] = []
        self._normals: list[float] = []

    def uniform(self) -> float:
        """The next number in [0, 1)."""
        if not self._uniforms:
            self._uniforms = self._two()
        return self._uniforms.pop()

    def normal(self) -> float:
        """The next normal."""
        if not self._normals:
            u, turn = self._two()
            angle, radius = 2 * math.pi * turn, math.sqrt(-2.0 * math.log(max(u, SMALLEST)))
            self._normals = [math.sin(angle) * radius, math.cos(angle) * radius]
        return self._normals.pop()

    def _two(self) -> list[float]:
        """The next block's numbers in [0, 1)."""
        block, self._block = self._block, self._block + 1
        ready = block < len(self._ready)
        w = self._ready[block] if ready else words(self._place, np.full(1, block, np.uint64))[0]
        numbers: list[float] = unit64(w[::2], w[1::2]).tolist()
        return numbers


def gamma(shape: list[int], alpha: Tensor, stream: Stream) -> Tensor:
    """Gamma numbers with scale 1, as RandomGamma draws them.

    Math:    Marsaglia and Tsang's d·v with d = α − 1/3, v = (1 + x/√(9d))³ of a normal x; below
             α = 1 that of α + 1, times u^(1/α); at α = 1 an exponential number
    Shapes:  alpha [*]; the result [*shape, *alpha]
    Dtypes:  f16, f32, f64, computed in f64; the result as alpha
    Error:   f64: a unit in the last place; f32 and f16 TensorFlow's bits but for rounding of that
    Source:  TensorFlow 1.15, RandomGammaOp; Marsaglia & Tsang 2000, doi:10.1145/358407.358414

    >>> gamma([2], torch.tensor([2.5]), Stream.seeded(8, 9)).shape
    torch.Size([2, 1])
    """
    return _by_output(shape, alpha, stream, _gamma).to(alpha.dtype)


def poisson(
    shape: list[int], rate: Tensor, stream: Stream, dtype: torch.dtype | None = None
) -> Tensor:
    """Poisson numbers, as RandomPoissonV2 draws them.

    Math:    below rate 10 as many factors as keep a product of uniform numbers above exp(−rate);
             from there on Hörmann's transformed rejection
    Shapes:  rate [*]; the result [*shape, *rate]
    Dtypes:  rate f16, f32, f64, int32, int64, computed in f64; the result ``dtype``, else as rate
    Source:  TensorFlow 1.15, RandomPoissonOp; Knuth, The Art of Computer Programming 2, 3.4.1;
             Hörmann 1993, doi:10.1016/0167-6687(93)90997-4

    >>> poisson([3], torch.tensor([4.0]), Stream.seeded(8, 9)).shape
    torch.Size([3, 1])
    """
    return _by_output(shape, rate, stream, _poisson).to(dtype or rate.dtype)


def _by_output(
    shape: list[int], parameter: Tensor, stream: Stream, draw: Callable[[float, Draws], float]
) -> Tensor:
    """One number for each sample of each parameter, in float64."""
    values, samples = parameter.detach().cpu().double().reshape(-1).tolist(), math.prod(shape)
    place = stream.reserve(samples * len(values) * RESERVED)
    draws = _draws(place, samples * len(values))
    drawn = [[draw(value, next(draws)) for _ in range(samples)] for value in values]
    rows = torch.tensor(drawn, dtype=torch.float64).reshape(len(values), samples)
    return rows.T.reshape([*shape, *parameter.shape])


def _draws(place: Place, outputs: int) -> Iterator[Draws]:
    starts = np.arange(outputs, dtype=np.uint64) * np.uint64(RESERVED)
    offsets = np.add.outer(starts, np.arange(AHEAD, dtype=np.uint64)).ravel()
    ready = words(place, offsets).reshape(outputs, AHEAD, 4)
    for output in range(outputs):
        yield Draws(place.after(output * RESERVED), ready[output])


def _gamma(alpha: float, draws: Draws) -> float:
    if alpha == 1.0:
        return -math.log1p(-draws.uniform())
    d = alpha + (2.0 / 3 if alpha < 1 else -1.0 / 3)
    c = 1.0 / 3 / math.sqrt(d)
    while True:
        x = draws.normal()
        v = 1 + c * x
        if v <= 0:
            continue
        v = v * v * v
        u = draws.uniform()
        if u < 1 - 0.0331 * (x * x) * (x * x) or _log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return d * v * (draws.uniform() ** (1 / alpha) if alpha < 1 else 1.0)


def _poisson(rate: float, draws: Draws) -> float:
    if rate >= KNUTH:
        return _hoermann(rate, draws)
    least, product, factors = math.exp(-rate), 1.0, 0.0
    while True:
        product *= draws.uniform()
        if product <= least:
            return factors
        factors += 1


def _hoermann(rate: float, draws: Draws) -> float:
    """Transformed rejection: k of one uniform number, kept or dropped by another."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_acceptance = 1.1239 + 1.1328 / (b - 3.4)
    while True:
        u = draws.uniform() - 0.5
        v = draws.uniform()
        edge = 0.5 - abs(u)
        k = math.floor((2 * a / edge + b) * u + rate + 0.43) if edge else -1
        if edge >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2):
            return float(k)
        if k < 0 or (edge < 0.013 and v > edge):
            continue
        density = _log(v * inverse_acceptance / (a / (edge * edge) + b))
        if density <= -rate + k * math.log(rate) - math.lgamma(k + 1):
            return float(k)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
