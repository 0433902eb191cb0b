"""Training against TensorFlow 1.15.5: whole training graphs node for node, steps value for value."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from tf1 import graphs, snippet

EDGES = 8  # TensorFlow keeps more edges than this in an order of addresses


def conv_nn() -> Any:
    """A convolution, batch normalization by hand in the branches of a cond."""
    x, training = tf.placeholder(tf.float32, [None, 28, 28, 1]), tf.placeholder(tf.bool)
    kernel = tf.Variable(tf.truncated_normal([3, 3, 1, 4], stddev=0.1))
    h = tf.nn.conv2d(x, kernel, [1, 2, 2, 1], "SAME")
    scale, beta = tf.Variable(tf.ones([4])), tf.Variable(tf.zeros([4]))
    mean = tf.Variable(tf.zeros([4]), trainable=False)
    var = tf.Variable(tf.ones([4]), trainable=False)

    def of_the_batch() -> Any:
        m, v = tf.nn.moments(h, [0, 1, 2])
        updates = [
            tf.assign(mean, mean * 0.999 + m * 0.001),
            tf.assign(var, var * 0.999 + v * 0.001),
        ]
        with tf.control_dependencies(updates):
            return tf.nn.batch_normalization(h, m, v, beta, scale, 1e-3)

    def of_the_averages() -> Any:
        return tf.nn.batch_normalization(h, mean, var, beta, scale, 1e-3)

    return tf.nn.relu(tf.cond(training, of_the_batch, of_the_averages))


def conv_layers() -> Any:
    """The layers of tf.layers."""
    x, training = tf.placeholder(tf.float32, [None, 28, 28, 1]), tf.placeholder(tf.bool)
    h = tf.layers.conv2d(x, 4, 3, strides=2, padding="same", use_bias=False)
    h = tf.nn.relu(tf.layers.batch_normalization(h, training=training))
    h = tf.layers.max_pooling2d(h, 2, 2)
    return tf.layers.dense(tf.layers.flatten(h), 10)


def conv_contrib() -> Any:
    """The layers of tf.contrib.layers."""
    x, training = tf.placeholder(tf.float32, [None, 28, 28, 1]), tf.placeholder(tf.bool)
    layers = tf.contrib.layers
    norm = {"normalizer_fn": layers.batch_norm}
    params = {"is_training": training}
    h = layers.conv2d(x, 4, 3, normalizer_params=params | {"scale": True}, **norm)
    return layers.fully_connected(layers.flatten(h), 10, normalizer_params=params, **norm)


def dnn_elu() -> Any:
    """The dense network of dnn_elu.py."""
    x = tf.placeholder(tf.float32, shape=(None, 784), name="X")
    y = tf.placeholder(tf.int32, shape=(None), name="y")
    training = tf.placeholder_with_default(False, shape=(), name="training")
    with tf.name_scope("dnn"):
        h = x
        for name, units in (("hidden1", 300), ("hidden2", 100)):
            h = tf.layers.dense(h, units, name=name)
            h = tf.nn.elu(tf.layers.batch_normalization(h, training=training, momentum=0.9))
        logits = tf.layers.dense(h, 10, name="outputs")
        tf.layers.batch_normalization(logits, training=training, momentum=0.9)
    with tf.name_scope("loss"):
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        loss = tf.reduce_mean(loss, name="loss")
    with tf.name_scope("optimize"):
        tf.train.GradientDescentOptimizer(0.01).minimize(loss)
    with tf.name_scope("eval"):
        correct = tf.nn.in_top_k(logits, y, 1)
        return tf.reduce_mean(tf.cast(correct, tf.float32))


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes, those of many edges with their control inputs sorted."""
    many = [len(r["control"]) + len(r["inputs"]) > EDGES for r in rows]
    return [
        r | {"control": sorted(r["control"])} if m else r for r, m in zip(rows, many, strict=True)
    ]


@pytest.mark.parametrize("network", [conv_nn, conv_layers, conv_contrib, dnn_elu])
def test_whole_training_graphs_are_tensorflows(network: Callable[[], Any], shared: Path) -> None:
    with tf.Graph().as_default() as graph:
        out = network()
        if network is not dnn_elu:
            loss = tf.reduce_mean(out)
            with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
                tf.train.AdamOptimizer(1e-3).minimize(loss)
    expected = ordered(graphs.expected(shared, f"{network.__name__}: whole program"))
    found = ordered(json.loads(json.dumps(snippet.described(graph))))
    assert [r for r, e in zip(found, expected, strict=True) if r != e] == []


@cache
def recorded(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recorded arrays, and the parameters of each case."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(bytes(arrays.pop("meta")).decode())


def error(found: Any, expected: Any) -> float:
    """The largest difference over the largest value; a difference in shape or a NaN is infinite."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max(initial=0) / max(np.abs(expected).max(), 1e-30))


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "GradientDescent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "Momentum": lambda: tf.train.MomentumOptimizer(0.1, 0.9),
    "Nesterov": lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "Adam": lambda: tf.train.AdamOptimizer(0.01),
    "Adam_eps": lambda: tf.train.AdamOptimizer(0.01, 0.8, 0.9, epsilon=0.01),
    "RMSProp": lambda: tf.train.RMSPropOptimizer(0.01),
    "RMSProp_c": lambda: tf.train.RMSPropOptimizer(0.01, 0.8, 0.5, centered=True),
    "Adagrad": lambda: tf.train.AdagradOptimizer(0.1),
    "Adadelta": lambda: tf.train.AdadeltaOptimizer(0.5),
    "Ftrl": lambda: tf.train.FtrlOptimizer(
        0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.02
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_take_tensorflows_steps(name: str, shared: Path) -> None:
    arrays, meta = recorded(shared / "oracle" / "tf115_ops.npz")
    case = {
        k.rpartition("/")[2]: v for k, v in arrays.items() if k.startswith(f"optimizer/{name}/")
    }
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(case["w0"])
        loss = tf.reduce_mean(tf.square(tf.tanh(tf.matmul(case["A"], w)) - 0.3))
        step = OPTIMIZERS[name]().minimize(loss)
        session.run(tf.global_variables_initializer())
        values, losses = [], []
        for _ in case["w"]:
            losses.append(session.run([loss, step])[0])
            values.append(session.run(w))
        names = [v.op.name for v in tf.global_variables()]
    assert error(values, case["w"]) <= 1e-5
    assert sorted(names) == sorted(meta[f"optimizer/{name}"]["global_variables"])


def layer_cases() -> list[str]:
    """The recorded cases of six steps; their names, so that they are read only where needed."""
    layers = "default mom09 conv axis1 conv_unfused nocenter noscale renorm renorm_conv virtual"
    contrib = "default scale conv conv_unfused zero_debias renorm nchw_unfused relu"
    return [f"layers_batch_normalization/{n}" for n in [*layers.split(), "multiaxis"]] + [
        f"contrib_batch_norm/{n}" for n in contrib.split()
    ]


@pytest.mark.parametrize("case", layer_cases())
def test_six_steps_of_batch_normalization(case: str, shared: Path) -> None:
    arrays, meta = recorded(shared / "oracle" / "tf115_ops.npz")
    given = {k.removeprefix(f"{case}/"): v for k, v in arrays.items() if k.startswith(f"{case}/")}
    kwargs = dict(meta[case]["kwargs"])
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, *given["xs"].shape[2:]])
        training = tf.placeholder(tf.bool, [])
        y = normalized(case, x, training, kwargs)
        loss = tf.reduce_mean(tf.square(y - 0.25) * given["loss_weights"])
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            step = tf.train.GradientDescentOptimizer(0.3).minimize(loss)
        session.run(tf.global_variables_initializer())
        by_name = {v.op.name: v for v in tf.global_variables()}
        names = meta[case]["vars"]
        found: dict[str, list[Any]] = {"ys": [], **{f"var.{k}": [] for k in names}}
        for batch in given["xs"]:
            found["ys"].append(session.run([y, step], {x: batch, training: True})[0])
            for key, name in names.items():
                found[f"var.{key}"].append(session.run(by_name[name]))
        found["y_test"] = session.run(y, {x: given["x_test"], training: False})
    errors = {key: error(values, given[key]) for key, values in found.items()}
    assert max(errors.values()) <= 1e-5, errors


def normalized(case: str, x: Any, training: Any, kwargs: dict[str, Any]) -> Any:
    """The layer of a case."""
    if case.startswith("layers"):
        return tf.layers.batch_normalization(x, training=training, name="bn", **kwargs)
    if "activation_fn" in kwargs:
        kwargs["activation_fn"] = getattr(tf.nn, kwargs["activation_fn"])
    return tf.contrib.layers.batch_norm(x, is_training=training, scope="bn", **kwargs)
