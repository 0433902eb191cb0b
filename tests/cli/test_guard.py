"""Every way a command can end badly: its message, its exit code, never a traceback."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from evenkeel.cli.guard import guarded
from evenkeel.errors import BadOption
from evenkeel.train.interrupt import Interrupted

Program = Callable[..., "subprocess.Popen[str]"]


def ended(raised: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit code and the message of a command that raises this."""

    def command() -> None:
        raise raised

    with pytest.raises(SystemExit) as caught:
        guarded(command)()
    printed = capsys.readouterr()
    assert printed.out == ""
    return caught.value.code, printed.err


def test_a_mistake_of_the_users_is_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    error = BadOption("lr must be above 0", got=-1, do="give --lr 0.01")
    assert ended(error, capsys) == (
        2,
        "error: lr must be above 0\n  got: -1\n  do:  give --lr 0.01\n",
    )


def test_a_stopped_run_says_in_one_line_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    stop = Interrupted(Path("runs/conv20-001"), 412, 800)
    assert ended(stop, capsys) == (
        130,
        "stopped and saved after step 412 of 800; "
        "go on with: evenkeel train --resume runs/conv20-001\n",
    )
    assert ended(Interrupted(Path("r"), 1, 2, signal.SIGTERM), capsys)[0] == 143
    assert ended(KeyboardInterrupt(), capsys) == (130, "interrupted\n")


def test_a_missing_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = ended(ModuleNotFoundError("no lightning", name="lightning.pytorch"), capsys)
    assert code == 2
    assert "needs lightning, which is not installed" in message
    assert "pip install 'evenkeel[train]'" in message


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), ModuleNotFoundError("oh", name="evil")])
def test_a_bug_is_called_one(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVENKEEL_DEBUG", raising=False)
    code, message = ended(error, capsys)
    assert code == 70
    assert message == (
        f"error: {type(error).__name__}: oh\nthis is a bug; EVENKEEL_DEBUG=1 shows the traceback\n"
    )
    monkeypatch.setenv("EVENKEEL_DEBUG", "1")
    with pytest.raises(type(error)):
        ended(error, capsys)


def test_a_reader_that_has_gone_is_no_error(program: Program) -> None:
    process = program("recipes")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() != 0
