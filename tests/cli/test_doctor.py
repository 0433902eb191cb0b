"""evenkeel doctor: targets, outputs, exit codes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

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
def nan():
    return [torch.full((64, 1, 28, 28), float("nan"))]
NET = model(0.9)
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
    told = broken.stderr.splitlines()
    assert told[0] == "could not run: RuntimeError: no such weights"
    assert re.fullmatch(r"  at:  .*nets\.py:\d+", told[1])
    assert told[2:] == ["  do:  EVENKEEL_DEBUG=1 shows the traceback"]
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


def test_data_of_a_file_and_a_model_by_its_name(command: Command, nets: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((128, 1, 28, 28), dtype=np.float32)
    np.savez("batches.npz", inputs=images, labels=np.arange(128) % 10)
    for target in ("nets:sick", "nets.py:NET"):
        done = command("doctor", target, "--data", "batches.npz", "--json", "-")
        assert done.returncode == 1, done.stderr
        trace = json.loads(done.stdout)["trace"]
        assert trace["sizes"] == [64, 64]
        assert trace["scores"]["images"] > 0


def test_what_a_target_does_not_take_is_refused(command: Command, nets: Path) -> None:
    torch.save(torch.nn.BatchNorm1d(2).state_dict(), "w.pt")
    (nets / "program.py").write_text("import tensorflow as tf\n")
    for given in (
        ("w.pt", "--data", "digits"),
        ("w.pt", "--origin", "keras3"),
        ("w.pt", "--", "more"),
        ("program.py", "--steps", "3"),
        ("nets:both", "--", "more"),
        ("w.pt", "--steps", "-1"),
    ):
        done = command("doctor", *given)
        assert (done.returncode, done.stdout) == (2, ""), given


def test_places_to_write_are_checked_before_the_diagnosis(command: Command, nets: Path) -> None:
    for files in (("--json", "no/a.json"), ("--html", "."), ("--json", "-", "--sarif", "-")):
        done = command("doctor", "nets:broken", "--data", "digits", *files)
        assert done.returncode == 2, done.stderr


def test_nan_and_empty_files_are_no_health(command: Command, nets: Path) -> None:
    nan = command("doctor", "nets:healthy", "--data", "nets:nan")
    assert nan.returncode == 4
    assert "50176 of 50176 values are NaN" in nan.stderr
    (nets / "empty.pt").touch()
    empty = command("doctor", "empty.pt")
    assert empty.returncode == 4
    assert "the checkpoint cannot be read" in empty.stderr
