"""`evenkeel inspect` as a person calls it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from evenkeel.checkpoint import write_bundle

Done = subprocess.CompletedProcess[str]
LAYER = {
    "conv/kernel": np.ones((3, 3, 1, 4), np.float32),
    "conv/kernel/Adam": np.ones((3, 3, 1, 4), np.float32),
    "bn/gamma": np.ones(4, np.float32),
    "bn/beta": np.zeros(4, np.float32),
    "bn/moving_mean": np.full(4, 0.5, np.float32),
    "bn/moving_variance": np.ones(4, np.float32),
}


def test_a_healthy_checkpoint(command: Callable[..., Done]) -> None:
    write_bundle("model.ckpt", LAYER)
    done = command("inspect", "model.ckpt")
    assert done.returncode == 0, done.stderr
    assert "checkpoint, 6 tensors: 5 of the model, 0 moving averages of them, 1 of" in done.stdout
    assert "bn      4 channels: beta, gamma, moving_mean, moving_variance" in done.stdout
    assert "conv/kernel         float32  [3, 3, 1, 4]" in done.stdout
    assert done.stdout.endswith("nothing looks wrong\n")


def test_what_looks_wrong_is_said(command: Callable[..., Done]) -> None:
    write_bundle("model.ckpt", {**LAYER, "bn/moving_mean": np.zeros(4, np.float32)})
    done = command("inspect", "model.ckpt.index")
    assert "what looks wrong\n  bn: its moving averages are at their initial values" in done.stdout


def test_a_file_that_is_not_there(command: Callable[..., Done]) -> None:
    done = command("inspect", "nothing")
    assert done.returncode == 2
    assert "nothing" in done.stderr


def test_json_says_the_same(command: Callable[..., Done]) -> None:
    damaged = np.full(4, -np.inf, np.float32)
    write_bundle("model.ckpt", {**LAYER, "bn/moving_variance": damaged})
    done = command("inspect", "model.ckpt", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["file"], found["kind"]) == ("model.ckpt", "checkpoint")
    kernel = {"name": "conv/kernel", "shape": [3, 3, 1, 4], "dtype": "float32", "role": "model"}
    assert kernel in found["tensors"]
    slot = next(t for t in found["tensors"] if t["name"] == "conv/kernel/Adam")
    assert (slot["role"], slot["of"]) == ("optimizer", "conv/kernel")
    parts = {"weight": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}
    named = {role: f"bn/{name}" for role, name in parts.items()}
    assert found["norms"] == [{"name": "bn", "channels": 4, "parts": named}]
    seen = {s["kind"]: s["number"] for s in found["suspicions"]}
    assert seen == {"negative-variance": None, "non-finite": 4}

    done = command("inspect", "model.ckpt", "--json", "found.json")
    assert "what looks wrong" in done.stdout
    assert json.loads(Path("found.json").read_text()) == found


def test_json_in_no_folder(command: Callable[..., Done]) -> None:
    write_bundle("model.ckpt", LAYER)
    done = command("inspect", "model.ckpt", "--json", "nowhere/found.json")
    assert done.returncode == 2
    assert "is in no folder" in done.stderr
