"""`evenkeel run` as a person calls it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import evenkeel
from evenkeel.cli.guard import guarded
from evenkeel.cli.run import SETTINGS, run

# The command alone; what the package's own application adds is tested with it.
CODE = """
import typer
from evenkeel.cli import run
from evenkeel.cli.guard import guarded
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
app.command(context_settings=run.SETTINGS)(guarded(run.run))
app()
"""
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Done]:
    """Calls the command in a process of its own, in an empty folder."""

    def start(text: str, *arguments: str, **settings: Any) -> Done:
        (tmp_path / "train.py").write_text(text)
        source = str(Path(evenkeel.__file__).parents[1])
        return subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": source, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    return start


PROGRAM = """import sys, warnings, tensorflow as tf
print(sys.argv, __name__)
with tf.Session() as sess:
    print(sess.run(tf.reduce_sum(tf.constant([1.0, 2.0]))))
warnings.warn("mine")
sys.exit(int(sys.argv[-1]))
"""


def test_a_program_runs_with_its_own_arguments(started: Callable[..., Done]) -> None:
    done = started(PROGRAM, "--device", "cpu", "train.py", "--help", "-x", "3")
    assert done.stdout == "['train.py', '--help', '-x', '3'] __main__\n3.0\n"
    assert done.returncode == 3
    assert done.stderr.startswith("train.py:5: UserWarning: mine\n")
    assert done.stderr.count("\n") == 2  # Python's own two lines, and none else


def test_an_interrupt_gives_130(started: Callable[..., Done]) -> None:
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(9)\n"
    done = started(text, "train.py")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_check_lists_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command(context_settings=SETTINGS)(guarded(run))
    text = "import tensorflow as tf\nprint('ran')\ntf.reduce_meen\n"
    Path("train.py").write_text(text)
    done = CliRunner().invoke(app, ["--check", "train.py"])
    wanted = "train.py:3: tf.reduce_meen is missing; nearest: tf.reduce_mean, tf.reduce_min\n"
    assert (done.exit_code, done.stdout) == (1, wanted)
    Path("train.py").write_text(text.replace("meen", "mean"))
    done = CliRunner().invoke(app, ["--check", "train.py"])
    wanted = "train.py: all 2 names of TensorFlow are here\n"
    assert (done.exit_code, done.stdout) == (0, wanted)
    assert CliRunner().invoke(app, ["nothing.py"]).exit_code == 2
