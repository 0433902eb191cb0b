"""``tf.nn``: activations, convolutions, pooling, moments, normalization, cross entropies."""

import importlib
from typing import Any

from evenkeel.tf1.catalogue import missing

_FILES = (
    "activations", "convolutions", "entropy", "lookups", "recurrent", "statistics", "unrolling",
)  # fmt: skip


def _names() -> dict[str, str]:
    table: dict[str, str] = {}
    for file in _FILES:
        module = importlib.import_module(f"{__name__}.{file}")
        table |= dict.fromkeys(module.__all__, module.__name__)
    return table


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "rnn_cell":
        return importlib.import_module(f"{__name__}.rnn_cell")
    table = _names()
    if name not in table:
        raise missing(f"tf.nn.{name}", table)
    found = getattr(importlib.import_module(table[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*_names(), "rnn_cell"])
