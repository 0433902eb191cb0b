"""Any verbs on any network, also stopped at any moment: the same function, or the model as it was."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.errors import EvenkeelError
from evenkeel.nn.steps import LEARNT
from hardening.examples import fuzz
from oracles.compare import assert_close
from surgery import models
from surgery.same import scrambled

BN = nn.BatchNorm2d


class Stop(Exception):
    """What ends a run in its middle: a user's interrupt, or memory that is gone."""


class Tripwire(nn.Module):
    """Passes its input on, and fails at one of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.left = [10**9]  # a list: what counts down here is no change of the model

    def forward(self, x: Tensor) -> Tensor:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise Stop
        return x


PARTS: tuple[Callable[[], nn.Module], ...] = (
    lambda: nn.Conv2d(4, 4, 3, padding=1),
    lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False),
    lambda: nn.ConvTranspose2d(4, 4, 3, padding=1, groups=4),
    lambda: BN(4),
    lambda: BN(4, eps=1e-3, momentum=None),
    lambda: BN(4, affine=False),
    lambda: nn.Sequential(BN(4), nn.ReLU()),
    lambda: nn.Sequential(nn.Conv2d(4, 4, 1), BN(4), nn.ReLU6()),
    lambda: ek.BatchNorm2d(4, activation="relu"),
    lambda: nn.Dropout(0.5),
    nn.SiLU,
    models.Basic,
)
VERBS: dict[str, Callable[..., nn.Module]] = {
    "fused": ek.convert,
    "torch": lambda m, **o: ek.convert(m, to="torch", **o),
    "fold": ek.fold,
    "freeze": lambda m, **o: ek.freeze(m, inplace=o.get("inplace", False)),
    "unfreeze": lambda m, **o: ek.unfreeze(m, inplace=o.get("inplace", False)),
}
networks = st.lists(st.integers(0, len(PARTS) - 1), min_size=1, max_size=6)
seeds = st.integers(0, 999)


def built(order: list[int], seed: int, wire: int | None = None) -> nn.Sequential:
    """The network in inference, with trained-looking numbers; ``wire``: where a Tripwire sits."""
    torch.manual_seed(seed)
    parts = [PARTS[i]() for i in order]
    if wire is not None:
        parts.insert(wire % (len(parts) + 1), Tripwire())
    return scrambled(nn.Sequential(*parts)).eval()


def inputs(seed: int) -> Tensor:
    return torch.randn(3, 4, 5, 4, generator=torch.Generator().manual_seed(seed))


def print_of(model: nn.Module) -> tuple[list[Any], dict[str, Tensor]]:
    """All that a model is: classes, modes, hooks, options, what trains; and its numbers."""
    rows: list[Any] = []
    for path, module in model.named_modules(remove_duplicate=False):
        hooks = [len(v) for k, v in sorted(vars(module).items()) if k.endswith("_hooks")]
        grads = [p.requires_grad for p in module.parameters(recurse=False)]
        rows.append((path, type(module), module.training, module.extra_repr(), hooks, grads))
        rows.append(sorted(set(vars(module)) - set(LEARNT)))
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return rows, {name: t.detach().clone() for name, t in tensors.items()}


def assert_untouched(model: nn.Module, before: tuple[list[Any], dict[str, Tensor]]) -> None:
    rows, tensors = print_of(model)
    assert rows == before[0]
    assert all(torch.equal(tensors[name], before[1][name]) for name in before[1])


@fuzz
@given(order=networks, seed=seeds, verbs=st.lists(st.sampled_from(sorted(VERBS)), max_size=4))
def test_verbs_in_any_order_keep_the_function(
    order: list[int], seed: int, verbs: list[str]
) -> None:
    model: nn.Module = built(order, seed)
    x = inputs(seed)
    with torch.no_grad():
        want = copy.deepcopy(model).double()(x.double())
    for verb in verbs:
        before = print_of(model)
        try:
            changed = VERBS[verb](model)
        except EvenkeelError as error:  # nothing to freeze, say
            assert error.do
            changed = model
        assert_untouched(model, before)
        model = changed.eval()
    with torch.no_grad():
        got = model(x)
    scale = max(float(want.abs().max()), 1e-3)
    assert_close(got, want, 2e-5, "y", dtype=torch.float32, scale=scale)


@fuzz
@given(order=networks, seed=seeds, wire=st.integers(0, 6), calls=st.integers(0, 9))
def test_recalibration_stopped_at_any_call(
    order: list[int], seed: int, wire: int, calls: int
) -> None:
    model = built(order, seed, wire).train(bool(seed % 2))
    before = print_of(model)
    for module in model.modules():
        if isinstance(module, Tripwire):
            module.left[0] = calls
    layerwise = bool(seed % 3 == 0)
    batches = [inputs(seed + k) for k in range(4)]
    try:
        ek.recalibrate(model, batches, layerwise=layerwise, inplace=True, progress=False)
    except (Stop, EvenkeelError):
        assert_untouched(model, before)
    else:  # it took fewer calls: then only statistics moved
        rows, tensors = print_of(model)
        assert rows == before[0]
        moved = {n for n in tensors if not torch.equal(tensors[n], before[1][n])}
        assert all(n.rsplit(".")[-1].startswith(("running_", "num_batches")) for n in moved)


@fuzz
@given(
    order=networks,
    seed=seeds,
    wire=st.integers(0, 6),
    calls=st.integers(0, 3),
    verb=st.sampled_from(["fused", "torch", "fold"]),
)
def test_a_verb_stopped_at_any_call(
    order: list[int], seed: int, wire: int, calls: int, verb: str
) -> None:
    model = built(order, seed, wire)
    before = print_of(model)
    (tripwire,) = (m for m in model.modules() if isinstance(m, Tripwire))
    tripwire.left[0] = calls
    try:
        VERBS[verb](model, probe=inputs(seed), inplace=True)
    except (Stop, EvenkeelError):
        assert_untouched(model, before)


def test_a_model_that_was_touched_is_seen() -> None:
    model = built([3, 6], 0)
    before = print_of(model)
    touched: Any = model[0]
    touched.running_mean[0] += 1e-6
    with pytest.raises(AssertionError):
        assert_untouched(model, before)
    touched.running_mean[0] = before[1]["0.running_mean"][0]
    assert_untouched(model, before)
    touched.train()
    with pytest.raises(AssertionError):
        assert_untouched(model, before)
