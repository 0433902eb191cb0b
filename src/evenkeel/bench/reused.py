"""The native kernels without anything that Python allocates: every buffer is there beforehand."""

import ctypes
import time

import torch
from torch import Tensor

from evenkeel.bench.problem import EPS, MOMENTUM, Problem
from evenkeel.bench.sides import Lap
from evenkeel.kernels import library
from evenkeel.kernels.backward import native as native_backward
from evenkeel.kernels.fused import native as native_train
from evenkeel.kernels.plan import plan_of
from evenkeel.kernels.table import Call


class Reused:
    """Forward and backward of BN + ReLU in native calls on the same memory at every step."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._plan = plan_of(Call.of(problem.x), torch.float32, EPS, problem.operation.activation)
        self._y, self._dx = (library.empty_like(problem.x) for _ in range(2))
        self._running = problem.mean.clone(), problem.var.clone()
        self._statistics = torch.empty(5, problem.x.shape[1])
        self._room = torch.empty(max(self._plan.room, 1), dtype=torch.uint8)
        self._dweight, self._dbias = (torch.empty_like(problem.weight) for _ in range(2))
        self._finite = ctypes.c_int32()

    def lap(self) -> Lap:
        """One step: what is passed is worked out before the clock starts."""
        forward, backward, native = self._forward(), self._backward(), library.native()
        start = time.perf_counter()
        statuses = [native.train(forward)]
        middle = time.perf_counter()
        statuses.append(native.backward(backward))
        end = time.perf_counter()
        for status in filter(None, statuses):
            library.refused(status)
        return Lap(end - start, middle - start, end - middle)

    def arrays(self) -> dict[str, Tensor]:
        """Output, gradients and moved statistics; the statistics are put back."""
        self.lap()
        moved = [running.clone() for running in self._running]
        for running, before in zip(
            self._running, (self._problem.mean, self._problem.var), strict=True
        ):
            running.copy_(before)
        return {
            "y": self._y,
            "dx": self._dx,
            "dweight": self._dweight,
            "dbias": self._dbias,
            "running_mean": moved[0],
            "running_var": moved[1],
        }

    def _forward(self) -> bytes:
        given, moved = self._problem, native_train.Moved(*self._running, MOMENTUM, True)
        vectors, buffers = (given.weight, given.bias), (self._y, self._statistics, self._room)
        finite = ctypes.addressof(self._finite)
        return native_train.packed(self._plan, given.x, *vectors, None, moved, *buffers, finite)

    def _backward(self) -> bytes:
        given = self._problem
        outputs = self._dx, None, self._dweight, self._dbias
        operands = given.dy, given.x, None, None, given.weight, given.bias, self._statistics
        return native_backward.packed(self._plan, *operands, outputs, self._room, False)
