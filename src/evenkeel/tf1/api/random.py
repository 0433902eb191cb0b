"""Random tensors: the nodes that TensorFlow makes of them, with its seeds."""

from typing import Any

import numpy as np

from evenkeel.tf1.api.framework import get_seed
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype, float32, int32, int64
from evenkeel.tf1.nodes import Tensor

__all__ = [
    "multinomial", "random_crop", "random_gamma", "random_normal", "random_poisson",
    "random_shuffle", "random_uniform", "truncated_normal",
]  # fmt: skip


def _seeds(seed: int | None) -> dict[str, Any]:
    first, second = get_seed(seed)
    return {"seed": first, "seed2": second}


def _sizes(shape: Any) -> Tensor:
    empty = isinstance(shape, tuple | list) and not shape
    return convert(shape, int32 if empty else None, name="shape")


def random_uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Uniform numbers from ``minval`` up to ``maxval``, without it."""
    kind = as_dtype(dtype)
    if maxval is None:
        if kind.is_integer:
            raise ValueError("Must specify maxval for integer dtype " + repr(kind))
        maxval = 1
    with name_scope(name, "random_uniform", [shape, minval, maxval]) as scope:
        sizes = _sizes(shape)
        low, high = convert(minval, kind, name="min"), convert(maxval, kind, name="max")
        seeds = _seeds(seed)
        if kind.is_integer:
            return apply("RandomUniformInt", sizes, low, high, name=scope, **seeds)
        unit = apply("RandomUniform", sizes, dtype=kind, **seeds)
        return apply("Add", apply("Mul", unit, apply("Sub", high, low, name="sub"), name="mul"),
                     low, name=scope)  # fmt: skip


def _normal(kind: str, scope_name: str) -> Any:
    def draw(
        shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, seed: Any = None,
        name: Any = None,
    ) -> Any:  # fmt: skip
        with name_scope(name, scope_name, [shape, mean, stddev]) as scope:
            sizes = _sizes(shape)
            centre = convert(mean, dtype, name="mean")
            deviation = convert(stddev, dtype, name="stddev")
            unit = apply(kind, sizes, dtype=dtype, **_seeds(seed))
            return apply("Add", apply("Mul", unit, deviation, name="mul"), centre, name=scope)

    draw.__doc__ = f"{kind}: numbers of this mean and deviation."
    return draw


random_normal = _normal("RandomStandardNormal", "random_normal")
truncated_normal = _normal("TruncatedNormal", "truncated_normal")


def random_shuffle(value: Any, seed: Any = None, name: Any = None) -> Any:
    """The rows in random order."""
    return apply("RandomShuffle", value, name=name, **_seeds(seed))


def multinomial(
    logits: Any, num_samples: Any, seed: Any = None, name: Any = None, output_dtype: Any = None
) -> Any:
    """Classes drawn by their logits."""
    with name_scope(name, "multinomial", [logits]):
        source = convert(logits, name="logits")
        kind = int64 if output_dtype is None else as_dtype(output_dtype)
        return apply("Multinomial", source, num_samples, output_dtype=kind, **_seeds(seed))


def random_gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = float32, seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Gamma-distributed numbers."""
    with name_scope(name, "random_gamma", [shape, alpha, beta]):
        sizes = convert(shape, int32, name="shape")
        form = convert(alpha, dtype, name="alpha")
        rate = convert(1 if beta is None else beta, dtype, name="beta")
        wide = form + apply("ZerosLike", rate, name="zeros_like") if beta is not None else form
        drawn = apply("RandomGamma", sizes, wide, **_seeds(seed)) / rate
        return apply("Maximum", float(np.finfo(as_dtype(dtype).as_numpy_dtype).tiny), drawn)


def random_poisson(
    lam: Any, shape: Any, dtype: Any = float32, seed: Any = None, name: Any = None
) -> Any:
    """Poisson-distributed numbers."""
    with name_scope(name, "random_poisson", [lam, shape]):
        sizes = convert(shape, int32, name="shape")
        return apply("RandomPoissonV2", sizes, lam, dtype=dtype, **_seeds(seed))


def random_crop(value: Any, size: Any, seed: Any = None, name: Any = None) -> Any:
    """A block of this size at a random place."""
    from evenkeel.tf1.api.arrays import shape as shape_of
    from evenkeel.tf1.api.control import Assert
    from evenkeel.tf1.api.reductions import reduce_all
    from evenkeel.tf1.control_ops import with_dependencies

    with name_scope(name, "random_crop", [value, size]) as scope:
        source, wanted = convert(value, name="value"), convert(size, int32, name="size")
        whole = shape_of(source)
        check = Assert(
            reduce_all(whole >= wanted), ["Need value.shape >= size, got ", whole, wanted],
            summarize=1000,
        )  # fmt: skip
        whole = with_dependencies([check], whole)
        limit = whole - wanted + 1
        drawn = random_uniform(shape_of(whole), dtype=int32, maxval=int32.max, seed=seed)
        start = apply("FloorMod", drawn, limit, name="mod")
        return apply("Slice", source, start, wanted, name=scope)
