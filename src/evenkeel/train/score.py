"""A network on a whole split in inference mode: loss and accuracy, in chunks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evenkeel.data import Split
from evenkeel.train.ranks import ALONE, Ranks

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Score:
    """Mean loss and share of right predictions."""

    loss: float
    accuracy: float


def score(
    network: nn.Module,
    split: Split,
    loss: Callable[[Tensor, Tensor], Tensor],
    ranks: Ranks = ALONE,
) -> Score:
    """Score every image of a split in inference mode; the network is as it was afterwards.

    Processes take the chunks in turn and hand around their sums, which are added up in the order of
    chunks: the score is the same, to the bit, for any number of them with the same weights.

    >>> split = Split(torch.zeros(4, 1, 28, 28), torch.tensor([0, 0, 1, 0]))
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(784, 2, bias=False))
    >>> score(network, split, nn.functional.cross_entropy)
    Score(loss=0.693..., accuracy=0.75)
    """
    chunks = range(0, len(split), CHUNK)
    sums = torch.zeros(len(chunks), 2, dtype=torch.float64)  # of losses, of right predictions
    place = place_of(network)
    with inference(network):
        for number in range(ranks.rank, len(chunks), ranks.size):
            chosen = slice(chunks[number], chunks[number] + CHUNK)
            logits = network(split.images[chosen].to(place))
            labels = split.labels[chosen].to(place.device)
            sums[number, 0] = float(loss(logits, labels)) * len(labels)
            sums[number, 1] = int((logits.argmax(1) == labels).sum())
    total, right = map(sum, zip(*ranks.total(sums).tolist(), strict=True))
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


def place_of(network: nn.Module) -> Tensor:
    """A network's first parameter or buffer, whose device and dtype its images must have."""
    return next(iter([*network.parameters(), *network.buffers(), torch.empty(0)]))
