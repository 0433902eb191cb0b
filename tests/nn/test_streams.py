"""StreamBatchNorm and ConditionalBatchNorm: populations apart, scale and shift by condition."""

import copy
import pickle
import threading
from typing import Any

import pytest
import torch
from torch import nn

import evenkeel as ek
from evenkeel.errors import BadOption
from evenkeel.nn import BatchNorm1d, BatchNorm2d, ConditionalBatchNorm, StreamBatchNorm
from oracles.compare import assert_close

REAL = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 + 3
FAKE = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(2)) - 1


@pytest.mark.parametrize("own_affine", [False, True])
def test_each_population_is_as_a_layer_of_its_own(own_affine: bool) -> None:
    layer: Any = StreamBatchNorm(BatchNorm2d(3, activation="relu"), 2, own_affine=own_affine)
    plain: list[Any] = [BatchNorm2d(3, activation="relu") for _ in range(2)]
    for mode in (True, False):
        layer.train(mode)
        for index, x in ((0, REAL), (1, FAKE), (0, REAL + 1)):
            plain[index].train(mode)
            with ek.stream(index):
                assert torch.equal(layer(x), plain[index](x))
    for mine, other in zip(layer.streams, plain, strict=True):
        assert torch.equal(mine.running_mean, other.running_mean)
        assert torch.equal(mine.running_var, other.running_var)
    assert (layer.streams[0].weight is layer.streams[1].weight) is not own_affine
    assert len(list(layer.parameters())) == (4 if own_affine else 2)


def test_a_shared_weight_learns_from_all_and_stays_shared() -> None:
    layer: Any = StreamBatchNorm(BatchNorm2d(3), 2)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.double()):
        with ek.stream(0):
            total = (twin(REAL.to(twin.streams[0].weight.dtype)) ** 3).sum()
        with ek.stream(1):
            total = total + (twin(FAKE.to(twin.streams[0].weight.dtype)) ** 3).sum()
        total.backward()
        assert twin.streams[0].weight is twin.streams[1].weight
        assert twin.streams[1].weight.grad is not None


def test_blocks_nest_and_belong_to_their_thread() -> None:
    layer: Any = StreamBatchNorm(BatchNorm2d(3), 2)
    seen: list[str] = []

    def work() -> None:
        try:
            layer(REAL)
        except BadOption as error:
            seen.append(str(error))

    with ek.stream(0):
        with ek.stream(1):
            layer(REAL)
        layer(REAL)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [int(part.num_batches_tracked) for part in layer.streams] == [1, 1]
    assert "no stream" in seen[0]


@pytest.mark.parametrize("index", [None, 2, -1, "a", True])
def test_a_population_that_is_not_there_is_named(index: Any) -> None:
    layer = StreamBatchNorm(BatchNorm2d(3), 2)
    with pytest.raises(BadOption, match="several populations"), ek.stream(index):
        layer(REAL)


def test_what_cannot_be_built() -> None:
    with pytest.raises(BadOption, match="one of evenkeel's"):
        StreamBatchNorm(nn.BatchNorm2d(3), 2)
    with pytest.raises(BadOption, match="one of evenkeel's"):
        ConditionalBatchNorm(nn.BatchNorm2d(3), 2)
    for count in (0, True, 1.5):
        with pytest.raises(BadOption, match="streams counts"):
            StreamBatchNorm(BatchNorm2d(3), count)  # type: ignore[arg-type]
        with pytest.raises(BadOption, match="conditions counts"):
            ConditionalBatchNorm(BatchNorm2d(3), count)  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", [1, -1])
def test_each_example_has_its_conditions_scale_and_shift(axis: int) -> None:
    layer: Any = ConditionalBatchNorm(BatchNorm2d(3, channel_axis=axis, activation="elu"), 5)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    labels = torch.tensor([4, 0, 1, 1, 3, 2, 0, 4])
    x = REAL.movedim(1, axis).contiguous()
    with ek.condition(labels):
        got = layer(x, residual=x).movedim(axis, 1)
    rows = REAL.double().movedim(1, 0).flatten(1)
    shape = (1, 3, 1, 1)
    var = rows.var(1, unbiased=False).view(shape)
    normal = (REAL - rows.mean(1).view(shape)) / (var + layer.norm.spec.eps).sqrt()
    weight, bias = (p.double()[labels][:, :, None, None] for p in (layer.weight, layer.bias))
    want = nn.functional.elu(normal * weight + bias + REAL)
    assert_close(got.detach().double(), want.detach(), 1e-6, "y")
    assert int(layer.norm.num_batches_tracked) == 1  # one population
    layer.eval()
    with ek.condition(3):
        one = layer(x)
    with ek.condition(torch.full((8,), 3)):
        assert_close(layer(x).detach(), one.detach(), 1e-7, "y")


def test_low_precision_keeps_its_dtype() -> None:
    layer = ConditionalBatchNorm(BatchNorm1d(3), 2)
    with ek.condition(1):
        assert layer(torch.randn(4, 3).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "given", [None, 5, -1, torch.tensor([0, 1]), torch.tensor([0.5] * 8), torch.tensor([9] * 8)]
)
def test_conditions_that_do_not_fit_are_named(given: Any) -> None:
    layer = ConditionalBatchNorm(BatchNorm2d(3), 5)
    with pytest.raises(BadOption, match="scale and shift for each condition"), ek.condition(given):
        layer(REAL)


def test_gradients_reach_only_the_rows_in_use() -> None:
    layer: Any = ConditionalBatchNorm(BatchNorm2d(3), 4)
    with ek.condition(torch.tensor([0, 0, 0, 0, 2, 2, 2, 2])):
        (layer(REAL) ** 3).sum().backward()
    assert [bool(row.abs().sum() > 0) for row in layer.weight.grad] == [True, False, True, False]
