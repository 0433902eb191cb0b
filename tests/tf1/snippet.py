"""Run as a program under either TensorFlow: executes a snippet, prints its graph and values as JSON.

usage: snippet.py MODULE FILE. A snippet uses `tf`, `np` and may put values to run in `show` (name ->
fetch), feeds in `feeds`, and what raises in `fails` (name -> function).
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np


def described(graph: Any) -> list[dict[str, Any]]:
    """Every operation in creation order, as `tf115_graphs.json.gz` has it."""
    rows = []
    for op in graph.get_operations():
        shapes = [t.get_shape() for t in op.outputs]
        rows.append(
            {
                "name": op.name,
                "op": op.type,
                "inputs": [t.name for t in op.inputs],
                "control": [c.name for c in op.control_inputs],
                "shapes": [None if s.ndims is None else s.as_list() for s in shapes],
                "dtypes": [t.dtype.name for t in op.outputs],
            }
        )
    return rows


def plain(value: Any) -> Any:
    """A fetched value as JSON, with its type."""
    if isinstance(value, (list, tuple)):  # Python 3.7 runs this too
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return [plain(value[k]) for k in sorted(value)]
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind in "SO":
        return {"text": [v.decode() for v in array.reshape(-1)], "shape": list(array.shape)}
    return {
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "values": array.reshape(-1).tolist(),
    }


def failure(function: Any) -> list[str]:
    """The class and first line of what a call raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001  # any class may be the answer
        return [type(error).__name__, str(error).splitlines()[0]]
    return ["", ""]


def run(tf: Any, source: str) -> dict[str, Any]:
    """The graph, the values and the errors of a snippet."""
    space: dict[str, Any] = {"tf": tf, "np": np, "show": {}, "feeds": {}, "fails": {}}
    with tf.Graph().as_default() as graph:
        exec(compile(source, "snippet", "exec"), space)
        rows = described(graph)
        with tf.Session() as session:
            space["session"] = session
            if graph.get_collection("variables"):
                session.run(tf.global_variables_initializer())
            feeds = space["feeds"]
            values = {k: plain(session.run(f, feeds)) for k, f in space["show"].items()}
            fails = {k: failure(f) for k, f in space["fails"].items()}
    return {"operations": rows, "values": values, "fails": fails}


if __name__ == "__main__":
    with open(sys.argv[2]) as file:  # noqa: PTH123  # Python 3.7 runs this too
        text = file.read()
    sys.stdout.write(json.dumps(run(importlib.import_module(sys.argv[1]), text)) + "\n")
