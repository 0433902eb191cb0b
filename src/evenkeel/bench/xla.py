"""BN + ReLU in JAX and in TensorFlow, compiled by XLA: output and gradients of one step.

Both get x in the memory order of the case. Their thread pools follow the processors this process may
use, not torch's setting, and neither moves running statistics: less work than the others do.
"""

import time
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from evenkeel.bench.problem import EPS, Problem
from evenkeel.bench.sides import Lap

NAMES = ("y", "dx", "dweight", "dbias")


def refuses(problem: Problem) -> str:
    """The reason why a problem is left to the others; "" when it is not."""
    return "" if problem.operation.name == "bn_relu" else "measured on bn_relu only"


class JaxSide:
    """jax.jit of the forward pass and its vector-Jacobian product."""

    def __init__(self, problem: Problem) -> None:
        jax = import_module("jax")
        self._jnp, self._last = jax.numpy, problem.case.layout == "nhwc"
        self._block = jax.block_until_ready
        self._given = [self._array(problem.x), self._array(problem.weight)]
        self._given += [self._array(problem.bias), self._array(problem.dy)]
        axes, shape = _axes(problem)

        def forward(x: Any, weight: Any, bias: Any) -> Any:  # jax's arrays; it may not be installed
            wide = x.astype("float32")
            mean = wide.mean(axes, keepdims=True)
            var = ((wide - mean) ** 2).mean(axes, keepdims=True)
            scale = weight.reshape(shape) / self._jnp.sqrt(var + EPS)
            return jax.nn.relu((wide - mean) * scale + bias.reshape(shape)).astype(x.dtype)

        def step(x: Any, weight: Any, bias: Any, dy: Any) -> Any:
            y, pull = jax.vjp(forward, x, weight, bias)
            return (y, *pull(dy))

        self._step = jax.jit(step)

    def lap(self) -> Lap:
        """One step, waited for."""
        start = time.perf_counter()
        self._block(self._step(*self._given))
        return Lap(time.perf_counter() - start)

    def arrays(self) -> dict[str, Tensor]:
        """Output and gradients."""
        found = self._block(self._step(*self._given))
        arrays = [torch.tensor(self._wide(array)) for array in found]
        return dict(zip(NAMES, _channels_second(arrays, self._last), strict=True))

    def _array(self, tensor: Tensor) -> Any:
        array = self._jnp.asarray(_memory_order(tensor, self._last).float().numpy())
        return array.astype("bfloat16") if tensor.dtype == torch.bfloat16 else array

    def _wide(self, array: Any) -> Any:
        return import_module("numpy").asarray(array.astype("float32"))


class TensorFlowSide:
    """tf.function(jit_compile=True) of the forward pass under a gradient tape."""

    def __init__(self, problem: Problem) -> None:
        tf = import_module("tensorflow")
        self._tf, self._last = tf, problem.case.layout == "nhwc"
        self._given = [self._tensor(problem.x), self._tensor(problem.weight)]
        self._given += [self._tensor(problem.bias), self._tensor(problem.dy)]
        axes, shape = _axes(problem)

        def step(x: Any, weight: Any, bias: Any, dy: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([x, weight, bias])
                wide = tf.cast(x, tf.float32)
                mean = tf.reduce_mean(wide, axes, keepdims=True)
                var = tf.reduce_mean(tf.square(wide - mean), axes, keepdims=True)
                scale = tf.reshape(weight, shape) * tf.math.rsqrt(var + EPS)
                y = tf.nn.relu((wide - mean) * scale + tf.reshape(bias, shape))
                y = tf.cast(y, x.dtype)
            return (y, *tape.gradient(y, [x, weight, bias], dy))

        self._step = tf.function(step, jit_compile=True)

    def lap(self) -> Lap:
        """One step; reading one value waits for it."""
        start = time.perf_counter()
        found = self._step(*self._given)
        found[-1].numpy()
        return Lap(time.perf_counter() - start)

    def arrays(self) -> dict[str, Tensor]:
        """Output and gradients."""
        wide = [self._tf.cast(array, "float32").numpy() for array in self._step(*self._given)]
        arrays = [torch.tensor(array) for array in wide]
        return dict(zip(NAMES, _channels_second(arrays, self._last), strict=True))

    def _tensor(self, tensor: Tensor) -> Any:
        array = self._tf.constant(_memory_order(tensor, self._last).float().numpy())
        return self._tf.cast(array, "bfloat16") if tensor.dtype == torch.bfloat16 else array


def _axes(problem: Problem) -> tuple[tuple[int, ...], list[int]]:
    """Axes to reduce, and the shape of a vector [C] beside x in memory order."""
    rank = problem.x.ndim
    channel = rank - 1 if problem.case.layout == "nhwc" else 1
    shape = [-1 if axis == channel else 1 for axis in range(rank)]
    return tuple(axis for axis in range(rank) if axis != channel), shape


def _memory_order(tensor: Tensor, last: bool) -> Tensor:
    return tensor.movedim(1, -1).contiguous() if last and tensor.ndim > 1 else tensor


def _channels_second(arrays: list[Tensor], last: bool) -> list[Tensor]:
    return [array.movedim(-1, 1) if last and array.ndim > 1 else array for array in arrays]
