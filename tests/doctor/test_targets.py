"""What `evenkeel doctor` is pointed at: a file of the user's, found as Python itself would find it."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evenkeel.doctor.targets import examine, named

NET = """import torch
from torch import nn
from {beside} import CHANNELS

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(CHANNELS, momentum=0.9)  # evenkeel: ignore[EK105, EK2]
        self.other = nn.BatchNorm2d(CHANNELS, momentum=0.9)

    def forward(self, x):
        return self.other(self.bn(x))

def net():
    return Net(), [torch.randn(8, CHANNELS, 4, 4)]
"""


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "of_the_user" in name or name.startswith("json_of"):
            del sys.modules[name]


def written(folder: Path, name: str) -> str:
    (folder / "beside_of_the_user.py").write_text("CHANNELS = 4\n")
    (folder / name).write_text(NET.format(beside="beside_of_the_user"))
    return f"{folder / name}:net"


def test_a_comment_in_a_file_counts_and_its_neighbours_are_found(tmp_path: Path) -> None:
    report = examine(written(tmp_path, "net_of_the_user.py"), select=["EK105"])
    assert [found.place for found in report.findings] == ["other"]


def test_a_file_called_as_a_module_that_is_there_replaces_nothing(tmp_path: Path) -> None:
    import json

    model, _ = named(written(tmp_path, "json.py"))
    assert sys.modules["json"] is json
    assert type(pickle.loads(pickle.dumps(model))) is type(model)
