"""Modules under TensorFlow's names: each shows names of the dialect, looked up when they are used."""

import importlib
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from evenkeel.tf1.program.missing import missing, shown
from evenkeel.tf1.program.names import (
    CONTRIB,
    CORE,
    MODULES,
    PACKAGES,
    PYTHON,
    beside,
    elsewhere,
    is_real,
    modules,
    sources,
)

_ABSENT = object()


def source(dotted: str) -> Any:
    """What ``tf.<dotted>`` is; ``tf`` itself for an empty name; None where there is nothing."""
    found: Any = importlib.import_module("evenkeel.tf1")
    for part in filter(None, dotted.split(".")):
        found = attribute(found, part)
        if found is _ABSENT:
            return None
    return found


def attribute(owner: Any, name: str) -> Any:
    """An attribute, or a module inside a package that nobody imported yet; a mark where neither is."""
    try:
        return getattr(owner, name)
    except AttributeError:
        pass
    inner = f"{getattr(owner, '__name__', '')}.{name}"
    if not isinstance(owner, ModuleType) or isinstance(owner, Facade):
        return _ABSENT
    try:
        return importlib.import_module(inner)
    except ModuleNotFoundError as error:
        if error.name and inner.startswith(error.name):
            return _ABSENT
        raise


def is_absent(value: Any) -> bool:
    """Whether ``attribute`` found nothing."""
    return value is _ABSENT


class Facade(ModuleType):
    """A module of TensorFlow as a program under run sees it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "TensorFlow 1.15's names, shown by evenkeel.")
        self.__path__: list[str] = []  # every module may have modules inside

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__version__", "__all__"):
            raise AttributeError(name)
        if name == "__all__":  # from tensorflow… import *
            return [n for n in dir(self) if not n.startswith("_")]
        found = self.find(name)
        if is_absent(found):
            raise missing(f"{shown(self.__name__)}.{name}", dir(self))
        setattr(self, name, found)
        return found

    def find(self, name: str) -> Any:
        """A name of this module, or the mark of absence."""
        full = f"{self.__name__}.{name}"
        # TensorFlow's own modules first: tensorflow.python.ops is none of the dialect's insides.
        if full in MODULES or full in PACKAGES or (_is_inner(full) and is_real(full)):
            return self._module(full)
        found = self._look_up(name, sources(self.__name__))
        if not is_absent(found):
            return found
        if exists(full):
            return self._module(full)
        if other := beside(self.__name__, name):
            return self._module(other)
        return self._look_up(name, elsewhere(self.__name__))

    def _module(self, full: str) -> Any:
        if not exists(full):
            return _ABSENT
        imported = sys.modules.get(self.__name__) is self  # else the run that imported this is over
        return importlib.import_module(full) if imported else Facade(full)

    def _look_up(self, name: str, places: Iterable[str]) -> Any:
        inner = _is_inner(self.__name__)
        if inner and name.startswith("_"):  # the dialect's private parts are not TensorFlow's
            return _ABSENT
        for owner in _owners(places):
            found = attribute(owner, name)
            if not is_absent(found) and not (inner and _is_module(found)):
                return found
        return _ABSENT

    def __dir__(self) -> list[str]:
        inner = _is_inner(self.__name__)
        names = {name for owner in _owners(sources(self.__name__)) for name in dir(owner)}
        depth = self.__name__.count(".") + 1
        inside = [n for n in (*MODULES, *PACKAGES) if n.startswith(f"{self.__name__}.")]
        names |= {n.split(".")[depth] for n in inside}
        return sorted(names | ({*modules().get(self.__name__, ())} if inner else set()))


def exists(module: str) -> bool:
    """Whether a module of TensorFlow has anything to show."""
    if module in PACKAGES:
        return True
    if _is_inner(module):
        return is_real(module)
    if module in modules() or is_real(module):  # of contrib
        return source(sources(module)[0]) is not None or module == CONTRIB
    known = sources(module)
    found = any(source(dotted) is not None for dotted in known)
    inside = any(name.startswith(f"{module}.") for name in MODULES)
    return inside or (found and (module in MODULES or _is_module(source(known[0]))))


def _owners(places: Iterable[str]) -> Iterator[Any]:
    return filter(None, map(source, places))


def _is_inner(module: str) -> bool:
    """Whether this lies in ``tensorflow.python`` or ``core``, whose modules are all known."""
    return f"{module}.".startswith((f"{PYTHON}.", f"{CORE}."))


def _is_module(value: Any) -> bool:
    return isinstance(value, ModuleType)
