"""A small network with batch normalization, trained on the digits, for the tests that need one."""

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from torch import nn

from evenkeel.data import Batches, Dataset, load
from evenkeel.nn import BatchNorm1d, BatchNorm2d

collect_ignore = ["observed_run.py"]  # a program that attempts.py runs, with its arguments put in


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load()


@pytest.fixture(scope="session")
def _trained(digits: Dataset) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, bias=False),
        BatchNorm2d(8, activation="relu"),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8 * 12 * 12, 32, bias=False),
        BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for images, labels in Batches(digits.train, 64, seed=0, stop=60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


@pytest.fixture
def trained(_trained: nn.Module) -> nn.Module:
    """The test's own copy, in training mode as it was left."""
    return deepcopy(_trained)
