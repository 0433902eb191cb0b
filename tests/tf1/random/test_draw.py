"""NumPy's numbers are the library's; their moments are right; wrong shapes are refused."""

import math
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from evenkeel.errors import BadDtype, BadOption, BadShape, NoKernel, UnknownName
from evenkeel.kernels import library
from evenkeel.tf1.random import (
    Place,
    Stream,
    definition,
    fill,
    gamma,
    integers,
    multinomial,
    native,
    poisson,
    shuffle,
)

needs_library = pytest.mark.skipif(bool(library.why_missing()), reason=library.why_missing())
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
# The counter's low word, low half and all of it come round inside of these fills.
PLACES = [
    Place(0, 0),
    Place(0x0123456789ABCDEF, (1 << 32) - 100),
    Place((1 << 64) - 1, (1 << 64) - 100),
    Place(7, (1 << 128) - 100),
]
COUNTS = [1, 2, 3, 5, 1023, 1025, 4 * (1 << 15) + 5]
UNIT = {torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float32: 3e-7, torch.float64: 1e-15}


@needs_library
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("place", PLACES)
def test_uniform_numbers_are_the_same_bits(place: Place, dtype: torch.dtype) -> None:
    for count in COUNTS:
        got, want = (way.uniform(place, count, dtype) for way in (native, definition))
        assert got.dtype == want.dtype == dtype
        assert torch.equal(got, want), count


@needs_library
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["normal", "truncated_normal"])
def test_normals_are_a_rounding_apart(kind: str, dtype: torch.dtype) -> None:
    for place in PLACES:
        for count in (1, 3, 5, 20001):
            got = getattr(native, kind)(place, count, dtype)
            want = getattr(definition, kind)(place, count, dtype)
            assert got.dtype == want.dtype == dtype
            assert float((got.double() - want.double()).abs().max()) <= 4 * UNIT[dtype], count


@needs_library
@pytest.mark.parametrize("place", PLACES)
def test_integers_and_orders_are_the_same(place: Place) -> None:
    for dtype, low, high in [
        (torch.int32, -3, 8),
        (torch.int32, -(2**31), 2**31 - 1),
        (torch.int64, -(2**63), 2**63 - 1),
        (torch.int64, 5, 6),
        (torch.int64, -1000, 2**40),
    ]:
        for count in (1, 3, 5001):
            got, want = (w.integers(place, count, dtype, low, high) for w in (native, definition))
            assert torch.equal(got, want), (dtype, low, high, count)
            assert got.dtype == dtype
            assert low <= int(got.min()) <= int(got.max()) < high
    for count in (1, 2, 5, 1025, 5000):
        assert torch.equal(native.order(place, count), definition.order(place, count)), count


@needs_library
def test_the_same_bits_from_any_number_of_threads() -> None:
    place, count = Place(3, (1 << 32) - 5), 400_003
    for draw in (native.uniform, native.normal, native.truncated_normal):
        with mock.patch.object(library, "threads", lambda: 1):
            one = draw(place, count, torch.float32)
        with mock.patch.object(library, "threads", lambda: 3):
            assert torch.equal(draw(place, count, torch.float32), one)


@needs_library
@pytest.mark.parametrize("isa", library.isas())
def test_the_same_bits_on_every_instruction_set(isa: str) -> None:
    place = PLACES[1]
    library.set_isa(isa)
    try:
        got = native.uniform(place, 4001, torch.float32)
    finally:
        library.set_isa(None)
    assert torch.equal(got, definition.uniform(place, 4001, torch.float32))


@needs_library
def test_a_refusal_of_the_library_is_an_error() -> None:
    with pytest.raises(NoKernel, match="refused a call"):
        native.integers(Place(0, 0), 3, torch.int64, 5, 5)


# Statistics. Four standard errors each; the seeds are fixed, so these pass always or never.


def moments(x: Tensor) -> tuple[float, float, float, float]:
    """Mean, variance, skewness, kurtosis."""
    x = x.double()
    mean, std = x.mean(), x.std(correction=0)
    z = (x - mean) / std
    return float(mean), float(std**2), float((z**3).mean()), float((z**4).mean())


COUNT = 200_000
# φ(2) and 2Φ(2) − 1 give the variance and fourth moment of what truncation leaves.
PHI2, INSIDE = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
TRUNCATED_VAR = 1 - 4 * PHI2 / INSIDE
TRUNCATED_FOURTH = 3 - (2 * 8 + 3 * 2 * 2) * PHI2 / INSIDE
MOMENTS = {
    "RandomUniform": (0.5, 1 / 12, 0.0, 1.8),
    "RandomStandardNormal": (0.0, 1.0, 0.0, 3.0),
    "TruncatedNormal": (0.0, TRUNCATED_VAR, 0.0, TRUNCATED_FOURTH / TRUNCATED_VAR**2),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", MOMENTS)
def test_moments(kind: str, dtype: torch.dtype) -> None:
    x = fill(kind, dtype, [COUNT], Stream.seeded(1, 2))
    bound = 4 * 5 / math.sqrt(COUNT)  # 5: the normal's kurtosis has the widest spread, √24
    assert np.allclose(moments(x), MOMENTS[kind], rtol=0, atol=bound)
    if kind == "RandomUniform":
        assert 0 <= float(x.min()) <= float(x.max()) < 1
    if kind == "TruncatedNormal":
        assert float(x.abs().max()) <= 2
        assert float(x.abs().max()) > 1.99


def test_neighbours_and_pairs_do_not_correlate() -> None:
    x = fill("RandomStandardNormal", torch.float64, [COUNT], Stream.seeded(1, 2))
    for lag in (1, 2, 3, 4):
        assert abs(float((x[lag:] * x[:-lag]).mean())) < 4 / math.sqrt(COUNT)


def test_integers_are_even() -> None:
    counts = torch.bincount(integers(torch.int64, [COUNT], Stream.seeded(1, 2), 0, 10))
    share = COUNT / 10
    assert float((counts - share).abs().max()) < 4 * math.sqrt(share)


def test_a_shuffle_is_a_permutation_of_rows() -> None:
    x = torch.arange(3000).reshape(1000, 3)
    y = shuffle(x, Stream.seeded(1, 2))
    assert torch.equal(y[y[:, 0].argsort()], x)
    assert not torch.equal(y, x)
    firsts = [
        int(shuffle(torch.arange(4), s)[0]) for s in [Stream.seeded(1, 2)] for _ in range(4000)
    ]
    assert max(abs(firsts.count(i) - 1000) for i in range(4)) < 4 * math.sqrt(1000)


@pytest.mark.parametrize("shape", [[], [0], [1], [1, 5], [5, 0]])
def test_what_has_no_order_takes_no_words(shape: list[int]) -> None:
    stream = Stream.seeded(1, 2)
    x = torch.ones(shape)
    assert shuffle(x, stream) is x
    assert stream == Stream.seeded(1, 2)


def test_a_row_without_a_possible_class_gives_the_number_behind_the_last() -> None:
    drawn = multinomial(torch.full((1, 3), -math.inf), 4, Stream.seeded(1, 2))
    assert drawn.tolist() == [[3, 3, 3, 3]]  # as TensorFlow 1.15 answers


@pytest.mark.parametrize(("rows", "blocks"), [(2, 1), (5, 1), (6, 2), (9, 2)])
def test_a_shuffle_takes_a_word_for_each_swap(rows: int, blocks: int) -> None:
    stream = Stream.seeded(1, 2)
    shuffle(torch.arange(rows), stream)
    assert stream.place == Stream.seeded(1, 2).place.after(blocks)


def test_rejected_numbers_have_their_moments() -> None:
    for alpha in (0.3, 1.0, 4.0):
        mean, var, _, _ = moments(gamma([4000], torch.tensor(alpha), Stream.seeded(1, 2)))
        assert abs(mean - alpha) < 4 * math.sqrt(alpha / 4000)
        assert abs(var / alpha - 1) < 4 * math.sqrt((2 + 6 / alpha) / 4000)
    for rate in (0.3, 9.0, 40.0):
        mean, var, _, _ = moments(poisson([4000], torch.tensor(rate), Stream.seeded(1, 2)))
        assert abs(mean - rate) < 4 * math.sqrt(rate / 4000)
        assert abs(var / rate - 1) < 4 * math.sqrt((2 + 1 / rate) / 4000)


def test_classes_come_as_often_as_their_logits_say() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), -math.inf, math.nan]])
    drawn = multinomial(logits, 4000, Stream.seeded(1, 2))
    counts = torch.bincount(drawn[0], minlength=4)
    assert counts[2:].tolist() == [0, 0]
    assert abs(int(counts[1]) - 3000) < 4 * math.sqrt(750)
    assert multinomial(logits, 0, Stream.seeded(1, 2)).shape == (1, 0)


# Runs, shapes, refusals.


def test_a_run_takes_256_blocks_for_each_output() -> None:
    stream = Stream.seeded(1, 2)
    fill("RandomUniform", torch.float32, [2, 3], stream)
    assert stream.place == Stream.seeded(1, 2).place.after(6 * 256)
    integers(torch.int32, [5], stream, 0, 3)
    assert stream.place == Stream.seeded(1, 2).place.after(11 * 256)
    shuffle(torch.arange(6), stream)
    assert stream.place == Stream.seeded(1, 2).place.after(11 * 256 + 2)
    multinomial(torch.zeros(3, 2), 5, stream)
    assert stream.place == Stream.seeded(1, 2).place.after(11 * 256 + 2 + 3 * 16 * 256)


@pytest.mark.parametrize("way", ["native", "numpy"])
@pytest.mark.parametrize("shape", [[], [0], [3, 0, 2], [2, 3]])
def test_any_shape(shape: list[int], way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "numpy":
        monkeypatch.setattr(library, "why_missing", lambda: "NumPy's turn")
    for kind in MOMENTS:
        assert list(fill(kind, torch.bfloat16, shape, Stream.seeded(1, 2)).shape) == shape
    assert list(integers(torch.int32, shape, Stream.seeded(1, 2), 0, 3).shape) == shape
    assert list(gamma(shape, torch.tensor([2.0, 3.0]), Stream.seeded(1, 2)).shape) == [*shape, 2]


def test_a_wrong_shape_is_refused_and_takes_no_words() -> None:
    stream = Stream.seeded(1, 2)
    with pytest.raises(
        BadShape, match=r"Dimension -1 must be >= 0\n  got: shape \[2, -1\]: -1 on axis 1"
    ):
        fill("RandomUniform", torch.float32, [2, -1], stream)
    with pytest.raises(BadShape, match="fits in no memory"):
        fill("RandomUniform", torch.float32, [1 << 40, 1 << 40], stream)
    with pytest.raises(BadShape, match="fits in no memory"):
        integers(torch.int64, [1 << 45], stream, 0, 3)
    with pytest.raises(TypeError):
        fill("RandomUniform", torch.float32, [2.5], stream)  # type: ignore[list-item]
    assert stream == Stream.seeded(1, 2)


def test_wrong_arguments_are_refused() -> None:
    stream = Stream.seeded(1, 2)
    with pytest.raises(BadDtype, match="RandomUniform has no kernel"):
        fill("RandomUniform", torch.int32, [2], stream)
    with pytest.raises(UnknownName, match="try TruncatedNormal"):
        fill("TruncatedNorm", torch.float32, [2], stream)
    with pytest.raises(BadDtype, match="RandomUniformInt has no kernel"):
        integers(torch.float32, [2], stream, 0, 3)
    with pytest.raises(BadOption, match="Need minval < maxval, got 3 >= 3"):
        integers(torch.int32, [2], stream, 3, 3)
    for low, high in ((-(2**31) - 1, 0), (0, 2**31)):
        with pytest.raises(BadOption, match="does not fit"):
            integers(torch.int32, [2], stream, low, high)
    with pytest.raises(BadShape, match="logits should be a matrix"):
        multinomial(torch.zeros(3), 5, stream)
    with pytest.raises(BadShape, match="num_classes should be positive"):
        multinomial(torch.zeros(3, 0), 5, stream)
    with pytest.raises(BadOption, match="num_samples should be non-negative"):
        multinomial(torch.zeros(3, 2), -5, stream)
    assert stream == Stream.seeded(1, 2)
