"""Every error class: documented, a ValueError, raised somewhere, whole after a trip."""

import ast
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import evenkeel
from evenkeel import errors
from evenkeel.errors import EvenkeelError

PACKAGE = Path(evenkeel.__file__).parent
CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, EvenkeelError)
]
every_error = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def raised(source: str) -> Iterator[str]:
    """The names of the classes that a module raises or builds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


@pytest.fixture(scope="module")
def names() -> set[str]:
    files = (p for p in PACKAGE.rglob("*.py") if p.name != "errors.py")
    return {name for path in files for name in raised(path.read_text(encoding="utf-8"))}


def test_there_are_errors() -> None:
    assert len(CLASSES) > 10


@every_error
def test_it_says_all_three_and_says_what_it_is_for(kind: type[EvenkeelError]) -> None:
    error = kind("problem", got="given", do="remedy")
    assert str(error) == "problem\n  got: given\n  do:  remedy"
    assert isinstance(error, ValueError)
    assert kind.__doc__


@every_error
@pytest.mark.parametrize("trip", ["pickle", "copy", "deepcopy"])
def test_it_survives_a_trip(kind: type[EvenkeelError], trip: str) -> None:
    error = kind("problem", got=lambda: None, do="remedy", at="place")
    trips = {
        "pickle": lambda e: pickle.loads(pickle.dumps(e)),  # our own bytes
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
    }
    back = trips[trip](error)
    assert type(back) is kind
    assert str(back) == str(error)
    parts = ("problem", "got", "do", "at")
    assert [getattr(back, p) for p in parts] == [getattr(error, p) for p in parts]


@every_error
def test_it_is_raised_somewhere(kind: type[EvenkeelError], names: set[str]) -> None:
    if kind is not EvenkeelError:
        assert kind.__name__ in names


def test_an_error_that_nobody_raises_is_seen() -> None:
    assert "BadShape" not in set(raised("from evenkeel.errors import BadShape"))
    assert "BadShape" in set(raised("raise BadShape('p', got=1, do='d')"))
