"""What explain tells, and that it leaves everything as it was."""

import pytest
import torch
from torch import nn

import evenkeel as ek
from evenkeel.errors import BadOption, NoKernel
from evenkeel.kernels.library import why_missing


def model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), ek.BatchNorm2d(3, activation="relu"), nn.Dropout(), nn.Flatten()
    )


def test_it_names_layer_operation_kernel_and_the_others_reasons() -> None:
    told = ek.explain(model(), torch.randn(2, 2, 6, 6))
    (decision,) = told.decisions
    assert (decision.place, decision.operation) == ("1", "train")
    assert told.ran == ("torch",) if why_missing() else ("native",)
    assert set(decision.refusals) == {"native", "torch", "eager", "composite", "reference"} - {
        decision.kernel
    }
    assert "runs only when asked for by name" in str(told)
    assert f"1: train ran on {decision.kernel}  (float32, cpu, (2, 3, 16))" in str(told)


def test_it_leaves_the_model_and_the_random_state_as_they_were() -> None:
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    ek.explain(net, torch.randn(2, 2, 6, 6))
    torch.random.set_rng_state(state)
    x = torch.randn(2, 2, 6, 6)
    torch.random.set_rng_state(state)
    torch.randn(2, 2, 6, 6)
    drawn = torch.random.get_rng_state()
    ek.explain(net, x)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_function_is_explained_as_it_is() -> None:
    told = ek.explain(ek.functional.moments, torch.randn(4, 3), 0)
    assert told.decisions[0].place == ""
    assert told.decisions[0].operation == "moments"
    assert str(ek.explain(torch.relu, torch.zeros(3))) == "no operation of evenkeel ran"


def test_a_forced_kernel_shows() -> None:
    x = torch.randn(4, 3)
    with ek.use_kernel("reference"):
        told = ek.explain(ek.functional.moments, x, 0)
    assert told.ran == ("reference",)
    assert told.decisions[0].refusals["eager"] == "reference was asked for"
    with ek.use_kernel("native"), pytest.raises(NoKernel, match="gaps in memory"):
        ek.functional.moments(torch.randn(4, 3, 6)[..., ::2], 0)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(BadOption, match="explain runs a module or a function"):
        ek.explain(3)  # type: ignore[arg-type]
