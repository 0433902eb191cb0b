import random

import numpy as np
import pytest
import torch

from evenkeel.train.rng import borrowed_rng, rng_state, seed_all, set_rng_state


def draw() -> tuple[float, float, float, float, float]:
    return (
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.randn(())),
    )


def test_the_same_seed_gives_the_same_numbers_everywhere() -> None:
    with borrowed_rng():
        seed_all(3)
        first = draw()
        seed_all(3)
        assert draw() == first
        seed_all(4)
        assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_a_state_brings_every_generator_back_in_the_middle_of_a_pair_of_normals() -> None:
    with borrowed_rng():
        seed_all(0)
        draw()  # normals come in pairs: the second of each is now waiting
        state = rng_state()
        first = [draw() for _ in range(3)]
        draw()
        set_rng_state(state)
        assert [draw() for _ in range(3)] == first


def test_a_state_is_made_of_tensors_and_plain_values(tmp_path: object) -> None:
    kinds = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list | tuple):
            for item in value:
                walk(item)
        else:
            kinds.add(type(value))

    walk(rng_state())
    assert kinds <= {torch.Tensor, int, float, str, type(None)}


def test_borrowed_generators_come_back_also_after_an_error() -> None:
    with borrowed_rng():
        seed_all(1)
        expected = draw()
        seed_all(1)
        with pytest.raises(RuntimeError), borrowed_rng():
            seed_all(9)
            draw()
            raise RuntimeError
        assert draw() == expected
