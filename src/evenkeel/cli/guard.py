"""What a person sees when a command cannot go on: a message and an exit code, no traceback."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from evenkeel.errors import EvenkeelError, MissingExtra

Arguments = ParamSpec("Arguments")

BAD_INPUT, BUG, SIGNALLED = 2, 70, 128
EXTRAS = {"jinja2", "lightning", "matplotlib", "safetensors", "sklearn"}
DEBUG = "EVENKEEL_DEBUG"


def guarded(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The command, with every error turned into its message on standard error and an exit code.

    2 for a mistake of the user's, 130 after Ctrl-C (128 + the signal), 70 for a bug of ours, which
    shows its traceback when EVENKEEL_DEBUG is set.
    """

    @functools.wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except EvenkeelError as error:
            _fail(f"error: {error}", BAD_INPUT)
        except KeyboardInterrupt as stop:
            _stopped(stop)
        except BrokenPipeError:
            _hush()
        except ModuleNotFoundError as error:
            _missing(error)
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            _bug(error)

    return run


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(code)


def _stopped(stop: KeyboardInterrupt) -> NoReturn:
    """Say in one line what was saved and how to go on, if the run knows."""
    _fail(str(stop) or "interrupted", SIGNALLED + getattr(stop, "number", signal.SIGINT))


def _missing(error: ModuleNotFoundError) -> NoReturn:
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS:
        _bug(error)
    missing = MissingExtra(
        f"this command needs {name}, which is not installed",
        got=error,
        do="pip install 'evenkeel[train]'",
    )
    _fail(f"error: {missing}", BAD_INPUT)


def _bug(error: Exception) -> NoReturn:
    if os.environ.get(DEBUG):
        raise error
    _fail(
        f"error: {type(error).__name__}: {error}\nthis is a bug; {DEBUG}=1 shows the traceback",
        BUG,
    )


def _hush() -> NoReturn:
    """Leave without a word: whoever read our output has gone. Nothing may flush to it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(SIGNALLED + signal.SIGPIPE)
