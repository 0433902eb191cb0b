"""The native kernels and threads: the same bits for any number, from any thread, also after a fork."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

import evenkeel as ek
from evenkeel.kernels import Call, library
from evenkeel.kernels.fused import native as fused
from evenkeel.kernels.plan import plan_of
from evenkeel.threads import borrowed_threads
from oracles import definitions
from oracles.compare import assert_close

MISSING = library.why_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

# Above 65536 values a call uses threads. The larger ones here have more than a million.
SHAPES = {
    "small": (16, 8, 7, 7),
    "planes": (4, 6, 224, 224),
    "rows": (32, 192, 14, 14),
    "matrix": (40_000, 32),
}
LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}
KINDS = [
    (name, layout, dtype)
    for name, shape in SHAPES.items()
    for layout in (LAYOUTS if len(shape) == 4 else ["nchw"])
    for dtype in (torch.float32, torch.bfloat16)
]


def normal(shape: tuple[int, ...], layout: str = "nchw", seed: int = 0) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 3
    return drawn.contiguous(memory_format=LAYOUTS[layout])


def step(x: Tensor, dy: Tensor, residual: Tensor | None = None) -> list[Tensor]:
    """All that a training step produces: y, gradients, running statistics."""
    C = x.shape[1]
    layer = ek.nn.batch_norm.BatchNorm(C, activation="relu")
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, C))
    inputs = [v.detach().requires_grad_() for v in (x, residual) if v is not None]
    y = layer(inputs[0], residual=None if residual is None else inputs[1])
    assert layer.running_mean is not None
    assert layer.running_var is not None
    gradients = torch.autograd.grad(y, [*inputs, layer.weight, layer.bias], dy)
    return [y.detach(), *gradients, layer.running_mean, layer.running_var]


def bits(tensors: list[Tensor]) -> list[Tensor]:
    return [t.contiguous().view(torch.uint8) for t in tensors]


def same(mine: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, bits(mine), bits(other)))


@pytest.mark.parametrize(("name", "layout", "dtype"), KINDS)
def test_the_same_bits_for_any_number_of_threads(
    name: str, layout: str, dtype: torch.dtype
) -> None:
    x, dy = (normal(SHAPES[name], layout, seed).to(dtype) for seed in (0, 1))
    residual = normal(SHAPES[name], layout, 2).to(dtype) if name == "rows" else None
    results = {}
    for number in (1, 2, 3, 7):
        with borrowed_threads(number):
            assert library.threads() == number
            results[number] = step(x, dy, residual)
    assert all(same(results[1], results[number]) for number in results)


@pytest.mark.parametrize("number", [1, 3])
def test_the_same_bits_every_time(number: int) -> None:
    x, dy = (normal((16, 24, 14, 14), seed=seed) for seed in (0, 1))
    with borrowed_threads(number):
        first = step(x, dy)
        assert all(same(first, step(x, dy)) for _ in range(100))


def test_another_result_is_seen() -> None:
    x, dy = normal((16, 8, 7, 7)), normal((16, 8, 7, 7), seed=1)
    other = x.clone()
    other[3, 2, 1, 0] = other[3, 2, 1, 0].nextafter(torch.tensor(9.0))
    assert not same(step(x, dy), step(other, dy))


def test_several_python_threads_get_their_own_results() -> None:
    inputs = [
        (normal((16, 24, 14, 14), seed=s), normal((16, 24, 14, 14), seed=-s)) for s in range(8)
    ]
    alone = [step(*pair) for pair in inputs]

    def work(k: int) -> bool:
        with borrowed_threads(1 + k % 2):  # OpenMP's setting belongs to this Python thread
            return all(same(step(*inputs[k]), alone[k]) for _ in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_several_python_threads_have_their_own_word_on_finite_batches() -> None:
    sane, sick = normal((8, 64, 9, 9)), normal((8, 64, 9, 9))
    sick[3, 2, 1, 0] = torch.nan
    plan = plan_of(Call.of(sane), torch.float32, 1e-5, None)

    def flags(x: Tensor) -> set[bool]:
        return {fused.forward(plan, x, None, None, None, None)[1][1] for _ in range(500)}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(flags, [sane, sick, sane, sick])) == [{True}, {False}] * 2


def test_other_python_threads_run_during_a_call() -> None:
    """While nothing else releases the interpreter's lock, only a call can let the counter move."""
    x = normal((64, 64, 32, 32))
    plan = plan_of(Call.of(x), torch.float32, 0.0, None)
    mean, var, room = torch.empty(64), torch.empty(64), torch.empty(plan.room, dtype=torch.uint8)
    pointers = x.data_ptr(), mean.data_ptr(), var.data_ptr()
    packed = library.MOMENTS.pack(*plan.head, 1, room.data_ptr(), plan.room, *pointers)
    run, done, counted = library.native().moments, threading.Event(), [0]

    def count() -> None:
        while not done.is_set():
            counted[0] += 1
            time.sleep(1e-4)

    before, interval = 0, sys.getswitchinterval()
    counter = threading.Thread(target=count)
    sys.setswitchinterval(1000)  # seconds after which a thread must give up the lock
    counter.start()
    try:
        for _ in range(1000):
            before = counted[0]
            assert run(packed) == 0
            if counted[0] > before:
                break
    finally:
        moved = counted[0] > before
        sys.setswitchinterval(interval)
        done.set()
        counter.join()
    assert moved
    assert_close(
        mean,
        definitions.moments(definitions.channels_last(x, 1))[0],
        1e-6,
        "mean",
        dtype=torch.float32,
    )


# A child forked after threads were at work has none of them.

CHILD = """
import os, signal, torch, evenkeel as ek
torch.set_num_threads(3)
x = torch.randn(16, 24, 32, 32, requires_grad=True)
dy, residual = torch.randn(16, 24, 32, 32), torch.randn(16, 24, 32, 32)
def step():
    layer = ek.BatchNorm2d(24, activation="relu")
    y = layer(x, residual=residual)
    (dx,) = torch.autograd.grad(y, x, dy)
    z = layer.eval()(x.detach())
    made = y.detach(), dx, z.detach(), layer.running_mean, layer.running_var
    return [t.numpy().tobytes() for t in made]
"""
FORK = """
before = step()
child = os.fork()
if not child:
    signal.alarm(30)  # a child that waits for threads it does not have ends here
    os._exit(0 if step() == before else 7)
status = os.waitpid(child, 0)[1]
print("signal", os.WTERMSIG(status), "exit", os.WEXITSTATUS(status), step() == before)
"""
WORKERS = """
from torch.utils.data import DataLoader
layer = ek.BatchNorm2d(24).eval()
class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, k):
        return layer(x.detach() + k).detach(), ek.BatchNorm2d(24)(x.detach() + k).detach()
def joined(rows):
    return layer(torch.cat([row[0] for row in rows])).detach(), torch.cat([row[1] for row in rows])
step()
for number, context in ((2, "fork"), (0, None)):
    made = []
    for batch in DataLoader(Rows(), 2, num_workers=number, collate_fn=joined,
                            multiprocessing_context=context, timeout=30 if number else 0):
        made += [t.numpy().tobytes() for t in batch]
    if number:
        by_workers = made
print(len(made), made == by_workers)
"""


def in_process(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_forked_child_computes_alone() -> None:
    assert in_process(CHILD + FORK) == "signal 0 exit 0 True"


def test_workers_of_a_data_loader_run_layers() -> None:
    assert in_process(CHILD + WORKERS) == "4 True"
