"""``tf.app``: runs a program's ``main`` with its options read."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from evenkeel.tf1 import flags as flags

__all__ = ["flags", "run"]


def run(main: Callable[[list[str]], Any] | None = None, argv: list[str] | None = None) -> None:
    """Read the options, call ``main`` with what is left, and exit with what it returns."""
    rest = flags.FLAGS(sys.argv if argv is None else argv)
    function = main or _main(sys.modules["__main__"])
    sys.exit(function(rest))


def _main(module: ModuleType) -> Callable[[list[str]], Any]:
    found: Callable[[list[str]], Any] = module.main
    return found
