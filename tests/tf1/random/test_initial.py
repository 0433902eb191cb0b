"""The formulas behind initial values: variances, limits, fans, refusals."""

import math

import pytest
import torch

from evenkeel.errors import BadOption, BadShape, UnknownName
from evenkeel.tf1.random import (
    SCALINGS,
    Draw,
    Stream,
    contrib_variance_scaling,
    fans,
    op_seeds,
    orthogonal,
    orthogonal_source,
    unit_scaling,
    variance_scaling,
)

SHAPE = [3, 3, 16, 200]  # fan_in 144, fan_out 1800


@pytest.mark.parametrize(
    ("shape", "want"),
    [([], (1, 1)), ([7], (7, 7)), ([2, 5], (2, 5)), ([4, 2, 5], (8, 20)), (SHAPE, (144, 1800))],
)
def test_fans(shape: list[int], want: tuple[int, int]) -> None:
    assert fans(shape) == want


@pytest.mark.parametrize("distribution", ["uniform", "truncated_normal", "untruncated_normal"])
@pytest.mark.parametrize(("mode", "n"), [("fan_in", 144), ("fan_out", 1800), ("fan_avg", 972)])
def test_the_variance_is_scale_over_n(mode: str, n: int, distribution: str) -> None:
    draw = variance_scaling(SHAPE, 2.0, mode, distribution)
    x = draw.tensor(torch.float64, SHAPE, Stream.seeded(1, 2))
    assert abs(float(x.var()) * n / 2 - 1) < 4 * math.sqrt(2 / x.numel())
    assert abs(float(x.mean())) < 4 * math.sqrt(2 / n / x.numel())


@pytest.mark.parametrize("name", SCALINGS)
def test_named_scalings(name: str) -> None:
    author, kind = name.split("_")
    share = {"glorot": 2 / (144 + 1800), "he": 2 / 144, "lecun": 1 / 144}[author]
    draw = variance_scaling(SHAPE, *SCALINGS[name])
    spread = math.sqrt(3) if kind == "uniform" else 1 / 0.8796256610342398
    assert math.isclose(draw.second, math.sqrt(share) * spread, rel_tol=1e-12)


def test_contribs_variance_is_nearly_factor_over_n() -> None:
    x = contrib_variance_scaling(SHAPE, 2.0).tensor(torch.float64, SHAPE, Stream.seeded(1, 2))
    assert abs(float(x.var()) * 144 / 2 - 1.3 * 0.8796256610342398**2) < 0.03
    limit = contrib_variance_scaling(SHAPE, 1.0, "FAN_AVG", uniform=True).second
    assert math.isclose(limit, math.sqrt(6 / (144 + 1800)), rel_tol=1e-12)


def test_unit_scaling_counts_all_sizes_but_the_last() -> None:
    assert math.isclose(unit_scaling(SHAPE, 1.43).second, 1.43 * math.sqrt(3 / 144), rel_tol=1e-12)
    assert unit_scaling([0, 5]).second == math.sqrt(3)


@pytest.mark.parametrize("shape", [[6, 5], [5, 6], [5, 5], [2, 2, 3, 20], [3, 3, 4, 8]])
def test_orthogonal_kernels_are(shape: list[int]) -> None:
    source = orthogonal_source(shape)
    assert source[0] >= source[1]
    normals = Draw("RandomStandardNormal", 0.0, 1.0).tensor(
        torch.float64, source, Stream.seeded(1, 2)
    )
    kernel = orthogonal(normals, shape, 1.5)
    assert list(kernel.shape) == shape
    matrix = kernel.reshape(-1, shape[-1])
    short = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    assert torch.allclose(short, 2.25 * torch.eye(len(short), dtype=torch.float64), atol=1e-12)
    # Of all factorizations the one whose triangle has a positive diagonal.
    upright = matrix if shape[-1] == source[1] else matrix.T
    assert ((upright.T @ normals).diagonal() > 0).all()


def test_steps_round_to_the_dtype() -> None:
    # In f16 the width 0.7 − (−0.3) is 1 less half a unit: 0.99951.
    draw = Draw("RandomUniform", -0.3, 0.7)
    u = Draw("RandomUniform", 0.0, 1.0).tensor(torch.float16, [1000], Stream.seeded(1, 2))
    low, high = torch.tensor(-0.3, dtype=torch.float16), torch.tensor(0.7, dtype=torch.float16)
    got = draw.tensor(torch.float16, [1000], Stream.seeded(1, 2))
    assert got.dtype == torch.float16
    assert torch.equal(got, u * (high - low) + low)


def test_refusals() -> None:
    with pytest.raises(BadOption, match="`scale` must be positive float"):
        variance_scaling(SHAPE, 0.0)
    with pytest.raises(BadOption, match="Invalid `mode` argument: fan"):
        variance_scaling(SHAPE, 1.0, "fan")
    with pytest.raises(BadOption, match="Invalid `distribution` argument: cauchy"):
        variance_scaling(SHAPE, 1.0, "fan_in", "cauchy")
    with pytest.raises(BadOption, match="Invalid `mode` argument"):
        contrib_variance_scaling(SHAPE, 1.0, "FAN")
    with pytest.raises(BadShape, match="at least two-dimensional"):
        orthogonal_source([5])
    with pytest.raises(UnknownName, match="try glorot_uniform"):
        SCALINGS["glorot_unifrom"]
    with pytest.raises(TypeError):
        op_seeds(1.5, None, 0)  # type: ignore[arg-type]


def test_op_seeds_without_any_seed() -> None:
    assert op_seeds(None, None, 17) == (None, None)
    assert op_seeds(5, None, 17) == (5, 17)
    assert op_seeds(None, 5, 17) == (87654321, 5)
