"""Notebooks as programs: the code cells in order, with what only IPython understands taken out.

Cells are counted among the code cells, from 1. Results are not shown: a program prints what it wants
to be seen.
"""

import ast
import json
import linecache
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.errors import BadData
from evenkeel.tf1.program.notices import notice

_SPECIAL = re.compile(r"^(\s*)(%%|%|!|\?)(.*)$|^(\s*)(.*[\w)\]])\?{1,2}\s*$")
# What changes nothing that the program computes.
_HARMLESS = {
    "alias_magic", "autoreload", "autosave", "config", "load_ext", "lsmagic", "matplotlib", "pdb",
    "pinfo", "pip", "precision", "reload_ext", "tensorflow_version", "timeit", "warnings", "who",
    "whos",
}  # fmt: skip
_AROUND = {"capture", "prun", "time", "timeit"}  # the Python below or behind them is run
_SHOWN = {"HTML", "SVG", "html", "javascript", "js", "latex", "markdown", "svg"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One code cell: how errors name it, and its Python."""

    label: str
    code: str


def is_notebook(path: str | Path) -> bool:
    """Whether the name is a notebook's."""
    return Path(path).suffix == ".ipynb"


def cells(path: str | Path, data: bytes) -> list[Cell]:
    """The code cells of a notebook (format 3 and later).

    Raises:  BadData for what is no notebook, or for a command of IPython that cannot be left out
    """
    name = Path(path).name
    texts = enumerate(_texts(name, data), 1)
    found = [Cell(f"{name} cell {n}", text) for n, text in texts]
    return [Cell(cell.label, _python(cell)) for cell in found]


def remember(cell: Cell) -> None:
    """Let tracebacks show the cell's lines."""
    lines = cell.code.splitlines(keepends=True)
    linecache.cache[cell.label] = (len(cell.code), None, lines, cell.label)


def joined(found: list[Cell]) -> tuple[str, list[str]]:
    r"""The cells as one text, and what each of its lines is called.

    >>> joined([Cell("a cell 1", "x = 1"), Cell("a cell 2", "y = 2")])
    ('x = 1\ny = 2', ['a cell 1:1', 'a cell 2:1'])
    """
    lines = [(cell, *row) for cell in found for row in enumerate(cell.code.splitlines(), 1)]
    return "\n".join(row[2] for row in lines), [f"{row[0].label}:{row[1]}" for row in lines]


def _texts(name: str, data: bytes) -> list[str]:
    try:
        whole: Any = json.loads(data)
    except ValueError as error:
        raise _no_notebook(f"{name}: no JSON: {error}") from None
    try:
        sheets = whole.get("worksheets", [whole])
        made = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        texts = [cell["source"] if "source" in cell else cell["input"] for cell in made]
        return [text if isinstance(text, str) else "".join(text) for text in texts]
    except (KeyError, TypeError, AttributeError):
        raise _no_notebook(f"{name}: JSON without the cells of a notebook") from None


def _no_notebook(got: str) -> BadData:
    do = "give a Jupyter notebook (JSON with cells), or a Python file"
    return BadData("this is not a notebook", got=got, do=do)


def _python(cell: Cell) -> str:
    lines = cell.code.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines and lines[first].startswith("%%"):
        lines = _whole(cell, lines, first)
    for _ in lines:
        wrong = _wrong_line("\n".join(lines))
        if wrong is None or (python := _line(cell, wrong, lines[wrong - 1])) is None:
            break  # a line of a text may begin with % too
        lines[wrong - 1] = python
    return "\n".join(lines) + "\n"


def _wrong_line(text: str) -> int | None:
    """The line that Python does not understand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except SyntaxError as error:
            return error.lineno
    return None


def _whole(cell: Cell, lines: list[str], first: int) -> list[str]:
    """The lines of a cell that is one command's."""
    command = lines[first][2:].split() or [""]
    if command[0] not in _AROUND | _SHOWN:
        raise _refusal(cell, first + 1, lines[first])
    notice(cell.label, f"{cell.label}: {lines[first].strip()} is left out")
    rest = [""] * len(lines[first + 1 :]) if command[0] in _SHOWN else lines[first + 1 :]
    return [""] * (first + 1) + rest


def _line(cell: Cell, number: int, line: str) -> str | None:
    """The line in Python; None where it is no command of IPython."""
    found = _SPECIAL.match(line)
    if found is None:
        if re.match(r"^\s*[\w, ]+=\s*[%!]", line):
            raise _refusal(cell, number, line)
        return None
    space, mark, rest = found[1] or found[4] or "", found[2], (found[3] or "").strip()
    command, _, behind = rest.partition(" ")
    if mark == "%" and command in _AROUND and command != "timeit" and behind:
        return space + behind
    if mark in ("%", "%%") and command not in _HARMLESS | _AROUND:
        raise _refusal(cell, number, line)
    notice(f"{cell.label}:{number}", f"{cell.label}:{number}: {line.strip()} is left out")
    return f"{space}pass"


def _refusal(cell: Cell, number: int, line: str) -> BadData:
    return BadData(
        "the notebook has a command of IPython that what follows may need",
        got=line.strip(),
        do="write it in Python, or remove the line",
        at=f"{cell.label}:{number}",
    )
