"""Six training steps and one inference of TensorFlow 1.15.5's own layers, replayed with ours."""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from evenkeel.nn import (
    BatchNorm,
    BatchNorm2d,
    BatchRenorm,
    Ema,
    GhostBatchNorm,
    RenormLimits,
    ZeroDebiasedEma,
)
from oracles.compare import assert_close
from oracles.tensorflow import Recorded, recorded

FAMILIES = ("layers_batch_normalization", "contrib_batch_norm")
BUDGET = 1e-5
EPS = 1e-3  # TensorFlow's default


def renorm(limits: RenormLimits, renorm_momentum: float, **options: Any) -> BatchRenorm:
    """TensorFlow starts σ at 1; running_var holds σ² − eps."""
    layer = BatchRenorm(5, EPS, 0.2, limits=limits, renorm_momentum=renorm_momentum, **options)
    layer.running_var.fill_(1 - EPS)  # type: ignore[union-attr]  # it keeps statistics
    return layer


UNLIMITED = RenormLimits(inf, inf, 0.0)
NHWC: dict[str, Any] = {"channel_axis": -1}
BIASED: dict[str, Any] = {"running_var": "biased"}
LAYERS: dict[str, Callable[[], BatchNorm]] = {
    # rank 4 takes TensorFlow's fused kernel (unbiased) unless an option rules it out
    "layers_batch_normalization/default": lambda: BatchNorm(5, EPS, 0.01, **BIASED),
    "layers_batch_normalization/mom09": lambda: BatchNorm(5, 1e-5, 0.1, **BIASED),
    "layers_batch_normalization/conv": lambda: BatchNorm2d(5, EPS, 0.2, **NHWC),
    "layers_batch_normalization/axis1": lambda: BatchNorm2d(3, EPS, 0.2, **BIASED),
    "layers_batch_normalization/conv_unfused": lambda: BatchNorm2d(5, EPS, 0.2, **NHWC, **BIASED),
    "layers_batch_normalization/nocenter": lambda: BatchNorm(5, EPS, 0.2, center=False, **BIASED),
    "layers_batch_normalization/noscale": lambda: BatchNorm2d(5, EPS, 0.2, scale=False, **NHWC),
    "layers_batch_normalization/renorm": lambda: renorm(RenormLimits(1.5, 0.5, 0.66), 0.3),
    "layers_batch_normalization/renorm_conv": lambda: renorm(UNLIMITED, 0.01, **NHWC),
    "layers_batch_normalization/virtual": lambda: GhostBatchNorm(
        5, EPS, 0.2, ghost_size=4, groups="strided", **NHWC, **BIASED
    ),
    "layers_batch_normalization/multiaxis": lambda: BatchNorm2d(
        (3, 2), EPS, 0.2, channel_axis=(1, 2), **BIASED
    ),
    # contrib reshapes rank 2 to rank 4: fused there too; no scale unless asked for
    "contrib_batch_norm/default": lambda: BatchNorm(5, EPS, 0.001, scale=False),
    "contrib_batch_norm/scale": lambda: BatchNorm(5, EPS, 0.1),
    "contrib_batch_norm/conv": lambda: BatchNorm2d(5, EPS, 0.2, **NHWC),
    "contrib_batch_norm/conv_unfused": lambda: BatchNorm2d(
        5, EPS, 0.2, scale=False, **NHWC, **BIASED
    ),
    "contrib_batch_norm/zero_debias": lambda: BatchNorm(
        5, EPS, scale=False, running=ZeroDebiasedEma(0.2, variance=False)
    ),
    "contrib_batch_norm/renorm": lambda: renorm(UNLIMITED, 0.3, scale=False),
    "contrib_batch_norm/nchw_unfused": lambda: BatchNorm2d(5, EPS, 0.2, scale=False, **BIASED),
    "contrib_batch_norm/relu": lambda: BatchNorm(5, EPS, 0.2, activation="relu"),
}


def variables(layer: BatchNorm) -> dict[str, Tensor]:
    """The layer's state under TensorFlow's names."""
    named = {
        "gamma": layer.weight,
        "beta": layer.bias,
        "moving_mean": layer.running_mean,
        "moving_variance": layer.running_var,
        "renorm_mean": layer._buffers.get("renorm_mean"),
        "renorm_stddev": layer._buffers.get("renorm_std"),
    }
    found = {name: tensor.detach() for name, tensor in named.items() if tensor is not None}
    found["moving_stddev"] = (found["moving_variance"] + EPS).sqrt()
    steps = layer.num_batches_tracked
    assert steps is not None
    found["moving_mean.local_step"] = steps.float()
    # the sum that zero_debias divides by 1 − decay^t
    found["moving_mean.biased"] = found["moving_mean"] * (1 - 0.8 ** steps.float())
    return found


def replay(layer: BatchNorm, case: Recorded) -> None:
    """Train and infer as the recorded program did; AssertionError at the first difference."""
    values = case.arrays
    recorded_variables = [name for name in values if name.startswith("var.bn.")]
    optimizer = torch.optim.SGD(layer.parameters(), 0.3)
    for step, x in enumerate(values["xs"]):
        y = layer(x)
        assert_close(y, values["ys"][step], BUDGET, f"y of step {step}")
        optimizer.zero_grad()
        ((y - 0.25) ** 2 * values["loss_weights"]).mean().backward()
        optimizer.step()
        state = variables(layer)
        for name in recorded_variables:
            want = values[name][step]
            got = state[name.removeprefix("var.bn.").removeprefix("bn.")]
            assert_close(got.reshape(want.shape), want, BUDGET, f"{name} after step {step}")
    y = layer.eval()(values["x_test"])
    assert_close(y, values["y_test"], BUDGET, "y in inference")
    loss = ((y - 0.25) ** 2 * values["loss_weights"]).mean()
    assert_close(loss, values["loss_test"], BUDGET, "loss in inference")


def cases(shared: Path) -> dict[str, Recorded]:
    return {case.name: case for family in FAMILIES for case in recorded(shared, family)}


@pytest.mark.parametrize("name", LAYERS)
def test_replays_tensorflow(shared: Path, name: str) -> None:
    replay(LAYERS[name](), cases(shared)[name])


def test_every_recorded_case_has_a_layer(shared: Path) -> None:
    assert set(cases(shared)) == set(LAYERS)


MUTANTS: dict[str, tuple[str, Callable[[], BatchNorm]]] = {
    "flipped momentum": (
        "layers_batch_normalization/mom09",
        lambda: BatchNorm(5, 1e-5, 0.9, **BIASED),
    ),
    "unbiased for biased": (
        "layers_batch_normalization/mom09",
        lambda: BatchNorm(5, 1e-5, 0.1),
    ),
    "biased for unbiased": (
        "contrib_batch_norm/scale",
        lambda: BatchNorm(5, EPS, 0.1, **BIASED),
    ),
    "torch's eps": ("contrib_batch_norm/default", lambda: BatchNorm(5, 1e-5, 0.001, scale=False)),
    "contiguous groups": (
        "layers_batch_normalization/virtual",
        lambda: GhostBatchNorm(5, EPS, 0.2, ghost_size=4, **NHWC, **BIASED),
    ),
    "no groups": (
        "layers_batch_normalization/virtual",
        lambda: BatchNorm2d(5, EPS, 0.2, **NHWC, **BIASED),
    ),
    "the variance debiased too": (
        "contrib_batch_norm/zero_debias",
        lambda: BatchNorm(5, EPS, scale=False, running=ZeroDebiasedEma(0.2)),
    ),
    "nothing debiased": (
        "contrib_batch_norm/zero_debias",
        lambda: BatchNorm(5, EPS, scale=False, running=Ema(0.2)),
    ),
    "1 / r_max for r_min": (
        "layers_batch_normalization/renorm",
        lambda: renorm(RenormLimits(1.5, 0.5, 0.5), 0.3),
    ),
    "tighter d_max": (
        "layers_batch_normalization/renorm",
        lambda: renorm(RenormLimits(1.5, 0.25, 0.66), 0.3),
    ),
    "no correction": (
        "contrib_batch_norm/renorm",
        lambda: renorm(RenormLimits(1.0, 0.0), 0.3, scale=False),
    ),
    "no activation": ("contrib_batch_norm/relu", lambda: BatchNorm(5, EPS, 0.2)),
    "a scale too many": ("contrib_batch_norm/default", lambda: BatchNorm(5, EPS, 0.001)),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_replay_sees_a_wrong_layer(shared: Path, mutant: str) -> None:
    name, make = MUTANTS[mutant]
    with pytest.raises(AssertionError):
        replay(make(), cases(shared)[name])
