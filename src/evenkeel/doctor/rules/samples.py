"""A healthy layer and a healthy model, as traces: what rules are tried on, a fault at a time."""

from dataclasses import replace
from typing import Any

from evenkeel.doctor.trace import Call, Flow, Layer, Norm, Program, Trace, Update, Worker

BATCHES = 8
CHANNELS = 4
WORKERS = tuple(Worker(rank, 64, {"bn": BATCHES}, {"bn": 0.0}) for rank in range(2))


def layer(path: str = "bn", **faults: Any) -> Layer:
    """A trained layer whose running statistics are its batches', with ``faults`` in their places."""
    return replace(_HEALTHY, path=path, paths=(path,), **faults)


def model(*layers: Layer, **faults: Any) -> Trace:
    """A trained model of these layers, or of a healthy one."""
    whole = Trace(subject="Model", layers=layers or (layer(),), trained=True, sizes=(64,) * BATCHES)
    return replace(whole, **faults)


def flow(**facts: Any) -> Flow:
    """The place of a layer between a convolution without bias and a ReLU."""
    usual = {"before": "Conv2d", "before_path": "conv", "input_axis": 1, "after": "ReLU"}
    return Flow(**{**usual, **facts})


def calls(
    *, mean: float = 0.5, var: float = 1.0, count: int = 4096, swing: float = 0.0
) -> tuple[Call, ...]:
    """Calls with a little noise; ``swing`` moves the mean of every other batch up, and down."""
    return tuple(
        Call(
            batch,
            count,
            tuple(
                mean + 0.01 * ((batch * 3 + c) % 5 - 2) + swing * (-1) ** batch
                for c in range(CHANNELS)
            ),
            tuple(var * (1 + 0.01 * ((batch + 2 * c) % 5 - 2)) for c in range(CHANNELS)),
            (-0.9, 0.1, 1.1),
        )
        for batch in range(BATCHES)
    )


_HEALTHY = Layer(
    path="bn",
    channels=CHANNELS,
    weight=(1.1, 0.9, 1.0, 1.2),
    bias=(0.1, -0.1, 0.0, 0.2),
    running_mean=(0.5, 0.51, 0.49, 0.5),
    running_var=(1.0, 1.01, 0.99, 1.0),
    updates=500,
    calls=calls(),
    evaluations=BATCHES,
    moves=(1,) * BATCHES,
    highest=(3.0, 2.9, 3.1, 2.5),
    var_without_dropout=(1.0, 1.01, 0.99, 1.0),
    flow=flow(),
)


def program(**facts: Any) -> Trace:
    """A program that trained its one normalization as it should."""
    norm = Norm(
        "bn",
        "train.py:3",
        "fed",
        ("training",),
        ("inference",),
        ("bn/moving_mean", "bn/moving_variance"),
    )
    updates = (Update("bn/AssignMovingAvg", "train.py:3", 1),)
    usual = {"path": "train.py", "trained": 1, "updates": updates, "norms": (norm,)}
    return Trace(kind="program", subject="train.py", program=Program(**{**usual, **facts}))
