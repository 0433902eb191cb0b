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
        x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, mean, var = choose(KERNELS["train"], Call.of(x)).run(x, weight, bias, eps)
        return y, mean, var

    # torch gives the context its attributes at run time
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, _, ctx.eps = inputs
        _, mean, var = output
        ctx.mark_non_differentiable(mean, var)
        ctx.save_for_backward(x, weight, mean, var)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var = ctx.saved_tensors
        kernel = choose(KERNELS["backward"], Call.of(x))
        gradients = kernel.run(dy, x, weight, mean, (var + ctx.eps).rsqrt(), ctx.eps)
        wanted = zip(gradients, ctx.needs_input_grad, strict=False)
        return *(gradient if need else None for gradient, need in wanted), None


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
