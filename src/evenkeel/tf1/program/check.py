"""``evenkeel run --check``: the names that a program uses and the dialect lacks, without running it."""

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evenkeel.errors import BadData
from evenkeel.tf1.program.equivalents import equivalent
from evenkeel.tf1.program.facade import Facade, is_absent
from evenkeel.tf1.program.facade import attribute as find
from evenkeel.tf1.program.facade import exists as module_exists
from evenkeel.tf1.program.failure import is_python_2
from evenkeel.tf1.program.launch import read_program
from evenkeel.tf1.program.missing import nearest, shown
from evenkeel.tf1.program.notebook import cells, is_notebook, joined
from evenkeel.tf1.program.symbols import Use, local_imports, uses


@dataclass(frozen=True, slots=True)
class Lack:
    """A name that is used and not here."""

    place: str  # file:line
    name: str
    near: tuple[str, ...]
    instead: str

    def __str__(self) -> str:
        near = f"; nearest: {', '.join(self.near)}" if self.near else ""
        instead = f"; {self.instead}" if self.instead else ""
        return f"{self.place}: {self.name} is missing{near}{instead}"


@dataclass(frozen=True, slots=True)
class Checked:
    """How many different names a program uses, and those that are not here."""

    count: int
    lacks: tuple[Lack, ...]


def check_program(path: str | Path) -> Checked:
    """The names of TensorFlow in a program and in the modules beside it.

    Raises:  BadOption for a file that is not there, BadData for one that is not Python 3
    """
    names, lacks = set(), []
    for places, tree in _files(Path(path)):
        for use in uses(tree):
            names.add(use.name)
            if lack := _lack(places(use.line), use):
                lacks.append(lack)
    return Checked(len(names), tuple(dict.fromkeys(lacks)))


def exists(dotted: str) -> bool:
    """Whether ``tf.a.b`` (or ``tensorflow.a.b``) is here.

    >>> exists("tf.reduce_mean"), exists("tf.reduce_meam")
    (True, False)
    """
    root, _, rest = dotted.partition(".")
    full = f"tensorflow.{rest}" if root == "tf" else dotted
    return _first_missing(full.rstrip(".")) is None


def _lack(place: str, use: Use) -> Lack | None:
    found = _first_missing(use.name)
    if found is None:
        return None
    part, known = found
    name = shown(part)
    # The whole name says best what was wanted.
    instead = equivalent(shown(use.name)) or equivalent(name)
    # A whole namespace that is not here has no neighbours worth a word.
    near = tuple(nearest(name, known)) if part == use.name else ()
    return Lack(place, shown(use.name), near, instead)


def _first_missing(dotted: str) -> tuple[str, list[str]] | None:
    """The first part of a name that is nothing, and the names that its owner has; None if all are."""
    root, *parts = dotted.split(".")
    owner: Any = Facade("tensorflow")
    path = root
    for part in parts:
        if not isinstance(owner, ModuleType) and not inspect.isclass(owner):
            return None  # an object: its attributes may come and go
        found = owner.find(part) if isinstance(owner, Facade) else find(owner, part)
        path = f"{path}.{part}"
        if is_absent(found):
            if not module_exists(path):
                return path, dir(owner)
            found = Facade(path)
        owner = found
    return None


def _files(path: Path) -> Iterator[tuple[Callable[[int], str], ast.Module]]:
    """The program, and what it imports from its own folder; with what a line is called in errors."""
    waiting, seen = [path], set()
    while waiting:
        file = waiting.pop(0)
        if file in seen:
            continue
        seen.add(file)
        tree, places = _parsed(file)
        yield places, tree
        for name in local_imports(tree):
            stem = path.parent.joinpath(*name.split("."))
            beside = [stem.with_suffix(".py"), stem / "__init__.py"]
            waiting += [candidate for candidate in beside if candidate.is_file()]


def _parsed(path: Path) -> tuple[ast.Module, Callable[[int], str]]:
    data = read_program(path)
    if not is_notebook(path):
        return _tree(data, str(path), lambda line: f"{path}:{line}")
    text, names = joined(cells(path, data))
    return _tree(text, str(path), lambda line: names[line - 1])


def _tree(
    text: bytes | str, path: str, places: Callable[[int], str]
) -> tuple[ast.Module, Callable[[int], str]]:
    try:
        return ast.parse(text, path), places
    except SyntaxError as error:
        old = is_python_2(error)
        raise BadData(
            f"this is {'a Python 2 program' if old else 'not Python'}",
            got=f"{error.msg}: {(error.text or '').strip()}",
            do="write it in Python 3: 2to3 converts print and except"
            if old
            else "correct the line",
            at=places(error.lineno or 1),
        ) from error
