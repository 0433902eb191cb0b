"""``tf.keras``: the data sets and a little of the backend; its layers and models are not here."""

import importlib
from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.keras import datasets

__all__ = ["backend", "datasets"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "backend":
        return importlib.import_module(f"{__name__}.backend")
    raise missing(f"tf.keras.{name}", __all__)
