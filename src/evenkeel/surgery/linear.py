"""Linear operations, and how the multiply-add of each channel goes into their weights, in float64."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from evenkeel.nn import BatchNorm, FrozenBatchNorm
from evenkeel.nn.spec import Spec
from evenkeel.views import FLOATS

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LINEAR: tuple[type[nn.Module], ...] = (*CONVS, *TRANSPOSED, nn.Linear)


@dataclass(frozen=True, slots=True)
class Affine:
    """y = scale · x + shift for each channel."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight and bias of a linear operation, in float64; no bias is a bias of 0."""

    weight: Tensor
    bias: Tensor


def affine_of(norm: nn.Module) -> Affine:
    """What a batch-norm layer does in inference.

    Math:    scale = weight / √(running_var + eps), shift = bias − running_mean · scale

    >>> affine_of(nn.BatchNorm1d(1, eps=3.0)).scale
    tensor([0.5000], dtype=torch.float64)
    """
    held = [*norm.named_parameters(recurse=False), *norm.named_buffers(recurse=False)]
    wide = {name: value.detach().double() for name, value in held}
    scale = (wide["running_var"] + spec_in_inference(norm).eps).rsqrt()
    scale = scale * wide.get("weight", torch.ones_like(scale))
    shift = wide.get("bias", torch.zeros_like(scale)) - wide["running_mean"] * scale
    return Affine(scale, shift)


def spec_in_inference(norm: nn.Module) -> Spec:
    """The hyperparameters that matter in inference; ``ranks`` () for any."""
    if isinstance(norm, BatchNorm | FrozenBatchNorm):
        return norm.spec
    ranks = {nn.BatchNorm1d: (2, 3), nn.BatchNorm2d: (4,), nn.BatchNorm3d: (5,)}
    channels = norm.running_mean.shape
    return Spec(type(norm).__name__, tuple(channels), norm.eps, ranks=ranks.get(type(norm), ()))  # type: ignore[arg-type]


def linear_kind(module: nn.Module | None) -> type[nn.Module] | None:
    """The one of torch's linear operations that ``module`` is; also a subclass that calls the same.

    >>> linear_kind(nn.Conv2d(1, 1, 1)).__name__
    'Conv2d'
    """
    for kind in LINEAR:
        same = isinstance(module, kind) and type(module).forward is kind.forward
        inner = "_conv_forward"
        if same and getattr(type(module), inner, None) is getattr(kind, inner, None):
            return kind
    return None


def unfit(linear: nn.Module) -> str:
    """Why the weights of ``linear`` cannot be changed; "" when they can."""
    if is_parametrized(linear):
        return "its parameters are parametrized: remove_parametrizations first"
    if isinstance(linear, nn.modules.lazy.LazyModuleMixin):
        return "it knows its sizes only after its first batch"
    weight = linear._parameters.get("weight")
    if weight is None or weight.dtype not in FLOATS or weight.is_meta:
        return "its weight is no plain floating-point parameter"
    return ""


def weights_of(linear: nn.Module) -> Weights:
    """Weight and bias in float64."""
    weight, bias = linear._parameters["weight"], linear._parameters.get("bias")
    wide = torch.as_tensor(weight).detach().double()
    if bias is None:
        return Weights(wide, wide.new_zeros(outputs_of(linear)))
    return Weights(wide, bias.detach().double())


def outputs_of(linear: nn.Module) -> int:
    """The number of output channels."""
    name = "out_features" if isinstance(linear, nn.Linear) else "out_channels"
    return int(getattr(linear, name))


def inputs_of(linear: nn.Module) -> int:
    """The number of input channels."""
    name = "in_features" if isinstance(linear, nn.Linear) else "in_channels"
    return int(getattr(linear, name))


def then_affine(linear: nn.Module, old: Weights, affine: Affine) -> Weights:
    """The weights that do ``linear`` first and ``affine`` on its output."""
    scale, shift = affine.scale, affine.shift
    by_output = _output_first(linear, old.weight)
    scaled = by_output * scale.view(-1, *[1] * (by_output.ndim - 1))
    return Weights(_as_kept(linear, scaled, old.weight), old.bias * scale + shift)


def affine_then(linear: nn.Module, old: Weights, affine: Affine) -> Weights:
    """The weights that do ``affine`` on the input first, and then ``linear``."""
    by_output = _output_first(linear, old.weight)  # [outputs, inputs of the group, *kernel]
    inner = inputs_of(linear) // len(affine.scale)
    scale, shift = (v.repeat_interleave(inner) for v in (affine.scale, affine.shift))
    groups = int(getattr(linear, "groups", 1))
    kernel = [1] * (by_output.ndim - 2)
    repeat = len(by_output) // groups

    def per_output(vector: Tensor) -> Tensor:
        rows = vector.view(groups, 1, -1).expand(groups, repeat, -1)
        return rows.reshape(len(by_output), -1, *kernel)

    bias = old.bias + (by_output * per_output(shift)).flatten(1).sum(1)
    return Weights(_as_kept(linear, by_output * per_output(scale), old.weight), bias)


def channel_ranges(linear: nn.Module, weight: Tensor) -> tuple[float, ...]:
    """The largest |weight| of each output channel."""
    return tuple(_output_first(linear, weight.detach()).flatten(1).abs().amax(1).tolist())


def _output_first(linear: nn.Module, weight: Tensor) -> Tensor:
    """The weight as [outputs, inputs of the group, *kernel]; transposed ones are kept otherwise."""
    if not isinstance(linear, TRANSPOSED):
        return weight
    groups = int(getattr(linear, "groups", 1))
    # [groups, inputs, outputs of the group, *kernel]
    grouped = weight.view(groups, -1, *weight.shape[1:])
    return grouped.transpose(1, 2).flatten(0, 1)


def _as_kept(linear: nn.Module, by_output: Tensor, like: Tensor) -> Tensor:
    if not isinstance(linear, TRANSPOSED):
        return by_output
    groups = int(getattr(linear, "groups", 1))
    grouped = by_output.view(groups, -1, *by_output.shape[1:])
    return grouped.transpose(1, 2).reshape(like.shape)
