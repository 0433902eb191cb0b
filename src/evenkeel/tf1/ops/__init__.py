"""The meaning of operations: one file a family; every file in this folder is found by itself."""

import importlib
import pkgutil
from functools import cache

from evenkeel.tf1.errors import UnimplementedError
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import OPS, OpDef

_NO_FAMILY = ("table", "signature")


@cache
def load_families() -> None:
    """Import every family, so that its rows are in the table."""
    for found in pkgutil.iter_modules(__path__):
        if found.name not in _NO_FAMILY:
            importlib.import_module(f"{__name__}.{found.name}")


def definition(kind: str, op: Operation | None = None) -> OpDef:
    """The row of an operation type; UnimplementedError, with the node, where nobody wrote it yet."""
    load_families()
    if kind not in OPS:
        raise UnimplementedError(None, op, f"No kernel here for the operation type {kind!r}")
    return OPS[kind]


def is_defined(kind: str) -> bool:
    """Whether an operation type can run here."""
    load_families()
    return kind in OPS
