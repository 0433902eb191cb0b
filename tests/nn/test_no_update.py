"""no_update: training as ever, and not a bit of the running statistics moves."""

import copy
import threading

import pytest
import torch
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.nn import BatchNorm2d, BatchRenorm, GhostBatchNorm, Population, ZeroDebiasedEma

X = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1)) + 2
LAYERS = {
    "plain": BatchNorm2d(3, activation="relu"),
    "average": BatchNorm2d(3, momentum=None),
    "population": BatchNorm2d(3, running=Population()),
    "debiased": BatchNorm2d(3, running=ZeroDebiasedEma()),
    "ghost": GhostBatchNorm(3, ghost_size=4),
    "renorm": BatchRenorm(3),
}


def state(layer: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in layer.state_dict().items()}


def count(layer: nn.Module) -> int:
    return int(layer.get_buffer("num_batches_tracked"))


def moved(layer: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {n for n, v in layer.state_dict().items() if not torch.equal(v, before[n])}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients_are_trainings_and_nothing_moves(name: str, masked: bool) -> None:
    if masked and name in ("ghost", "renorm"):
        pytest.skip("takes no mask")
    layer = copy.deepcopy(LAYERS[name])
    layer(X)
    twin, before = copy.deepcopy(layer), state(layer)
    options = {"mask": torch.ones(8, 4, 4, dtype=torch.bool)} if masked else {}
    a, b = X.clone().requires_grad_(), X.clone().requires_grad_()
    with ek.no_update():
        y = layer(a, **options)
    want = twin(b, **options)
    assert torch.equal(y, want)
    assert not moved(layer, before)
    assert "num_batches_tracked" in moved(twin, before)
    (ga,), (gb,) = (torch.autograd.grad((v * v).sum(), x) for v, x in ((y, a), (want, b)))
    assert torch.equal(ga, gb)
    layer(X + 1)
    assert "running_mean" in moved(layer, before)


def test_blocks_nest_and_end_with_an_error() -> None:
    layer = BatchNorm2d(3)
    with ek.no_update():
        with ek.no_update():
            layer(X)
        layer(X)
        assert count(layer) == 0
    with pytest.raises(KeyError), ek.no_update():
        raise KeyError
    layer(X)
    assert count(layer) == 1


def test_other_threads_go_on() -> None:
    layer = BatchNorm2d(3)
    with ek.no_update():
        thread = threading.Thread(target=lambda: layer(X))
        thread.start()
        thread.join()
        layer(X)
    assert count(layer) == 1


def test_many_threads_at_once() -> None:
    layers = [BatchNorm2d(3) for _ in range(8)]

    def work(layer: nn.Module, still: bool) -> None:
        for _ in range(50):
            if still:
                with ek.no_update():
                    layer(X)
            else:
                layer(X)

    threads = [
        threading.Thread(target=work, args=(layer, n % 2 == 0)) for n, layer in enumerate(layers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [count(layer) for layer in layers] == [0, 50] * 4


def test_a_compiled_layer_obeys_too() -> None:
    layer = BatchNorm2d(3)
    compiled = torch.compile(layer, backend="eager")
    compiled(X)
    with ek.no_update():
        compiled(X)
    assert count(layer) == 1
    compiled(X)
    assert count(layer) == 2
