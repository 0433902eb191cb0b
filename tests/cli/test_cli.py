"""What belongs to the whole command: help, version, speed of starting."""

import subprocess
from collections.abc import Callable

import pytest

from evenkeel.version import __version__

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Program = Callable[..., "subprocess.Popen[str]"]


def test_the_version(command: Command) -> None:
    assert command("--version").stdout == f"evenkeel {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_names_every_command(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode in (0, 2)  # without arguments: 0 or 2 as click's version has it
    for name in ("train", "evaluate", "recipes", "info"):
        assert f"\n  {name} " in done.stdout + done.stderr


def test_help_of_train_names_every_option(command: Command) -> None:
    shown = command("train", "--help").stdout
    for option in (
        "--with-bn / --without-bn",
        "--compare",
        "--placement before|after",
        "--data",
        "--steps",
        "--batch-size",
        "--lr",
        "--seed",
        "--threads",
        "--device cpu|cuda|auto",
        "--resume RUN",
        "--out",
        "--tensorboard",
        "--offline",
    ):
        assert option in shown


@pytest.mark.parametrize("arguments", [["nonsense"], ["train", "--nonsense"], ["evaluate"]])
def test_a_command_that_is_not_there_is_a_usage_error(
    command: Command, arguments: list[str]
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["recipes"]])
def test_light_commands_load_nothing_heavy(program: Program, arguments: list[str]) -> None:
    before = (
        "import atexit, sys\n"
        "names = ('lightning', 'matplotlib', 'sklearn', 'safetensors', 'tensorboard')\n"
        "atexit.register(lambda: sys.stderr.write(str([n for n in names if n in sys.modules])))"
    )
    process = program(*arguments, before=before)
    out, err = process.communicate()
    assert process.returncode == 0
    assert out
    assert err == "[]"
