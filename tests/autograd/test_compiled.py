"""The operators that torch.compile sees: their contract with torch, and the eager call's numbers."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import evenkeel as ek
from evenkeel import autograd
from evenkeel.kernels import library, use_kernel
from evenkeel.kernels.activations import ACTIVATIONS
from oracles.compare import assert_close
from oracles.strategies import values

pytestmark = [
    pytest.mark.skipif(bool(library.why_missing()), reason="the operators run native kernels"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
]

EPS = 1e-3
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "gaps": lambda x: torch.stack([x, x], -1)[..., 0],
}
Inputs = list[Tensor]


def inputs(layout: str = "contiguous", dtype: torch.dtype = torch.float64) -> Inputs:
    """x, weight, bias, residual that require gradients."""
    x, residual = (LAYOUTS[layout](values((3, 4, 2, 5), 1.0, seed).to(dtype)) for seed in (0, 1))
    weight, bias = (values((4,), 1.0, seed).to(dtype) for seed in (2, 3))
    return [v.detach().requires_grad_() for v in (x, weight, bias, residual)]


def results(function: object, given: Inputs, activation: str | None, add: bool) -> Inputs:
    """y, mean, var and the gradients of what took part."""
    assert callable(function)
    x, weight, bias, residual = given
    y, mean, var = function(x, weight, bias, EPS, (1,), residual if add else None, activation)
    taken = given if add else given[:3]
    return [y, mean, var, *torch.autograd.grad(y, taken, values((3, 4, 2, 5), 0.0, 9).to(y.dtype))]


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("add", [False, True])
def test_one_graph_with_the_eager_call_s_numbers(activation: str | None, add: bool) -> None:
    torch.compiler.reset()
    compiled = torch.compile(autograd.train, backend="aot_eager", fullgraph=True)
    for layout, dtype in product(LAYOUTS, (torch.float64, torch.bfloat16)):
        given = inputs(layout, dtype)
        got = results(compiled, given, activation, add)
        want = results(autograd.train, given, activation, add)
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            assert torch.equal(g, w), f"{layout} {dtype} result {i}"
        assert got[0].stride() == torch.empty_like(given[0]).stride()


def test_the_operator_is_in_the_graph_of_training_and_not_of_inference() -> None:
    assert operators(ek.BatchNorm2d(4, activation="relu").train()) == {"evenkeel.train.default"}
    assert operators(ek.BatchNorm2d(4, activation="relu").eval()) == set()


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor:UserWarning"
)  # torch, at a break
def test_a_wish_for_another_kernel_is_heard() -> None:
    with use_kernel("torch"):
        assert operators(ek.BatchNorm2d(4)) == set()


def operators(layer: torch.nn.Module) -> set[str]:
    """Our operators in the graph that torch.compile makes of this layer."""
    seen: set[str] = set()

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> object:
        seen.update(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    torch.compiler.reset()
    x = values((3, 4, 2, 5), 0.0, 0).float()
    torch.compile(layer, backend=aot(backend))(x)
    return {name for name in seen if name.startswith("evenkeel")}


def aot(inner: object) -> Any:  # a backend, whose type torch keeps to itself
    from torch._dynamo.backends.common import aot_autograd

    return aot_autograd(fw_compiler=inner)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("activation", "add"), [(None, False), ("relu", True), ("silu", True)])
def test_torch_s_own_check_of_an_operator(layout: str, activation: str | None, add: bool) -> None:
    x, weight, bias, residual = inputs(layout)
    rest = residual if add else None
    call = (x, weight, bias, rest, EPS, [1], activation)
    torch.library.opcheck(torch.ops.evenkeel.train.default, call)


def test_only_what_requires_a_gradient_gets_one() -> None:
    compiled = torch.compile(autograd.train, backend="aot_eager", fullgraph=True)
    for wanted in product((False, True), repeat=4):
        if not any(wanted):
            continue
        torch.compiler.reset()
        given = [v.detach().requires_grad_(w) for v, w in zip(inputs(), wanted, strict=True)]
        true = inputs()
        for function, leaves in ((compiled, given), (autograd.train, true)):
            x, weight, bias, residual = leaves
            y = function(x, weight, bias, EPS, (1,), residual, "elu")[0]
            torch.autograd.backward(y.square().sum())
        for mine, reference, want in zip(given, true, wanted, strict=True):
            assert (mine.grad is not None) == want
            if mine.grad is not None:
                assert torch.equal(mine.grad, reference.grad)  # type: ignore[arg-type]


def test_an_export_needs_no_operator_of_ours() -> None:
    layer = ek.BatchNorm2d(4, activation="relu")
    x = values((3, 4, 2, 5), 0.0, 0).float()
    for mode in (True, False):
        program = torch.export.export(layer.train(mode), (x,))
        assert "evenkeel" not in str(program.graph)


@pytest.mark.slow
def test_generated_code_trains_a_network() -> None:
    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        layers: list[torch.nn.Module] = []
        for _ in range(3):
            layers += [torch.nn.Conv2d(4, 4, 3), ek.BatchNorm2d(4, activation="relu")]
        return torch.nn.Sequential(*layers)

    x = values((8, 4, 12, 12), 0.0, 0).float()
    plain, compiled = network(), network()
    run = torch.compile(compiled, fullgraph=True)
    for model, forward in ((plain, plain), (compiled, run)):
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for _ in range(3):
            optimizer.zero_grad()
            forward(x).square().mean().backward()
            optimizer.step()
    for name, tensor in plain.state_dict().items():
        assert_close(compiled.state_dict()[name], tensor, 1e-4, name)
