"""Names of TensorFlow that the dialect lacks: what is near, and what does the same work."""

import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from evenkeel.tf1.catalogue import MissingSymbol
from evenkeel.tf1.program.equivalents import equivalent

__all__ = ["MissingModule", "missing", "missing_module", "nearest", "shown"]


class MissingModule(ImportError):
    """A module of TensorFlow, or a name imported from one, that is not here."""


def missing(full: str, known: Iterable[str]) -> MissingSymbol:
    """The error for a name of TensorFlow that is used and not here."""
    return MissingSymbol(_message(full, known))


def missing_module(full: str, known: Iterable[str]) -> MissingModule:
    """The error for a name of TensorFlow that is imported and not here."""
    return MissingModule(_message(full, known))


def nearest(full: str, known: Iterable[str]) -> list[str]:
    """Names that are spelt almost so, with what leads to them."""
    head, _, last = full.rpartition(".")
    lower = {name.lower(): name for name in known if not name.startswith("_")}
    close = get_close_matches(last.lower(), lower, n=2, cutoff=0.7)
    return [f"{head}.{lower[name]}" for name in close]


def shown(module: str) -> str:
    """A module's name as programs write it: ``tf`` for tensorflow."""
    for root in ("tensorflow.compat.v1", "tensorflow"):
        if module == root or module.startswith(f"{root}."):
            return f"tf{module.removeprefix(root)}"
    return module


def _message(full: str, known: Iterable[str]) -> str:
    line = _line()
    at = f"\n  at:  {line}" if line else ""
    advice = [f"try {' or '.join(near)}"] if (near := nearest(full, known)) else []
    advice += [found] if (found := equivalent(full)) else []
    do = "; ".join(advice) or "write it with what there is: dir(tf) lists the names"
    return f"{full} is not in this dialect of TensorFlow 1.15{at}\n  got: {full}\n  do:  {do}"


def _line() -> str:
    """The program's line: the innermost frame that is neither ours nor the import machinery's."""
    ours = str(Path(__file__).parents[1])
    frame = sys._getframe(1)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if not file.startswith((ours, "<frozen")):
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
