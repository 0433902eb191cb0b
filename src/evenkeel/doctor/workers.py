"""Processes of a distributed run, told to each other: calls of each layer, running means."""

from dataclasses import asdict
from typing import Any

from torch import distributed

from evenkeel.doctor.trace import Layer, Worker
from evenkeel.messages import told


def workers_of(layers: tuple[Layer, ...], images: int) -> tuple[Worker, ...]:
    """What every process saw; () where there is only one. All processes must come here together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ()
    size = distributed.get_world_size()
    if size < 2:
        return ()
    means = {layer.path: layer.running_mean for layer in layers}
    own = Worker(distributed.get_rank(), images, {x.path: len(x.calls) for x in layers}, {})
    every = told((asdict(own), means))
    first = every[0][1]
    scales = {x.path: [(v + x.eps) ** 0.5 for v in x.running_var or ()] for x in layers}
    return tuple(
        Worker(
            **{
                **worker,
                "spread": {p: _apart(m, first.get(p), scales[p]) for p, m in theirs.items()},
            }
        )
        for worker, theirs in every
    )


def _apart(mean: Any, first: Any, scale: list[float]) -> float:
    """The largest distance between two workers' running means, in standard deviations."""
    if not mean or not first or not scale:
        return 0.0
    apart = (abs(a - b) / s for a, b, s in zip(mean, first, scale, strict=True))
    return float(max(apart))
