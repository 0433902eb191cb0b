"""TensorFlow 1's random numbers: seeds, streams of Philox 4x32-10, and what is drawn from them."""

from evenkeel.tf1.random.categorical import multinomial
from evenkeel.tf1.random.draw import FILLS, fill, integers, shuffle
from evenkeel.tf1.random.initial import (
    SCALINGS,
    Draw,
    contrib_variance_scaling,
    fans,
    orthogonal,
    orthogonal_source,
    unit_scaling,
    variance_scaling,
)
from evenkeel.tf1.random.philox import Place, Stream
from evenkeel.tf1.random.rejection import gamma, poisson
from evenkeel.tf1.random.seeds import DEFAULT_GRAPH_SEED, op_seeds

__all__ = [
    "DEFAULT_GRAPH_SEED",
    "FILLS",
    "SCALINGS",
    "Draw",
    "Place",
    "Stream",
    "contrib_variance_scaling",
    "fans",
    "fill",
    "gamma",
    "integers",
    "multinomial",
    "op_seeds",
    "orthogonal",
    "orthogonal_source",
    "poisson",
    "shuffle",
    "unit_scaling",
    "variance_scaling",
]
