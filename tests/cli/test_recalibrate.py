"""`evenkeel recalibrate` as a person calls it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import evenkeel as ek
from evenkeel.data import load
from evenkeel.recipes import RECIPES, Variant
from evenkeel.surgery import load_model, save_model
from oracles.compare import assert_close

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("layerwise", [False, True])
def test_statistics_are_the_datas(command: Command, tmp_path: Path, layerwise: bool) -> None:
    torch.manual_seed(0)
    net: Any = RECIPES["dnn-elu"].build(Variant())
    save_model(net, tmp_path / "w.safetensors")
    options = ["--layerwise"] if layerwise else []
    arguments = ["--weights", "w.safetensors", "--data", "digits", "--out", "r.safetensors"]
    done = command("recalibrate", "dnn-elu", *arguments, *options)
    assert done.returncode == 0, done.stderr
    assert "2 batch-norm layers recalibrated" in done.stdout
    assert "verified: accuracy on the data 0." in done.stdout
    assert "all outputs are finite" in done.stdout
    images = load().train.images
    want = ek.recalibrate(net.eval(), list(torch.split(images, 64)), layerwise=layerwise)
    back = load_model(RECIPES["dnn-elu"].build(Variant()), tmp_path / "r.safetensors")
    for name, value in want.state_dict().items():
        assert_close(back.state_dict()[name].double(), value.double(), 1e-7, name)
    before = load_file(tmp_path / "w.safetensors")
    after = load_file(tmp_path / "r.safetensors")
    moved = {n.rpartition(".")[2] for n, v in after.items() if not torch.equal(v, before[n])}
    assert moved == {"running_mean", "running_var"}


def test_mistakes_are_messages(command: Command, tmp_path: Path) -> None:
    for arguments, says in (
        ([], "no --data"),
        (["--data", "digits", "--method", "mean"], "unknown method"),
    ):
        done = command("recalibrate", "dnn-elu", *arguments)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_function_that_yields_is_called_for_every_pass(command: Command, tmp_path: Path) -> None:
    lines = (
        "import torch",
        "def make(): return torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2))",
        "def data():",
        "    for k in range(3): yield torch.arange(8.0).view(4, 2) * k",
        "once = data()",
    )
    (tmp_path / "given.py").write_text("\n".join(lines))
    done = command("recalibrate", "given.py:make", "--data", "given.py:data", "--layerwise")
    assert done.returncode == 0, done.stderr
    assert "verified: all outputs are finite" in done.stdout
    once = command("recalibrate", "given.py:make", "--data", "given.py:data", "--method", "average")
    assert "verified" in once.stdout
    with_object = command("recalibrate", "given.py:make", "--data", "given.py:once", "--layerwise")
    assert with_object.returncode == 2 or "verified" in with_object.stdout
