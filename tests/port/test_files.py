"""Files of every kind are listed and read; damaged and hostile ones are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from evenkeel.checkpoint import write_bundle, write_v1
from evenkeel.errors import BadData
from evenkeel.port.files import open_tensors
from evenkeel.port.inventory import inventory
from port.test_sources import saved

WEIGHTS = {"bn/gamma": np.ones(4, np.float32), "step": np.int64(3)}


@pytest.mark.parametrize(
    "name", ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001"]
)
def test_a_checkpoint_goes_by_its_prefix_or_a_file(tmp_path: Path, name: str) -> None:
    write_bundle(str(tmp_path / "model.ckpt"), WEIGHTS)
    found = open_tensors(tmp_path / name)
    assert found.kind == "checkpoint"
    assert {k: v.tolist() for k, v in found.values()} == {"bn/gamma": [1.0] * 4, "step": 3}


def test_a_checkpoint_of_version_1(tmp_path: Path) -> None:
    write_v1(str(tmp_path / "old"), WEIGHTS)
    assert [e.name for e in open_tensors(tmp_path / "old").entries] == ["bn/gamma", "step"]


def test_graphs_list_their_variables(tmp_path: Path) -> None:
    prefix, _, _ = saved(tmp_path)
    for path in (f"{prefix}.meta", tmp_path / "served", tmp_path / "frozen.pb"):
        found = open_tensors(path)
        assert [n.name for n in inventory(found.entries).norms] == ["batch_normalization"], path
    assert open_tensors(tmp_path / "served").read("conv2d/kernel") is not None
    assert open_tensors(f"{prefix}.meta").read("conv2d/kernel") is None


def test_files_of_torch(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, tmp_path / "run.pt")
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    whole = inventory(open_tensors(tmp_path / "run.pt").entries)
    assert [n.name for n in whole.norms] == ["model.1"]
    assert len(whole.slots) == 12
    plain = open_tensors(tmp_path / "model.safetensors")
    assert [n.name for n in inventory(plain.entries).norms] == ["1"]
    got = plain.read("0.weight")
    assert got is not None
    assert np.array_equal(got, model.state_dict()["0.weight"].numpy())


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("owned"),)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Hostile()}, "evil.pt")
    with pytest.raises(BadData, match="never code"):
        open_tensors("evil.pt")
    assert not Path("owned").exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.meta", "a.pb", "a.index"])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadData):
        open_tensors(tmp_path / name)
    (tmp_path / name).write_bytes(b"\xff\xfe" * 40)
    with pytest.raises(BadData):
        open_tensors(tmp_path / name)
