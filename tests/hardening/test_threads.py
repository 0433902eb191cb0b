"""Many Python threads: one model for all in inference, one each in training; and other processes."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.threads import borrowed_threads

THREADS, ROUNDS = 8, 12


def network(seed: int = 0) -> nn.Module:
    """Every kind of layer that keeps a plan, a step or statistics of its own."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False),
        ek.BatchNorm2d(8, activation="relu"),
        ek.GhostBatchNorm(8, ghost_size=2),
        ek.BatchRenorm(8, activation="silu"),
        ek.BatchNorm2d(8, running=ek.Population()),
        nn.Conv2d(8, 4, 1),
        ek.BatchNorm2d(4, momentum=None),
    )


def images(seed: int, size: int = 6) -> Tensor:
    return torch.randn(size, 2, 9, 8, generator=torch.Generator().manual_seed(seed))


def trained(model: nn.Module, seed: int) -> list[Tensor]:
    """The outputs of some steps on batches of changing sizes; the model is left without gradients."""
    outputs = []
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for step in range(ROUNDS):
        y = model(images(100 * seed + step, size=4 + 2 * (step % 3)))
        y.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        outputs.append(y.detach())
    return outputs


def together(work: Callable[[int], Any]) -> list[Any]:
    """The work of all threads, begun at the same moment."""
    start = Barrier(THREADS)

    def begun(k: int) -> Any:
        start.wait(60)
        return work(k)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begun, range(THREADS)))


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def test_eight_threads_through_one_model_in_inference() -> None:
    """Batches of all sizes: what a layer learnt of one thread's is wrong for another's."""
    model = network()
    trained(model, 1)
    model.eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}

    def work(k: int) -> list[Tensor]:
        with torch.inference_mode() if k % 2 else torch.no_grad():
            return [model(images(1000 * k + n, size=1 + (k + n) % 5)) for n in range(ROUNDS)]

    for got, want in zip(together(work), map(work, range(THREADS)), strict=True):
        assert all(map(torch.equal, got, want))
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_eight_threads_that_train_a_model_each() -> None:
    # Initial weights come from torch's one generator: the networks are made before.
    alone, side_by_side = ([network(k) for k in range(THREADS)] for _ in range(2))
    want = [trained(model, k) for k, model in enumerate(alone)]
    got = together(lambda k: trained(side_by_side[k], k))
    for k in range(THREADS):
        assert all(map(torch.equal, got[k], want[k]))
        pairs = alone[k].state_dict().values(), side_by_side[k].state_dict().values()
        assert all(map(torch.equal, *pairs))


def step(state: dict[str, Any]) -> list[Tensor]:
    """One training step of a network with this state, its images large enough for threads."""
    model: Any = network()
    model.load_state_dict(state)
    x = torch.randn(16, 2, 64, 64, generator=torch.Generator().manual_seed(3))
    y = model(x)
    y.square().mean().backward()
    return [y.detach(), model[0].weight.grad, model[1].running_var]


def send_step(state: dict[str, Any], to: Any) -> None:
    torch.set_num_threads(
        1
    )  # as in a DataLoader's worker: torch's own operators would wait for ever
    to.send([t.numpy() for t in step(state)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.* multi-threaded, use of fork:DeprecationWarning")
def test_a_child_process_computes_the_same(method: str) -> None:
    """After threads were at work here."""
    state = network(2).state_dict()
    with borrowed_threads(2):
        step(state)
    with borrowed_threads(1):
        want = step(state)
    context: Any = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=send_step, args=(state, there), daemon=True)
    child.start()
    there.close()
    try:
        assert here.poll(120), "the child does not answer"
        got = here.recv()
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
    assert all(torch.equal(torch.from_numpy(a), b) for a, b in zip(got, want, strict=True))
