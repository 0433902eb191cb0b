"""Spec: what a layer is, checked when it is made, printed as the constructor's call."""

import dataclasses

import pytest
import torch

from evenkeel.errors import BadAxis, BadOption, BadShape, UnknownName
from evenkeel.nn.running import CumulativeAverage, Ema, Population, ZeroDebiasedEma
from evenkeel.nn.spec import Spec


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Spec("BatchNorm2d", (3,)).eps = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("spec", "inference", "training"),
    [
        (Spec("x", (3,)), True, True),
        (Spec("x", (3,), running=CumulativeAverage()), True, True),
        (Spec("x", (3,), unbiased=False), True, False),
        (Spec("x", (3,), running=ZeroDebiasedEma(0.1)), True, False),
        (Spec("x", (3,), running=Population()), True, False),
        (Spec("x", (3,), activation="relu"), False, False),
        (Spec("x", (3,), channel_axis=-1), False, False),
        (Spec("x", (3, 4), channel_axis=(1, 2)), False, False),
    ],
    ids=lambda v: v.options() or "default" if isinstance(v, Spec) else str(v),
)
def test_what_torchs_class_would_do_too(spec: Spec, inference: bool, training: bool) -> None:
    assert (spec.torch_inference, spec.torch_training) == (inference, training)


def test_options_are_those_that_differ() -> None:
    assert Spec("x", (3,), running=Ema(0.7)).options() == ""
    spec = Spec("x", (3,), 0.1, -1, "relu", Population(), unbiased=False)
    assert spec.options() == (
        "channel_axis=-1, activation='relu', running_var='biased', "
        "running=Population(momentum=None)"
    )


def test_vectors_broadcast_along_their_axes() -> None:
    assert Spec("x", (3,)).vector_shape(4) == [1, 3, 1, 1]
    assert Spec("x", (3,), channel_axis=-1).vector_shape(3) == [1, 1, 3]
    assert Spec("x", (3, 5), channel_axis=(1, -1)).vector_shape(4) == [1, 3, 1, 5]


def test_axes_at_a_rank() -> None:
    assert Spec("x", (3, 5), channel_axis=(1, -1)).axes(4) == (1, 3)
    for axes, rank in (((-1, 1), 4), ((3, 1), 4), ((2, -3), 4), ((1, 1), 4), ((1, 4), 4)):
        with pytest.raises(BadAxis):
            Spec("x", (3, 5), channel_axis=axes).axes(rank)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((8, 5, 64), r"permute to \[N, C, L\], or build the layer with channel_axis=-1"),
        ((8, 64, 5, 64), "channel_axis=-1"),
        ((8, 5, 64, 5, 5), r"permute to \[N, C, D, H, W\], .* channel_axis=2"),
        ((8, 5, 5, 5, 5, 64), r"permute to \[N, C, \*, \*, \*, \*\], .* channel_axis=-1"),
        ((64, 5), "give it 64 channels there"),
    ],
    ids=str,
)
def test_the_likely_slip_of_axes(shape: tuple[int, ...], advice: str) -> None:
    spec = Spec("BatchNorm", (64,))
    if shape[1] == 64:
        spec.check_input(torch.zeros(shape))
        return
    with pytest.raises(BadShape, match=advice):
        spec.check_input(torch.zeros(shape))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Spec("x", (0,)), BadOption),
        (lambda: Spec("x", ()), BadOption),
        (lambda: Spec("x", (3, 4)), BadOption),
        (lambda: Spec("x", (3,), -1.0), BadOption),
        (lambda: Spec("x", (3,), activation="Relu"), UnknownName),
        (lambda: Spec("x", (3,), channel_axis=2, ranks=(2,)), BadAxis),
    ],
)
def test_a_spec_that_cannot_be(make: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()  # type: ignore[operator]
