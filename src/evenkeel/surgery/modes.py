"""Modes borrowed: a model in inference for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Every part in inference mode, and back again, also after an error.

    >>> layer = nn.Dropout()
    >>> with inference(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:  # not eval(), which classes override to do other things
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode
