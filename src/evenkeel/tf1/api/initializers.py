"""Initial values of variables: objects that make the nodes of a shape."""

import math
from typing import Any

import numpy as np

from evenkeel.errors import EvenkeelError
from evenkeel.tf1 import build
from evenkeel.tf1.api import arrays, constants
from evenkeel.tf1.api import random as random_nodes
from evenkeel.tf1.build import apply
from evenkeel.tf1.dtypes import as_dtype, float32
from evenkeel.tf1.random import (
    SCALINGS,
    Draw,
    orthogonal_source,
    unit_scaling,
    variance_scaling,
)
from evenkeel.tf1.shapes import TensorShape

__all__ = [
    "constant_initializer", "glorot_normal_initializer", "glorot_uniform_initializer",
    "ones_initializer", "orthogonal_initializer",
    "random_normal_initializer", "random_uniform_initializer", "truncated_normal_initializer",
    "uniform_unit_scaling_initializer", "variance_scaling_initializer", "zeros_initializer",
]  # fmt: skip


class Initializer:
    """What a variable starts from: called with a shape, it makes nodes."""

    dtype: Any = float32

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {k: v.name if k == "dtype" else v for k, v in vars(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initializer":
        """An initializer of these arguments."""
        return cls(**config)


class Zeros(Initializer):
    """Zeros."""

    def __init__(self, dtype: Any = float32) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        return constants.zeros(shape, dtype or self.dtype)


class Ones(Initializer):
    """Ones."""

    def __init__(self, dtype: Any = float32) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        return constants.ones(shape, dtype or self.dtype)


class Constant(Initializer):
    """These values."""

    def __init__(self, value: Any = 0, dtype: Any = float32, verify_shape: bool = False) -> None:
        if not (np.isscalar(value) or isinstance(value, list | tuple | np.ndarray)):
            raise TypeError(
                f"Invalid type for initial value: {type(value)} (expected Python scalar, list or "
                "tuple of values, or numpy.ndarray)."
            )
        self.value, self.dtype, self._verify_shape = value, as_dtype(dtype), verify_shape

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, verify_shape: Any = None
    ) -> Any:
        """The initial value as a tensor."""
        check = self._verify_shape if verify_shape is None else verify_shape
        if check:
            return constants.constant(self.value, dtype or self.dtype, shape, verify_shape=True)
        return build.constant(self.value, dtype or self.dtype, shape)


class RandomUniform(Initializer):
    """Uniform numbers."""

    def __init__(
        self, minval: Any = 0, maxval: Any = None, seed: Any = None, dtype: Any = float32
    ) -> None:
        self.minval, self.maxval, self.seed, self.dtype = minval, maxval, seed, as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        kind = dtype or self.dtype
        return random_nodes.random_uniform(shape, self.minval, self.maxval, kind, seed=self.seed)


class RandomNormal(Initializer):
    """Normal numbers."""

    draw = staticmethod(random_nodes.random_normal)

    def __init__(
        self, mean: Any = 0.0, stddev: Any = 1.0, seed: Any = None, dtype: Any = float32
    ) -> None:
        self.mean, self.stddev, self.seed, self.dtype = mean, stddev, seed, as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        return self.draw(shape, self.mean, self.stddev, dtype or self.dtype, seed=self.seed)


class TruncatedNormal(RandomNormal):
    """Normal numbers within two deviations."""

    draw = staticmethod(random_nodes.truncated_normal)


_NODES = {
    "TruncatedNormal": random_nodes.truncated_normal,
    "RandomStandardNormal": random_nodes.random_normal,
    "RandomUniform": random_nodes.random_uniform,
}


class VarianceScaling(Initializer):
    """Numbers whose variance is ``scale`` over the fan."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
        seed: Any = None, dtype: Any = float32,
    ) -> None:  # fmt: skip
        self.scale, self.mode, self.distribution = scale, mode, distribution.lower()
        self.seed, self.dtype = seed, as_dtype(dtype)
        self._drawn([1])  # refuses what it cannot be asked for

    def _drawn(self, shape: Any) -> Draw:
        try:
            return variance_scaling(shape, self.scale, self.mode, self.distribution)
        except EvenkeelError as error:
            raise ValueError(error.problem) from None

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        whole = shape if partition_info is None else partition_info.full_shape
        draw = self._drawn(TensorShape(whole).as_list())
        node = _NODES[draw.kind]
        return node(shape, draw.first, draw.second, dtype or self.dtype, seed=self.seed)


class _Scaled(VarianceScaling):
    name = ""

    def __init__(self, seed: Any = None, dtype: Any = float32) -> None:
        super().__init__(*SCALINGS[self.name], seed=seed, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"seed": self.seed, "dtype": self.dtype.name}


class GlorotUniform(_Scaled):
    """Uniform, of variance 1 over the mean of the fans."""

    name = "glorot_uniform"


class GlorotNormal(_Scaled):
    """Truncated normal, of variance 1 over the mean of the fans."""

    name = "glorot_normal"


class HeUniform(_Scaled):
    """Uniform, of variance 2 over the inputs."""

    name = "he_uniform"


class HeNormal(_Scaled):
    """Truncated normal, of variance 2 over the inputs."""

    name = "he_normal"


class LecunUniform(_Scaled):
    """Uniform, of variance 1 over the inputs."""

    name = "lecun_uniform"


class LecunNormal(_Scaled):
    """Truncated normal, of variance 1 over the inputs."""

    name = "lecun_normal"


class UniformUnitScaling(Initializer):
    """Uniform numbers that keep the scale of the input."""

    def __init__(self, factor: float = 1.0, seed: Any = None, dtype: Any = float32) -> None:
        self.factor, self.seed, self.dtype = factor, seed, as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        sizes: Any = TensorShape(shape).as_list()
        draw = unit_scaling(sizes, self.factor)
        kind = dtype or self.dtype
        return random_nodes.random_uniform(shape, draw.first, draw.second, kind, seed=self.seed)


class Orthogonal(Initializer):
    """A kernel of orthogonal columns."""

    def __init__(self, gain: float = 1.0, seed: Any = None, dtype: Any = float32) -> None:
        self.gain, self.seed, self.dtype = gain, seed, as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        kind = dtype or self.dtype
        try:
            sizes: Any = TensorShape(shape).as_list()
            source = orthogonal_source(sizes)
        except EvenkeelError as error:
            raise ValueError(error.problem) from None
        normals = random_nodes.random_normal(source, dtype=kind, seed=self.seed)
        q, r = apply("Qr", normals, full_matrices=False)
        q = q * apply("Sign", apply("MatrixDiagPart", r, name="DiagPart"))
        rows, columns = math.prod(shape[:-1]), shape[-1]
        if rows < columns:
            q = arrays.matrix_transpose(q)
        return self.gain * arrays.reshape(q, shape)


class Identity(Initializer):
    """The identity matrix times a number."""

    def __init__(self, gain: float = 1.0, dtype: Any = float32) -> None:
        self.gain, self.dtype = gain, as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        sizes: Any = TensorShape(shape).as_list()
        if len(sizes) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        kind = as_dtype(dtype or self.dtype)
        made = build.constant(np.eye(*sizes), kind, name="eye")
        return made if self.gain == 1.0 else self.gain * made


zeros_initializer, ones_initializer, constant_initializer = Zeros, Ones, Constant
random_uniform_initializer, random_normal_initializer = RandomUniform, RandomNormal
truncated_normal_initializer, variance_scaling_initializer = TruncatedNormal, VarianceScaling
glorot_uniform_initializer, glorot_normal_initializer = GlorotUniform, GlorotNormal
uniform_unit_scaling_initializer, orthogonal_initializer = UniformUnitScaling, Orthogonal
