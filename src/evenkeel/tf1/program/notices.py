"""Lines on standard error that a program's run shows once each."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_shown: set[str] = set()


def notice(key: str, text: str) -> None:
    """Show ``text`` unless one under this key was shown in this run."""
    if key not in _shown:
        _shown.add(key)
        sys.stderr.write(f"evenkeel: {text}\n")


@contextmanager
def once() -> Iterator[None]:
    """A run of its own: what was shown before may be shown again."""
    before = set(_shown)
    _shown.clear()
    try:
        yield
    finally:
        _shown.clear()
        _shown.update(before)
