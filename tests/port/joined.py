"""Networks of branches, of recurrent cells, and with statistics over several axes."""

from typing import Any

import evenkeel.tf1 as tf
from port.networks import image, network, training


@network
def split_branches() -> Any:
    x = tf.layers.conv2d(image(4), 6, 3, padding="same")
    first, second = tf.split(x, 2, axis=3)
    left, _, right = tf.split(tf.nn.relu(second), [1, 1, 1], 3)
    x = tf.concat([tf.layers.conv2d(first, 2, 1), right, left], 3)
    return tf.layers.dense(tf.layers.flatten(x), 3)


@network
def unstacked() -> Any:
    x = tf.placeholder(tf.float32, [None, 3, 4], name="sequence")
    first, _, last = tf.unstack(x, axis=1)
    return tf.layers.dense(tf.layers.flatten(tf.stack([last, first], axis=-1)), 2)


def _recurrent(cell: Any) -> Any:
    x = tf.layers.batch_normalization(tf.placeholder(tf.float32, [None, 3, 4], name="sequence"))
    outputs, _ = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32)
    return tf.layers.dense(outputs[-1], 2)


@network
def lstm() -> Any:
    return _recurrent(tf.nn.rnn_cell.BasicLSTMCell(5))


@network
def gru() -> Any:
    return _recurrent(tf.nn.rnn_cell.GRUCell(5))


@network
def plain_recurrent() -> Any:
    return _recurrent(tf.nn.rnn_cell.BasicRNNCell(5))


@network
def norm_over_several_axes() -> Any:
    mode = training()
    x = tf.layers.batch_normalization(image(4, 6), axis=[1, 3], training=mode)
    x = tf.layers.conv2d(x, 3, 3, activation=tf.nn.relu)
    x = tf.layers.batch_normalization(x, axis=[1, 2, 3], training=mode, scale=False)
    return tf.layers.dense(tf.layers.flatten(x), 2)


def words_fed_as_floats() -> Any:
    words = tf.cast(tf.placeholder(tf.float32, [None, 4], name="words"), tf.int32)
    table = tf.Variable(tf.zeros([12, 5]), name="table")
    return tf.layers.dense(tf.layers.flatten(tf.nn.embedding_lookup(table, words)), 2)
