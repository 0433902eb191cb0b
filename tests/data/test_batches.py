"""Batches: a pure function of (seed, step), full, shuffled, and alone with its randomness."""

import pickle
import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.data import Batches, Split
from evenkeel.errors import BadOption

# Seed 2026, 12 images, batches of 6: steps 0 to 2.
RECORDED = [[11, 0, 9, 10, 3, 6], [1, 2, 5, 4, 8, 7], [8, 4, 5, 7, 1, 11]]


def numbered(count: int) -> Split:
    """Images that hold their own place, so that a batch shows where it came from."""
    places = torch.arange(count)
    return Split(places.float().reshape(-1, 1, 1, 1), places % 10)


def epoch(batches: Batches, number: int) -> list[int]:
    steps = range(number * batches.steps_per_epoch, (number + 1) * batches.steps_per_epoch)
    return [int(place) for step in steps for place in batches.indices(step)]


@settings(deadline=None)
@given(
    count=st.integers(1, 40),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**64 - 1),
    start=st.integers(0, 60),
    length=st.integers(0, 20),
)
def test_a_run_resumed_anywhere_sees_the_batches_of_the_whole_run(
    count: int, size: int, seed: int, start: int, length: int
) -> None:
    split, size, stop = numbered(count), min(size, count), start + length
    whole = list(Batches(split, size, seed=seed, stop=stop))
    resumed = Batches(split, size, seed=seed, start=start, stop=stop)
    assert len(whole) == stop
    assert len(resumed) == len(list(resumed)) == length
    for (images, labels), (again, same) in zip(whole[start:], resumed, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, same)


@settings(deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 60), seed=st.integers(0, 2**64 - 1))
def test_an_epoch_shows_each_image_at_most_once_in_full_batches(
    count: int, size: int, seed: int
) -> None:
    size = min(size, count)
    batches = Batches(numbered(count), size, seed=seed, stop=0)
    assert batches.steps_per_epoch == count // size
    for number in range(3):
        places = epoch(batches, number)
        assert len(set(places)) == len(places) == count // size * size
        assert set(places) <= set(range(count))


def test_images_and_labels_stay_together() -> None:
    for images, labels in Batches(numbered(23), 5, seed=3, stop=9):
        assert images.shape == (5, 1, 1, 1)
        assert torch.equal(images.flatten().long() % 10, labels)


def test_steps_may_be_asked_for_in_any_order() -> None:
    split = numbered(10)
    forward = [Batches(split, 3, seed=1, stop=9).indices(step) for step in range(9)]
    batches = Batches(split, 3, seed=1, stop=9)
    for step in (8, 8, 0, 4, 8, 1, 3, 0):
        chosen = batches.indices(step)
        assert torch.equal(chosen, forward[step])
        chosen.zero_()  # a caller's own tensor, not the cached permutation


def test_epochs_and_seeds_differ_also_beyond_32_bits() -> None:
    split = numbered(100)
    orders = {
        (seed, number): tuple(epoch(Batches(split, 10, seed=seed, stop=0), number))
        for seed in (0, 1, 2, 2**32, 2**32 + 1, 2**63)
        for number in range(4)
    }
    assert len(set(orders.values())) == len(orders)
    assert tuple(range(100)) not in orders.values()


def test_every_image_comes_first_equally_often() -> None:
    batches = Batches(numbered(8), 8, seed=5, stop=0)
    first = Counter(epoch(batches, number)[0] for number in range(4000))
    # 500 each, standard deviation 21.
    assert sorted(first) == list(range(8))
    assert max(abs(times - 500) for times in first.values()) < 4 * 21


def test_the_left_over_images_of_one_epoch_are_not_those_of_the_next() -> None:
    batches = Batches(numbered(10), 7, seed=0, stop=0)
    seen = {place for number in range(6) for place in epoch(batches, number)}
    assert seen == set(range(10))


def test_the_order_is_the_same_in_every_version() -> None:
    # A recorded run resumes and repeats only while these stay what they are.
    batches = Batches(numbered(12), 6, seed=2026, stop=3)
    recorded = [batches.indices(step).tolist() for step in range(3)]
    assert recorded == RECORDED


def test_no_other_generator_is_moved_or_read() -> None:
    split = numbered(30)
    plain = [images for images, _ in Batches(split, 4, seed=9, stop=20)]
    torch.manual_seed(77)
    np.random.seed(77)
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()
    for images, (again, _) in zip(plain, Batches(split, 4, seed=9, stop=20), strict=True):
        assert torch.equal(images, again)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == pickle.dumps(np.random.get_state())
    assert before[2] == random.getstate()


@pytest.mark.parametrize("size", [-1, 0, 11])
def test_a_batch_size_outside_the_split_is_refused(size: int) -> None:
    with pytest.raises(BadOption, match=f"batch_size={size}"):
        Batches(numbered(10), size, seed=0, stop=1)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_outside_64_bits_is_refused(seed: int) -> None:
    with pytest.raises(BadOption, match="a seed is"):
        Batches(numbered(10), 2, seed=seed, stop=1)


@pytest.mark.parametrize(("start", "stop"), [(-1, 4), (5, 4)])
def test_steps_out_of_order_are_refused(start: int, stop: int) -> None:
    with pytest.raises(BadOption, match=f"start={start}, stop={stop}"):
        Batches(numbered(10), 2, seed=0, start=start, stop=stop)


def test_a_negative_step_is_refused() -> None:
    with pytest.raises(BadOption, match="counted from 0"):
        Batches(numbered(10), 2, seed=0, stop=1).indices(-1)
