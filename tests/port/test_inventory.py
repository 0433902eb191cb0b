"""Tensors sorted by their names, and what looks wrong about them."""

import numpy as np
import pytest

from evenkeel.port.inventory import Entry, inventory
from evenkeel.port.suspicions import Suspicion, by_shape, by_value


def entries(*names: str, size: int = 8) -> list[Entry]:
    return [Entry(n, (3, size) if "kernel" in n else (size,), "float32") for n in names]


TF = ("conv/kernel", "bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance")
TORCH = ("c.kernel", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


@pytest.mark.parametrize("names", [TF, TORCH])
def test_layers_are_put_together(names: tuple[str, ...]) -> None:
    found = inventory(
        [*entries(*names), Entry("fc.weight", (4, 8), "f"), Entry("fc.bias", (4,), "f")]
    )
    assert [(n.name, n.channels, set(n.parts)) for n in found.norms] == [
        ("bn", 8, {"weight", "bias", "mean", "var"})
    ]
    assert not by_shape(found)


def test_averages_and_slots_are_told_apart() -> None:
    more = ("conv/kernel/Adam", "conv/kernel/Adam_1", "train/conv/kernel/Momentum", "beta1_power",
            "global_step", "conv/kernel/ExponentialMovingAverage")  # fmt: skip
    found = inventory(entries(*TF, *more))
    assert found.averages == {"conv/kernel/ExponentialMovingAverage": "conv/kernel"}
    assert found.slots == {
        "beta1_power": "", "conv/kernel/Adam": "conv/kernel", "conv/kernel/Adam_1": "conv/kernel",
        "global_step": "", "train/conv/kernel/Momentum": "conv/kernel",
    }  # fmt: skip
    assert {e.name for e in found.weights} == set(TF)


def test_layers_are_listed_in_the_order_of_numbers() -> None:
    found = inventory(entries("bn_10/gamma", "bn_9/gamma", "bn/gamma"))
    assert [n.name for n in found.norms] == ["bn", "bn_9", "bn_10"]


def kinds(suspicions: list[Suspicion]) -> dict[str, float]:
    return {s.kind: s.number for s in suspicions}


def values(**changed: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {n: rng.uniform(0.5, 2, (3, 8) if "kernel" in n else (8,)) for n in TF}
    return made | {n.replace("__", "/"): v for n, v in changed.items()}


def seen(made: dict[str, np.ndarray]) -> dict[str, float]:
    found = inventory(Entry(n, v.shape, str(v.dtype)) for n, v in made.items())
    return kinds([*by_shape(found), *by_value(found, made.get)])


def test_healthy_weights_raise_no_suspicion() -> None:
    assert not seen(values())


def test_each_suspicion_has_its_number() -> None:
    zeros, ones = np.zeros(8), np.ones(8)
    assert seen(values(bn__moving_mean=zeros, bn__moving_variance=ones)) == {"never-moved": 0.0}
    bad = ones.copy()
    bad[[1, 5]] = np.nan, np.inf
    assert seen(values(bn__gamma=bad)) == {"non-finite": 2.0}
    assert seen(values(bn__moving_variance=-ones)) == {"negative-variance": -1.0}
    assert seen(values(bn__moving_variance=zeros)) == {"zero-variance": 8.0}
    without = values()
    del without["bn/moving_mean"], without["bn/moving_variance"]
    assert seen(without) == {"without-statistics": 2.0}
    assert seen(values(bn__gamma=np.ones(5))) == {"unequal-lengths": 8.0}
    assert seen(values(conv__kernel=np.ones((3, 7)))) == {"unmatched": 8.0}
    shadow = {"conv__kernel__ExponentialMovingAverage": np.zeros((3, 8))}
    assert seen(values(**shadow)) == {"stale-average": 0.0}


def test_one_step_from_the_initial_values_is_no_suspicion() -> None:
    moved = values(bn__moving_mean=np.full(8, 1e-7), bn__moving_variance=np.ones(8))
    assert "never-moved" not in seen(moved)
