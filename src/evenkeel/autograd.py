"""Training batch normalization as one differentiable call, whatever kernel runs it."""

from typing import Any

import torch
from torch import Tensor

from evenkeel.kernels import KERNELS, Call, choose

__all__ = ["train"]


class _Train(torch.autograd.Function):
    """Forward on a kernel that torch cannot differentiate; backward on the backward kernels."""

    @staticmethod
    def forward(
        ctx: Any,  # torch gives the context its attributes at run time
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, mean, var = choose(KERNELS["train"], Call.of(x)).run(x, weight, bias, eps)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt())
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        kernel = choose(KERNELS["backward"], Call.of(x))
        dx, dweight, dbias = kernel.run(dy, x, weight, mean, rstd, ctx.eps)
        wanted = ctx.needs_input_grad
        return (
            dx if wanted[0] else None,
            dweight if wanted[1] else None,
            dbias if wanted[2] else None,
            None,
        )


def train(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Y [N, C, *], batch mean [C], biased batch variance [C].

    The statistics carry no gradient of their own; y is differentiable twice in x, weight and bias.
    """
    kernel = choose(KERNELS["train"], Call.of(x))
    if kernel.differentiable:
        y, mean, var = kernel.run(x, weight, bias, eps)
    else:
        y, mean, var = _Train.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    return y, mean, var
