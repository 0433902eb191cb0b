"""Long runs in a process of their own, which tells its resident memory as it goes."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

import evenkeel as ek


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        ek.BatchNorm2d(8, activation="relu"),
        ek.GhostBatchNorm(8, ghost_size=4),
        ek.BatchRenorm(8, activation="silu"),
        ek.BatchNorm2d(8, running=ek.Population()),
        nn.Flatten(),
        nn.LazyLinear(10),
        ek.BatchNorm1d(10, running=ek.CumulativeAverage()),
    )


def training(*, watched: bool = False) -> Iterator[None]:
    """Steps of training and inference on batches of changing sizes, now and then a bad one."""
    model = network()
    model(torch.randn(8, 1, 12, 12))
    optimizer = torch.optim.Adam(model.parameters())
    with ek.Monitor(model) if watched else nullcontext():
        for step in range(10**9):
            x = torch.randn(8 + 4 * (step % 3), 1, 12, 12)
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            if step % 10 == 0:
                model.eval()(x)
                model.train()
            if step % 50 == 0:
                refused(model)
            yield


def refused(model: nn.Module) -> None:
    """A wrong call: its error must not keep what it was about."""
    try:
        model[1](torch.randn(4, 9, 10, 10))  # type: ignore[index]
    except ValueError:
        return
    raise AssertionError("nine channels were taken for eight")


def session() -> Iterator[None]:
    """Training steps, feeds of changing sizes and wrong ones, in a session of the dialect."""
    import numpy as np

    import evenkeel.tf1 as tf

    x = tf.placeholder(tf.float32, [None, 6])
    training = tf.placeholder(tf.bool)
    y = tf.layers.batch_normalization(tf.layers.dense(x, 8), training=training)
    loss = tf.reduce_mean(tf.square(y - 1.0))
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        step = tf.train.AdamOptimizer().minimize(loss)
    with tf.Session() as running:
        running.run(tf.global_variables_initializer())
        for k in range(10**9):
            values = np.random.default_rng(k).normal(size=(4 + k % 5, 6))
            running.run([step, loss], {x: values, training: True})
            if k % 10 == 0:
                running.run(y, {x: values, training: False})
            if k % 50 == 0:
                with suppress(ValueError):
                    running.run(y, {x: values[:, :5], training: False})
            yield


WORK: dict[str, Callable[[], Iterator[None]]] = {
    "training": training,
    "watched training": lambda: training(watched=True),
    "session": session,
}


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def measure(name: str, warm: int, steps: int, to: Any) -> None:
    """Send the resident memory at ten moments between step ``warm`` and step ``steps``."""
    torch.set_num_threads(1)
    sizes, work = [], WORK[name]()
    marks = {warm + (steps - warm) * k // 9 for k in range(10)}
    for done in range(1, steps + 1):
        next(work)
        if done in marks:
            sizes.append(resident())
    to.send(sizes)


def leaking() -> Iterator[None]:
    """What a test must see: 4 kB a step."""
    kept = []
    while True:
        kept.append(torch.zeros(1024).fill_(1))
        yield


WORK["leaking"] = leaking
