"""Memory: a layer writes into its running statistics and its own output, nowhere else."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenkeel.autograd import calls
from evenkeel.kernels import use_kernel
from evenkeel.kernels.activations import finish
from evenkeel.nn import BatchNorm2d
from nn.rows import ROWS, Row
from nn.twin import ACTIVATIONS, data
from oracles.compare import assert_close

each = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@each
@modes
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_nothing_that_is_given_is_written_to(row: Row, training: bool, dtype: torch.dtype) -> None:
    layer = row.layer().train(training)
    x, residual = row.input(dtype), row.input(dtype, seed=1)
    given = [x, residual, *layer.parameters()]
    before = [t.detach().clone() for t in given]
    versions = [t._version for t in given]
    y = layer(x, residual=residual)
    assert all(torch.equal(t, b) for t, b in zip(given, before, strict=True))
    assert [t._version for t in given] == versions
    owned = {storage(t) for t in [*given, *layer.buffers()]}
    assert storage(y) not in owned
    y.detach().fill_(7)
    assert all(torch.equal(t, b) for t, b in zip(given, before, strict=True))


@each
def test_buffers_stay_where_they_are(row: Row) -> None:
    """Whoever holds a buffer (a distributed wrapper, an average) sees it move."""
    layer = row.layer()
    held = {name: (buffer, buffer.detach()) for name, buffer in layer.named_buffers()}
    layer(row.input())
    for name, buffer in layer.named_buffers():
        same, view = held[name]
        assert same is buffer
        assert storage(view) == storage(buffer)
        assert torch.equal(view, buffer)


def results(layer: nn.Module, then: str | None, **options: Any) -> list[Tensor]:
    """Output, first and second gradients; ``then`` is an activation after the layer."""
    x, residual = (data((4, 3, 2, 3), seed=s)[0].requires_grad_() for s in (0, 3))
    y = layer(x, residual=residual, **options)
    y = ACTIVATIONS[then](y) if then else y
    inputs = [x, residual, *layer.parameters()]
    up = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)
    first = torch.autograd.grad((y * up).sum(), inputs, create_graph=True)
    penalty = torch.stack([g.square().sum() for g in first]).sum()
    second = torch.autograd.grad(penalty, inputs, allow_unused=True)
    return [y, *first, *(g for g in second if g is not None)]


def check_in_place(activation: str, axis: Any, masked: bool, training: bool) -> None:
    """A layer with its activation against a layer and the activation apart."""
    axes = axis if isinstance(axis, tuple) else (axis % 4,)
    sizes = tuple((4, 3, 2, 3)[a] for a in axes)
    fused = BatchNorm2d(sizes, channel_axis=axes, activation=activation, dtype=torch.float64)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in fused.parameters():
            parameter.uniform_(0.5, 1.5)
    apart = BatchNorm2d(sizes, channel_axis=axes, dtype=torch.float64)
    apart.load_state_dict(fused.state_dict())
    positions = [1 if a in axes else n for a, n in enumerate((4, 3, 2, 3))]
    options = {"mask": torch.rand(positions) > 0.2} if masked else {}
    got = results(fused.train(training), None, **options)
    want = results(apart.train(training), activation, **options)
    for mine, true in zip(got, want, strict=True):
        assert_close(mine, true, 1e-10, "y, first and second gradients", scale=1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("axis", [1, -1, (1, 3)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
@modes
def test_in_place_activations_corrupt_no_gradient(
    activation: str, axis: Any, masked: bool, training: bool
) -> None:
    check_in_place(activation, axis, masked, training)


def test_the_check_sees_an_overwritten_saved_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    def mutant(y: Tensor, residual: Tensor | None, activation: str | None) -> Tensor:
        saved = finish(y, residual, activation)
        result = saved.clone()
        saved.data.mul_(2)  # behind autograd's back
        return result

    monkeypatch.setattr(calls, "finish", mutant)
    with use_kernel("eager"), pytest.raises(AssertionError, match="gradients"):
        check_in_place("sigmoid", 1, False, True)


def test_the_activation_needs_no_second_tensor_of_the_inputs_size() -> None:
    """Saved for backward: the input, and for ReLU the output; torch's two modules keep no less."""

    def saved(model: nn.Module) -> int:
        seen: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            seen[storage(tensor)] = tensor.untyped_storage().nbytes()
            return tensor

        x = torch.randn(8, 4, 16, 16).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            held = model(x)
        assert held.shape == x.shape
        return sum(seen.values())

    ours = saved(BatchNorm2d(4, activation="relu"))
    torchs = saved(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True)))
    assert ours <= torchs + 64 * 4  # vectors of the channels


def test_deepcopies_share_no_memory() -> None:
    layer = BatchNorm2d(3)
    other = copy.deepcopy(layer)
    mine = {storage(t) for t in layer.state_dict().values()}
    assert not mine & {storage(t) for t in other.state_dict().values()}
