"""`evenkeel inspect` as a person calls it."""

import subprocess
from collections.abc import Callable

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
