"""Backward in one native call: dx, dresidual, dweight and dbias, through the activation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.views import NO_VIEW, View, view_of

# Where the forward pass added a residual, the activation's derivative is told by its output for
# these (in 16 bits only for the first: the others would inherit the output's rounding), and by the
# residual for all others.
BY_OUTPUT_16 = ("relu", "leaky_relu", "relu6")
BY_OUTPUT = (*BY_OUTPUT_16, "elu", "sigmoid", "tanh")


def by_output(activation: str | None, dtype: torch.dtype) -> bool:
    """Whether a backward pass with residual needs y; otherwise it needs the residual."""
    narrow = dtype in (torch.float16, torch.bfloat16)
    return activation in (BY_OUTPUT_16 if narrow else BY_OUTPUT)


def backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Dx [N, C, *], dweight [C], dbias [C]."""
    del eps  # rstd has it
    view = view_of(x, 1) or NO_VIEW
    low = torch.zeros_like(mean)
    statistics = torch.stack([mean, mean, rstd, low, low])
    wanted = True, True, True, False
    dx, dweight, dbias, _ = run(dy, x, None, None, weight, None, statistics, view, None, wanted)
    return dx, dweight, dbias  # type: ignore[return-value]  # wanted, so present


def run(
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Tensor,
    view: View,
    activation: str | None,
    wanted: Sequence[bool],
    frozen: bool = False,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Dx, dweight, dbias, dresidual; None where not wanted.

    ``statistics`` [5, C] as the forward pass left them (frozen: mean, nothing, rstd alone).
    """
    channels = view.channels
    parameters = library.parameter_dtype(x, weight, bias)
    weight = library.vector(weight, channels, parameters)
    bias = library.vector(bias, channels, parameters)
    dy = library.alike(dy, x)  # type: ignore[assignment]  # None for None only
    dx = library.empty_like(x) if wanted[0] else None
    dweight = torch.empty(channels, dtype=parameters) if wanted[1] else None
    dbias = torch.empty(channels, dtype=parameters) if wanted[2] else None
    dresidual = library.empty_like(x) if wanted[3] and activation else None
    _room, room, room_bytes = library.workspace(view, x.dtype)
    at, step = statistics.data_ptr(), channels * statistics.element_size()
    status = library.native().backward(
        library.BACKWARD.pack(
            *view,
            library.DTYPES[x.dtype],
            library.DTYPES[parameters],
            library.ACTIVATIONS[activation],
            library.threads(),
            room,
            room_bytes,
            frozen,
            dy.data_ptr(),
            x.data_ptr(),
            library.address(y),
            library.address(residual),
            library.address(weight),
            library.address(bias),
            at,
            at + 2 * step,
            0 if frozen else at + 3 * step,
            library.address(dx),
            library.address(dresidual),
            library.address(dweight),
            library.address(dbias),
        )
    )
    library.check(status)
    return dx, dweight, dbias, dy if wanted[3] and not activation else dresidual
