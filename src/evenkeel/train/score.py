"""A network on a whole split in inference mode: loss and accuracy, in chunks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evenkeel.data import Split

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Score:
    """Mean loss and share of right predictions."""

    loss: float
    accuracy: float


def score(network: nn.Module, split: Split, loss: Callable[[Tensor, Tensor], Tensor]) -> Score:
    """Score every image of a split in inference mode; the network is as it was afterwards.

    >>> split = Split(torch.zeros(4, 1, 28, 28), torch.tensor([0, 0, 1, 0]))
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(784, 2, bias=False))
    >>> score(network, split, nn.functional.cross_entropy)
    Score(loss=0.693..., accuracy=0.75)
    """
    total, right = 0.0, 0
    device = device_of(network)
    with inference(network):
        for first in range(0, len(split), CHUNK):
            images = split.images[first : first + CHUNK].to(device)
            labels = split.labels[first : first + CHUNK].to(device)
            logits = network(images)
            total += float(loss(logits, labels)) * len(labels)
            right += int((logits.argmax(1) == labels).sum())
    return Score(total / len(split), right / len(split))


@contextmanager
def inference(network: nn.Module) -> Iterator[None]:
    """Inference mode; every module's own mode is put back, also after an error."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(network: nn.Module) -> torch.device:
    """Where a network's first parameter or buffer is; the CPU when it has none."""
    for tensor in [*network.parameters(), *network.buffers()]:
        return tensor.device
    return torch.device("cpu")
