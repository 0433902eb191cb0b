"""accumulated: micro-batches move the running statistics as their concatenation does."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import evenkeel as ek
from evenkeel.errors import BadOption, NonFiniteBatch

SIZES = [5, 2, 9]
RULES: dict[str, dict[str, Any]] = {
    "ema": {},
    "biased": {"running_var": "biased"},
    "cumulative": {"momentum": None},
    "population": {"running": ek.Population()},
    "zero-debiased": {"running": ek.ZeroDebiasedEma(0.3)},
}


def batches(count: int = 3, **kind: Any) -> list[Tensor]:
    generator = torch.Generator().manual_seed(count)
    kind = {"dtype": torch.float64, **kind}
    return [
        torch.randn(sum(SIZES), 3, 2, 4, generator=generator, **kind) * (k + 1) + 100 * k
        for k in range(count)
    ]


def assert_moved_alike(got: nn.Module, want: nn.Module, rtol: float = 1e-12) -> None:
    expected = want.state_dict()
    assert list(got.state_dict()) == list(expected)
    for name, value in got.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=rtol, atol=0, msg=name)


@pytest.mark.parametrize("rule", RULES)
def test_a_step_moves_as_its_whole_batch(rule: str) -> None:
    parts, whole = (ek.BatchNorm2d(3, dtype=torch.float64, **RULES[rule]) for _ in range(2))
    spec = parts.spec
    for x in batches():
        whole(x)
        before = copy.deepcopy(parts.state_dict())
        with ek.accumulated(parts):
            for part in torch.split(x, SIZES):
                parts(part)
            assert all(torch.equal(v, before[n]) for n, v in parts.state_dict().items())
        assert_moved_alike(parts, whole)
    assert parts.spec is spec
    assert vars(parts).keys() - {"_known"} == vars(whole).keys() - {"_known"}


def test_outputs_and_gradients_are_those_without_it() -> None:
    inside, plain = ek.BatchNorm2d(3, activation="relu"), ek.BatchNorm2d(3, activation="relu")
    (x,) = batches(1, dtype=torch.float32)
    with ek.accumulated(inside):
        y = inside(x)
    assert torch.equal(y, plain(x))


def test_every_step_of_an_optimizer_ends_a_step() -> None:
    parts, whole = (ek.BatchNorm2d(3, dtype=torch.float64) for _ in range(2))
    optimizer = torch.optim.SGD(parts.parameters(), 0.0)
    with ek.accumulated(parts, optimizer):
        for x in batches():
            for part in torch.split(x, SIZES):
                parts(part).sum().backward()
            optimizer.step()
            whole(x)
            assert_moved_alike(parts, whole)
        for part in torch.split(x, SIZES):  # a rest without a step: the end of the block is one
            parts(part)
        whole(x)
    assert_moved_alike(parts, whole)
    optimizer.step()
    assert_moved_alike(parts, whole)


def test_masks_and_weights_count_by_what_they_weigh() -> None:
    parts, whole = (ek.BatchNorm2d(3, dtype=torch.float64) for _ in range(2))
    (x,) = batches(1)
    weights = torch.rand(len(x), 2, 4, generator=torch.Generator().manual_seed(0)) + 0.5
    with ek.accumulated(parts):
        for part, some in zip(
            torch.split(x, SIZES), torch.split(weights.double(), SIZES), strict=True
        ):
            parts(part, weights=some)
    whole(x, weights=weights.double())
    assert_moved_alike(parts, whole)


def test_recomputation_gathers_once() -> None:
    for reentrant in (False, True):
        parts, whole = (ek.BatchNorm2d(3, dtype=torch.float64) for _ in range(2))
        (x,) = batches(1)
        with ek.accumulated(parts):
            for part in torch.split(x, SIZES):
                part.requires_grad_()
                checkpoint(parts, part, use_reentrant=reentrant).square().sum().backward()
        whole(x)
        assert_moved_alike(parts, whole)


def test_compiled_layers_gather_without_compiling_anew() -> None:
    parts, whole = ek.BatchNorm2d(3), ek.BatchNorm2d(3)
    torch._dynamo.reset()
    compiled: Callable[[Tensor], Tensor] = torch.compile(parts, backend="eager", fullgraph=True)
    for index, x in enumerate(batches(4, dtype=torch.float32)):
        anew = torch._dynamo.config.patch(error_on_recompile=index > 0)
        with anew, ek.accumulated(parts):
            for part in torch.split(x, 8):
                compiled(part)
        whole(x)
    assert_moved_alike(parts, whole, rtol=1e-5)


def test_a_layer_that_was_not_called_or_does_not_move_stays() -> None:
    model = nn.ModuleDict(
        {
            "unused": ek.BatchNorm1d(3),
            "inference": ek.BatchNorm1d(3).eval(),
            "untracked": ek.BatchNorm1d(3, track_running_stats=False),
            "frozen": ek.FrozenBatchNorm(3),
            "still": ek.BatchNorm1d(3),
        }
    )
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(4, 3)
    with ek.accumulated(model):
        for name in ("inference", "untracked", "frozen"):
            model[name](x)
        with ek.no_update():
            model["still"](x)
    assert_moved_alike(model, model)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())


def test_after_an_error_nothing_has_moved() -> None:
    layer = ek.BatchNorm1d(3)
    before, spec = copy.deepcopy(layer.state_dict()), layer.spec
    with pytest.raises(KeyError), ek.accumulated(layer):
        layer(torch.randn(4, 3))
        raise KeyError
    assert all(torch.equal(v, before[n]) for n, v in layer.state_dict().items())
    assert layer.spec is spec
    assert not [name for name in vars(layer) if name.startswith("_step")]


def test_a_micro_batch_that_is_not_finite_is_left_out() -> None:
    parts, whole = ek.BatchNorm1d(3), ek.BatchNorm1d(3)
    x = torch.randn(4, 3)
    with ek.accumulated(parts):
        parts(x)
        with pytest.warns(NonFiniteBatch):
            parts(torch.full((4, 3), torch.nan))
    whole(x)
    assert_moved_alike(parts, whole, 1e-6)


def test_a_momentum_set_inside_holds_there_and_after() -> None:
    parts, whole = ek.BatchNorm1d(3, momentum=0.1), ek.BatchNorm1d(3, momentum=0.4)
    x = torch.randn(4, 3)
    with ek.accumulated(parts):
        assert parts.momentum == 0.1
        parts.momentum = 0.4
        parts(x)
    whole(x)
    assert_moved_alike(parts, whole, 1e-6)
    assert parts.spec == whole.spec


def test_copies_made_inside_gather_nothing() -> None:
    layer, x = ek.BatchNorm1d(3), torch.randn(4, 3)
    spec = layer.spec
    with ek.accumulated(layer):
        layer(x)
        other = copy.deepcopy(layer)
        file = io.BytesIO()
        torch.save(layer, file)
    file.seek(0)
    for made in (other, torch.load(file, weights_only=False)):
        assert made.spec == spec
        assert made.num_batches_tracked == 0
        made(x)
        assert_moved_alike(made, layer, 1e-6)


def test_layers_that_cannot_wait_are_refused() -> None:
    kinds = nn.BatchNorm1d(3), ek.BatchRenorm(3), ek.GhostBatchNorm(3, ghost_size=2)
    for layer in kinds:
        with pytest.raises(BadOption, match=type(layer).__name__), ek.accumulated(layer):
            pass
    model = ek.BatchNorm1d(3)
    with (
        ek.accumulated(model),
        pytest.raises(BadOption, match="already wait"),
        ek.accumulated(nn.Sequential(model)),
    ):
        pass
    assert model.spec == ek.BatchNorm1d(3).spec
