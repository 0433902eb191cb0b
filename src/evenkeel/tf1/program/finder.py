"""``import tensorflow`` means the dialect, whatever is installed, while a program runs."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from evenkeel.tf1.program.facade import Facade, exists
from evenkeel.tf1.program.missing import missing_module, shown

ROOTS = ("tensorflow", "tensorflow_core")


def _ours(name: str) -> bool:
    return name.partition(".")[0] in ROOTS


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Facade(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: names are looked up when they are used."""


class Finder(MetaPathFinder):
    """Finds TensorFlow's modules in the dialect; asked before every other finder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, None for a module of others; MissingModule for one that TensorFlow only has."""
        if not _ours(fullname):
            return None
        if not exists(fullname):
            parent, _, _ = fullname.rpartition(".")
            raise missing_module(shown(fullname), dir(sys.modules.get(parent)))
        return ModuleSpec(fullname, _Loader(), origin="evenkeel", is_package=True)


@contextmanager
def installed() -> Iterator[None]:
    """Inside, TensorFlow's modules are the dialect's; after, whatever they were before.

    >>> with installed():
    ...     from tensorflow.python.framework import ops
    ...     ops.Graph.__module__
    'evenkeel.tf1.graph'
    """
    finder = Finder()
    before = {name: module for name, module in sys.modules.items() if _ours(name)}
    for name in before:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n, m in sys.modules.items() if _ours(n) or isinstance(m, Facade)]:
            del sys.modules[name]
        sys.modules.update(before)
