"""torch's own training kernel: where it may run, and what it would do where it must not."""

import pytest
import torch
from torch import Tensor

from evenkeel.kernels import Call
from evenkeel.kernels.fused.aten import refuses, train
from oracles.compare import assert_close
from oracles.definitions import channels_last, moments
from oracles.strategies import values

BOUND = 1e-5


def error(x: Tensor) -> float:
    _, _, var = train(x, None, None, 1e-5)
    _, want = moments(channels_last(x, 1))
    return float((var.double() / want - 1).abs().max())


FAR = values((16, 4, 50, 50), 1e4, 0).float()


def test_it_hands_out_the_biased_variance_exactly() -> None:
    x = values((4, 3, 5, 5), 1.0, 0)
    y, mean, var = train(x, None, None, 1e-3)
    want_mean, want_var = moments(channels_last(x, 1))
    assert_close(mean, want_mean, 1e-14, "mean")
    assert_close(var, want_var, 1e-14, "var")
    assert y.shape == x.shape


def test_where_it_may_run_it_keeps_the_bound() -> None:
    assert refuses(Call.of(FAR)) == ""
    assert error(FAR) <= BOUND


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (FAR.contiguous(memory_format=torch.channels_last), "not contiguous"),
        (FAR.movedim(1, -1).reshape(-1, 4), "not contiguous"),
        (FAR.transpose(1, 2).contiguous().transpose(1, 2), "not contiguous"),
    ],
    ids=["channels_last", "nc", "permuted"],
)
def test_it_refuses_where_it_would_lose_the_variance(x: Tensor, reason: str) -> None:
    assert reason in refuses(Call.of(x))
    if error(x) <= BOUND:  # not an assertion about torch: it may get better
        pytest.skip("this torch is accurate here: the row may run again")


def test_a_single_channel_is_one_plane() -> None:
    call = Call.of(FAR.reshape(-1, 1))
    assert refuses(call) == ""
    assert error(call.rows_of_x.of(FAR.reshape(-1, 1))) <= BOUND


def test_it_refuses_half_precision_and_single_values() -> None:
    assert "half precision" in refuses(Call.of(FAR.half()))
    assert "half precision" in refuses(Call.of(FAR.bfloat16()))
    assert "0/0" in refuses(Call.of(torch.zeros(1, 3, 1, 1)))


def test_accelerators_run_it_in_every_layout() -> None:
    assert refuses(Call(torch.float16, "cuda", None, 8)) == ""
    assert "0/0" in refuses(Call(torch.float16, "cuda", None, 1))
