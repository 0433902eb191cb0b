"""``evenkeel run --check``: the names that a program uses and the dialect lacks, without running it."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evenkeel.errors import BadData, BadOption
from evenkeel.tf1.program.equivalents import equivalent
from evenkeel.tf1.program.facade import Facade, is_absent
from evenkeel.tf1.program.facade import attribute as find
from evenkeel.tf1.program.facade import exists as module_exists
from evenkeel.tf1.program.failure import is_python_2
from evenkeel.tf1.program.missing import nearest, shown
from evenkeel.tf1.program.symbols import Use, local_imports, uses


@dataclass(frozen=True, slots=True)
class Lack:
    """A name that is used and not here."""

    file: str
    line: int
    name: str
    near: tuple[str, ...]
    instead: str

    def __str__(self) -> str:
        near = f"; nearest: {', '.join(self.near)}" if self.near else ""
        instead = f"; {self.instead}" if self.instead else ""
        return f"{self.file}:{self.line}: {self.name} is missing{near}{instead}"


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
    for file, tree in _files(Path(path)):
        for use in uses(tree):
            names.add(use.name)
            if lack := _lack(file, use):
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


def _lack(file: str, use: Use) -> Lack | None:
    found = _first_missing(use.name)
    if found is None:
        return None
    part, known = found
    name = shown(part)
    # The whole name says best what was wanted.
    instead = equivalent(shown(use.name)) or equivalent(name)
    # A whole namespace that is not here has no neighbours worth a word.
    near = tuple(nearest(name, known)) if part == use.name else ()
    return Lack(file, use.line, shown(use.name), near, instead)


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


def _files(path: Path) -> Iterator[tuple[str, ast.Module]]:
    """The program, and what it imports from its own folder."""
    waiting, seen = [path], set()
    while waiting:
        file = waiting.pop(0)
        if file in seen:
            continue
        seen.add(file)
        tree = _parsed(file)
        yield str(file), tree
        for name in local_imports(tree):
            stem = path.parent.joinpath(*name.split("."))
            beside = [stem.with_suffix(".py"), stem / "__init__.py"]
            waiting += [candidate for candidate in beside if candidate.is_file()]


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadOption(
            "the program cannot be read",
            got=f"{path}: {error.strerror or error}",
            do="give the path of a Python file",
        ) from error
    except SyntaxError as error:
        old = is_python_2(error)
        raise BadData(
            f"this is {'a Python 2 program' if old else 'not Python'}",
            got=f"{error.msg}: {(error.text or '').strip()}",
            do="write it in Python 3: 2to3 converts print and except"
            if old
            else "correct the line",
            at=f"{path}:{error.lineno}",
        ) from error
