"""Modules under TensorFlow's names: each shows names of the dialect, looked up when they are used."""

import importlib
import sys
from types import ModuleType
from typing import Any

from evenkeel.tf1.program.missing import missing, shown
from evenkeel.tf1.program.names import MODULES, PACKAGES

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
        if full not in MODULES and full not in PACKAGES:
            for owner in filter(None, map(source, _sources(self.__name__))):
                found = attribute(owner, name)
                if not is_absent(found):
                    return found
        if not exists(full):
            return _ABSENT
        imported = sys.modules.get(self.__name__) is self  # else the run that imported this is over
        return importlib.import_module(full) if imported else Facade(full)

    def __dir__(self) -> list[str]:
        names = {n for s in filter(None, map(source, _sources(self.__name__))) for n in dir(s)}
        depth = self.__name__.count(".") + 1
        inner = [n for n in (*MODULES, *PACKAGES) if n.startswith(f"{self.__name__}.")]
        return sorted(names | {name.split(".")[depth] for name in inner})


def exists(module: str) -> bool:
    """Whether a module of TensorFlow has anything to show."""
    if module in PACKAGES:
        return True
    known = _sources(module)
    found = any(source(dotted) is not None for dotted in known)
    inside = any(name.startswith(f"{module}.") for name in MODULES)
    return inside or (found and (module in MODULES or _is_module(source(known[0]))))


def _sources(module: str) -> tuple[str, ...]:
    if module in MODULES:
        return MODULES[module]
    if module in PACKAGES and not _is_module(source(_plain(module))):
        return ()
    return (_plain(module),)


def _plain(module: str) -> str:
    """``tensorflow.compat.v1.layers`` is ``layers``."""
    for root in ("tensorflow.compat.v1.", "tensorflow."):
        if module.startswith(root):
            return module.removeprefix(root)
    return ""


def _is_module(value: Any) -> bool:
    return isinstance(value, ModuleType)
