"""Activations after a normalization: in place on the normalization's own output, and on that alone."""

import pytest
import torch

from evenkeel.errors import UnknownName
from evenkeel.kernels.activations import ACTIVATIONS, finish
from oracles.compare import assert_close
from oracles.strategies import values


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_finish_adds_then_activates(name: str) -> None:
    y, residual = values((4, 3), 0.0, 0), values((4, 3), 0.0, 1)
    kept = residual.clone()
    want = ACTIVATIONS[name]((y + residual).clone())
    assert_close(finish(y, residual, name), want, 1e-15, name)
    assert torch.equal(residual, kept)


def test_finish_with_nothing_to_do_returns_its_input() -> None:
    y = values((4, 3), 0.0, 0)
    assert finish(y, None, None) is y


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "elu", "sigmoid", "tanh"])
def test_no_second_tensor_is_kept_where_torch_works_in_place(name: str) -> None:
    y = values((4, 3), 0.0, 0)
    assert finish(y, None, name).data_ptr() == y.data_ptr()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name: str) -> None:
    assert ACTIVATIONS[name](torch.tensor([torch.nan])).isnan().all()


def test_an_unknown_activation_suggests_its_neighbours() -> None:
    with pytest.raises(UnknownName, match="try silu"):
        finish(torch.zeros(1), None, "siluu")
