"""What is the same for all native calls of one kind, worked out once.

A call on a small tensor takes the library a microsecond; what Python does around it must not take
twenty. So the calls themselves look nothing up and convert nothing: ``Plan.fits`` says whether tensors
can go over as they lie.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.kernels.table import Call
from evenkeel.views import NO_VIEW


class Plan(NamedTuple):
    """``head``: view, dtypes and activation as the library's structs begin.

    ``parameters``, ``statistics``: dtypes. ``vector``: the shape of parameters. ``step``: bytes of one
    row of statistics. ``room``: bytes of workspace. ``large``: whether outputs deserve large pages.
    """

    call: Call
    eps: float
    activation: str | None
    parameters: torch.dtype
    statistics: torch.dtype
    vector: tuple[int, ...]
    head: tuple[int, ...]
    step: int
    room: int
    large: bool

    def fits(self, *vectors: Tensor | None) -> bool:
        """Whether parameters and running statistics can go over as they lie."""
        dtype, shape = self.parameters, self.vector
        for vector in vectors:  # a loop: all() over a generator takes twice the time
            if vector is not None and not (
                vector.dtype is dtype
                and vector.shape == shape
                and vector.is_contiguous()
                and vector.is_cpu
            ):
                return False
        return True

    def suited(self, vector: Tensor | None) -> Tensor | None:
        """The vector, or a copy that fits.

        Raises:  BadShape when it does not hold one number for each channel
        """
        return None if vector is None else self.surely(vector)

    def surely(self, vector: Tensor) -> Tensor:
        """``suited`` for a vector that is there."""
        channels, dtype = self.head[1], self.parameters
        return vector if self.fits(vector) else library.vector(vector, channels, dtype)


@lru_cache(maxsize=4096)
def plan_of(
    call: Call,
    parameters: torch.dtype,
    eps: float,
    activation: str | None,
    vector: tuple[int, ...] | None = None,
) -> Plan:
    """The plan of calls like this one; ``vector``: the parameters' shape where it is not [C]."""
    view = call.view or NO_VIEW
    wide = torch.float64 if call.dtype == torch.float64 else torch.float32
    types = library.DTYPES[call.dtype], library.DTYPES[parameters], library.ACTIVATIONS[activation]
    size = view.outer * view.channels * view.inner * call.dtype.itemsize
    return Plan(
        call,
        eps,
        activation,
        parameters,
        wide,
        (view.channels,) if vector is None else vector,
        (*view, *types),
        view.channels * wide.itemsize,
        library.workspace_bytes(view, call.dtype),
        size >= library.FRESH,
    )
