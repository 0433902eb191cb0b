"""Blocks: order, padding, convention."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evenkeel.conventions import convention
from evenkeel.nn import BatchNorm1d, BatchNorm2d
from evenkeel.recipes.blocks import Blocks, same_padding
from evenkeel.recipes.initial import glorot_uniform
from evenkeel.recipes.recipe import Variant


def blocks(batch_norm: bool = True, placement: str = "before", name: str = "tf.layers") -> Blocks:
    return Blocks(
        variant=Variant(batch_norm, placement),
        activation="elu",
        initial=glorot_uniform,
        meaning=lambda rank: convention(name, rank=rank),
    )


@pytest.mark.parametrize(
    ("batch_norm", "placement", "kinds"),
    [
        (True, "before", [nn.Linear, BatchNorm1d]),
        (True, "after", [nn.Linear, nn.ELU, BatchNorm1d]),
        (False, "before", [nn.Linear, nn.ELU]),
        (False, "after", [nn.Linear, nn.ELU]),
    ],
)
def test_order(batch_norm: bool, placement: str, kinds: list[type]) -> None:
    block = blocks(batch_norm, placement).dense(5, 4)
    assert [type(m) for m in block] == kinds
    assert (block[0].bias is None) == (kinds[1] is BatchNorm1d)


def test_before_and_after_compute_what_they_say() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 5)
    for placement in ("before", "after"):
        block = blocks(placement=placement).dense(5, 4)
        z = block[0](x).double()
        a = nn.functional.elu(z) if placement == "after" else z
        y = (a - a.mean(0)) / (a.var(0, correction=0) + 1e-3).sqrt()
        y = nn.functional.elu(y) if placement == "before" else y
        torch.testing.assert_close(block(x).double(), y, rtol=1e-5, atol=1e-5)


def test_convention_goes_by_rank() -> None:
    dense, conv = blocks().dense(5, 4)[1], blocks().conv(5, 4, 3)[1]
    assert isinstance(dense, BatchNorm1d)
    assert isinstance(conv, BatchNorm2d)
    assert (dense.spec.unbiased, conv.spec.unbiased) == (False, True)
    assert dense.momentum == conv.momentum == 0.01
    assert dense.spec.eps == conv.spec.eps == 1e-3


def test_initial_values() -> None:
    torch.manual_seed(0)
    block = blocks(batch_norm=False).dense(300, 100)
    assert set(block.get_parameter("0.bias").tolist()) == {0.0}
    assert set(blocks().norm(50, rank=2).weight.tolist()) == {1.0}
    drawn = blocks(name="tflearn").norm(20_000, rank=4).weight.detach()
    assert float(drawn.std()) == pytest.approx(0.002, rel=0.03)
    assert float(drawn.mean()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sides", [(7, 8), (6, 5)])
def test_same_padding_is_tensorflows(
    oracle: Callable[[str], np.ndarray[Any, Any]], stride: int, sides: tuple[int, int]
) -> None:
    case = f"conv/SAME_s{stride}_{sides[0]}x{sides[1]}/"
    x = torch.from_numpy(oracle(case + "x")).permute(0, 3, 1, 2)
    weight = torch.from_numpy(oracle(case + "w")).permute(3, 2, 0, 1)
    expected = torch.from_numpy(oracle(case + "conv")).permute(0, 3, 1, 2)
    rows, columns = (same_padding(n, 3, stride) for n in sides)
    y = nn.functional.conv2d(nn.ZeroPad2d((*columns, *rows))(x), weight, stride=stride)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    if rows[0] != rows[1]:
        wrong = nn.functional.conv2d(
            nn.ZeroPad2d((*columns, *rows[::-1]))(x), weight, stride=stride
        )
        assert float((wrong - expected).abs().max()) > 0.1


def test_convs_pad_where_torch_cannot() -> None:
    found = blocks().convs(1, 28, [(8, 6, 1), (12, 5, 2), (16, 4, 2)])
    assert list(found) == ["pad1", "conv1", "pad2", "conv2", "conv3"]
    assert nn.Sequential(found)(torch.randn(2, 1, 28, 28)).shape == (2, 16, 7, 7)
    assert found["pad1"].padding == (2, 3, 2, 3)
    assert found["pad2"].padding == (1, 2, 1, 2)
