"""Where each name of ``tf`` lives. Adding one touches one file: an ``__all__``, or a module of its own.

``tf.f`` is looked for in the ``__all__`` of every file of ``api/``; ``tf.nn``, ``tf.layers`` and the
other namespaces are the module or package of that name beside this file.
"""

import importlib
import importlib.util
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import Any

from evenkeel.tf1 import dtypes
from evenkeel.tf1.origin import origin

_TYPES = {
    name: getattr(dtypes, name)
    for name in vars(dtypes)
    if isinstance(getattr(dtypes, name), dtypes.DType)
}
_TYPES["bool"] = _TYPES.pop("bool_")
_REF = {f"{name}_ref": dtype._as_ref for name, dtype in _TYPES.items()}
VERSION = "1.15.5"

NAMESPACES = (
    "app", "bitwise", "compat", "contrib", "data", "debugging", "distribute", "distributions",
    "dtypes", "errors", "estimator", "feature_column", "flags", "gfile", "graph_util", "image",
    "initializers", "io", "keras", "layers", "linalg", "logging", "losses", "math", "metrics",
    "nest", "nn", "ops", "python_io", "random", "resource_loader", "saved_model", "sets", "signal",
    "sparse", "spectral", "strings", "summary", "sysconfig", "test", "train", "version",
)  # fmt: skip
_NOT_HERE = ("dtypes", "ops", "random")  # modules beside this file that are something else


class MissingSymbol(AttributeError):
    """A name of TensorFlow that is not here: what it is, and the nearest that exists."""


@cache
def names() -> dict[str, str]:
    """Every name of ``api/`` and the module that has it."""
    import evenkeel.tf1.overloads  # noqa: F401  # puts the operators on tensors

    api = importlib.import_module("evenkeel.tf1.api")

    table: dict[str, str] = {}
    for found in pkgutil.iter_modules(api.__path__):
        module = importlib.import_module(f"evenkeel.tf1.api.{found.name}")
        table |= dict.fromkeys(module.__all__, module.__name__)
    return table


def look_up(name: str) -> Any:
    """What ``tf.<name>`` is; MissingSymbol where it is nothing."""
    if name in _TYPES or name in _REF:
        return _TYPES.get(name) or _REF[name]
    if name in ("__version__", "VERSION"):
        return VERSION
    if name in names():
        return getattr(importlib.import_module(names()[name]), name)
    if name in NAMESPACES and (module := namespace(name)) is not None:
        return module
    raise missing(f"tf.{name}", [*names(), *_TYPES, *NAMESPACES])


def namespace(name: str) -> Any:
    """The module of ``tf.<name>``: ``<name>_api`` or ``<name>`` beside this file; None without one."""
    for candidate in (f"{name}_api", name):
        if candidate in _NOT_HERE:
            continue
        path = f"evenkeel.tf1.{candidate}"
        if importlib.util.find_spec(path) is not None:
            return listing(importlib.import_module(path))
    return None


def listing(module: Any) -> Any:
    """The module, whose ``dir()`` shows what ``__all__`` has, not what it is made of."""
    if hasattr(module, "__all__") and "__dir__" not in vars(module):
        module.__dir__ = lambda: sorted(set(module.__all__))
    return module


def missing(full: str, known: Any) -> MissingSymbol:
    """The error for a name that is not here; ``__getattr__`` of a namespace raises it too."""
    last = full.rpartition(".")[2]
    near = get_close_matches(last, [str(k) for k in known], n=2, cutoff=0.6)
    do = f"try {' or '.join(near)}" if near else "see docs for the names that exist"
    line = origin()
    at = f"\n  at:  {line}" if line else ""
    return MissingSymbol(
        f"{full} is not in this dialect of TensorFlow 1.15{at}\n  got: {full}\n  do:  {do}"
    )


def all_names() -> list[str]:
    """Every name that ``tf`` has here."""
    found = [n for n in NAMESPACES if n not in _NOT_HERE and namespace(n) is not None]
    return sorted([*names(), *_TYPES, *found])
