"""evenkeel doctor: targets, outputs, exit codes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FACTORY = """import torch
from torch import nn
def model(momentum=0.1):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 8, bias=False), nn.BatchNorm1d(8, momentum=momentum), nn.Tanh())
    return nn.Sequential(nn.Flatten(), net, nn.Linear(8, 10))
def healthy():
    return model()
def sick():
    return model(0.9)
def broken():
    raise RuntimeError("no such weights")
def data():
    return [torch.rand(64, 1, 28, 28) for _ in range(4)]
def both():
    return model(0.9), data()
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(FACTORY)
    return tmp_path


def test_exit_codes(command: Command, nets: Path) -> None:
    healthy = command("doctor", "nets.py:healthy", "--data", "digits")
    assert (healthy.returncode, healthy.stderr) == (0, "")
    assert "healthy: no errors, no warnings" in healthy.stdout
    sick = command("doctor", "nets:sick", "--data", "nets:data")
    assert sick.returncode == 1
    assert "EK105" in sick.stdout
    broken = command("doctor", "nets:broken", "--data", "digits")
    assert broken.returncode == 4
    assert broken.stderr == "could not run: RuntimeError: no such weights\n"
    assert command("doctor", "nets:nothing", "--data", "digits").returncode == 2
    assert command("doctor", "nets:sick").returncode == 2
    assert command("doctor", "none.safetensors").returncode == 2
    assert command("doctor").returncode == 2


def test_outputs_and_choices(command: Command, nets: Path) -> None:
    files = ("--json", "a.json", "--sarif", "a.sarif", "--html", "a.html")
    done = command("doctor", "nets:both", *files, "--select", "EK105")
    assert done.returncode == 1
    assert json.loads((nets / "a.json").read_text())["findings"][0]["place"] == "1.1"
    assert json.loads((nets / "a.sarif").read_text())["version"] == "2.1.0"
    assert (nets / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert command("doctor", "nets:both", "--ignore", "EK105:1.*").returncode == 0
    alone = command("doctor", "nets:both", "--json", "-")
    assert json.loads(alone.stdout)["exit_code"] == 1
    assert command("doctor", "nets:both", "--select", "EK9").returncode == 2


def test_explain(command: Command) -> None:
    done = command("doctor", "--explain", "EK201")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "EK201 batch-statistics-at-inference\n\nBatch statistics are used"
    )
    assert command("doctor", "--explain", "EK2").returncode == 2


def test_a_program_and_a_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "fail.py").write_text("import tensorflow as tf\n1 / 0\n")
    failed = command("doctor", "fail.py")
    assert failed.returncode == 4
    assert "ZeroDivisionError" in failed.stderr
    trained = command("train", "dnn-elu", "--steps", "60", "--threads", "1", "--out", "here")
    assert "evenkeel doctor here" in trained.stdout
    assert "healthy: no errors, no warnings" in trained.stdout
    again = command("doctor", "here")
    assert again.returncode == 0
    assert again.stdout.strip() in trained.stdout
