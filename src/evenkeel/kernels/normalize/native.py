"""Normalization by given statistics in one native call, with residual and activation, also in place."""

from torch import Tensor

from evenkeel.kernels import library
from evenkeel.views import NO_VIEW, View, statistics_dtype, view_of


def normalize(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """X [N, C, *], all vectors [C]; y in the dtype of x."""
    view = view_of(x, 1) or NO_VIEW
    return forward(x, view, mean, var, weight, bias, eps, None, None)


def forward(
    x: Tensor,
    view: View,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    residual: Tensor | None,
    activation: str | None,
    *,
    out: Tensor | None = None,
    saved: Tensor | None = None,
) -> Tensor:
    """activation(normalized x + residual) in the layout of x, or in ``out``, which may be x.

    ``saved`` [5, C] takes mean and rstd (rows 0 and 2) for a backward pass.
    """
    y = library.empty_like(x) if out is None else out
    parameters = library.parameter_dtype(x, weight, bias, mean, var)
    vectors = [library.vector(v, view.channels, parameters) for v in (weight, bias, mean, var)]
    residual = library.alike(residual, x)
    _room, room, room_bytes = library.workspace(view, x.dtype)
    at = library.address(saved)
    step = view.channels * statistics_dtype(x).itemsize
    status = library.native().normalize(
        library.NORMALIZE.pack(
            *view,
            library.DTYPES[x.dtype],
            library.DTYPES[parameters],
            library.ACTIVATIONS[activation],
            library.threads(),
            room,
            room_bytes,
            eps,
            x.data_ptr(),
            library.address(residual),
            *map(library.address, vectors),
            y.data_ptr(),
            at,
            at and at + 2 * step,
        )
    )
    library.check(status)
    return y
