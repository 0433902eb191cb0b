"""``tf.random``."""

from typing import Any

from evenkeel.tf1.api.framework import get_seed, set_random_seed
from evenkeel.tf1.api.random import (
    multinomial,
    random_gamma,
    random_normal,
    random_poisson,
    random_shuffle,
    random_uniform,
    truncated_normal,
)
from evenkeel.tf1.catalogue import missing

uniform, normal, shuffle = random_uniform, random_normal, random_shuffle
gamma = random_gamma
set_seed = set_random_seed
__all__ = [
    "categorical", "gamma", "get_seed", "multinomial", "normal", "poisson", "set_random_seed",
    "shuffle", "truncated_normal", "uniform",
]  # fmt: skip


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: Any = None
) -> Any:
    """Classes drawn by their logits."""
    from evenkeel.tf1.build import name_scope

    with name_scope(name, "categorical", [logits]):
        return multinomial(logits, num_samples, seed, name="", output_dtype=dtype)


def poisson(
    lam: Any, shape: Any, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Poisson-distributed numbers."""
    return random_poisson(lam, shape, dtype, seed, name)


def __getattr__(name: str) -> Any:
    raise missing(f"tf.random.{name}", __all__)
