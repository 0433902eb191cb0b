"""The functions against what TensorFlow 1.15.5 printed, outputs and gradients."""

from pathlib import Path

import pytest
import torch

from evenkeel import functional as ek
from oracles.compare import assert_close
from oracles.tensorflow import recorded

BUDGET = 1e-5


@pytest.mark.parametrize("number", range(4))
def test_fused_batch_norm(shared: Path, number: int) -> None:
    case = recorded(shared, "fused_batch_norm")[number]
    training, want = case.parameters["is_training"], case.arrays
    x, scale, offset = (want[n].clone().requires_grad_() for n in ("x", "scale", "offset"))
    y, mean, var = ek.fused_batch_norm(
        x,
        scale,
        offset,
        None if training else want["mean"],
        None if training else want["variance"],
        eps=case.parameters["epsilon"],
        training=training,
        channel_axis=-1,
    )
    names, leaves = ("dx", "dscale", "doffset"), (x, scale, offset)
    got = dict(zip(names, torch.autograd.grad(y, leaves, want["dy"]), strict=True)) | {"y": y}
    if training:
        got |= {"batch_mean": mean, "batch_var": var}
    else:  # TensorFlow's CPU kernel returned memory it had not written: batch_var of -3.4e15
        assert mean is want["mean"]
        assert var is want["variance"]
    for name, array in got.items():
        assert_close(array, want[name], BUDGET, f"{case.name}/{name}")


@pytest.mark.parametrize("number", range(4))
def test_moments_and_batch_normalization(shared: Path, number: int) -> None:
    case = recorded(shared, "moments")[number]
    want, axes = case.arrays, tuple(case.parameters["axes"])
    x = want["x"]
    mean, var, _ = ek.moments(x, axes, keepdims=True)
    assert_close(mean, want["mean"], BUDGET, f"{case.name}/mean")
    assert_close(var, want["variance"], BUDGET, f"{case.name}/variance")
    leaf = want["mean"].clone().requires_grad_()
    y = ek.batch_normalization(
        x,
        leaf,
        want["variance"],
        torch.tensor(case.parameters["offset"]),
        torch.tensor(case.parameters["scale"]),
        case.parameters["epsilon"],
    )
    assert_close(y, want["y"], BUDGET, f"{case.name}/y")
    (dmean,) = torch.autograd.grad((y * x.flip(0)).sum(), leaf)
    assert_close(dmean, want["dmean"], BUDGET, f"{case.name}/dmean")


@pytest.mark.parametrize("number", range(4))
def test_weighted_moments(shared: Path, number: int) -> None:
    case = recorded(shared, "moments")[number]
    x = case.arrays["x"]
    assert case.parameters["weights"] == "abs(x)+0.1"
    mean, var, _ = ek.weighted_moments(x, tuple(case.parameters["axes"]), x.abs() + 0.1)
    assert_close(mean, case.arrays["weighted_mean"], BUDGET, f"{case.name}/weighted_mean")
    assert_close(var, case.arrays["weighted_variance"], BUDGET, f"{case.name}/weighted_variance")


@pytest.mark.parametrize("number", range(4))
def test_local_response_normalization(shared: Path, number: int) -> None:
    case = recorded(shared, "lrn")[number]
    options = {k: case.parameters[k] for k in ("depth_radius", "bias", "alpha", "beta")}
    x = case.arrays["x"].clone().requires_grad_()
    y = ek.local_response_normalization(x, **options, channel_axis=-1)
    assert case.parameters["dy"] == "x[:, ::-1]"
    (dx,) = torch.autograd.grad(y, x, x.detach().flip(1))
    assert_close(y, case.arrays["y"], BUDGET, f"{case.name}/y")
    assert_close(dx, case.arrays["dx"], BUDGET, f"{case.name}/dx")


def test_l2_normalize(shared: Path) -> None:
    (case,) = recorded(shared, "losses")
    got = ek.l2_normalize(case.arrays["logits"], 1)
    assert_close(got, case.arrays["l2_normalize"], BUDGET, "l2_normalize")


def test_every_recorded_case_has_a_test(shared: Path) -> None:
    counts = {f: len(recorded(shared, f)) for f in ("fused_batch_norm", "moments", "lrn", "losses")}
    assert counts == {"fused_batch_norm": 4, "moments": 4, "lrn": 4, "losses": 1}


def test_the_recorded_values_reject_another_eps_and_the_biased_variance(shared: Path) -> None:
    want = recorded(shared, "fused_batch_norm")[0].arrays
    scale, offset = want["scale"], want["offset"]
    y, _, var = ek.fused_batch_norm(want["x"], scale, offset, eps=1.1e-5, channel_axis=-1)
    with pytest.raises(AssertionError, match="y: error"):
        assert_close(y, want["y"], BUDGET, "y")
    count = want["x"].numel() / 3
    assert_close(var, want["batch_var"], BUDGET, "batch_var")
    with pytest.raises(AssertionError, match="batch_var: error"):
        assert_close(var * (count - 1) / count, want["batch_var"], BUDGET, "batch_var")
