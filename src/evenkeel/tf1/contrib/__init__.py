"""``tf.contrib``: layers, framework, slim, data."""

import importlib
import importlib.util
from typing import Any

from evenkeel.tf1.catalogue import listing, missing

_PARTS = ("data", "framework", "layers", "losses", "metrics", "rnn", "slim", "training")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    path = f"{__name__}.{name}"
    if name in _PARTS and importlib.util.find_spec(path) is not None:
        return listing(importlib.import_module(path))
    raise missing(f"tf.contrib.{name}", _PARTS)


def __dir__() -> list[str]:
    return sorted(_PARTS)
