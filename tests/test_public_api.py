"""The public names and signatures are those of docs/api.txt; a change to them is a change to a file.

Regenerate with `python tests/test_public_api.py`, and read the difference.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import evenkeel
import evenkeel.data
import evenkeel.recipes
import evenkeel.train

API = Path(__file__).parents[1] / "docs" / "api.txt"


def signature(thing: object) -> str:
    return str(inspect.signature(thing)) if callable(thing) else f": {type(thing).__name__}"


def lines_of(module: ModuleType) -> Iterator[str]:
    for name, thing in sorted(vars(module).items()):
        if name.startswith("_") or isinstance(thing, ModuleType):
            continue
        yield f"{module.__name__}.{name}{signature(thing)}"
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            yield from methods_of(thing, f"{module.__name__}.{name}")


def methods_of(kind: type, path: str) -> Iterator[str]:
    for name, thing in sorted(vars(kind).items()):
        if name.startswith("_") or not (inspect.isfunction(thing) or isinstance(thing, property)):
            continue
        shown = ": property" if isinstance(thing, property) else signature(thing)
        yield f"  {path.rsplit('.', 1)[1]}.{name}{shown}"


def current() -> str:
    modules = (evenkeel, evenkeel.functional, evenkeel.data, evenkeel.recipes, evenkeel.train)
    return "\n".join(line for module in modules for line in lines_of(module)) + "\n"


def test_the_public_names_are_the_documented_ones() -> None:
    assert current() == API.read_text()


if __name__ == "__main__":
    API.write_text(current())
