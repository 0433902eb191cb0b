"""`evenkeel export` as a person calls it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("fold", [False, True])
def test_a_program_is_written_and_runs(command: Command, tmp_path: Path, fold: bool) -> None:
    options = ["--fold"] if fold else []
    done = command("export", "mnist-estimator", "--data", "digits", "--out", "m.pt2", *options)
    assert done.returncode == 0, done.stderr
    assert "verified: the exported program differs by" in done.stdout
    assert ("folded" in done.stdout) is fold
    program = torch.export.load(tmp_path / "m.pt2").module()
    assert program(torch.rand(3, 1, 28, 28)).shape == (3, 10)


def test_onnx_is_written(command: Command, tmp_path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    done = command("export", "dnn-elu", "--data", "digits", "--fold")
    assert done.returncode == 0, done.stderr
    assert "verified: onnxruntime differs by" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["dnn-elu.onnx"]


def test_mistakes_are_messages(command: Command, tmp_path: Path) -> None:
    for arguments, says in (
        ([], "no --data"),
        (["--data", "digits", "--out", "m.exe"], ".onnx or .pt2"),
        (["--data", "digits", "--out", "no/m.onnx"], "no such folder"),
    ):
        done = command("export", "dnn-elu", *arguments)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())
