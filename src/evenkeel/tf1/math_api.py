"""``tf.math``: the functions of ``tf`` that compute, and those of ``tf.nn`` that it shares."""

from typing import Any

from evenkeel.tf1.api import reductions
from evenkeel.tf1.catalogue import look_up, missing, names

_MODULES = ("math", "reductions", "indexing", "segments", "tensordot")
_OF_NN = (
    "in_top_k", "l2_normalize", "log_softmax", "softmax", "softplus", "softsign", "top_k",
    "zero_fraction",
)  # fmt: skip
_OWN = ("reduce_std", "reduce_variance")  # nowhere else


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _OF_NN:
        return getattr(look_up("nn"), name)
    if name in _OWN:
        return getattr(reductions, name)
    if names().get(name, "").rpartition(".")[2] in _MODULES:
        return look_up(name)
    raise missing(f"tf.math.{name}", [*names(), *_OF_NN, *_OWN])


def __dir__() -> list[str]:
    here = [n for n, place in names().items() if place.rpartition(".")[2] in _MODULES]
    return sorted({*here, *_OF_NN, *_OWN})
