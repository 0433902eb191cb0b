"""``tf.keras``: the data sets. Keras's layers and models are no part of the dialect."""

from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.keras import datasets

__all__ = ["datasets"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.keras.{name}", __all__)
