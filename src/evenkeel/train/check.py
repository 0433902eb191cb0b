"""The seeds' own check, made general: single images in inference mode against batch statistics.

That single images and a batch agree in inference mode is trivially true: both use the running
statistics. So the single images are held against predictions that never touch these.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evenkeel.data import Split
from evenkeel.nn import BatchNorm
from evenkeel.train.records import InferenceCheck, LayerGap
from evenkeel.train.score import inference, place_of
from evenkeel.views import Axes, axes_of

IMAGES = 100
STATISTICS_IMAGES = 1000
ENOUGH = 0.9
FAR = 0.5


def check_inference(network: nn.Module, split: Split) -> InferenceCheck:
    """Score the first 100 images one at a time and compare with predictions from batch statistics.

    Math:    the batch is the first 1,000 images of the split (all of a smaller one), large enough
             that its own noise is small; every batch normalization takes the statistics of what it
             is given there, dropout stays off. Gaps are between the statistics of that batch and
             the running ones, with eps added to each variance, so that a dead channel counts as
             little as it matters
    Fails:   when fewer than 90 % of the predictions agree; when the mean gap of a layer exceeds 0.5,
             which a network can survive on easy images and not on hard ones; when a running
             statistic is not finite; when a layer's statistics were never updated or still have
             their initial values
    Shapes:  images [N, C, H, W]

    The network is not touched: a copy does the work with batch statistics.

    >>> split = Split(torch.zeros(2, 1, 2, 2), torch.tensor([0, 0]))
    >>> check_inference(nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)), split).reason
    'no batch normalization layers'
    """
    images = split.images[:STATISTICS_IMAGES].to(place_of(network))
    labels = split.labels[:IMAGES]
    single = _singly(network, images[:IMAGES])
    together, layers = _by_batch_statistics(network, images)
    agreement = int((single == together[: len(single)]).sum())
    reason = _fault(layers, agreement, len(single))
    return InferenceCheck(
        images=len(single),
        accuracy=float((single == labels).double().mean()),
        agreement=agreement,
        layers=tuple(layer.gap() for layer in layers),
        passed=not reason,
        reason=reason or _success(layers, agreement, len(single)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A layer's running statistics beside those of the batch; all float64, [C]."""

    name: str
    mean: Tensor
    var: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: float
    updates: int

    def gap(self) -> LayerGap:
        var, running_var = self.var + self.eps, self.running_var + self.eps
        return LayerGap(
            layer=self.name,
            channels=len(self.mean),
            mean_gap=float(((self.mean - self.running_mean).abs() / var.sqrt()).mean()),
            var_gap=float((var / running_var).log().abs().mean()),
            updates=self.updates,
        )

    def fault(self) -> str:
        if not bool(torch.isfinite(torch.stack([self.running_mean, self.running_var])).all()):
            return f"running statistics of {self.name} are not finite"
        if self.updates == 0:
            return f"running statistics of {self.name} were never updated"
        if not self.running_mean.any() and bool((self.running_var == 1).all()):
            return f"running statistics of {self.name} still have their initial values"
        return ""


def _singly(network: nn.Module, images: Tensor) -> Tensor:
    with inference(network):
        return torch.cat([network(image[None]).argmax(1).cpu() for image in images])


def _by_batch_statistics(network: nn.Module, images: Tensor) -> tuple[Tensor, list[_Layer]]:
    """Predictions from batch statistics, and each layer's statistics, in the order they ran.

    Each layer of a copy gets the statistics of its input as running ones just before it uses them:
    so the layers need no training mode, whose side effects differ from class to class.
    """
    copy = deepcopy(network)
    found: list[_Layer] = []

    def adopt(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, _BatchNorm):
            layer = _observed(name, module, inputs[0])
            found.append(layer)
            for buffer, value in (
                (module.running_mean, layer.mean),
                (module.running_var, layer.var),
            ):
                if buffer is not None:
                    buffer.copy_(value.view_as(buffer))

    for name, module in copy.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None:
            module.register_forward_pre_hook(partial(adopt, name))
    with inference(copy):
        return copy(images).argmax(1).cpu(), found


def _observed(name: str, module: _BatchNorm, x: Tensor) -> _Layer:
    axes = axes_of(channel_axis_of(module), x.ndim)
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    var, mean = torch.var_mean(x.double(), rest, correction=0)
    running_mean, running_var = module.running_mean, module.running_var
    batches = module.num_batches_tracked
    return _Layer(
        name=name,
        mean=_column(mean),
        var=_column(var),
        running_mean=_column(mean if running_mean is None else running_mean),
        running_var=_column(var if running_var is None else running_var),
        eps=eps_of(module),
        updates=0 if batches is None else int(batches),
    )


def channel_axis_of(module: _BatchNorm) -> Axes:
    """The channel axis of a batch normalization, ours or torch's."""
    return module.spec.channel_axis if isinstance(module, BatchNorm) else 1


def eps_of(module: _BatchNorm) -> float:
    """What a batch normalization adds to the variance, ours or torch's."""
    return module.spec.eps if isinstance(module, BatchNorm) else module.eps


def _column(tensor: Tensor) -> Tensor:
    return tensor.double().flatten().cpu()


def _fault(layers: list[_Layer], agreement: int, images: int) -> str:
    for layer in layers:
        if fault := layer.fault():
            return fault
    gaps = [layer.gap() for layer in layers]
    if gaps and agreement < math.ceil(ENOUGH * images):
        worst = max(gaps, key=lambda gap: gap.mean_gap + gap.var_gap)
        return (
            f"only {agreement} of {images} predictions agree with those from batch statistics; "
            f"running statistics are furthest from the batch's in {worst.layer}"
        )
    farthest = max(gaps, key=lambda gap: gap.mean_gap, default=None)
    if farthest and farthest.mean_gap > FAR:
        return (
            f"running means of {farthest.layer} are {farthest.mean_gap:.2f} standard deviations "
            "from the batch's"
        )
    return ""


def _success(layers: list[_Layer], agreement: int, images: int) -> str:
    if not layers:
        return "no batch normalization layers"
    return f"{agreement} of {images} predictions agree with those from batch statistics"
