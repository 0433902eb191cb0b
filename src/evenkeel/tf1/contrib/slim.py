"""``tf.contrib.slim``: the layers of ``tf.contrib.layers`` and the scopes of its framework."""

import importlib
from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.contrib import framework, layers

_PARTS = ("learning", "losses")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _PARTS:
        return importlib.import_module(f"evenkeel.tf1.contrib.{name}")
    for part in (layers, framework):
        try:
            return getattr(part, name)
        except AttributeError:
            continue
    raise missing(f"tf.contrib.slim.{name}", layers.__all__)


def __dir__() -> list[str]:
    return sorted({*_PARTS, *layers.__all__, *framework.__all__})
