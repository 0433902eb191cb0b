"""Sequences of different lengths in one tensor."""

from typing import Any

import torch

from evenkeel.tf1.ops.rules import same
from evenkeel.tf1.ops.table import op


@op("ReverseSequence", shape=same)
def reverse_sequence(input: Any, seq_lengths: Any, *, seq_dim: int, batch_dim: int) -> Any:
    """The first ``seq_lengths`` places of each member of the batch in reverse order."""
    size = [1] * input.dim()
    size[seq_dim] = input.shape[seq_dim]
    place = torch.arange(input.shape[seq_dim], device=input.device).reshape(size)
    size[seq_dim], size[batch_dim] = 1, input.shape[batch_dim]
    last = seq_lengths.reshape(size).long() - 1
    index = torch.where(place <= last, last - place, place)
    return input.gather(seq_dim, index.expand(input.shape))
