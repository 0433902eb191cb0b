"""Which line of the user's program is at work: the innermost frame outside this package."""

import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)
_SKIP = ("contextlib.py", "functools.py")


def origin() -> str:
    """``file:line``, or nothing where every frame is ours."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_HERE, "<frozen")) and not file.endswith(_SKIP):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # None ends the walk
    return ""
