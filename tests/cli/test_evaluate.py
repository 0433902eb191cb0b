import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
from safetensors import safe_open

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_repeats_the_figures_of_the_run_and_fails_when_the_check_does(
    command: Command, tmp_path: Path
) -> None:
    trained = command("train", "dnn-elu", "--steps", "60", "--threads", "1", "--out", "r")
    done = command("evaluate", "r")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert line in trained.stdout.replace(", 60 steps of 250", "") or line.startswith("digits")
    assert "PASSED" in done.stdout

    path = tmp_path / "r" / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no dict
    for name, tensor in tensors.items():
        if "running" in name:
            tensor.copy_(tensor.roll(7))
    origin = {**json.loads(metadata["evenkeel"]), "checksum": ""}  # changed on purpose
    safetensors.torch.save_file(tensors, path, {"evenkeel": json.dumps(origin)})
    harmed = command("evaluate", "r", "--data", "digits", "--offline")
    assert harmed.returncode == 1
    assert "FAILED: only" in harmed.stdout


def test_a_mistake_is_a_message_and_exit_code_2(command: Command) -> None:
    done = command("evaluate", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: this is not a run of evenkeel's")
