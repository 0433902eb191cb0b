"""``tf.contrib.slim``: the layers of ``tf.contrib.layers`` and the scopes of its framework."""

from typing import Any

from evenkeel.tf1.catalogue import look_up, missing
from evenkeel.tf1.contrib import framework, layers


def _learning() -> Any:
    from evenkeel.tf1.contrib import learning

    return learning


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "losses":
        return look_up("losses")
    if name == "learning":
        return _learning()
    for part in (layers, framework):
        try:
            return getattr(part, name)
        except AttributeError:
            continue
    raise missing(f"tf.contrib.slim.{name}", layers.__all__)
