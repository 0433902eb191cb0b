"""Statistics of a batch and normalization by them where nothing is differentiated: two native calls.

The training kernel does both in one call, and keeps what a backward pass needs. Alone in a loop these
two take 23 µs where it takes 58 ([64, 4, 28, 28] in float32, in cache); inside a network both ways cost
the same, so what is saved is Python: all that is the same for inputs of one kind is packed once.
"""

from struct import Struct

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.plan import Plan

_CALL = Struct(library.CALL)
_MOMENTS, _NORMALIZE = Struct("P PP"), Struct("d PPPP PP PPP")  # the rest of the header's structs


class ByBatch:
    """What a layer in training does with inputs that fit ``plan``; no running average moves.

    Vectors fit the plan, whose parameters have the statistics' dtype.
    """

    def __init__(self, plan: Plan, weight: Tensor | None, bias: Tensor | None) -> None:
        self._plan, self._vectors = plan, (weight, bias)
        self._parameters = [0 if v is None else v.data_ptr() for v in self._vectors]
        self._head = _CALL.pack(*plan.head, library.threads(), 0, 0)
        self._empty = library.empty_like if plan.large else torch.empty_like
        self._moments, self._normalize = library.native().moments, library.native().normalize

    def __call__(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """activation(normalized x + residual); mean and biased variance, [2, C]."""
        plan, head = self._plan, self._head
        y, rows = self._empty(x), torch.empty(2, plan.head[1], dtype=plan.statistics)
        room = torch.empty(plan.room, dtype=torch.uint8) if plan.room else None
        if room is not None:
            head = _CALL.pack(*plan.head, library.threads(), room.data_ptr(), plan.room)
        given, mean = x.data_ptr(), rows.data_ptr()
        var = mean + plan.step
        added = 0 if residual is None else residual.data_ptr()
        rest = _NORMALIZE.pack(
            plan.eps, given, added, *self._parameters, mean, var, y.data_ptr(), 0, 0
        )
        status = self._moments(head + _MOMENTS.pack(given, mean, var))
        status = status or self._normalize(head + rest)
        if status:
            library.refused(status)
        return y, rows
