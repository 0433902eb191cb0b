"""Run as a program under either TensorFlow: writes a small network, or takes one over and trains on.

usage: exchange.py MODULE write|read FOLDER. Both halves leave their numbers in FOLDER as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 5


def data() -> tuple[Any, Any]:
    """A batch of pictures with labels."""
    rng = np.random.RandomState(3)
    return rng.randn(16, 8, 8, 1).astype(np.float32), rng.randint(0, 4, 16)


def network(tf: Any) -> None:
    """A convolution with batch normalization, averages of all weights, a trained loop, branches."""
    x = tf.placeholder(tf.float32, [None, 8, 8, 1], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    training = tf.placeholder_with_default(False, [], name="training")
    h = tf.layers.conv2d(x, 4, 3, padding="same", use_bias=False, name="conv")
    h = tf.nn.relu(tf.layers.batch_normalization(h, training=training, name="bn"))
    h = tf.cond(training, lambda: h * 2.0 - h, lambda: h, name="choice")
    mix = tf.get_variable("mix", [4], initializer=tf.constant_initializer([0.5, 1.0, -0.5, 0.25]))

    def turn(i: Any, v: Any) -> Any:
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: v * mix + h, lambda: tf.tanh(v))

    _, h = tf.while_loop(lambda i, _: i < 3, turn, [0, tf.zeros_like(h)], name="loop")
    logits = tf.layers.dense(tf.layers.flatten(h), 4, name="logits")
    tf.identity(logits, name="out")
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    tf.identity(loss, name="loss")
    step = tf.train.get_or_create_global_step()
    average = tf.train.ExponentialMovingAverage(0.9)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train = tf.train.MomentumOptimizer(0.002, 0.9).minimize(loss, global_step=step)
    with tf.control_dependencies([train]):
        moved = average.apply(tf.trainable_variables())
    tf.add_to_collection("moved", moved)
    tf.add_to_collection("numbers", 7)
    tf.add_to_collection("texts", "plain")


def numbers(tf: Any, session: Any) -> dict[str, Any]:
    """The logits, and those after more training."""
    x, y = data()
    before = session.run("out:0", {"x:0": x})
    move = tf.get_collection("moved")[0]
    feeds = {"x:0": x, "y:0": y, "training:0": True}
    losses = []
    for _ in range(STEPS):
        losses.append(float(session.run("loss:0", feeds)))
        session.run(move, feeds)
    after = session.run("out:0", {"x:0": x})
    step = session.run(tf.get_collection("global_step")[0])
    return {"before": before.tolist(), "losses": losses, "after": after.tolist(), "step": int(step)}


def write(tf: Any, folder: Path) -> None:
    """Train a little, save a checkpoint, a frozen graph and a saved model, then train on."""
    x, y = data()
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.set_random_seed(5)
        network(tf)
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        feeds = {"x:0": x, "y:0": y, "training:0": True}
        for _ in range(3):
            session.run(tf.get_collection("moved")[0], feeds)
        saver.save(session, str(folder / "model"))
        ends = {"x": graph.get_tensor_by_name("x:0")}, {"out": graph.get_tensor_by_name("out:0")}
        tf.saved_model.simple_save(session, str(folder / "saved"), *ends)
        frozen = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["out"]
        )
        tf.train.write_graph(frozen, str(folder), "frozen.pb", as_text=False)
        found = numbers(tf, session)
    with (folder / "written.json").open("w") as file:
        json.dump(found, file)


def read(tf: Any, folder: Path) -> None:
    """Take over all that `write` left."""
    x, _ = data()
    found: dict[str, Any] = {}
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(str(folder / "model.meta"))
        saver.restore(session, str(folder / "model"))
        found["meta"] = numbers(tf, session)
        found["names"] = {
            key: [v.name for v in tf.get_collection(key)]
            for key in ("variables", "trainable_variables", "moving_average_variables")
        }
        found["others"] = [tf.get_collection("numbers"), str(tf.get_collection("texts")[0])]
    with tf.Graph().as_default(), tf.Session() as session:
        message = tf.GraphDef()
        with (folder / "frozen.pb").open("rb") as file:
            message.ParseFromString(file.read())
        (out,) = tf.import_graph_def(message, return_elements=["out:0"], name="frozen")
        found["frozen"] = session.run(out, {"frozen/x:0": x}).tolist()
    with tf.Graph().as_default(), tf.Session() as session:
        message = tf.saved_model.loader.load(session, ["serve"], str(folder / "saved"))
        signature = message.signature_def["serving_default"]
        names = signature.inputs["x"].name, signature.outputs["out"].name
        found["saved"] = session.run(names[1], {names[0]: x}).tolist()
    with (folder / "read.json").open("w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[2]](
        importlib.import_module(sys.argv[1]), Path(sys.argv[3])
    )
