"""What the first unit of a layer hands to its activation, seen by a hook that changes nothing."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evenkeel.train.check import channel_axis_of, eps_of
from evenkeel.train.records import Percentiles
from evenkeel.views import axes_of

SHARES = (0.15, 0.5, 0.85)


class Probe:
    """Looks at one layer in the forward pass for which ``wanted`` is set.

    A batch normalization may end in its activation, so its values are what it computes before that:
    its first channel, normalized by the batch. For any other layer, an activation, they are the
    first unit or channel of its input. Positions of a convolution count like further images.
    ``gathered`` turns the values of a part of the batch, [N], into those of the whole.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())
    >>> probe = Probe(network, "1")
    >>> probe.wanted = True
    >>> _ = network(torch.randn(8, 4))
    >>> probe.percentiles(step=1).step
    1
    """

    def __init__(
        self,
        network: nn.Module,
        path: str,
        gathered: Callable[[Tensor], Tensor] = lambda values: values,
    ) -> None:
        self.wanted, self._gathered = False, gathered
        self._values: Tensor | None = None
        self._hook = network.get_submodule(path).register_forward_pre_hook(self._see)

    def percentiles(self, step: int) -> Percentiles:
        """Percentiles of what was seen last; NaN when the layer did not run."""
        values = torch.tensor([torch.nan]) if self._values is None else self._values
        self._values, self.wanted = None, False
        p15, p50, p85 = torch.quantile(values, torch.tensor(SHARES, dtype=values.dtype)).tolist()
        return Percentiles(step, p15, p50, p85)

    def remove(self) -> None:
        """Take the hook off the layer."""
        self._hook.remove()

    def _see(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not self.wanted:
            return
        x = inputs[0].detach()
        norm = layer if isinstance(layer, _BatchNorm) else None
        axes = axes_of(channel_axis_of(norm), x.ndim) if norm else (1,)
        for axis in sorted(axes, reverse=True):
            x = x.select(axis, 0)
        values = self._gathered(x.flatten().cpu())
        self._values = _normalized(norm, values) if norm else values


def _normalized(layer: _BatchNorm, x: Tensor) -> Tensor:
    """The first channel of a layer's input, normalized by the batch, with weight and bias applied."""
    var, mean = torch.var_mean(x.double(), correction=0)
    y = (x.double() - mean) / (var + eps_of(layer)).sqrt()
    for parameter, apply in ((layer.weight, torch.mul), (layer.bias, torch.add)):
        if parameter is not None:
            y = apply(y, parameter.detach().flatten()[0].double().cpu())
    return y.float()
