"""Torch's thread count, borrowed for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def borrowed_threads(number: int) -> Iterator[None]:
    """``number`` threads inside; put back after, also after an error."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
