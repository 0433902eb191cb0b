"""The arrays that real TensorFlow 1.15.5 computed: random numbers, initial values, forward passes."""

from pathlib import Path
from typing import Any

import numpy as np

import evenkeel.tf1 as tf
from oracles.tensorflow import Recorded, recorded

BUDGET = 1e-5  # largest difference over largest value, for each array


def error(found: Any, expected: Any) -> float:
    """Infinite where types or shapes differ, or where one is not a number and the other is."""
    found = np.asarray(found)
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return float("inf")
    if expected.dtype.kind in "bi":
        return float(np.any(found != expected))
    difference = np.abs(found.astype(float) - expected.astype(float)).max()
    scale = np.abs(expected.astype(float)).max() or 1.0
    return float("inf") if np.isnan(difference) else float(difference / scale)


def worst(case: Recorded, graph: Any, fetches: dict[str, Any]) -> dict[str, float]:
    with tf.Session(graph=graph) as session:
        if graph.get_collection("variables"):
            with graph.as_default():
                start = tf.variables_initializer(tf.global_variables())
            session.run(start)
        values = session.run(fetches)
    errors = {name: error(value, case.arrays[name].numpy()) for name, value in values.items()}
    return {name: e for name, e in errors.items() if not e <= BUDGET}


def random_op(name: str, seed: int | None) -> Any:
    return {
        "random_uniform": lambda: tf.random_uniform([5, 7], -2, 3, seed=seed),
        "random_normal": lambda: tf.random_normal([5, 7], 1.0, 2.0, seed=seed),
        "truncated_normal": lambda: tf.truncated_normal([300], stddev=0.05, seed=seed),
        "random_uniform_int": lambda: tf.random_uniform([40], 0, 1000, tf.int32, seed=seed),
        "random_uniform_f64": lambda: tf.random_uniform([9], dtype=tf.float64, seed=seed),
        "random_shuffle": lambda: tf.random_shuffle(tf.range(50), seed=seed),
    }[name]


def test_random_numbers_are_tensorflows(shared: Path) -> None:
    for case in recorded(shared, "random"):
        meta = case.parameters
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(meta["graph_seed"]) if meta["graph_seed"] is not None else None
            tf.constant(0)  # one precedes it
            drawn = random_op(case.name.split("/")[1], meta["op_seed"])()
        with tf.Session(graph=graph) as session:
            runs = [session.run(drawn), session.run(drawn)]
        for run, value in zip(("run1", "run2"), runs, strict=True):
            assert error(value, case.arrays[run].numpy()) <= 1e-6, case.name


def test_initial_values_are_tensorflows(shared: Path) -> None:
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(42)
        x = tf.placeholder(tf.float32, [None, 20])
        y = tf.layers.dense(x, 8, name="d1")
        y = tf.layers.batch_normalization(y, name="bn1")
        tf.layers.dense(y, 3, use_bias=False, name="d2")
        tf.get_variable("xavier", [6, 5], initializer=tf.contrib.layers.xavier_initializer())
        scaling = tf.variance_scaling_initializer(2.0)
        tf.get_variable("he", [3, 3, 4, 5], initializer=scaling)
        tf.Variable(tf.truncated_normal([3, 3, 2, 4], stddev=0.05), name="tn")
        fetches = {v.op.name.replace("/", "."): v for v in tf.global_variables()}
    (case,) = recorded(shared, "init")
    assert worst(case, graph, fetches) == {}


def test_fused_batch_norm_is_tensorflows(shared: Path) -> None:
    for case in recorded(shared, "fused_batch_norm"):
        meta = case.parameters
        x, scale, offset, mean, variance = (
            case.arrays[k].numpy() for k in ("x", "scale", "offset", "mean", "variance")
        )
        given = {} if meta["is_training"] else {"mean": mean, "variance": variance}
        with tf.Graph().as_default() as graph:
            outputs = tf.nn.fused_batch_norm(
                x, scale, offset, epsilon=meta["epsilon"], is_training=meta["is_training"], **given
            )
            turned = tf.nn.fused_batch_norm(
                tf.transpose(x, [0, 3, 1, 2]), scale, offset, epsilon=meta["epsilon"],
                is_training=meta["is_training"], data_format="NCHW", **given,
            )  # fmt: skip
            both = [outputs[0], tf.transpose(turned[0], [0, 2, 3, 1])]
        for y in both:
            fetches = {"y": y}
            if meta["is_training"]:  # else TensorFlow's own are memory that it never wrote
                fetches |= {"batch_mean": outputs[1], "batch_var": outputs[2]}
            assert worst(case, graph, fetches) == {}, case.name


def test_moments_are_tensorflows(shared: Path) -> None:
    for case in recorded(shared, "moments"):
        axes = case.parameters["axes"]
        with tf.Graph().as_default() as graph:
            x = tf.constant(case.arrays["x"].numpy())
            mean, variance = tf.nn.moments(x, axes, keep_dims=True)
            weighted = tf.nn.weighted_moments(x, axes, tf.abs(x) + 0.1)
            y = tf.nn.batch_normalization(x, mean, variance, 0.3, 1.7, 0.001)
            fetches = {
                "mean": mean, "variance": variance, "weighted_mean": weighted[0],
                "weighted_variance": weighted[1], "y": y,
            }  # fmt: skip
        assert worst(case, graph, fetches) == {}, case.name


def test_local_response_normalization_is_tensorflows(shared: Path) -> None:
    for case in recorded(shared, "lrn"):
        given = {k: v for k, v in case.parameters.items() if k != "dy"}
        with tf.Graph().as_default() as graph:
            fetches = {"y": tf.nn.lrn(case.arrays["x"].numpy(), **given)}
        assert worst(case, graph, fetches) == {}, case.name


def test_convolutions_and_pooling_are_tensorflows(shared: Path) -> None:
    for case in recorded(shared, "conv"):
        meta = case.parameters
        x, w, padding = case.arrays["x"].numpy(), case.arrays["w"].numpy(), meta["padding"]
        steps, window = [1, meta["stride"], meta["stride"], 1], [1, 3, 3, 1]
        with tf.Graph().as_default() as graph:
            fetches = {
                "conv": tf.nn.conv2d(x, w, steps, padding),
                "max_pool": tf.nn.max_pool(x, window, steps, padding),
                "avg_pool": tf.nn.avg_pool(x, window, steps, padding),
                "depthwise": tf.nn.depthwise_conv2d(x, w, steps, padding),
            }
        assert worst(case, graph, fetches) == {}, case.name


def test_channels_first_is_channels_last(shared: Path) -> None:
    case = next(c for c in recorded(shared, "conv") if c.name == "conv/SAME_s2_7x8")
    x, w = case.arrays["x"].numpy(), case.arrays["w"].numpy()
    with tf.Graph().as_default() as graph:
        turned = tf.transpose(x, [0, 3, 1, 2])
        steps, window = [1, 1, 2, 2], [1, 1, 3, 3]
        made = {
            "conv": tf.nn.conv2d(turned, w, steps, "SAME", data_format="NCHW"),
            "max_pool": tf.nn.max_pool(turned, window, steps, "SAME", data_format="NCHW"),
            "avg_pool": tf.nn.avg_pool(turned, window, steps, "SAME", data_format="NCHW"),
        }
        fetches = {name: tf.transpose(t, [0, 2, 3, 1]) for name, t in made.items()}
    assert worst(case, graph, fetches) == {}


def test_losses_are_tensorflows(shared: Path) -> None:
    (case,) = recorded(shared, "losses")
    with tf.Graph().as_default() as graph:
        logits = tf.constant(case.arrays["logits"].numpy())
        labels = case.arrays["labels"].numpy()
        hot = tf.one_hot(labels, 5)
        fetches = {
            "softmax": tf.nn.softmax(logits),
            "softmax_ce": tf.nn.softmax_cross_entropy_with_logits(labels=hot, logits=logits),
            "sparse_ce": tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=labels, logits=logits
            ),
            "sigmoid_ce": tf.nn.sigmoid_cross_entropy_with_logits(labels=hot, logits=logits),
            "in_top_1": tf.nn.in_top_k(logits, labels, 1),
            "l2_loss": tf.nn.l2_loss(logits),
            "elu": tf.nn.elu(logits),
            "l2_normalize": tf.nn.l2_normalize(logits, 1),
        }
    assert worst(case, graph, fetches) == {}


def test_a_wrong_value_is_seen() -> None:
    right = np.array([1.0, 2.0], np.float32)
    assert error(right, right) == 0.0
    assert error(right * np.float32(1.001), right) > BUDGET
    assert error(right.astype(np.float64), right) == float("inf")
    assert error(np.array([1.0, np.nan], np.float32), right) == float("inf")
    assert error(np.array([1, 2]), np.array([1, 3])) == 1.0


def trained(case: Recorded) -> dict[str, float]:
    """Six steps of SGD with a normalization layer, then inference: the worst error of each array."""
    given, arrays = dict(case.parameters["kwargs"]), {k: v.numpy() for k, v in case.arrays.items()}
    if given.get("activation_fn") == "relu":
        given["activation_fn"] = tf.nn.relu
    with tf.Graph().as_default() as graph:
        size = arrays["xs"].shape[1] if "virtual_batch_size" in given else None
        x = tf.placeholder(tf.float32, [size, *arrays["xs"].shape[2:]])
        training = tf.placeholder(tf.bool)
        if case.name.startswith("layers"):
            y = tf.layers.batch_normalization(x, training=training, name="bn", **given)
        else:
            y = tf.contrib.layers.batch_norm(x, is_training=training, scope="bn", **given)
        loss = tf.reduce_mean(tf.square(y - 0.25) * arrays["loss_weights"])
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            step = tf.train.GradientDescentOptimizer(0.3).minimize(loss)
        by_name = {v.op.name: v for v in tf.global_variables()}
        kept = {key: by_name[name] for key, name in case.parameters["vars"].items()}
        start = tf.global_variables_initializer()
    worst: dict[str, float] = {}
    with tf.Session(graph=graph) as session:
        session.run(start)
        for turn, batch in enumerate(arrays["xs"]):
            seen = {"ys": session.run([y, step], {x: batch, training: True})[0]}
            seen |= {f"var.{key}": session.run(v) for key, v in kept.items()}
            for key, value in seen.items():
                worst[key] = max(worst.get(key, 0.0), error(value, arrays[key][turn]))
        tested = session.run(y, {x: arrays["x_test"], training: False})
    return worst | {"y_test": error(tested, arrays["y_test"])}


def test_training_with_the_layers_is_tensorflows(shared: Path) -> None:
    families = ("layers_batch_normalization", "contrib_batch_norm")
    for case in [c for family in families for c in recorded(shared, family)]:
        assert {k: e for k, e in trained(case).items() if not e <= BUDGET} == {}, case.name
