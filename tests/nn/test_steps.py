"""Masks and weights: padding has no part in the statistics. A batch that is not finite, in float16."""

from typing import Any

import pytest
import torch
from torch import Tensor

from evenkeel.errors import (
    BadOption,
    BadShape,
    EmptyBatch,
    EvenkeelError,
    NonFiniteBatch,
    OneValuePerChannel,
)
from evenkeel.nn import BatchNorm, BatchNorm1d, BatchNorm2d, BatchRenorm, GhostBatchNorm, Population
from nn.twin import data
from oracles.compare import assert_close

LENGTHS = torch.tensor([5, 3, 1, 4])
MASK = torch.arange(5) < LENGTHS[:, None]  # [N, L]


def padded(axis: int) -> Tensor:
    """A batch of sequences [N, C, L], or [N, L, C], with nonsense behind each end."""
    x = data((4, 3, 5), count=1)[0]
    x = torch.where(MASK[:, None], x, 1e6)
    return x if axis == 1 else x.transpose(1, 2).contiguous()


def real(x: Tensor, axis: int) -> Tensor:
    """The real values of a padded batch: [count, C]."""
    return (x.transpose(1, 2) if axis == 1 else x)[MASK]


def layer_for(axis: int, **options: Any) -> BatchNorm1d:
    torch.manual_seed(0)
    layer = BatchNorm1d(3, dtype=torch.float64, channel_axis=axis, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.5, 1.5)
    return layer


def forms_of(mask: Tensor, axis: int) -> list[dict[str, Tensor]]:
    """All the ways in which a mask can be said."""
    whole = mask.unsqueeze(axis)
    return [{"mask": mask}, {"mask": whole}, {"weights": mask.double()}, {"weights": whole * 3.0}]


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("form", range(3))
def test_as_if_there_were_no_padding(axis: int, activation: str | None, form: int) -> None:
    """Statistics, outputs, gradients and running statistics are those of the real values alone."""
    layer, alone = layer_for(axis, activation=activation), layer_for(1, activation=activation)
    x = padded(axis).requires_grad_()
    rows = real(x.detach(), axis).clone().requires_grad_()
    y, want = layer(x, **forms_of(MASK, axis)[form]), alone(rows)
    assert_close(real(y, axis), want, 1e-12, "y")
    up = torch.linspace(-1, 1, want.numel(), dtype=torch.float64).view(want.shape)
    got = torch.autograd.grad((real(y, axis) * up).sum(), [x, *layer.parameters()])
    true = torch.autograd.grad((want * up).sum(), [rows, *alone.parameters()])
    assert_close(real(got[0], axis), true[0], 1e-11, "dx at real positions")
    padding = got[0].transpose(1, 2)[~MASK] if axis == 1 else got[0][~MASK]
    assert torch.equal(padding, torch.zeros_like(padding))
    for mine, other in zip(got[1:], true[1:], strict=True):
        assert_close(mine, other, 1e-12, "dweight, dbias")
    for name, tensor in alone.state_dict().items():
        assert_close(layer.state_dict()[name], tensor, 1e-12, name)


def test_a_mask_that_is_ignored_would_be_seen() -> None:
    layer, alone = layer_for(1), layer_for(1)
    with pytest.raises(AssertionError):
        assert_close(real(layer(padded(1)), 1), alone(real(padded(1), 1)), 1e-12, "y")


def test_weights_count_values_so_many_times() -> None:
    x, weights = data((4, 3), count=1)[0], torch.tensor([3.0, 1.0, 2.0, 0.0])
    layer, alone = layer_for(1), layer_for(1)
    y = layer(x, weights=weights)
    repeated = x.repeat_interleave(weights.long(), 0)
    want = alone(repeated)
    assert_close(y[:3], want[[0, 3, 4]], 1e-12, "y")
    for name, tensor in alone.state_dict().items():
        assert_close(layer.state_dict()[name], tensor, 1e-12, name)


def test_weights_of_any_scale_without_bessels_correction() -> None:
    x, weights = data((4, 3), count=1)[0], torch.tensor([3.0, 1.0, 2.0, 0.5])
    layer, other = layer_for(1, running_var="biased"), layer_for(1, running_var="biased")
    assert_close(layer(x, weights=weights / 1024), other(x, weights=weights), 1e-12, "y")
    for name, tensor in other.state_dict().items():
        assert_close(layer.state_dict()[name], tensor, 1e-12, name)


def test_weights_that_sum_to_one_are_no_counts() -> None:
    """n/(n − 1) of n = 1.0000001 would be ten million."""
    layer, x = layer_for(1), data((4, 3), count=1)[0]
    with pytest.raises(BadOption, match="sum to 1"):
        layer(x, weights=torch.full((4,), 0.25000003))
    assert int(layer.num_batches_tracked or 0) == 0


def test_several_channel_axes() -> None:
    x, mask = data((4, 3, 5, 2), count=1)[0], MASK
    layer = BatchNorm2d((3, 2), channel_axis=(1, 3), dtype=torch.float64)
    y = layer(x, mask=mask)
    rows = x.permute(0, 2, 1, 3)[mask]  # [count, 3, 2]
    alone = BatchNorm1d((3, 2), channel_axis=(1, 2), dtype=torch.float64)
    assert_close(y.permute(0, 2, 1, 3)[mask], alone(rows), 1e-12, "y")
    for name, tensor in alone.state_dict().items():
        assert_close(layer.state_dict()[name], tensor, 1e-12, name)


def test_residual_and_mask() -> None:
    x, r = padded(1), data((4, 3, 5), count=1, seed=4)[0]
    got = layer_for(1, activation="tanh")(x, residual=r, mask=MASK)
    want = torch.tanh(layer_for(1)(x, mask=MASK) + r)
    assert_close(got, want, 1e-12, "y")


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf")])
def test_padding_that_is_not_finite_reaches_nothing(nonsense: float) -> None:
    layer, alone = layer_for(1), layer_for(1)
    x = torch.where(MASK[:, None], padded(1), nonsense).requires_grad_()
    y = layer(x, mask=MASK)
    real(y, 1).square().sum().backward()  # type: ignore[no-untyped-call]
    want = alone(real(x.detach(), 1))
    want.square().sum().backward()
    assert_close(real(y, 1), want, 1e-12, "y")
    assert x.grad is not None
    assert x.grad.isfinite().all()
    for mine, other in zip(layer.parameters(), alone.parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert_close(mine.grad, other.grad, 1e-12, "gradient")
    assert int(layer.num_batches_tracked or 0) == 1


def test_inference_ignores_the_mask() -> None:
    layer = layer_for(1).eval()
    assert torch.equal(layer(padded(1), mask=MASK), layer(padded(1)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_narrow_dtypes(dtype: torch.dtype) -> None:
    layer, x = BatchNorm1d(3), data((4, 3, 5), dtype, count=1)[0]
    y = layer(x, mask=MASK)
    wide = BatchNorm1d(3, dtype=torch.float64)(x.double(), mask=MASK)
    assert_close(y, wide, 2 * torch.finfo(dtype).eps, "y", dtype=dtype)
    assert layer.running_mean is not None
    assert layer.running_mean.dtype == torch.float32


ONE = torch.zeros(4, 5, dtype=torch.bool)
ONE[1, 2] = True


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"mask": torch.zeros(4, 5, dtype=torch.bool)}, EmptyBatch),
        ({"mask": ONE}, OneValuePerChannel),
        ({"weights": ONE * 7.0}, OneValuePerChannel),
        ({"mask": MASK, "weights": MASK.double()}, BadOption),
        ({"weights": -MASK.double()}, BadOption),
        ({"weights": MASK * float("nan")}, BadOption),
        ({"mask": MASK[:, :4]}, BadShape),
        ({"mask": MASK[0]}, BadShape),
        ({"mask": MASK[:, None].expand(4, 3, 5)}, BadShape),
        ({"mask": MASK, "residual": torch.zeros(4, 3, 4, dtype=torch.float64)}, BadShape),
    ],
)
def test_masks_that_cannot_be_used(given: dict[str, Tensor], error: type[EvenkeelError]) -> None:
    layer = BatchNorm1d(3, dtype=torch.float64, running=Population())
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with pytest.raises(error):
        layer(padded(1), **given)
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


@pytest.mark.parametrize(
    "layer", [BatchRenorm(3), GhostBatchNorm(3, ghost_size=2)], ids=lambda m: type(m).__name__
)
def test_layers_without_masks_say_so(layer: BatchNorm) -> None:
    with pytest.raises(BadOption, match="takes no mask or weights"):
        layer(data((4, 3, 5), torch.float32)[0], mask=MASK)


def test_an_overflow_of_float16_is_named_and_skipped() -> None:
    layer = BatchNorm2d(3)
    x = data((4, 3, 5, 2), torch.float16, count=1)[0]
    with pytest.warns(NonFiniteBatch, match="a BatchNorm2d got a batch with NaN or infinity"):
        y = layer(x * 60000)
    assert y.isnan().any()
    assert int(layer.num_batches_tracked or 0) == 0
