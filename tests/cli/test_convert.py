"""`evenkeel convert` as a person calls it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import torch

import evenkeel as ek
from evenkeel.cli.model import built, save
from evenkeel.surgery import load_model
from oracles.compare import assert_close

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_converts_checks_and_writes(command: Command, tmp_path: Path) -> None:
    model = built("mnist-estimator")
    save(model, tmp_path / "w.safetensors")
    arguments = ["--weights", "w.safetensors", "--data", "digits", "--to", "fused"]
    done = command("convert", "mnist-estimator", *arguments)
    assert done.returncode == 0, done.stderr
    assert "verified: both models do the same" in done.stdout
    other = ek.convert(built("mnist-estimator"))
    load_model(other, tmp_path / "mnist-estimator-fused.safetensors")
    x = torch.rand(2, 1, 28, 28)
    assert_close(other(x), model(x), 1e-6, "y")


def test_options_of_a_kind(command: Command, tmp_path: Path) -> None:
    done = command("convert", "dnn-elu", "--to", "streams", "--option", "streams=3")
    assert done.returncode == 0, done.stderr
    assert "StreamBatchNorm" in done.stdout
    assert "streams=3" in done.stdout
    again = load_model(
        ek.convert(built("dnn-elu"), to="streams", streams=3),
        tmp_path / "dnn-elu-streams.safetensors",
    )
    assert any("streams.2" in name for name in again.state_dict())


def test_mistakes_are_messages(command: Command, tmp_path: Path) -> None:
    for arguments, says in (
        (["--to", "onnx"], "no such conversion"),
        (["--to", "ghost"], "options do not fit"),
        (["--to", "ghost", "--option", "ghost_size"], "NAME=VALUE"),
        (["--to", "ghost", "--option", "ghost_size=-1"], "counts examples"),
        (["--to", "fused", "--option", "ghost_size=4"], "no such conversion"),
        (["--to", "renorm", "--option", "nothing=4"], "options do not fit"),
    ):
        done = command("convert", "mnist-estimator", *arguments)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())
