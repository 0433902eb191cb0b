"""Records what TensorFlow 1.15's random kernels draw, for test_against_tensorflow.py beside it.

usage: PYTHON record_tf115.py FILE.npz, under a Python that has TensorFlow 1.15 (Linux, glibc)
Two runs of one session a case, on one thread. Arrays of more than LONGEST values are kept as the
SHA-256 of their bytes. Needs no evenkeel. Python 3.7: TensorFlow 1.15 ends there.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from typing import Any, Dict, Iterator, List, Tuple  # noqa: UP035 -- Python 3.7

import numpy as np

LONGEST = 1001
Case = Dict[str, Any]  # noqa: UP006 -- Python 3.7
Named = Tuple[str, Case]  # noqa: UP006 -- Python 3.7

FILLS = {
    "RandomUniform": "random_uniform",
    "RandomStandardNormal": "random_standard_normal",
    "TruncatedNormal": "truncated_normal",
}
LOGITS = [[0.0, 1.0, 2.0, -3.0], [5.0, 5.0, 5.0, -np.inf], [0.0, 0.0, 0.0, 0.0]]

INITIALIZERS: Dict[str, List[Any]] = {  # noqa: UP006 -- Python 3.7; name -> module, arguments, shape
    "random_uniform": ["initializers", [-0.3, 0.7], [6, 5]],
    "random_normal": ["initializers", [1.0, 0.2], [6, 5]],
    "truncated_normal": ["initializers", [0.5, 0.1], [6, 5]],
    "glorot_uniform": ["initializers", [], [3, 3, 4, 5]],
    "glorot_normal": ["initializers", [], [3, 3, 4, 5]],
    "he_uniform": ["initializers", [], [20, 8]],
    "he_normal": ["initializers", [], [20, 8]],
    "lecun_uniform": ["initializers", [], [7]],
    "lecun_normal": ["initializers", [], [7]],
    "variance_scaling": ["initializers", [1.5, "fan_out", "untruncated_normal"], [7, 2]],
    "orthogonal": ["initializers", [1.1], [2, 2, 2, 20]],
    "uniform_unit_scaling": ["initializers", [1.43], [3, 3, 4, 5]],
    "variance_scaling_initializer": ["contrib.layers", [1.3, "FAN_OUT", True], [3, 4, 5]],
    "xavier_initializer": ["contrib.layers", [False], [3, 3, 4, 5]],
}


def cases() -> Iterator[Named]:
    """Every case: its name, the operation's type and attributes."""
    yield from floats()
    yield from integers()
    for dtype in ("float16", "float32", "float64"):
        given: Case = {"type": "Multinomial", "dtype": dtype, "logits": LOGITS, "count": 5}
        yield f"Multinomial/{dtype}", {**given, "seed": 8, "seed2": 9}
        for kind in ("RandomGamma", "RandomPoissonV2"):
            given = {"type": kind, "dtype": dtype, "shape": [50], "seed": 8, "seed2": 9}
            yield f"{kind}/{dtype}", {**given, "parameter": [0.3, 1.0, 4.0, 12.5, 300.0]}
    for name, (module, arguments, shape) in INITIALIZERS.items():
        given = {"type": "initializer", "module": module, "arguments": arguments, "shape": shape}
        yield f"initializer/{name}", {**given, "seed": 42, "seed2": 3}


def floats() -> Iterator[Named]:
    """Uniform numbers and normals of every dtype."""
    for kind in FILLS:
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            for size in (1, 7, 1001):
                given: Case = {"type": kind, "dtype": dtype, "shape": [size]}
                yield f"{kind}/{dtype}/{size}", {**given, "seed": 11, "seed2": 12}
        for dtype in ("float32", "float64"):
            given = {"type": kind, "dtype": dtype, "shape": [300, 1001]}
            yield f"{kind}/{dtype}/long", {**given, "seed": -5, "seed2": 2**40 + 1}


def integers() -> Iterator[Named]:
    """Ranges of integers, and orders."""
    ranges = [("int32", -(2**31), 2**31 - 1), ("int32", -7, 11), ("int32", 5, 6)]
    ranges += [("int64", -(2**63), 2**63 - 1), ("int64", 0, 10)]
    for dtype, low, high in ranges:
        given: Case = {"type": "RandomUniformInt", "dtype": dtype, "shape": [3, 5], "low": low}
        yield f"RandomUniformInt/{dtype}/{low}", {**given, "high": high, "seed": 5, "seed2": -6}
    for shape in ([20, 3], [6], [2], [100003]):
        given = {"type": "RandomShuffle", "shape": shape, "seed": 5, "seed2": 6}
        yield f"RandomShuffle/{shape[0]}", given


def tensor(tf: Any, ops: Any, name: str, case: Case) -> Any:
    """The operation of a case, in the default graph."""
    kind, seeds = case["type"], {"seed": case["seed"], "seed2": case["seed2"]}
    if kind in FILLS:
        return getattr(ops, FILLS[kind])(case["shape"], getattr(tf, case["dtype"]), **seeds)
    if kind == "RandomUniformInt":
        low, high = (tf.constant(case[end], case["dtype"]) for end in ("low", "high"))
        return ops.random_uniform_int(case["shape"], low, high, **seeds)
    if kind == "RandomShuffle":
        count = int(np.prod(case["shape"]))
        return ops.random_shuffle(tf.reshape(tf.range(count), case["shape"]), **seeds)
    if kind == "Multinomial":
        logits = tf.cast(tf.constant(case["logits"]), case["dtype"])
        return ops.multinomial(logits, case["count"], **seeds)
    if kind == "initializer":
        return initial(tf, name.split("/")[1], case)
    shape, parameter = tf.constant(case["shape"]), tf.constant(case["parameter"], case["dtype"])
    if kind == "RandomGamma":
        return ops.random_gamma(shape, parameter, **seeds)
    return ops.random_poisson_v2(shape, parameter, dtype=getattr(tf, case["dtype"]), **seeds)


def initial(tf: Any, name: str, case: Case) -> Any:
    """An initializer's tensor; three operations come before its random one."""
    tf.set_random_seed(case["seed"])
    module = (
        importlib.import_module("tensorflow.contrib.layers")
        if "contrib" in case["module"]
        else None
    )
    if name == "uniform_unit_scaling":
        made = tf.uniform_unit_scaling_initializer(*case["arguments"])
    elif module is not None:
        made = getattr(module, name)(*case["arguments"])
    else:
        made = getattr(tf.initializers, name)(*case["arguments"])
    return made(case["shape"], dtype=tf.float32)


def kept(drawn: Any) -> Any:
    """An array as it is recorded: NumPy has no bfloat16; long ones are a digest."""
    if drawn.dtype.name == "bfloat16":
        drawn = drawn.astype(np.float32)
    if drawn.size <= LONGEST:
        return drawn
    return np.frombuffer(hashlib.sha256(drawn.tobytes()).digest(), np.uint8)


def record(path: str) -> None:
    """Run every case and write the file."""
    tf = importlib.import_module("tensorflow")
    ops = importlib.import_module("tensorflow.python.ops.gen_random_ops")
    meta, arrays = {}, {}
    for name, case in cases():
        graph = tf.Graph()
        config = tf.ConfigProto(intra_op_parallelism_threads=1)
        with graph.as_default(), tf.Session(config=config) as session:
            drawn = tensor(tf, ops, name, case)
            arrays[f"{name}/run1"] = kept(session.run(drawn))
            arrays[f"{name}/run2"] = kept(session.run(drawn))
        meta[name] = case
    seeds = [None, 0, 7, 42, -1, 2**31 - 1, 2**31, 2**33 + 5]
    meta["seeds"] = {"table": [[g, o, given(tf, g, o)] for g in seeds for o in seeds]}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez_compressed(path, **arrays)


def given(tf: Any, graph_seed: Any, op_seed: Any) -> Any:
    """What tf.get_seed gives in a graph of four operations."""
    with tf.Graph().as_default():
        for _ in range(4):
            tf.no_op()
        if graph_seed is not None:
            tf.set_random_seed(graph_seed)
        return tf.get_seed(op_seed)


if __name__ == "__main__":
    record(sys.argv[1])
