"""``tf.initializers``."""

from typing import Any

from evenkeel.tf1.api.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    UniformUnitScaling,
    VarianceScaling,
    Zeros,
)
from evenkeel.tf1.catalogue import missing

zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
variance_scaling, uniform_unit_scaling, orthogonal = VarianceScaling, UniformUnitScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
__all__ = [
    "constant", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity",
    "lecun_normal", "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform",
    "truncated_normal", "uniform_unit_scaling", "variance_scaling", "zeros",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("global_variables", "local_variables", "variables", "tables_initializer"):
        from evenkeel.tf1.catalogue import look_up

        return look_up(name if name == "tables_initializer" else f"{name}_initializer")
    raise missing(f"tf.initializers.{name}", __all__)
