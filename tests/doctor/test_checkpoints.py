"""Bare checkpoints: TensorFlow's bundles, safetensors, torch's files by weights alone."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from evenkeel.checkpoint import write_bundle
from evenkeel.doctor import judge
from evenkeel.doctor.checkpoints import observe_checkpoint
from evenkeel.errors import BadData, BadOption


def model() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    net.get_parameter("1.weight").data.uniform_(0.5, 2)
    for _ in range(50):
        net(torch.randn(8, 3, 6, 6))
    return net


def codes(path: Path) -> dict[str, str]:
    return {f.code: f.place for f in judge(observe_checkpoint(path)).findings}


def test_a_healthy_one(tmp_path: Path) -> None:
    torch.save(model().state_dict(), tmp_path / "a.pt")
    save_file(model().state_dict(), tmp_path / "a.safetensors")
    assert codes(tmp_path / "a.pt") == codes(tmp_path / "a.safetensors") == {}


def test_initial_values_and_what_is_not_finite(tmp_path: Path) -> None:
    net = model()
    net.get_submodule("1").reset_running_stats()  # type: ignore[operator]  # a batch norm
    save_file(net.state_dict(), tmp_path / "a.safetensors")
    assert codes(tmp_path / "a.safetensors") == {"EK101": "1"}
    net.get_buffer("1.running_var")[2] = float("inf")
    torch.save({"state_dict": net.state_dict()}, tmp_path / "b.pth")
    assert codes(tmp_path / "b.pth") == {"EK103": "1"}


def test_parameters_alone(tmp_path: Path) -> None:
    save_file({"bn1.weight": torch.ones(8), "bn1.bias": torch.ones(8)}, tmp_path / "a.safetensors")
    assert codes(tmp_path / "a.safetensors") == {"EK701": "bn1"}
    names = ("batch_normalization/gamma", "batch_normalization/beta")
    write_bundle(str(tmp_path / "m.ckpt"), {n: np.ones(8, np.float32) for n in names})
    assert codes(tmp_path / "m.ckpt") == {"EK701": "batch_normalization"}


def test_lengths_that_no_kernel_has(tmp_path: Path) -> None:
    vector = np.linspace(0.5, 1, 784, dtype=np.float32)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    held = {f"bn/{n}": vector for n in names} | {"conv/kernel": np.ones((3, 3, 1, 16), np.float32)}
    write_bundle(str(tmp_path / "m.ckpt"), held)
    assert codes(tmp_path / "m.ckpt") == {"EK702": "bn"}


class Calls:
    """Pickled, it is a call that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    torch.save(model(), tmp_path / "whole.pt")
    with pytest.raises(BadData, match=r"not weights alone.*\n.*torch\.nn\.modules"):
        observe_checkpoint(tmp_path / "whole.pt")
    torch.save({"a": Calls(tmp_path / "called")}, tmp_path / "calls.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Calls(tmp_path / "called"), 4))
    torch.save([1, 2], tmp_path / "list.pt")
    for name, says in {"calls": "posix.mkdir", "bare": "its pickle", "list": "a list"}.items():
        with pytest.raises(BadData, match=f"nothing in it was executed\n.*{says}"):
            observe_checkpoint(tmp_path / f"{name}.pt")
    assert not (tmp_path / "called").exists()
    with pytest.raises(BadOption, match="no such file"):
        observe_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("size", [0, 100, -20])
def test_a_damaged_file_is_called_so(name: str, size: int, tmp_path: Path) -> None:
    file = tmp_path / name
    (torch.save if name.endswith("pt") else save_file)(model().state_dict(), file)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BadData, match=r"cannot be read\n.* bytes: .*\n.*file is whole"):
        observe_checkpoint(file)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_half_precision_is_seen(dtype: torch.dtype, name: str, tmp_path: Path) -> None:
    save = torch.save if name.endswith("pt") else save_file
    save(model().to(dtype).state_dict(), tmp_path / name)
    (found,) = judge(observe_checkpoint(tmp_path / name)).findings
    both = f"parameters in {dtype} and statistics in {dtype}".replace("torch.", "")
    assert (found.code, found.says.startswith(both)) == ("EK401", True)


def test_tensors_that_are_no_statistics_are_left_out(tmp_path: Path) -> None:
    odd = {
        "a.running_mean": torch.ones(8).to_sparse(),
        "a.running_var": torch.ones(8, dtype=torch.complex64),
        "b.running_mean": torch.ones(0),
        "b.running_var": torch.ones(0),
        "c.num_batches_tracked": torch.ones(3),
        "c.running_mean": torch.full((8,), 2.0),
        "c.running_var": torch.ones(8),
    }
    torch.save(odd, tmp_path / "a.pt")
    assert [x.path for x in observe_checkpoint(tmp_path / "a.pt").layers] == ["c"]


def test_the_trap_of_the_documents(shared: Path) -> None:
    folder = shared / "oracle" / "artefacts"
    report = judge(observe_checkpoint(folder / "conv20_trap" / "model.ckpt-800"))
    assert {f.code for f in report.findings} == {"EK101"}
    assert len(report.findings) == 20
    assert report.exit_code == 3
    healthy = judge(observe_checkpoint(folder / "conv20_layers" / "model.ckpt-800"))
    assert healthy.exit_code == 0
