"""`evenkeel fold` as a person calls it, and what all commands on models share."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import evenkeel as ek
from evenkeel.cli import model as models
from evenkeel.surgery import load_model
from oracles.compare import assert_close

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NET = """
import torch
from torch import nn
def build():
    torch.manual_seed(0)
    body = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*body, nn.LazyLinear(10))
def built():
    net = build()
    net(torch.zeros(2, 1, 8, 8))
    nn.init.uniform_(net[1].running_var, 0.5, 2)
    return net.eval()
def data():
    return [torch.randn(4, 1, 8, 8) for _ in range(3)]
def named():
    return [{"input": torch.randn(4, 1, 8, 8)}]
def anew():
    yield from data()
once = anew()
def nan():
    return [torch.full((4, 1, 8, 8), float("nan"))]
def breaks():
    yield torch.randn(4, 1, 8, 8)
    raise OSError("disk gone")
def fails():
    raise OSError("no disk")
def nothing():
    return 3
model = built()
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with models and data in the folder where commands run; its name is its own."""
    name = f"net_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix not in (".py", "")}


def test_it_folds_checks_and_writes(command: Command, net: str, tmp_path: Path) -> None:
    done = command("fold", f"{net}:built", "--data", f"{net}:data", "--out", "f.safetensors")
    assert done.returncode == 0, done.stderr
    assert "1 batch-norm layer: 1 folded" in done.stdout
    assert "Conv2d 0" in done.stdout
    assert "verified: outputs on the first batch differ by" in done.stdout
    assert "f.safetensors" in done.stdout
    model = models.built(f"{net}:built")
    folded = load_model(ek.fold(model), tmp_path / "f.safetensors")
    x = torch.randn(2, 1, 8, 8)
    assert_close(folded(x), model(x), 1e-5, "y")
    assert "[1]" not in done.stdout  # brackets are no markup


def test_without_data_it_says_that_nothing_was_verified(
    command: Command, net: str, tmp_path: Path
) -> None:
    done = command("fold", f"{net}:model")
    assert done.returncode == 0, done.stderr
    assert "not verified: give --data" in done.stdout
    assert files(tmp_path) == {"model-folded.safetensors"}


@pytest.mark.parametrize("form", ["npz", "safetensors", "named", "digits", "alone"])
def test_sources(command: Command, net: str, form: str, tmp_path: Path) -> None:
    x = torch.randn(5, 1, 8, 8)
    name = f"{net}:built"
    if form == "npz":
        np.savez("d.npz", images=x.numpy(), labels=np.zeros(5, np.int64))
        source = "d.npz"
    elif form == "alone":
        np.savez("d.npz", anything=x.numpy())
        source = "d.npz"
    elif form == "safetensors":
        safetensors.torch.save_file({"x": x, "y": torch.zeros(5)}, "d.safetensors")
        source = "d.safetensors"
    elif form == "digits":
        source, name = "digits", "mnist-estimator"
    else:
        source = f"{net}:named"
    done = command("fold", name, "--data", source)
    assert done.returncode == 0, done.stderr
    assert "verified: outputs" in done.stdout


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_are_loaded(command: Command, net: str, suffix: str, tmp_path: Path) -> None:
    model = models.built(f"{net}:built")
    torch.nn.init.constant_(model[4].bias, 7)  # type: ignore[index]
    models.save(model, tmp_path / f"w{suffix}")
    done = command("fold", f"{net}:built", "--weights", f"w{suffix}", "--out", f"f{suffix}")
    assert done.returncode == 0, done.stderr
    folded = ek.fold(models.built(f"{net}:built"))
    models.load(folded, tmp_path / f"f{suffix}")
    assert float(folded[4].bias.detach()[0]) == 7  # type: ignore[index]


class Harm:
    """A pickle that would run code."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


MISTAKES = {
    "no colon": (["fold", "net"], "a model is named pkg.module:name"),
    "no module": (["fold", "nowhere.at_all:build"], "nowhere.at_all:build cannot be had"),
    "no name": (["fold", "NET:nobody"], "there is no such function"),
    "it fails": (["fold", "NET:fails"], "OSError: no disk"),
    "no model": (["fold", "NET:nothing"], "this gives no model"),
    "no weights": (["fold", "NET:built", "--weights", "w.pt"], "cannot be loaded"),
    "other weights": (["fold", "mnist-estimator", "--weights", "w.safetensors"], "do not fit"),
    "code": (["fold", "NET:built", "--weights", "harm.pt"], "cannot be loaded"),
    "no data": (["fold", "NET:built", "--data", "d.npz"], "cannot be read"),
    "no folder": (["fold", "NET:built", "--data", "./nowhere"], "not a folder of idx files"),
    "no batches": (["fold", "NET:built", "--data", "NET:nothing"], "gives no batches"),
    "other data": (["fold", "NET:built", "--data", "bad.npz"], "no array of inputs"),
    "labels": (["fold", "NET:built", "--data", "few.npz"], "not as many"),
    "pickled": (["fold", "NET:built", "--data", "pickled.npz"], "cannot be read"),
    "shape": (["fold", "NET:built", "--data", "digits"], "does not run on this data"),
    "batch": (["fold", "NET:built", "--data", "digits", "--batch-size", "0"], "holds inputs"),
    "out": (["fold", "NET:built", "--out", "no/where.pt"], "no such folder"),
    "kind of file": (["fold", "NET:built", "--out", "f.txt"], ".safetensors or .pt"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_a_message_and_no_file(
    command: Command, net: str, name: str, tmp_path: Path
) -> None:
    torch.save({"a": Harm()}, "harm.pt")
    models.save(models.built(f"{net}:built"), tmp_path / "w.safetensors")
    np.savez("bad.npz", one=np.zeros(3), two=np.zeros(3))
    np.savez("few.npz", x=np.zeros((3, 1, 8, 8), np.float32), y=np.zeros(2, np.int64))
    np.savez("pickled.npz", x=np.array([{}], dtype=object))
    before = files(tmp_path)
    arguments, says = MISTAKES[name]
    done = command(*(part.replace("NET", net) for part in arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert "\n  do:  " in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == before
    assert not Path("harmed").exists()


@pytest.mark.parametrize("given", [["fold"], ["convert"], ["export", "--out", "m.pt2"]])
def test_a_probe_with_nan_verifies_nothing(command: Command, net: str, given: list[str]) -> None:
    done = command(*given, f"{net}:built", "--data", f"{net}:nan")
    assert done.returncode == 2
    assert "a probe with NaN compares nothing" in done.stderr
    assert not files(Path.cwd())


def test_batches_that_are_gone_after_one_pass_verify_nothing(command: Command, net: str) -> None:
    done = command("recalibrate", f"{net}:built", "--data", f"{net}:once")
    assert done.returncode == 0, done.stderr
    assert "\nverified" not in done.stdout
    assert "not verified: the batches could be gone through once" in done.stdout
    done = command("recalibrate", f"{net}:built", "--data", f"{net}:anew")
    assert "\nverified" in done.stdout, done.stdout + done.stderr
    broken = command("recalibrate", f"{net}:built", "--data", f"{net}:breaks")
    assert (broken.returncode, "disk gone" in broken.stderr) == (2, True)


def test_a_model_of_a_file_and_a_wrong_suffix(command: Command, net: str) -> None:
    assert command("fold", f"{net}.py:built").returncode == 0
    done = command("fold", f"{net}:built", "--out", "w.bin")
    assert done.returncode == 2
    assert done.stdout == ""
