"""What a person sees of a program's own exception: its frames in the program, and its text."""

import os
import re
import sys
import traceback

from evenkeel.tf1.catalogue import MissingSymbol
from evenkeel.tf1.program.equivalents import equivalent
from evenkeel.tf1.program.libraries import is_program

DEBUG = "EVENKEEL_DEBUG"
# What Python 3 says of statements that only Python 2 had, and such a line itself.
_PYTHON_2 = re.compile(
    r"Missing parentheses in call to|multiple exception types must be parenthesized|"
    r"inconsistent use of tabs|leading zeros in decimal integer|invalid decimal literal"
)
_STATEMENT = re.compile(r"""\s*(print\s+[^(=\s]|print\s*>>|exec\s+["']|raise\s+\w+\s*,)""")


def show_failure(error: BaseException) -> None:
    """Write an error to standard error; the whole traceback when EVENKEEL_DEBUG is set."""
    sys.stderr.write(text_of(error))


def text_of(error: BaseException) -> str:
    """The error as Python shows it, less every frame that is not the program's; one line where a
    program is one of Python 2.
    """
    if isinstance(error, SyntaxError) and is_python_2(error):
        return (
            f"{error.filename}:{error.lineno}: this is a Python 2 program ({error.msg}); "
            "write it in Python 3: 2to3 converts print and except\n"
        )
    whole = traceback.TracebackException.from_exception(error)
    if not os.environ.get(DEBUG):
        _cut(whole)
    return "".join(whole.format()) + _advice(error)


def _advice(error: BaseException) -> str:
    """What to write for a name that a namespace of the dialect missed without knowing that."""
    name = re.search(r"^  got: (tf\.[\w.]+)$", str(error), re.MULTILINE)
    if not isinstance(error, MissingSymbol) or name is None:
        return ""
    found = equivalent(name[1])
    return f"       {found}\n" if found and found not in str(error) else ""


def is_python_2(error: SyntaxError) -> bool:
    """Whether Python 2 would have taken what Python 3 does not."""
    return bool(_PYTHON_2.search(error.msg or "") or _STATEMENT.match(error.text or ""))


def _cut(shown: traceback.TracebackException) -> None:
    own = [frame for frame in shown.stack if is_program(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(own)
    for name in ("__cause__", "__context__"):
        before = getattr(shown, name)
        if before is not None:
            _cut(before)
            # An error that began and ended inside of ours says nothing to the program.
            if not before.stack:
                setattr(shown, name, None)
