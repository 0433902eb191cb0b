"""``tf.train``: optimizers' options, averages, savers, train operations, summaries."""

import struct
from pathlib import Path
from typing import Any

import pytest

import evenkeel.tf1 as tf
from evenkeel.checkpoint import Bundle
from evenkeel.checkpoint.checksum import masked


def test_minimize_counts_steps_and_enters_the_collection() -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        w = tf.Variable([2.0])
        step = tf.train.get_or_create_global_step()
        op = tf.train.MomentumOptimizer(0.1, 0.9).minimize(w * w, global_step=step)
        session.run(tf.global_variables_initializer())
        session.run(op)
        assert session.run(step) == 1
        assert tf.train.global_step(session, step) == 1
        assert graph.get_collection("train_op") == [op]
        with pytest.raises(ValueError, match="already exists"):
            tf.train.create_global_step()


def test_slots_and_their_names() -> None:
    with tf.Graph().as_default():
        w = tf.Variable([2.0], name="w")
        opt = tf.train.AdamOptimizer()
        opt.minimize(w * w)
        assert opt.get_slot_names() == ["m", "v"]
        assert [opt.get_slot(w, n).op.name for n in ("m", "v")] == ["w/Adam", "w/Adam_1"]
        names = ["beta1_power:0", "beta2_power:0", "w/Adam:0", "w/Adam_1:0"]
        assert [v.name for v in opt.variables()] == names
        assert opt.get_slot(w, "other") is None


def test_a_constraint_is_applied_after_the_step() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable([1.0, -3.0], constraint=lambda v: tf.maximum(v, 0.0))
        op = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(w * w * 0.5))
        session.run(tf.global_variables_initializer())
        session.run(op)
        assert session.run(w).tolist() == [0.5, 0.0]


def test_refusals_of_optimizers() -> None:
    with tf.Graph().as_default():
        opt = tf.train.GradientDescentOptimizer(0.1)
        with pytest.raises(ValueError, match="No variables to optimize"):
            opt.minimize(tf.constant(1.0))
        w = tf.Variable([1.0])
        with pytest.raises(ValueError, match="No gradients provided for any variable"):
            opt.minimize(tf.constant(1.0))
        with pytest.raises(ValueError, match="No variables provided"):
            opt.apply_gradients([])
        with pytest.raises(ValueError, match="gate_gradients must be one of"):
            opt.compute_gradients(w, gate_gradients=7)
        with pytest.raises(ValueError, match="must be equal, but are 1 and 2"):
            opt.apply_gradients([(tf.constant([1.0, 2.0]), w)])


def test_a_rate_by_pieces() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int32, [])
        rate = tf.train.piecewise_constant(step, [5, 10], [1.0, 0.5, 0.25])
        found = [session.run(rate, {step: n}) for n in (0, 5, 6, 10, 11)]
    assert found == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_a_rate_may_be_fed() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        rate, w = tf.placeholder(tf.float32, []), tf.Variable(1.0)
        op = tf.train.GradientDescentOptimizer(rate).minimize(w)
        session.run(tf.global_variables_initializer())
        session.run(op, {rate: 0.25})
        session.run(op, {rate: 0.5})
        assert session.run(w) == 0.25


def test_averages_of_variables_and_their_names() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w, n = tf.Variable(1.0, name="w"), tf.Variable(2, trainable=False, name="n")
        ema = tf.train.ExponentialMovingAverage(0.9, num_updates=n)
        update = ema.apply()
        saver = tf.train.Saver(ema.variables_to_restore())
        session.run(tf.global_variables_initializer())
        session.run(w.assign(13.0))
        session.run(update)
        assert session.run(ema.average(w)) == pytest.approx(1.0 + 12.0 * (1 - 3.0 / 12.0))
        assert ema.average_name(w) == "w/ExponentialMovingAverage"
        assert sorted(ema.variables_to_restore()) == ["n", "w/ExponentialMovingAverage"]
        assert tf.moving_average_variables() == [w]
        assert saver is not None
        with pytest.raises(ValueError, match="already computed"):
            ema.apply([w])
        with pytest.raises(TypeError, match="half, float, or double"):
            ema.apply([n])


def test_averages_of_variables_start_from_their_values_and_need_no_correction() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(1.0)
        ema = tf.train.ExponentialMovingAverage(0.5, zero_debias=True)
        update = ema.apply([w])
        session.run(tf.global_variables_initializer())
        session.run(w.assign(3.0))
        session.run(update)
        assert session.run(ema.average(w)) == 2.0


def saved(folder: Path, **options: Any) -> tuple[Any, Any, Any]:
    """A graph with one variable, its session and a saver."""
    w = tf.Variable([1.0, 2.0], name="w")
    saver, session = tf.train.Saver(**options), tf.Session()
    session.run(tf.global_variables_initializer())
    return w, saver, session


def test_savers_keep_the_last_few(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        w, saver, session = saved(tmp_path, max_to_keep=2)
        for step in range(4):
            session.run(w.assign([float(step), 0.0]))
            path = saver.save(session, str(tmp_path / "model"), global_step=step)
        assert path == str(tmp_path / "model-3") == tf.train.latest_checkpoint(str(tmp_path))
        assert [Path(p).name for p in saver.last_checkpoints] == ["model-2", "model-3"]
        assert not (tmp_path / "model-1.index").exists()
        state = tf.train.get_checkpoint_state(str(tmp_path))
        assert state.model_checkpoint_path == path
        saver.restore(session, str(tmp_path / "model-2"))
        assert session.run(w).tolist() == [2.0, 0.0]
        assert Bundle(path)["w"].tolist() == [3.0, 0.0]
        assert tf.train.list_variables(path) == [("w", [2])]
        assert tf.train.load_variable(str(tmp_path), "w").tolist() == [3.0, 0.0]
        assert tf.train.NewCheckpointReader(path).get_variable_to_shape_map() == {"w": [2]}


def test_refusals_of_savers(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="No variables to save"):
            tf.train.Saver()
        w, saver, session = saved(tmp_path)
        with pytest.raises(ValueError, match="not a valid checkpoint"):
            saver.restore(session, str(tmp_path / "nothing"))
        with pytest.raises(ValueError, match="when it is None"):
            saver.restore(session, None)
        path = saver.save(session, str(tmp_path / "m"))
        other = tf.Variable([0.0], name="other")
        with pytest.raises(tf.errors.NotFoundError, match="Key other not found"):
            tf.train.Saver([other]).restore(session, path)
        wrong = tf.train.Saver({"w": other})
        with pytest.raises(tf.errors.InvalidArgumentError, match="rhs shape= "):
            wrong.restore(session, path)
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value other"):
            tf.train.Saver([w, other]).save(session, str(tmp_path / "n"))


def train_ops() -> list[Any]:
    """The three ways to make a train operation."""
    return [
        lambda loss, opt: tf.contrib.training.create_train_op(loss, opt),
        lambda loss, opt: tf.contrib.slim.learning.create_train_op(
            loss, opt, clip_gradient_norm=100.0, gradient_multipliers={"w": 1.0}
        ),
        lambda loss, opt: tf.contrib.layers.optimize_loss(
            loss, tf.train.get_or_create_global_step(), None, opt, clip_gradients=100.0
        ),
    ]


@pytest.mark.parametrize("way", range(3))
def test_train_operations_run_the_updates_first(way: int) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w, seen = tf.Variable(3.0, name="w"), tf.Variable(0.0, trainable=False)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, seen.assign_add(1.0))
        op = train_ops()[way](w * w, tf.train.GradientDescentOptimizer(0.5))
        session.run(tf.global_variables_initializer())
        assert session.run(op) == 9.0
        assert session.run([w, seen, tf.train.get_global_step()]) == [0.0, 1.0, 1]


def test_coordinators_without_queues() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(sess=session, coord=coord)
        with coord.stop_on_exception():
            raise KeyError("x")
        assert coord.should_stop()
        with pytest.raises(KeyError):
            coord.join(threads)


def records(path: Path) -> list[bytes]:
    """The records of an event file, with their checksums checked."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        assert struct.unpack_from("<I", data, place + 8)[0] == masked(data[place : place + 8])
        body = data[place + 12 : place + 12 + length]
        assert struct.unpack_from("<I", data, place + 12 + length)[0] == masked(body)
        found.append(body)
        place += 16 + length
    return found


def test_summaries_are_written_as_event_files(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        assert tf.summary.merge_all() is None
        tf.summary.scalar("loss", tf.constant(0.5))
        tf.summary.histogram("values", tf.constant([1.0, 2.0, 3.0]))
        data = session.run(tf.summary.merge_all())
        with tf.summary.FileWriter(str(tmp_path), session.graph) as writer:
            writer.add_summary(data, 7)
    (path,) = tmp_path.iterdir()
    first, *graphs, second = records(path)
    assert len(graphs) == 2  # the graph, and the same as a meta graph
    assert first[9:].endswith(b"brain.Event:2")
    assert second[9:11] == b"\x10\x07"  # the step
    assert b"\n\x04loss\x15" + struct.pack("<f", 0.5) in second
    assert struct.pack("<d", 14.0) in second  # the sum of squares


def test_a_missing_name_is_named() -> None:
    for space, name in ((tf.train, "AdamOptimiser"), (tf.summary, "image_"), (tf.contrib, "x")):
        with pytest.raises(AttributeError, match="is not in this dialect"):
            getattr(space, name)
