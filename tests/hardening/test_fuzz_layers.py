"""Layers under any sequence of calls, right and wrong ones: what was refused left no trace."""

import copy
import io
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from evenkeel.errors import EvenkeelError, NonFiniteBatch
from hardening.examples import fuzz
from nn.rows import ROWS, Row

RIGHT = ("step", "step", "step", "eval", "train", "double", "half", "copy", "reload", "no_grad")
WRONG = ("channels", "integers", "rank", "empty", "nan", "weights", "residual", "not a tensor")
actions = st.lists(st.sampled_from(RIGHT + WRONG), min_size=1, max_size=12)


def state(layer: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in layer.state_dict().items()}


def same(layer: nn.Module, before: dict[str, Tensor]) -> bool:
    now = layer.state_dict()
    return list(now) == list(before) and all(torch.equal(now[n], before[n]) for n in now)


def takes(row: Row, action: str, dtype: torch.dtype) -> tuple[Tensor, dict[str, Any]]:
    """The input of a wrong call, and what goes with it."""
    x = row.input(dtype, seed=len(action))
    more = tuple(n + 1 if a in row.axes else n for a, n in enumerate(row.shape))
    poisoned = x.clone()
    poisoned[(0,) * x.ndim] = float("nan")
    calls: dict[str, tuple[Any, dict[str, Any]]] = {
        "channels": (row.input(dtype, shape=more), {}),
        "integers": (x.long(), {}),
        "rank": (x[(None,) * 4], {}),
        "empty": (x[:0], {}),
        "nan": (poisoned, {}),
        "weights": (x, {"weights": -torch.ones(len(x))}),
        "residual": (x, {"residual": torch.ones(1, 1)}),
        "not a tensor": (x.tolist(), {}),
    }
    return calls[action]


def wrong_call(layer: nn.Module, row: Row, action: str, dtype: torch.dtype) -> None:
    """A call that is refused, or that moves nothing; a layer may also take it and train."""
    x, options = takes(row, action, dtype)
    before = state(layer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", NonFiniteBatch)
            y = layer(x, **options)
    except EvenkeelError as error:
        assert error.got
        assert error.do
    except NonFiniteBatch:
        assert action == "nan"
    except TypeError as error:
        assert options, error  # this layer has no such argument
        assert next(iter(options)) in str(error)
    else:
        assert y.shape == x.shape
        return
    assert same(layer, before), f"{action} was refused and left a trace"


def right_call(layer: nn.Module, row: Row, action: str, dtype: torch.dtype) -> nn.Module:
    if action in ("eval", "train"):
        return layer.train(action == "train")
    if action in ("double", "half"):
        return layer.to(torch.float64 if action == "double" else torch.float32)
    if action == "copy":
        return copy.deepcopy(layer)
    if action == "reload":
        file = io.BytesIO()
        torch.save(layer.state_dict(), file)
        file.seek(0)
        layer.load_state_dict(torch.load(file, weights_only=True))
        return layer
    before = state(layer)
    try:
        if action == "no_grad":
            with torch.no_grad():
                y = layer(row.input(dtype))
        else:
            x = row.input(dtype).requires_grad_()
            y = layer(x)
            y.square().mean().backward()
            assert x.grad is not None
            assert x.grad.isfinite().all()
    except EvenkeelError:  # no statistics to infer with
        assert not layer.training
        assert same(layer, before)
        return layer
    assert y.shape == row.shape
    assert y.dtype == dtype
    assert y.isfinite().all()
    moving = layer.training and getattr(layer, "running_mean", None) is not None
    assert moving or same(layer, before)
    return layer


@fuzz
@given(name=st.sampled_from(sorted(ROWS)), order=actions)
def test_any_order_of_calls(name: str, order: list[str]) -> None:
    """Runs beside a clone that gets the right calls alone: both end with the same bits."""
    row = ROWS[name]
    layer, clean = row.layer(), row.layer()
    for action in order:
        dtype = next(
            (p.dtype for p in layer.state_dict().values() if p.is_floating_point()), torch.float32
        )
        if action in WRONG:
            before = state(layer)
            wrong_call(layer, row, action, dtype)
            if not same(layer, before):  # it was taken
                layer.load_state_dict(before)
            continue
        layer = right_call(layer, row, action, dtype)
        clean = right_call(clean, row, action, dtype)
    assert same(layer, state(clean))


def test_a_layer_that_moves_before_it_refuses_is_seen() -> None:
    row = ROWS["2d"]
    layer = row.layer()

    def move(module: Any, args: Any) -> None:
        module.running_mean.add_(1.0)

    layer.register_forward_pre_hook(move)
    with pytest.raises(AssertionError, match="left a trace"):
        wrong_call(layer, row, "channels", torch.float32)
