"""``tf.keras.datasets``: MNIST and Fashion-MNIST."""

from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.keras.datasets import fashion_mnist, mnist

__all__ = ["fashion_mnist", "mnist"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.keras.datasets.{name}", __all__)
