"""`tf.metrics`, `tf.contrib.framework`, `tf.layers` classes, options: what no recorded graph shows."""

import sys

import numpy as np
import pytest

import evenkeel.tf1 as tf


def test_a_metric_adds_up_over_runs() -> None:
    with tf.Graph().as_default() as graph:
        guessed, right = tf.placeholder(tf.int64, [None]), tf.placeholder(tf.int64, [None])
        accuracy, update = tf.metrics.accuracy(right, guessed)
        weighted, move = tf.metrics.mean([1.0, 4.0], weights=[3.0, 1.0])
        precision, count = tf.metrics.precision([True, False, True], [True, True, False])
        start = tf.local_variables_initializer()
        assert tf.global_variables() == []
    with tf.Session(graph=graph) as session:
        session.run(start)
        assert session.run(accuracy) == 0.0
        assert session.run(update, {guessed: [1, 2, 3], right: [1, 2, 0]}) == np.float32(2 / 3)
        assert session.run(update, {guessed: [1], right: [1]}) == np.float32(0.75)
        assert session.run(accuracy) == np.float32(0.75)
        assert session.run([move, weighted])[0] == np.float32(7 / 4)
        session.run(count)
        assert session.run(precision) == np.float32(0.5)


def test_argument_scopes_nest_and_end() -> None:
    framework = tf.contrib.framework

    @framework.add_arg_scope  # type: ignore[untyped-decorator]  # the namespace is dynamic
    def given(a: int, b: int = 0, c: int = 0) -> tuple[int, int, int]:
        return a, b, c

    with framework.arg_scope([given], b=1) as outer:
        assert given(0) == (0, 1, 0)
        with framework.arg_scope([given], c=2):
            assert given(0, b=5) == (0, 5, 2)
        assert given(0) == (0, 1, 0)
    assert given(0) == (0, 0, 0)
    with framework.arg_scope(outer):
        assert given(0) == (0, 1, 0)
    with pytest.raises(ValueError, match="add_arg_scope"), framework.arg_scope([len], x=1):
        pass
    with pytest.raises(RuntimeError), framework.arg_scope([given], b=9):
        raise RuntimeError
    assert given(0) == (0, 0, 0)


def test_a_layer_is_reused_and_knows_its_variables() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3])
        layer = tf.layers.Dense(2, kernel_regularizer=tf.contrib.layers.l2_regularizer(0.1))
        first, second = layer(x), layer(x * 2.0)
        assert [v.name for v in layer.trainable_variables] == ["dense/kernel:0", "dense/bias:0"]
        assert layer.count_params() == 8
        assert len(layer.losses) == len(tf.losses.get_regularization_losses()) == 1
        assert len(tf.global_variables()) == 2
        start = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(start)
        a, b = session.run([first, second], {x: [[1.0, 2.0, 3.0]]})
    assert np.allclose(2 * a, b)
    assert graph.get_operations()[-1].name == "init"


def test_updates_belong_to_the_inputs_they_depend_on() -> None:
    with tf.Graph().as_default():
        x, other = tf.ones([4, 2]), tf.ones([4, 2])
        layer = tf.layers.BatchNormalization()
        layer(x, training=True)
        assert len(layer.get_updates_for(x)) == 2
        assert layer.get_updates_for(other) == layer.get_updates_for(None) == []
        frozen = tf.layers.BatchNormalization(trainable=False)
        frozen(x, training=True)
        assert tf.get_collection(tf.GraphKeys.UPDATE_OPS) == layer.updates
        assert frozen.updates == []


def test_channels_first_layers_give_what_channels_last_gives() -> None:
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(3)
        x = tf.random_normal([4, 6, 6, 3], seed=1)
        turned = tf.transpose(x, [0, 3, 1, 2])
        start = tf.random_normal_initializer(seed=5)
        given = {"kernel_initializer": start, "padding": "same"}
        last = tf.layers.conv2d(x, 5, 3, **given)
        first = tf.layers.conv2d(turned, 5, 3, data_format="channels_first", **given)
        normal = tf.layers.batch_normalization(last, training=True)
        channels = tf.layers.batch_normalization(first, axis=1, training=True)
        pooled = tf.layers.max_pooling2d(normal, 2, 2)
        other = tf.layers.max_pooling2d(channels, 2, 2, data_format="channels_first")
        initial = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(initial)
        a, b = session.run([pooled, tf_transposed(other)])
    assert np.allclose(a, b, atol=1e-5)


def tf_transposed(x: object) -> object:
    with tf.get_default_graph().as_default(), x.graph.as_default():  # type: ignore[attr-defined]
        return tf.transpose(x, [0, 2, 3, 1])


def test_options_are_read_once_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["p", "--steps=5", "--fast", "rest"])
    tf.flags.DEFINE_integer("steps", 3, "how many")
    tf.flags.DEFINE_boolean("fast", False, "or slow")
    tf.flags.DEFINE_float("rate", 0.5, "of learning")
    flags = tf.app.flags.FLAGS
    assert (flags.steps, flags.fast, flags.rate) == (5, True, 0.5)
    flags.rate = 0.1
    assert tf.flags.FLAGS.rate == 0.1
    with pytest.raises(AttributeError, match="Unknown"):
        _ = flags.nothing
    with pytest.raises(SystemExit) as left:
        tf.app.run(lambda words: len(words), ["p", "rest"])
    assert left.value.code == 2


@pytest.mark.parametrize(
    "name", ["nn.relux", "layers.dens", "losses.mse", "contrib.crf", "math.ad", "random.unifrm"]
)
def test_a_missing_name_says_so(name: str) -> None:
    space, _, last = name.rpartition(".")
    module = getattr(tf, space)
    with pytest.raises(AttributeError, match=f"tf.{name}"):
        getattr(module, last)


def test_the_namespaces_share_one_function() -> None:
    assert tf.math.reduce_sum is tf.reduce_sum
    assert tf.nn.softmax is tf.math.softmax
    assert tf.random.uniform is tf.random_uniform
    assert tf.contrib.slim.conv2d is tf.contrib.layers.conv2d
    assert tf.initializers.zeros is tf.zeros_initializer


def test_train_ops_move_weights_and_averages() -> None:
    for way in ("training", "slim", "optimize_loss"):
        with tf.Graph().as_default() as graph:
            x = tf.constant([[1.0, 2.0], [3.0, 5.0]])
            y = tf.contrib.layers.batch_norm(x, decay=0.5)
            loss = tf.reduce_sum(tf.contrib.layers.fully_connected(y, 1, activation_fn=None) ** 2)
            step = tf.train.get_or_create_global_step()
            optimizer = tf.train.GradientDescentOptimizer(0.1)
            if way == "training":
                train = tf.contrib.training.create_train_op(loss, optimizer)
            elif way == "slim":
                train = tf.contrib.slim.learning.create_train_op(loss, optimizer)
            else:
                train = tf.contrib.layers.optimize_loss(loss, None, 0.1, "SGD", clip_gradients=1.0)
            start = tf.global_variables_initializer()
            (average,) = tf.contrib.framework.get_variables_by_name("moving_mean")
        with tf.Session(graph=graph) as session:
            session.run(start)
            first = session.run(train)
            assert session.run(train) < first, way
            assert session.run(step) == 2
            assert np.allclose(session.run(average), [1.5, 2.625]), way
