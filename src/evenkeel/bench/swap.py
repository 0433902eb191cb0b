"""A network on torch's layers: only the normalizations and what follows them change."""

import copy

from torch import nn

import evenkeel

PLAIN: dict[type[nn.Module], type[nn.modules.batchnorm._BatchNorm]] = {
    evenkeel.BatchNorm1d: nn.BatchNorm1d,
    evenkeel.BatchNorm2d: nn.BatchNorm2d,
}


def on_torch(model: nn.Module) -> nn.Module:
    """The network on torch's batch norm and in-place ReLU, the fair rival; the model stays as it is.

    >>> on_torch(nn.Sequential(evenkeel.BatchNorm2d(3, activation="relu")))
    Sequential( (0): Sequential( (0): BatchNorm2d(3, ...) (1): ReLU(inplace=True) ) )
    """
    plain = copy.deepcopy(model)
    for parent in list(plain.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, evenkeel.BatchNorm):
                setattr(parent, name, _torch_layer(layer))
            elif isinstance(layer, nn.ReLU | nn.ReLU6):
                layer.inplace = True
    return plain


def _torch_layer(layer: evenkeel.BatchNorm) -> nn.Module:
    spec = layer.spec
    norm = PLAIN[type(layer)](spec.channels[0], spec.eps, layer.momentum)
    norm.load_state_dict(layer.state_dict())
    return norm if spec.activation is None else nn.Sequential(norm, nn.ReLU(inplace=True))
