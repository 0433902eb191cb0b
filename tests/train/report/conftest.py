"""Records as runs leave them: a good run, a comparison, a failed check, a run of one step."""

import math
import random

import pytest

from evenkeel.train.records import (
    Evaluation,
    InferenceCheck,
    LayerGap,
    Percentiles,
    RunResult,
    TrainRow,
)


def train_rows(steps: int, rate: float, noise: random.Random) -> tuple[TrainRow, ...]:
    rows = []
    for step in range(1, steps + 1):
        level = 0.02 + 0.7 * math.exp(-step / rate)
        loss = level * math.exp(noise.gauss(0, 0.25))
        rows.append(TrainRow(step, loss, min(1.0, max(0.0, 1 - level)), 0.002))
    return tuple(rows)


def evaluations(steps: int, rate: float, final: float) -> tuple[Evaluation, ...]:
    return tuple(
        Evaluation(step, 0.03 + 0.6 * math.exp(-step / rate), final * (1 - math.exp(-step / rate)))
        for step in range(50, steps + 1, 50)
    )


def percentiles(steps: int, drift: float, noise: random.Random) -> tuple[Percentiles, ...]:
    rows, middle = [], 0.0
    for step in range(0, steps + 1, 10):
        middle += noise.gauss(drift, abs(drift) + 0.01)
        low, high = middle - 1 - noise.random() / 9, middle + 1 + noise.random() / 9
        rows.append(Percentiles(step, low, middle, high))
    return tuple(rows)


def layer_gaps(number: int, noise: random.Random) -> tuple[LayerGap, ...]:
    return tuple(
        LayerGap(
            f"features.{3 * index}.bn",
            4 * index,
            abs(noise.gauss(0.08, 0.04)),
            abs(noise.gauss(0.12, 0.06)),
            800,
        )
        for index in range(1, number + 1)
    )


def built(*, batch_norm: bool, layers: int, seed: int, rate: float, final: float) -> RunResult:
    noise, steps = random.Random(seed), 800
    gaps = layer_gaps(layers, noise)
    curve = evaluations(steps, rate, final)
    reason = "98 of 100 predictions agree with those from batch statistics"
    return RunResult(
        label=f"conv20: {'batch normalization before the activation' if batch_norm else 'biases'}",
        recipe="conv20",
        batch_norm=batch_norm,
        placement="before",
        data="digits",
        steps=steps,
        batch_size=64,
        lr=0.002,
        seed=7,
        threads=2,
        device="cpu",
        seconds=62.4,
        train=train_rows(steps, rate, noise),
        evaluations=curve,
        probe="features.56.bn",
        percentiles=percentiles(steps, 0.0 if batch_norm else 0.04, noise),
        valid_accuracy=curve[-1].accuracy,
        test_accuracy=final + 0.002,
        check=InferenceCheck(100, 0.96, 98 if gaps else 100, gaps, True, reason),
    )


@pytest.fixture(scope="session")
def run() -> RunResult:
    return built(batch_norm=True, layers=20, seed=1, rate=60.0, final=0.973)


@pytest.fixture(scope="session")
def plain() -> RunResult:
    return built(batch_norm=False, layers=0, seed=2, rate=300.0, final=0.941)


@pytest.fixture(scope="session")
def failed() -> RunResult:
    layers = (
        LayerGap("stem.bn", 8, 0.04, 0.11, 800),
        LayerGap("body.1.bn", 16, 3.25, 2.5, 800),
        LayerGap("body.2.bn", 16, 0.9, 1.75, 0),
        LayerGap("body.3.bn", 16, 0.61, 0.2, 4),
    )
    good = built(batch_norm=True, layers=4, seed=3, rate=60.0, final=0.2)
    values = {name: getattr(good, name) for name in RunResult.__slots__}
    values["check"] = InferenceCheck(100, 0.12, 9, layers, False, "only 9 of 100 agree")
    return RunResult(**values)


@pytest.fixture(scope="session")
def one_step() -> RunResult:
    nan = math.nan
    layers = (
        LayerGap("<script>alert(1)</script>", 8, math.inf, nan, 1),
        LayerGap("$x_1$ & \x07 a path far too long for the axis.of.any.figure", 8, 0.9, 2.1, 1),
    )
    return RunResult(
        label="<b>bold</b>",
        recipe="conv20",
        batch_norm=True,
        placement="after",
        data="/home/me/'my' data & more",
        steps=1,
        batch_size=1,
        lr=0.002,
        seed=0,
        threads=1,
        device="cuda",
        seconds=0.41,
        train=(TrainRow(1, 0.69, 0.0, 0.002),),
        evaluations=(),
        probe="head",
        percentiles=(Percentiles(1, nan, nan, nan),),
        valid_accuracy=nan,
        test_accuracy=0.1,
        check=InferenceCheck(100, 0.1, 12, layers, False, "only 12 of 100 agree"),
    )
