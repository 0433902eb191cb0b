"""Every random generator that training can touch: seeded together, kept, put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators, CUDA's included."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def rng_state() -> dict[str, Any]:
    """The state of every generator, as tensors and plain values.

    >>> state = rng_state()
    >>> first = torch.rand(3)
    >>> set_rng_state(state)
    >>> torch.equal(torch.rand(3), first)
    True
    """
    version, words, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if _cuda_in_use() else [],
        "numpy": _numpy_state(),
        "python": [version, torch.tensor(words), gauss_next],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Put every generator into a state that ``rng_state`` gave."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    inner = state["numpy"]["state"]
    key = inner["key"].numpy().astype(np.uint32)
    np.random.set_state({**state["numpy"], "state": {**inner, "key": key}})
    version, words, gauss_next = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss_next))


@contextmanager
def borrowed_rng() -> Iterator[None]:
    """Put every generator back at the end to where it was, also after an error."""
    before = rng_state()
    try:
        yield
    finally:
        set_rng_state(before)


def _numpy_state() -> dict[str, Any]:
    """The state of numpy with a tensor in place of its array, which a checkpoint could not hold."""
    state = np.random.get_state(legacy=False)
    inner = state["state"]
    return {**state, "state": {**inner, "key": torch.from_numpy(inner["key"].astype(np.int64))}}


def _cuda_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch's omission
