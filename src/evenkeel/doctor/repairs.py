"""What fixes do to a model, in place."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from evenkeel.doctor.finding import Finding
from evenkeel.errors import BadOption
from evenkeel.surgery.recalibrate import recalibrate


def take_anew(model: nn.Module, found: Finding, batches: Iterable[Any] | None) -> None:
    """Statistics of the data in the place of those of this one layer, others as they are."""
    if batches is None:
        raise BadOption(
            "this fix takes statistics from data",
            got="no batches",
            do="finding.fix(model, batches)",
        )
    layer = model.get_submodule(found.place)
    others = [
        m for m in model.modules() if m is not layer and m._buffers.get("running_mean") is not None
    ]
    kept = [(b, b.clone()) for m in others for b in m._buffers.values() if b is not None]
    recalibrate(model, batches, progress=False, inplace=True)
    for buffer, value in kept:
        buffer.copy_(value)
    count = layer._buffers.get("num_batches_tracked")
    if count is not None and not int(count):
        count.fill_(1)  # taken from data: no longer a new layer


def set_momentum(model: nn.Module, place: str, momentum: float) -> None:
    """Another momentum for the layer at ``place``."""
    setattr(model.get_submodule(place), "momentum", momentum)  # noqa: B010  # of whatever class


def drop_bias(model: nn.Module, found: Finding, batches: object) -> None:
    """A linear operation without its bias, whose part the layer's running mean takes over."""
    linear, norm = model.get_submodule(found.detail), model.get_submodule(found.place)
    bias, mean = linear._parameters["bias"], norm._buffers["running_mean"]
    if bias is not None and mean is not None:
        with torch.no_grad():
            mean.sub_(bias.to(mean.dtype))
    linear._parameters["bias"] = None
