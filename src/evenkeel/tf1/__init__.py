"""TensorFlow 1 programs on PyTorch: ``import evenkeel.tf1 as tf``.

Names are found when they are used (``catalogue.py``): importing this costs next to nothing.

>>> import evenkeel.tf1 as tf
>>> with tf.Graph().as_default(), tf.Session() as sess:
...     x = tf.placeholder(tf.float32, [None, 2], name="x")
...     sess.run(tf.reduce_sum(x * 2.0), {"x:0": [[1, 2], [3, 4]]})
np.float32(20.0)
"""

import importlib
import pkgutil
import sys
from types import ModuleType
from typing import Any

_SUBMODULES = {found.name for found in pkgutil.iter_modules(__path__)}
_CATALOGUE = "evenkeel.tf1.catalogue"  # `from evenkeel.tf1 import` would ask __getattr__ again


class _Dialect(ModuleType):
    """This package: ``random`` is ``tf.random``, whatever module of that name was imported."""

    @property
    def random(self) -> Any:
        """The namespace of random tensors (``random_api``)."""
        return importlib.import_module(_CATALOGUE).look_up("random")

    @random.setter
    def random(self, _: Any) -> None:
        """Importing the package ``random`` (Philox) would put itself here."""


sys.modules[__name__].__class__ = _Dialect


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__version__":
        raise AttributeError(name)
    if name in _SUBMODULES and f"{name}_api" not in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    found = importlib.import_module(_CATALOGUE).look_up(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    names: list[str] = importlib.import_module(_CATALOGUE).all_names()
    return names
