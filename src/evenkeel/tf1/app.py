"""``tf.app``: runs a program's ``main`` with its options read."""

import sys
from collections.abc import Callable
from typing import Any

from evenkeel.tf1 import flags as flags
from evenkeel.tf1.catalogue import missing

__all__ = ["flags", "run"]


def run(main: Callable[[list[str]], Any] | None = None, argv: list[str] | None = None) -> None:
    """Read the options, call ``main`` with what is left, and exit with what it returns.

    Options that nobody defined are left for ``main``, as TensorFlow leaves them. ``--help`` says what
    the options are and exits with 1; a wrong value does so too, on the standard error.
    """
    words = sys.argv if argv is None else argv
    try:
        rest = flags.FLAGS(words, known_only=True)
    except flags.Error as error:
        hint = "Pass --helpshort or --helpfull to see help on flags."
        sys.stderr.write(f"FATAL Flags parsing error: {error}\n{hint}\n")
        sys.exit(1)
    if flags.FLAGS._help:
        text = sys.modules["__main__"].__doc__ or f"USAGE: {words[0]} [flags]"
        sys.stdout.write(f"{text}\n\nflags:\n{flags.FLAGS.get_help()}\n")
        sys.exit(1)
    function = main or sys.modules["__main__"].main
    sys.exit(function(rest))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.app.{name}", __all__)
