"""The reference against torch's autograd in float64, which knows nothing of our formulas."""

import math

import pytest
import torch
from torch.nn import functional as F

from evenkeel.bench.cases import CASES
from evenkeel.bench.operations import OPERATIONS
from evenkeel.bench.oracle import (
    check,
    error,
    errors_of,
    mismatch,
    part_of,
    reference,
    watched,
)
from evenkeel.bench.problem import EPS, MARGINS, MOMENTUM, Problem, before_activation, problem_of

NAMES = ("conv20-64x36x4x4-nchw", "conv20-64x36x4x4-nhwc", "dense-64x100-nc")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_reference_is_torchs_autograd_in_float64(name: str, operation: str) -> None:
    problem = problem_of(CASES[name], OPERATIONS[operation], torch.float32)
    arrays = {"dx": problem.x, "dweight": problem.weight, "dbias": problem.bias}
    if problem.residual is not None:
        arrays["dresidual"] = problem.residual
    leaves = {key: value.double().requires_grad_() for key, value in arrays.items()}
    mean, var = problem.mean.double(), problem.var.double()
    x, weight, bias = (leaves[key] for key in ("dx", "dweight", "dbias"))
    training = problem.operation.training
    y = F.batch_norm(x, mean, var, weight, bias, training, MOMENTUM, EPS)
    y = y + leaves["dresidual"] if "dresidual" in leaves else y
    y = F.relu(y) if problem.operation.activation else y
    expected = {"y": y}
    if training:
        y.backward(problem.dy.double())  # type: ignore[no-untyped-call]
        expected |= {key: torch.as_tensor(leaf.grad) for key, leaf in leaves.items()}
        expected |= {"running_mean": mean, "running_var": var}
    found = reference(problem)
    assert found.keys() == expected.keys()
    assert max(errors_of(expected, found).values()) < 1e-12


def test_no_gradient_where_rounding_decides_the_mask(problem: Problem) -> None:
    near = before_activation(problem).abs() < MARGINS[torch.float32]
    assert near.any()
    assert not problem.dy[near].any()
    assert problem.dy[~near].all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_some_channels_are_the_whole_without_the_others(operation: str) -> None:
    problem = problem_of(CASES[NAMES[1]], OPERATIONS[operation], torch.float32)
    channels = torch.tensor([0, 7, 35])
    whole = reference(problem)
    found = reference(part_of(problem, channels))
    assert max(check(problem, whole, found, channels).values()) < 1e-12


def test_a_wrong_watched_channel_is_seen(problem: Problem) -> None:
    channels = watched(problem)
    assert channels.tolist() == list(range(36))
    want = reference(part_of(problem, channels))
    arrays = reference(problem)
    arrays["dx"][:, 35] += 1.0
    errors = check(problem, arrays, want, channels)
    assert errors["dx"] > 0.1
    assert errors["y"] < 1e-12
    assert check(problem, {"y": arrays["y"][:5]}, want, channels) == {"y": math.inf}


def test_a_large_problem_is_watched_at_both_ends() -> None:
    problem = problem_of(CASES["mobilenetv2-32x24x56x56-nchw"], OPERATIONS["bn"], torch.float32)
    channels = watched(problem).tolist()
    assert (channels[0], channels[-1]) == (0, 23)
    assert 4 <= len(channels) < 24


def test_errors_fail_on_what_is_no_number() -> None:
    one, nan = torch.ones(2), torch.tensor([1.0, math.nan])
    assert error(nan, one) == math.inf
    assert error(one, nan) == math.inf
    assert error(torch.ones(3), one) == math.inf
    assert error(one, torch.zeros(2)) == math.inf
    assert error(torch.zeros(2), torch.zeros(2)) == 0.0


def test_a_mismatch_is_named() -> None:
    assert mismatch({"y": 1e-6}, torch.float32) == ""
    assert mismatch({"y": 1e-6, "dx": 1e-3}, torch.float32).startswith("dx differs")
    assert mismatch({"y": math.inf}, torch.bfloat16).startswith("y differs")
    assert mismatch({}, torch.float32) == "it gives no output"
