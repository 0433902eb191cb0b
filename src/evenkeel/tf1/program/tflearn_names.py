"""Names that TFLearn 0.5.0 takes from NumPy, Pillow and SciPy, and that they have no more."""

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

from evenkeel.tf1.program.lent import asked_first, lent
from evenkeel.tf1.program.libraries import is_tflearn
from evenkeel.tf1.program.numpy_names import NAMES

_MISSING: dict[str, dict[str, Any]] = {
    "numpy": NAMES,
    "numpy.lib": {"pad": lambda: importlib.import_module("numpy").pad},
    "PIL.Image": {"ANTIALIAS": lambda: importlib.import_module("PIL.Image").Resampling.LANCZOS},
    "scipy.ndimage": dict.fromkeys(
        ("filters", "interpolation"), lambda: importlib.import_module("scipy.ndimage")
    ),
}


class _Waits(MetaPathFinder):
    """Finds nothing: lends the names once TFLearn is imported, and not before."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._done = stack, False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if fullname == "tflearn" and not self._done:
            self._done = True
            for name, names in _MISSING.items():
                if (module := _imported(name)) is not None:
                    self._stack.enter_context(lent(module, names, is_tflearn))


def tflearn_names() -> AbstractContextManager[None]:
    """Inside, TFLearn finds the names that it was written with; nobody else does."""
    return asked_first(_Waits)


def _imported(name: str) -> ModuleType | None:
    """The module, or None where the library is not installed: TFLearn then says so itself."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
