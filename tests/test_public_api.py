"""The public names and signatures are those of docs/api.txt; a change to them is a change to a file.

Regenerate with `python tests/test_public_api.py`, and read the difference.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import evenkeel
import evenkeel.checkpoint
import evenkeel.data
import evenkeel.doctor
import evenkeel.port
import evenkeel.recipes
import evenkeel.surgery
import evenkeel.train

API = Path(__file__).parents[1] / "docs" / "api.txt"


def signature(thing: object) -> str:
    if isinstance(thing, type) and issubclass(thing, Warning):
        return "(*args: object)"  # Python's own constructor, which has no signature to read
    return str(inspect.signature(thing)) if callable(thing) else f": {type(thing).__name__}"


def names_of(module: ModuleType) -> list[str]:
    own = [n for n, thing in vars(module).items() if not isinstance(thing, ModuleType)]
    return sorted(getattr(module, "__all__", [n for n in own if not n.startswith("_")]))


def lines_of(module: ModuleType) -> Iterator[str]:
    for name in names_of(module):
        thing = getattr(module, name)
        yield f"{module.__name__}.{name}{signature(thing)}"
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            yield from methods_of(thing)


def methods_of(kind: type) -> Iterator[str]:
    for name, thing in sorted(vars(kind).items()):
        if name.startswith("_") or not isinstance(thing, FunctionType | classmethod | property):
            continue
        shown = ": property" if isinstance(thing, property) else signature(getattr(kind, name))
        yield f"  {kind.__name__}.{name}{shown}"


def current() -> str:
    modules = (
        evenkeel,
        evenkeel.functional,
        evenkeel.surgery,
        evenkeel.data,
        evenkeel.checkpoint,
        evenkeel.port,
        evenkeel.recipes,
        evenkeel.train,
        evenkeel.doctor,
    )
    return "\n".join(line for module in modules for line in lines_of(module)) + "\n"


def test_the_public_names_are_the_documented_ones() -> None:
    assert current() == API.read_text()


if __name__ == "__main__":
    API.write_text(current())
