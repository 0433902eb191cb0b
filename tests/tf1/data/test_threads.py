"""What runs beside the session: prefetching, parallel functions, generators, errors in them."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.ops.shuffling import Draws, shuffled


def run(dataset: Any, count: int) -> list[Any]:
    with tf.Session() as session:
        following = dataset.make_one_shot_iterator().get_next()
        return [session.run(following) for _ in range(count)]


@pytest.fixture(autouse=True)
def graph() -> Any:
    with tf.Graph().as_default() as made:
        yield made


def test_prefetched_elements_are_computed_on_another_thread_in_order() -> None:
    threads = set()

    def seen(x: Any) -> Any:
        threads.add(threading.get_ident())
        return x

    dataset = tf.data.Dataset.range(50).map(lambda x: tf.py_func(seen, [x], tf.int64)).prefetch(4)
    assert run(dataset, 50) == list(range(50))
    assert threads
    assert threading.get_ident() not in threads


def test_a_parallel_map_keeps_the_order_and_uses_several_threads() -> None:
    both = threading.Barrier(2, timeout=20)

    def meet(x: Any) -> Any:
        both.wait()  # returns only where two calls run at once
        return x

    dataset = tf.data.Dataset.range(20).map(
        lambda x: tf.py_func(meet, [x], tf.int64), num_parallel_calls=2
    )
    assert run(dataset, 20) == list(range(20))


def test_an_error_comes_where_its_element_would() -> None:
    def bad(x: Any) -> Any:
        if x == 2:
            raise ValueError("two")
        return x

    mapped = tf.data.Dataset.range(5).map(lambda x: tf.py_func(bad, [x], tf.int64))
    for dataset in (mapped, mapped.prefetch(2)):
        with tf.Session() as session:
            following = dataset.make_one_shot_iterator().get_next()
            assert [session.run(following) for _ in range(2)] == [0, 1]
            with pytest.raises(tf.errors.InvalidArgumentError, match="two"):
                session.run(following)
            assert session.run(following) == 3
    rest = mapped.apply(tf.data.experimental.ignore_errors())
    assert run(rest, 4) == [0, 1, 3, 4]


def test_a_generator_begins_anew_for_each_pass_and_is_checked() -> None:
    begun = []

    def numbers() -> Iterator[int]:
        begun.append(True)
        yield from range(2)

    assert run(tf.data.Dataset.from_generator(numbers, tf.int32).repeat(2), 4) == [0, 1, 0, 1]
    assert len(begun) == 2
    for values, shape, words in (
        ([[1, 2]], [3], "of shape"), (["x"], [], "could not be converted"),
    ):  # fmt: skip
        dataset = tf.data.Dataset.from_generator(lambda v=values: iter(v), tf.int32, shape)
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            run(dataset, 1)
    pair = tf.data.Dataset.from_generator(lambda: iter([1]), (tf.int32, tf.int32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected structure"):
        run(pair, 1)


def test_a_string_handle_chooses_the_dataset() -> None:
    handle = tf.placeholder(tf.string, [])
    one = tf.data.Dataset.range(3).make_one_shot_iterator()
    two = tf.data.Dataset.range(10, 13).make_initializable_iterator()
    chosen = tf.data.Iterator.from_string_handle(handle, tf.int64, []).get_next()
    with tf.Session() as session:
        session.run(two.initializer)
        handles = session.run([one.string_handle(), two.string_handle()])
        order = [session.run(chosen, {handle: handles[i]}) for i in (0, 1, 1, 0)]
        assert order == [0, 10, 11, 1]
        with pytest.raises(tf.errors.NotFoundError):
            session.run(chosen, {handle: "none"})


def test_a_function_reads_variables_and_what_is_fed() -> None:
    weight, fed = tf.Variable(2, dtype=tf.int64), tf.placeholder(tf.int64, [])
    dataset = tf.data.Dataset.range(3).map(lambda x: x * weight + fed).shuffle(3, seed=1).repeat(2)
    iterator = dataset.make_initializable_iterator()
    following = iterator.get_next()
    with tf.Session() as session:
        session.run(weight.initializer)
        session.run(iterator.initializer, {fed: 100})
        assert sorted(session.run(following) for _ in range(3)) == [100, 102, 104]


def test_sessions_are_apart() -> None:
    following = tf.data.Dataset.range(3).make_one_shot_iterator().get_next()
    with tf.Session() as one, tf.Session() as two:
        assert [int(one.run(following)), int(one.run(following)), int(two.run(following))] == [
            0,
            1,
            0,
        ]


def test_a_cache_is_filled_by_a_whole_pass() -> None:
    drawn = tf.data.Dataset.range(3).map(lambda x: tf.random_uniform([])).cache().repeat(2)
    found = run(drawn, 6)
    assert found[:3] == found[3:]
    assert len(set(found)) == 3
    with pytest.raises(tf.errors.UnimplementedError, match="memory"):
        run(tf.data.Dataset.range(3).cache("/tmp/kept"), 1)


def test_without_seeds_no_two_passes_are_alike() -> None:
    dataset = tf.data.Dataset.range(100).shuffle(100)
    first, second = run(dataset, 100), run(dataset, 100)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


@pytest.mark.parametrize(("size", "passes"), [(1, 3), (7, 2), (64, 3)])
def test_a_shuffle_keeps_every_element_and_the_passes_in_order(size: int, passes: int) -> None:
    found = list(shuffled(lambda: iter(range(20)), size, Draws((3, 4)), passes))
    for index in range(passes):
        assert sorted(found[20 * index : 20 * index + 20]) == list(range(20))
    if size == 1:
        assert found == list(range(20)) * passes


def test_arrays_are_not_copied_from_batch_to_batch() -> None:
    data = np.arange(12, dtype=np.float32).reshape(6, 2)
    batches = run(tf.data.Dataset.from_tensor_slices(data).batch(4), 2)
    np.testing.assert_array_equal(np.concatenate(batches), data)
    batches[0][:] = 0
    assert run(tf.data.Dataset.from_tensor_slices(data).batch(4), 1)[0][1, 1] == 3.0
