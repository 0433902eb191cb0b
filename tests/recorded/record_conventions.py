"""Records what other frameworks' batch normalization does, for tests/test_conventions.py.

usage: PYTHON record_conventions.py PART [FILE.json]
Run each part under a Python that has the frameworks named in its function; the part's cases are
merged into the file. Needs no evenkeel. Python 3.7 and newer: TensorFlow 1.15 ends there.
"""

from __future__ import annotations

import importlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple  # noqa: UP035 -- Python 3.7

import numpy as np

Step = Callable[[Any, bool], Tuple[Any, Any, Any]]  # noqa: UP006 -- Python 3.7
Case = Tuple[str, Dict[str, Any]]  # noqa: UP006 -- Python 3.7
STEPS = 3
CENTRE = np.array([3.0, -1.0, 0.5], np.float32)
SHAPES = {2: (4, 3), 3: (3, 2, 3), 4: (2, 2, 2, 3), 5: (2, 2, 1, 2, 3)}


def batches(rank: int, *, tiny: bool = False) -> Any:
    """Training batches and one for inference, channels last; tiny: variance 4e-6, so eps shows."""
    noise = np.random.RandomState(rank).standard_normal((STEPS + 1, *SHAPES[rank]))
    return (noise * 2e-3 if tiny else noise * 2.0 + CENTRE).astype(np.float32)


def case(
    made_by: str, row: str, note: str, rank: int, step: Step, *, tiny: bool = False, **given: float
) -> Case:
    """Train a layer on every batch but the last, infer on the last, keep all that it shows."""
    x = batches(rank, tiny=tiny)
    # copied at once: some frameworks hand out the variable that the next step overwrites
    shown = [[np.array(v) for v in step(batch, True)] for batch in x[:-1]]
    ys, means, variances = (np.stack(column) for column in zip(*shown))  # noqa: B905 -- Python 3.7
    kept = {"made_by": made_by, "row": row, "rank": rank, "tiny": tiny, "given": given}
    arrays = {"ys": ys, "running_mean": means, "running_var": variances}
    arrays["y_test"] = np.asarray(step(x[-1], False)[0])
    rounded = {k: np.asarray(v, np.float32).tolist() for k, v in arrays.items()}
    name = " ".join(filter(None, [row, note, "tiny" if tiny else ""]))
    return f"{name}, rank {rank}", {**kept, **rounded}


def graph(build: Callable[[Any, Any], Any], rank: int) -> Step:
    """One step of a TensorFlow 1 graph; ``build`` gives the output and the averages' updates."""
    tf = importlib.import_module("tensorflow")
    with tf.Graph().as_default():
        shown = tf.placeholder(tf.float32, (None, *SHAPES[rank][1:]))
        training = tf.placeholder(tf.bool, ())
        y, updates = build(shown, training)
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        named = {v.op.name: v for v in tf.global_variables()}
        (mean,) = (v for n, v in named.items() if n.endswith(("moving_mean", "mean/EMA")))
        (var,) = (v for n, v in named.items() if n.endswith(("moving_variance", "variance/EMA")))
        session.run(tf.get_collection("once"))

    def step(batch: Any, train: bool) -> tuple[Any, Any, Any]:
        fetched = [y, updates] if train else [y]
        out = session.run(fetched, {shown: batch, training: train})[0]
        return (out, *session.run([mean, var]))

    return step


def tf115() -> Iterator[Case]:
    """TensorFlow 1.15.5 with TFLearn 0.5.0."""
    tf = importlib.import_module("tensorflow")
    tflearn = importlib.import_module("tflearn")
    contrib = importlib.import_module("tensorflow.contrib.layers")
    v1, v2 = tf.compat.v1.keras.layers, tf.compat.v2.keras.layers

    def collected(y: Any) -> Any:
        return y, tf.get_collection(tf.GraphKeys.UPDATE_OPS)

    def through(layer: Any, x: Any, training: Any) -> Any:
        return layer(x, training=training), layer.updates

    def learned(x: Any, training: Any) -> Any:
        mode = tflearn.get_training_mode()
        with tf.control_dependencies([tf.assign(mode, training)]):
            y = tflearn.batch_normalization(tf.identity(x))
        # gamma is drawn at random; these cases are recorded with gamma = 1
        tf.add_to_collection("once", y.gamma.assign(tf.ones(3)))
        return y, tf.no_op()

    builds: dict[str, Callable[..., Any]] = {
        "tf.layers": lambda x, t, **k: collected(tf.layers.batch_normalization(x, training=t, **k)),
        "tf.contrib.layers": lambda x, t, **k: collected(contrib.batch_norm(x, is_training=t, **k)),
        "tf1.keras": lambda x, t, **k: through(v1.BatchNormalization(**k), x, t),
        "tf1.keras v2": lambda x, t, **k: through(v2.BatchNormalization(**k), x, t),
        "tflearn": learned,
    }
    for name, build in builds.items():
        row, _, note = name.partition(" ")
        fixed = row == "tflearn"
        raised, given = ({}, {}) if fixed else ({"epsilon": 1e-6}, {"eps": 1e-6})
        for rank in SHAPES:
            tiny = graph(partial(build, **raised), rank)
            made_by = "TensorFlow " + tf.__version__
            yield case(made_by, row, note, rank, graph(build, rank))
            yield case(made_by, row, note, rank, tiny, tiny=True, **given)
    yield _tflearn_gamma(tf, tflearn)


def _tflearn_gamma(tf: Any, tflearn: Any) -> Case:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        y = tflearn.batch_normalization(tf.zeros((2, 200)))
        session.run(tf.global_variables_initializer())
        return "tflearn gamma", {"made_by": "TFLearn 0.5.0", "gamma": session.run(y.gamma).tolist()}


def tensorpack() -> Iterator[Case]:
    """Version 0.11 of tensorpack on TensorFlow 1.15.5."""
    tf = importlib.import_module("tensorflow")
    models = importlib.import_module("tensorpack.models")
    tower = importlib.import_module("tensorpack.tfutils.tower")

    def build(x: Any, training: Any) -> Any:
        with tower.TowerContext("", is_training=True):
            trained = models.BatchNorm("bn", x)
        scope = tower.TowerContext("", is_training=False)
        with scope, tf.variable_scope(tf.get_variable_scope(), reuse=True):
            inferred = models.BatchNorm("bn", x)
        y = tf.cond(training, lambda: tf.identity(trained), lambda: tf.identity(inferred))
        return y, tf.get_collection(tf.GraphKeys.UPDATE_OPS)

    for rank in (2, 4):
        for tiny in (False, True):
            yield case("tensorpack 0.11", "tensorpack", "", rank, graph(build, rank), tiny=tiny)


def _keras(package: str, row: str) -> Iterator[Case]:
    keras = importlib.import_module(package)

    def eager(**given: float) -> Step:
        layer = keras.layers.BatchNormalization(**given)
        return lambda x, t: (layer(x, training=t), layer.moving_mean, layer.moving_variance)

    for rank in SHAPES:
        made_by = f"{package} {keras.__version__}"
        yield case(made_by, row, "", rank, eager())
        yield case(made_by, row, "", rank, eager(epsilon=1e-6), tiny=True, eps=1e-6)


def keras2() -> Iterator[Case]:
    """Keras 2 on TensorFlow 2, from the package tf_keras."""
    return _keras("tf_keras", "keras2")


def keras3() -> Iterator[Case]:
    """Keras 3."""
    return _keras("keras", "keras3")


def flax() -> Iterator[Case]:
    """Flax: linen and nnx."""
    made_by = "Flax " + importlib.import_module("flax").__version__
    for rank in SHAPES:
        for tiny in (False, True):
            yield case(made_by, "flax", "linen", rank, _linen(batches(rank)[0]), tiny=tiny)
            yield case(made_by, "flax", "nnx", rank, _nnx(), tiny=tiny)


def _linen(x: Any) -> Step:
    layer = importlib.import_module("flax.linen").BatchNorm()
    key = importlib.import_module("jax").random.PRNGKey(0)
    state = layer.init(key, x, use_running_average=False)

    def step(x: Any, train: bool) -> tuple[Any, Any, Any]:
        y, moved = layer.apply(state, x, use_running_average=not train, mutable=["batch_stats"])
        state.update(moved)
        return y, moved["batch_stats"]["mean"], moved["batch_stats"]["var"]

    return step


def _nnx() -> Step:
    nnx = importlib.import_module("flax.nnx")
    layer = nnx.BatchNorm(3, rngs=nnx.Rngs(0))

    def step(x: Any, train: bool) -> tuple[Any, Any, Any]:
        return layer(x, use_running_average=not train), layer.mean[...], layer.var[...]

    return step


def haiku() -> Iterator[Case]:
    """Haiku, at a decay of 0.9."""
    made_by = "Haiku " + importlib.import_module("haiku").__version__
    for rank in SHAPES:
        for tiny in (False, True):
            step = _haiku(batches(rank)[0])
            yield case(made_by, "haiku", "", rank, step, tiny=tiny, momentum=0.9)


def _haiku(x: Any) -> Step:
    hk = importlib.import_module("haiku")
    key = importlib.import_module("jax").random.PRNGKey(0)

    def call(x: Any, training: bool) -> Any:
        return hk.BatchNorm(create_scale=True, create_offset=True, decay_rate=0.9)(x, training)

    layer = hk.transform_with_state(call)
    held = list(layer.init(key, x, True))

    def step(x: Any, train: bool) -> tuple[Any, Any, Any]:
        y, held[1] = layer.apply(held[0], held[1], None, x, train)
        mean, var = (held[1][f"batch_norm/~/{s}_ema"]["average"] for s in ("mean", "var"))
        return y, np.ravel(mean), np.ravel(var)

    return step


def onnx() -> Iterator[Case]:
    """ONNX's reference evaluator, operator set 15."""
    made_by = "onnx " + importlib.import_module("onnx").__version__
    for rank in SHAPES:
        for tiny in (False, True):
            yield case(made_by, "onnx", "", rank, _onnx(), tiny=tiny)


def _onnx() -> Step:
    start = {"scale": 1, "bias": 0, "mean": 0, "var": 1}
    feeds = {n: np.full(3, v, np.float32) for n, v in start.items()}

    def step(x: Any, train: bool) -> tuple[Any, Any, Any]:
        y, *moved = _onnx_model(train).run(None, {"x": np.moveaxis(x, -1, 1), **feeds})
        feeds.update(zip(("mean", "var"), moved))  # noqa: B905 -- Python 3.7
        return np.moveaxis(y, 1, -1), feeds["mean"], feeds["var"]

    return step


def _onnx_model(train: bool) -> Any:
    onnx = importlib.import_module("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    inputs, outputs = ["x", "scale", "bias", "mean", "var"], ["y", "new_mean", "new_var"]
    outputs = outputs if train else outputs[:1]
    node = helper.make_node("BatchNormalization", inputs, outputs, training_mode=int(train))
    infos = [[helper.make_tensor_value_info(n, kind, None) for n in ns] for ns in (inputs, outputs)]
    graph = helper.make_graph([node], "bn", *infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    return importlib.import_module("onnx.reference").ReferenceEvaluator(model)


PARTS = {f.__name__: f for f in (tf115, tensorpack, keras2, keras3, flax, haiku, onnx)}


def main(part: str, file: str = "conventions.json") -> None:
    """Record one part and merge it into the file, floats in float32's shortest form."""
    path = Path(file)
    held = json.loads(path.read_text()) if path.exists() else {"inputs": {}, "cases": {}}
    for rank in SHAPES:
        for tiny in (False, True):
            name = f"rank {rank}{', tiny' if tiny else ''}"
            held["inputs"][name] = batches(rank, tiny=tiny).tolist()
    held["cases"].update(PARTS[part]())
    held = json.loads(json.dumps(held), parse_float=lambda s: float(str(np.float32(s))))
    blocks = []
    for title, rows in held.items():
        lines = [f'  "{name}": {json.dumps(rows[name])}' for name in sorted(rows)]
        blocks.append(f'"{title}": {{\n' + ",\n".join(lines) + "\n}")
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
