"""BatchNorm1d/2d/3d against the definition in float64, and against torch's classes."""

from typing import Any

import pytest
import torch
from torch import nn

from evenkeel.errors import (
    BadAxis,
    BadOption,
    BadShape,
    EmptyBatch,
    OneValuePerChannel,
    UnknownName,
)
from evenkeel.nn import BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d
from nn.twin import ACTIVATIONS, Twin, check, data, ema, plain, randomized
from oracles.compare import assert_close

NHWC = {"channel_axis": -1}
SHAPES: dict[
    str, tuple[type[BatchNorm], int | tuple[int, ...], tuple[int, ...], dict[str, Any]]
] = {
    "nc": (BatchNorm1d, 3, (8, 3), {}),
    "ncl": (BatchNorm1d, 3, (8, 3, 5), {}),
    "nchw": (BatchNorm2d, 3, (4, 3, 5, 2), {}),
    "ncdhw": (BatchNorm3d, 3, (4, 3, 5, 2, 2), {}),
    "rank 6": (BatchNorm, 3, (4, 3, 2, 2, 2, 2), {}),
    "nlc": (BatchNorm1d, 3, (8, 5, 3), NHWC),
    "nhwc": (BatchNorm2d, 3, (4, 5, 2, 3), NHWC),
    "c first": (BatchNorm, 3, (3, 8, 2), {"channel_axis": 0}),
    "middle": (BatchNorm2d, 5, (4, 3, 5, 2), {"channel_axis": 2}),
    "square": (BatchNorm1d, 4, (4, 4), {}),  # C = N: a wrong axis fits too
    "square, axis 0": (BatchNorm1d, 4, (4, 4), {"channel_axis": 0}),
    "two axes": (BatchNorm2d, (3, 2), (4, 3, 5, 2), {"channel_axis": (1, 3)}),
    "two inner axes": (BatchNorm2d, (3, 5), (4, 3, 5, 2), {"channel_axis": (1, -2)}),
    "per activation": (BatchNorm2d, (3, 2, 2), (8, 3, 2, 2), {"channel_axis": (1, 2, 3)}),
    "a tuple of one": (BatchNorm2d, (3,), (4, 3, 5, 2), {"channel_axis": (1,)}),
}


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_channel_axis(case: str, dtype: torch.dtype) -> None:
    kind, sizes, shape, options = SHAPES[case]
    layer = randomized(kind(sizes, dtype=dtype, **options))
    twin = Twin(layer, channel_axis=options.get("channel_axis", 1))
    check(twin, data(shape, dtype))


@pytest.mark.parametrize("distance", [0.0, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("case", ["nc", "ncl", "nchw", "nhwc", "two axes"])
def test_far_from_zero(case: str, distance: float) -> None:
    kind, sizes, shape, options = SHAPES[case]
    twin = Twin(randomized(kind(sizes, **options)), channel_axis=options.get("channel_axis", 1))
    check(twin, data((32, *shape[1:]), torch.float32, distance))


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("axis", [1, -1])
def test_center_and_scale_apart(scale: bool, center: bool, axis: int) -> None:
    layer = randomized(
        BatchNorm2d(3, center=center, scale=scale, channel_axis=axis, dtype=torch.float64)
    )
    assert (layer.weight is not None) == scale
    assert (layer.bias is not None) == center
    assert layer.affine == (scale or center)
    check(Twin(layer, channel_axis=axis), data((4, 3, 2, 3)))


def test_affine_and_bias_mean_what_they_do_in_torch() -> None:
    assert list(BatchNorm2d(3, affine=False).parameters()) == []
    assert [n for n, _ in BatchNorm2d(3, bias=False).named_parameters()] == ["weight"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("with_residual", [False, True])
def test_activations(activation: str, axis: int, with_residual: bool) -> None:
    layer = randomized(
        BatchNorm2d(3, activation=activation, channel_axis=axis, dtype=torch.float64)
    )
    twin = Twin(layer, activation=activation, channel_axis=axis)
    residual = 2 * data((4, 3, 5, 3), seed=9)[0] - 3 if with_residual else None
    check(twin, data((4, 3, 5, 3)), residual)


def test_there_is_no_activation_without_a_test() -> None:
    from evenkeel.kernels import activations

    assert set(ACTIVATIONS) == set(activations.ACTIVATIONS)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.9, 1.0, 1, 0, None])
def test_momentum_is_the_weight_of_the_new_batch(momentum: float | None, unbiased: bool) -> None:
    rule = plain if momentum is None else ema(momentum)
    layer = randomized(
        BatchNorm1d(
            3,
            momentum=momentum,
            dtype=torch.float64,
            running_var="unbiased" if unbiased else "biased",
        )
    )
    check(Twin(layer, rule, rule, unbiased), data((6, 3)))


@pytest.mark.parametrize("eps", [0.0, 1e-3, 0.5])
def test_eps_is_inside_the_root(eps: float) -> None:
    check(Twin(randomized(BatchNorm1d(3, eps, dtype=torch.float64)), eps=eps), data((6, 3)))


def test_eps_and_momentum_can_be_set() -> None:
    layer = randomized(BatchNorm1d(3, dtype=torch.float64, activation="relu", running_var="biased"))
    layer.eps, layer.momentum = 0.25, 0.5
    assert (layer.spec.eps, layer.momentum) == (0.25, 0.5)
    check(Twin(layer, ema(0.5), ema(0.5), False, 0.25, activation="relu"), data((6, 3)))
    layer.momentum = None
    assert layer.momentum is None
    for name, value in (("eps", -1.0), ("momentum", 1.5)):
        with pytest.raises(BadOption):
            setattr(layer, name, value)
    assert (layer.spec.eps, layer.momentum) == (0.25, None)


def test_reset_gives_a_new_layer() -> None:
    layer = randomized(BatchNorm2d(3))
    layer(data((4, 3, 5, 2), torch.float32)[0])
    layer.reset_parameters()
    new = BatchNorm2d(3).state_dict()
    assert all(torch.equal(tensor, new[name]) for name, tensor in layer.state_dict().items())


def test_without_running_statistics_every_mode_uses_the_batch() -> None:
    layer, torchs = (
        BatchNorm2d(3, track_running_stats=False),
        nn.BatchNorm2d(3, track_running_stats=False),
    )
    assert list(layer.state_dict()) == list(torchs.state_dict()) == ["weight", "bias"]
    x = data((4, 3, 5, 2), torch.float32)[0]
    for training in (True, False):
        assert_close(layer.train(training)(x), torchs.train(training)(x), 1e-6, "y")


def test_switching_tracking_off_for_a_while_as_torch_allows() -> None:
    layer, torchs = BatchNorm2d(3), nn.BatchNorm2d(3)
    first, second, third = data((4, 3, 5, 2), torch.float32)
    for each in (layer, torchs):
        each(first)
        each.track_running_stats = False
    assert_close(layer(second), torchs(second), 1e-6, "y while off")
    assert_close(layer.eval()(second), torchs.eval()(second), 1e-6, "inference while off")
    for each in (layer, torchs):
        each.train()
        each.track_running_stats = True
        each(third)
    for name, tensor in torchs.state_dict().items():
        assert_close(layer.state_dict()[name], tensor, 1e-6, name)


def test_two_forward_passes_before_a_backward_pass() -> None:
    layer, x = BatchNorm2d(3), data((4, 3, 5, 2), torch.float32)[0].requires_grad_()
    (layer(x).square().sum() + layer(x * 2).square().sum()).backward()
    assert x.grad is not None


def test_a_wrong_number_of_channels_names_the_slip() -> None:
    with pytest.raises(BadShape) as caught:
        BatchNorm2d(64)(torch.zeros(8, 32, 32, 64))
    assert str(caught.value) == (
        "this BatchNorm2d expects 64 channels on axis 1\n"
        "  got: x of shape [8, 32, 32, 64]: 32 on axis 1, 64 on axis 3\n"
        "  do:  permute to [N, C, H, W], or build the layer with channel_axis=-1"
    )
    for layer, shape, advice in (
        (BatchNorm2d(64, channel_axis=-1), (8, 64, 5, 5), "[N, H, W, C], or .* channel_axis=1"),
        (BatchNorm1d(64), (8, 5, 64), "[N, C, L], or .* channel_axis=-1"),
        (BatchNorm3d(64), (8, 5, 64, 5, 5), "[N, C, D, H, W], or .* channel_axis=2"),
        (BatchNorm2d(7), (8, 64, 5, 5), "give it 7 channels there"),
        (BatchNorm2d((3, 5), channel_axis=(1, 2)), (8, 3, 4, 5), "give it 3 x 5 channels there"),
    ):
        with pytest.raises(BadShape, match=advice.replace("[", r"\[").replace("]", r"\]")):
            layer(torch.zeros(shape))


@pytest.mark.parametrize(
    ("layer", "shape", "advice"),
    [
        (BatchNorm2d(3), (8, 3), "BatchNorm1d"),
        (BatchNorm2d(3), (8, 3, 4, 4, 4), "BatchNorm3d"),
        (BatchNorm1d(3), (8, 3, 4, 4), "BatchNorm2d"),
        (BatchNorm3d(3), (3,), "give a batch"),
    ],
    ids=str,
)
def test_a_wrong_rank_names_the_right_class(
    layer: BatchNorm, shape: tuple[int, ...], advice: str
) -> None:
    for training in (True, False):
        with pytest.raises(BadShape, match=f"rank(.|\n)*{advice}"):
            layer.train(training)(torch.zeros(shape))


def test_one_value_per_channel() -> None:
    for layer, shape in (
        (BatchNorm1d(3), (1, 3)),
        (BatchNorm2d(3), (1, 3, 1, 1)),
        (BatchNorm2d((3, 2, 2), channel_axis=(1, 2, 3)), (1, 3, 2, 2)),
    ):
        with pytest.raises(OneValuePerChannel, match="drop_last"):
            layer(torch.zeros(shape))
        assert int(layer.num_batches_tracked or 0) == 0
        assert layer.eval()(torch.zeros(shape)).isfinite().all()
    with pytest.raises(OneValuePerChannel):
        BatchNorm1d(3, track_running_stats=False).eval()(torch.zeros(1, 3))


def test_an_empty_batch() -> None:
    with pytest.raises(EmptyBatch, match=r"\[0, 3\]"):
        BatchNorm1d(3)(torch.zeros(0, 3))


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_that_does_not_fit(training: bool) -> None:
    layer, x = BatchNorm2d(3).train(training), torch.zeros(4, 3, 5, 5)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    for residual, what in ((torch.zeros(4, 3, 5, 4), "shape"), (x.double(), "dtype")):
        with pytest.raises(ValueError, match=f"residual must have the {what} of x"):
            layer(x, residual=residual)
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


def test_unknown_activation_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="try relu"):
        BatchNorm2d(3, activation="rellu")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"eps": -1e-5}, BadOption),
        ({"eps": float("nan")}, BadOption),
        ({"momentum": 1.1}, BadOption),
        ({"running_var": "unbaised"}, BadOption),
        ({"num_features": 0}, BadOption),
        ({"num_features": (3, 4)}, BadOption),
        ({"channel_axis": (1, 2)}, BadOption),
        ({"channel_axis": 4}, BadAxis),
        ({"channel_axis": (1, 1), "num_features": (3, 3)}, BadAxis),
        ({"channel_axis": (3, 1), "num_features": (5, 3)}, BadAxis),
    ],
    ids=str,
)
def test_what_is_wrong_is_found_when_the_layer_is_built(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        BatchNorm2d(**{"num_features": 3, **options})


def test_axes_in_another_order_are_found_at_the_latest_with_the_input() -> None:
    layer = BatchNorm((3, 5), channel_axis=(3, -3))
    with pytest.raises(BadAxis, match=r"ascending(.|\n)*\(1, 3\)"):
        layer(torch.zeros(8, 5, 4, 3))


def test_sizes_from_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    assert BatchNorm2d(numpy.int64(3)).spec == BatchNorm2d(3).spec


def test_tensors_where_they_are_asked_for() -> None:
    layer = BatchNorm2d(3, device="meta", dtype=torch.bfloat16)
    assert {t.device.type for t in layer.state_dict().values()} == {"meta"}
    assert layer.running_mean is not None
    assert layer.running_mean.dtype == torch.bfloat16


def test_prints_what_differs_from_torch() -> None:
    plain = "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"
    assert repr(BatchNorm2d(3)) == plain
    options = {"activation": "relu", "running_var": "biased", "channel_axis": -1}
    text = repr(BatchNorm2d(3, center=False, **options))  # type: ignore[arg-type]
    assert text.endswith("center=False, channel_axis=-1, activation='relu', running_var='biased')")
