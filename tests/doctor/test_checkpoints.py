"""Bare checkpoints: TensorFlow's bundles, safetensors, torch's files by weights alone."""

from pathlib import Path

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


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    torch.save(model(), tmp_path / "whole.pt")
    with pytest.raises(BadData, match="weights alone"):
        observe_checkpoint(tmp_path / "whole.pt")
    with pytest.raises(BadOption, match="no such file"):
        observe_checkpoint(tmp_path / "none.pt")


def test_the_trap_of_the_documents(shared: Path) -> None:
    folder = shared / "oracle" / "artefacts"
    report = judge(observe_checkpoint(folder / "conv20_trap" / "model.ckpt-800"))
    assert {f.code for f in report.findings} == {"EK101"}
    assert len(report.findings) == 20
    assert report.exit_code == 3
    healthy = judge(observe_checkpoint(folder / "conv20_layers" / "model.ckpt-800"))
    assert healthy.exit_code == 0
