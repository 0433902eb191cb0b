import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evenkeel.train.folder import open_folder

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Program = Callable[..., "subprocess.Popen[str]"]
QUICK = ("--steps", "60", "--threads", "1")


def test_a_run_prints_figures_check_and_files(command: Command, tmp_path: Path) -> None:
    done = command("train", "dnn-elu", *QUICK)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert re.search(r"digits, 60 steps of 250, \d+\.\d s", out)
    assert re.search(r"validation accuracy +0\.9\d{3}\n", out)
    assert re.search(r"test accuracy +0\.9\d{3}\n", out)
    assert "single images in inference mode, the first 100 of the test split" in out
    assert re.search(r"agreement +\d+ of 100 with batch statistics", out)
    assert re.search(r"hidden1\.1 +300 +0\.\d{3} +0\.\d{3} +60\s*\n", out)
    assert re.search(r"PASSED: \d+ of 100 predictions agree", out)
    paths = re.findall(r"^ +\w+ +(runs/dnn-elu-001/\S+)$", out, re.MULTILINE)
    assert len(paths) == 6
    assert all((tmp_path / path).is_file() for path in paths)


def test_every_option_reaches_the_run(command: Command, tmp_path: Path) -> None:
    done = command(
        *("train", "ioffe-sigmoid", "--without-bn", "--placement", "after", "--data", "digits"),
        *("--steps", "7", "--batch-size", "11", "--lr", "0.03", "--seed", "5", "--threads", "1"),
        *("--dtype", "float64", "--device", "cpu", "--out", "here", "--tensorboard", "--offline"),
    )
    assert done.returncode == 0, done.stderr
    _, config = open_folder(tmp_path / "here")
    assert (config.recipe, config.batch_norm, config.placement) == ("ioffe-sigmoid", False, "after")
    assert (config.data, config.steps, config.batch_size, config.lr) == ("digits", 7, 11, 0.03)
    assert (config.seed, config.threads, config.device) == (5, 1, "cpu")
    assert (config.compare, config.tensorboard) == (False, True)
    assert (config.dtype, config.nproc) == ("float64", 1)
    assert (tmp_path / "here" / "tensorboard").is_dir()
    assert "PASSED: no batch normalization layers" in done.stdout


def test_a_comparison_prints_both_and_can_be_resumed(command: Command, tmp_path: Path) -> None:
    done = command("train", "dnn-elu", "--compare", "--out", "both", *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 2
    assert "both/with-bn/model.safetensors" in done.stdout
    assert "both/without-bn/model.safetensors" in done.stdout
    assert done.stdout.count("report.html") == 1
    again = command("train", "--resume", "both")
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["conv2"], ["no recipe is called 'conv2'", "conv20"]),
        (["dnn-elu", "--steps", "0"], ["steps must be", "got: 0"]),
        (["dnn-elu", "--lr", "-1"], ["lr must be", "got: -1.0"]),
        (["dnn-elu", "--placement", "inside"], ["before or after"]),
        (["dnn-elu", "--device", "tpu"], ["no such device", "cuda"]),
        (["dnn-elu", "--data", "mnits"], ["mnits", "mnist"]),
        (["dnn-elu", "--out", "/proc/evenkeel"], ["output folder cannot be written"]),
        (["dnn-elu", "--compare", "--without-bn"], ["comparison"]),
        (["dnn-elu", "--dtype", "half"], ["dtype must be float32 or float64"]),
        (["dnn-elu", "--nproc", "0"], ["nproc must be a whole number", "got: 0"]),
        (["dnn-elu", "--nproc", "3", "--batch-size", "2"], ["at least one image", "3 processes"]),
        (["dnn-elu", "--nproc", "251"], ["at least one image", "251 processes, 250 images"]),
        (["--resume", "nowhere"], ["not a run of evenkeel's", "no such folder"]),
        (["--resume", "."], ["not a run of evenkeel's", "no run.json"]),
        (["conv20", "--resume", "x", "--lr", "1"], ["--resume with conv20, --lr"]),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2(
    command: Command, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    done = command("train", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    for word in (*words, "\n  got: ", "\n  do:  "):
        assert word in done.stderr
    assert not list(tmp_path.rglob("run.json"))


def test_resuming_a_damaged_or_foreign_checkpoint_is_a_message(
    command: Command, tmp_path: Path
) -> None:
    command("train", "dnn-elu", "--steps", "3", "--threads", "1", "--out", "r")
    path = tmp_path / "r" / "last.ckpt"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"something else"):
        path.write_bytes(content)
        for given in ("r", "r/last.ckpt"):
            done = command("train", "--resume", given)
            assert done.returncode == 2
            assert "truncated" in done.stderr
            assert "r/last.ckpt" in done.stderr


def test_ctrl_c_saves_and_the_command_it_prints_goes_on(program: Program, tmp_path: Path) -> None:
    process = program("train", "mnist-estimator", *("--batch-size", "32", "--threads", "1"))
    checkpoint = tmp_path / "runs" / "mnist-estimator-001" / "last.ckpt"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    *lines, line = err.splitlines()
    assert all(each.startswith(("mnist-estimator: ", "step ")) for each in lines), err
    found = re.fullmatch(
        r"stopped and saved after step (\d+) of 400; go on with: evenkeel (train --resume (.*))",
        line,
    )
    assert found, err
    assert 50 <= int(found[1]) < 400
    assert found[3] == "runs/mnist-estimator-001"
    second = program(*found[2].split())
    out, err = second.communicate()
    assert second.returncode == 0, err
    first = next(line for line in err.splitlines() if line.startswith("step "))
    assert int(first.split()[1]) > int(found[1]) - 1
    assert "test accuracy" in out
