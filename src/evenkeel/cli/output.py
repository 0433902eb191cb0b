"""Files that commands write besides what they print; ``-`` is the standard output."""

from collections.abc import Sequence
from pathlib import Path

import typer

from evenkeel.errors import BadOption
from evenkeel.files import replace_file


def check_places(files: Sequence[str]) -> None:
    """Before work that may take long: everything can be written.

    Raises:  BadOption for a folder, a file in no folder, and two outputs that would be printed
    """
    if files.count("-") > 1:
        raise BadOption("one output can be printed", got="- twice", do="give a file for the others")
    for path in (Path(file) for file in files if file != "-"):
        if path.is_dir() or not path.parent.is_dir():
            what = "is a folder" if path.is_dir() else "is in no folder that there is"
            raise BadOption(f"this {what}", got=path, do="give a file in a folder that is there")


def write(text: str, file: str | None) -> None:
    """Print what goes to ``-``, and put the rest in its file, whole."""
    if file == "-":
        typer.echo(text, nl=False)
    elif file:
        replace_file(Path(file), text)
