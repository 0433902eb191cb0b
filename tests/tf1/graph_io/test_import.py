"""`import_graph_def` and its refusals; old, new and unknown types; text of graphs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

import evenkeel.tf1 as tf
from evenkeel.tf1.proto import GraphDef, NodeDef, OpList


def node(name: str, kind: str, *inputs: str, **attrs: Any) -> Any:
    made = NodeDef(name=name, op=kind, input=inputs)
    for key, value in attrs.items():
        if isinstance(value, bool):
            made.attr[key].b = value
        elif isinstance(value, int):
            made.attr[key].i = value
        elif isinstance(value, float):
            made.attr[key].f = value
        elif isinstance(value, np.ndarray):
            made.attr[key].tensor.CopyFrom(tf.make_tensor_proto(value))
        elif isinstance(value, tf.DType):
            made.attr[key].type = value.as_datatype_enum
        else:
            made.attr[key].s = value.encode()
    return made


def graph_of(*nodes: Any) -> Any:
    return GraphDef(node=nodes)


def const(name: str, value: Any) -> Any:
    array = np.asarray(value)
    return node(name, "Const", dtype=tf.as_dtype(array.dtype), value=array)


X = node("x", "Placeholder", dtype=tf.float32)


def run(graph_def: Any, fetch: str, feeds: Any = None) -> Any:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.Session(graph=graph) as session:
            return session.run(fetch, feeds or {})


def test_a_graph_comes_back_as_it_went() -> None:
    with tf.Graph().as_default() as first:
        x = tf.placeholder(tf.float32, [None, 6, 6, 2], name="x")
        with tf.device("/cpu:0"), tf.control_dependencies([tf.no_op("before")]):
            h = tf.layers.batch_normalization(tf.layers.conv2d(x, 3, 3), training=True)
        loss = tf.reduce_mean(tf.nn.relu(h) ** 2)
        tf.train.AdamOptimizer(0.1).minimize(loss)
        tf.constant([b"one", b"two"], name="texts")
        tf.constant([[1.5, 2.5]], tf.bfloat16, name="short")
    message = first.as_graph_def(add_shapes=True)
    again = text_format.Parse(text_format.MessageToString(message), GraphDef())
    with tf.Graph().as_default() as second:
        tf.import_graph_def(GraphDef.FromString(again.SerializeToString()), name="")
    ours = {n.name: n for n in second.as_graph_def(add_shapes=True).node}
    assert ours == {n.name: n for n in message.node}
    assert second.as_graph_def().versions.producer == 134


def test_shapes_and_later_nodes_alone() -> None:
    with tf.Graph().as_default() as graph:
        tf.placeholder(tf.float32, [None, 3], name="x")
        version = graph.version
        tf.zeros([2], name="later")
    shaped = graph.as_graph_def(add_shapes=True).node[0].attr["_output_shapes"].list.shape[0]
    assert [d.size for d in shaped.dim] == [-1, 3]
    assert "_output_shapes" not in graph.as_graph_def().node[0].attr
    later = graph.as_graph_def(from_version=version)
    assert [n.name for n in later.node] == ["later"]


def test_names_maps_and_elements() -> None:
    message = graph_of(X, const("c", np.float32(2)), node("y", "Mul", "x", "c", T=tf.float32))
    with tf.Graph().as_default() as graph:
        mine = tf.constant([1.0, 5.0], name="mine")
        y, op = tf.import_graph_def(message, {"x:0": mine}, ["y:0", "y"], name="part")
        assert (y.name, op.name, y.shape.as_list()) == ("part/y:0", "part/y", [2])
        (again,) = tf.import_graph_def(message, {"x": mine}, ["y:0"], name="part")
        (plain,) = tf.import_graph_def(message, {"x": mine}, ["y:0"])
        assert (again.name, plain.name) == ("part_1/y:0", "import/y:0")
        tf.import_graph_def(message, name="")
        assert tf.zeros([1], name="c").op.name == "c_1"
        with tf.Session() as session:
            assert np.array_equal(session.run(y), [2.0, 10.0])
        with pytest.raises(ValueError, match=r"not found in graph_def: \[z:0\]"):
            tf.import_graph_def(message, {"z:0": mine})
        with pytest.raises(ValueError, match="Requested return_element 'w' not found"):
            tf.import_graph_def(message, return_elements=["w"])
        before = len(graph.get_operations())
        with pytest.raises(ValueError, match="incompatible"):
            tf.import_graph_def(message, {"x": tf.constant(1)})
        assert len(graph.get_operations()) == before + 1  # the constant; nothing half imported


def test_what_surrounds_an_import_holds_for_its_nodes() -> None:
    with tf.Graph().as_default() as graph:
        first = tf.no_op("first")
        with tf.control_dependencies([first]), tf.device("/gpu:1"):
            tf.import_graph_def(graph_of(const("c", 1), node("n", "NoOp", "^c")), name="a")
        found = graph.get_operation_by_name("a/c")
        assert found.control_inputs == [first]
        assert found.device == "/device:GPU:1"


def test_defaults_are_filled_in_and_later_attributes_understood() -> None:
    kernel = const("k", np.ones([1, 1, 1, 1], np.float32))
    strides = node("y", "Conv2D", "x", "k", T=tf.float32, padding="SAME")
    strides.attr["strides"].list.i.extend([1, 1, 1, 1])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_of(X, kernel, strides), name="")
        assert graph.get_operation_by_name("y").get_attr("data_format") == b"NHWC"
        assert graph.get_operation_by_name("y").get_attr("dilations") == [1, 1, 1, 1]
    ones = const("o", np.ones(1, np.float32))
    fused = node(
        "n", "FusedBatchNormV3", "x", "o", "o", "o", "o", T=tf.float32, U=tf.float32,
        is_training=False, exponential_avg_factor=1.0,
    )  # fmt: skip
    x = np.full([1, 2, 2, 1], 3.0, np.float32)
    assert np.allclose(run(graph_of(X, ones, fused), "n:0", {"x:0": x}), 3.0, atol=1e-3)
    fused.attr["exponential_avg_factor"].f = 0.5
    with pytest.raises(ValueError, match=r"node 'n'.*mentions attr 'exponential_avg_factor'"):
        run(graph_of(X, ones, fused), "n:0", {"x:0": x})


def test_the_writers_defaults_are_dropped() -> None:
    message = graph_of(X, node("y", "Neg", "x", T=tf.float32, newer=7))
    types = text_format.Parse(
        'op { name: "Neg" attr { name: "newer" type: "int" default_value { i: 7 } } }', OpList()
    )
    with tf.Graph().as_default():
        tf.import_graph_def(message, producer_op_list=types)
        message.node[1].attr["newer"].i = 8
        with pytest.raises(ValueError, match="mentions attr 'newer' not in Op<name=Neg>"):
            tf.import_graph_def(message, producer_op_list=types)


def test_an_unknown_type_is_an_error_only_where_it_is_fetched() -> None:
    message = graph_of(
        X,
        node("odd", "FancyThing", "x", T=tf.float32),
        node("sum", "Add", "odd:1", "x", T=tf.float32),
        node("fine", "Neg", "x", T=tf.float32),
    )
    assert run(message, "fine:0", {"x:0": 2.0}) == -2.0
    for fetch in ("odd:0", "sum:0"):
        with pytest.raises(tf.errors.UnimplementedError, match="'FancyThing'") as caught:
            run(message, fetch, {"x:0": 2.0})
        assert caught.value.op.name == "odd"
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
    assert list(graph.as_graph_def().node[1:]) == list(message.node[1:])


def batch_norm(kind: str) -> Callable[[Any], Any]:
    names = ["x", "mean", "var", "beta", "gamma"]
    if kind == "unfused":
        return lambda values: graph_of(
            X,
            *(const(n, v) for n, v in zip(names[1:], values, strict=True)),
            const("axes", np.array([0, 1, 2], np.int32)),
            node("m", "Mean", "x", "axes", T=tf.float32, Tidx=tf.int32, keep_dims=True),
            node("d", "SquaredDifference", "x", "m", T=tf.float32),
            node("v", "Mean", "d", "axes", T=tf.float32, Tidx=tf.int32, keep_dims=True),
            const("eps", np.float32(1e-3)),
            node("ve", "Add", "v", "eps", T=tf.float32),
            node("r", "Rsqrt", "ve", T=tf.float32),
            node("g", "Mul", "r", "gamma", T=tf.float32),
            node("c", "Sub", "x", "m", T=tf.float32),
            node("s", "Mul", "c", "g", T=tf.float32),
            node("y", "Add", "s", "beta", T=tf.float32),
        )
    if kind == "BatchNormWithGlobalNormalization":
        attrs = {"variance_epsilon": 1e-3, "scale_after_normalization": True}
    else:
        names = ["x", "gamma", "beta", "mean", "var"]
        attrs = {"epsilon": 1e-3, "is_training": False}
        attrs |= {} if kind == "FusedBatchNorm" else {"U": tf.float32}
    return lambda values: graph_of(
        X,
        *(const(n, v) for n, v in zip(("mean", "var", "beta", "gamma"), values, strict=True)),
        node("y", kind, *names, T=tf.float32, **attrs),
    )


@pytest.mark.parametrize(
    "kind",
    ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "BatchNormWithGlobalNormalization",
     "unfused"],
)  # fmt: skip
def test_every_form_of_batch_normalization_runs(kind: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(3, 2, [4, 5, 5, 3])
    values = [rng.normal(3, 1, 3), rng.uniform(1, 4, 3), rng.normal(0, 1, 3), rng.normal(0, 1, 3)]
    mean, var, beta, gamma = values
    if kind == "unfused":
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = (x - mean) / np.sqrt(var + 1e-3) * gamma + beta
    message = batch_norm(kind)([v.astype(np.float32) for v in values])
    found = run(message, "y:0", {"x:0": x.astype(np.float32)})
    assert np.abs(found - expected).max() < 1e-5


BAD: dict[str, tuple[Any, str]] = {
    "twice": (graph_of(X, X), "Node 'x' is not unique"),
    "no source": (graph_of(node("y", "Neg", "z", T=tf.float32)), "'y': Unknown input node 'z'"),
    "no output": (graph_of(X, node("y", "Neg", "x:1", T=tf.float32)), "invalid output 1.* x "),
    "cycle": (
        graph_of(node("a", "Neg", "b", T=tf.float32), node("b", "Neg", "a", T=tf.float32)),
        "cycle, among them a, b",
    ),
    "type": (graph_of(X, node("y", "Neg", "x", T=tf.int32)), "Input 0 of node y was passed float"),
    "count": (graph_of(X, node("y", "Add", "x", T=tf.float32)), "'y'.*do not match 1 inputs"),
    "missing": (graph_of(X, node("y", "Neg", "x")), "'y'.*missing attr 'T'"),
    "kind": (graph_of(X, node("y", "Neg", "x", T=3)), "'y'.*attr 'T' is a i, and must be a type"),
    "refused": (graph_of(X, node("y", "Neg", "x", T=tf.string)), "'y'.*not in the list of allowed"),
    "many": (graph_of(node("y", "AddN", T=tf.float32, N=2**60)), "more tensors than"),
    "name": (graph_of(node("a b", "NoOp")), "'a b' is not a valid node name"),
    "input": (graph_of(X, node("y", "Neg", "x:one", T=tf.float32)), "'x:one' is not of the form"),
    "shape": (
        graph_of(const("a", np.ones([2, 3], np.float32)), const("b", np.ones([4, 3], np.float32)),
                 node("y", "MatMul", "a", "b", T=tf.float32)),
        "node 'y'.*must be equal",
    ),
    "newer": (GraphDef(versions={"producer": 900, "min_consumer": 800}), "min consumer version 800"),
    "lonely": (graph_of(node("m", "Merge", "n", T=tf.float32, N=1),
                        node("n", "NextIteration", "m", T=tf.float32)), "nothing enters"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_graph_is_refused_by_name(name: str) -> None:
    message, words = BAD[name]
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError, match=words):
            tf.import_graph_def(message, name="")
        assert graph.get_operations() == []


def test_what_is_no_graph_def_is_refused() -> None:
    with tf.Graph().as_default(), pytest.raises(TypeError, match="must be a GraphDef proto"):
        tf.import_graph_def(b"bytes")


def test_a_graph_is_written_and_read(tmp_path: Path) -> None:
    message = graph_of(X, node("y", "Neg", "x", T=tf.float32))
    for text in (False, True):
        path = tf.train.write_graph(message, tmp_path / "new", f"graph.{text}", as_text=text)
        found = GraphDef()
        if text:
            text_format.Parse(Path(path).read_text(), found)
        else:
            found.ParseFromString(Path(path).read_bytes())
        assert found == message


def test_an_operation_is_a_node_def() -> None:
    with tf.Graph().as_default():
        op = tf.add(tf.constant(1.0, name="a"), 2.0, name="sum").op
    assert op.node_def.attr["T"].type == 1
    assert list(op.node_def.input) == ["a", "sum/y"]
    assert 'op: "Add"' in str(op)
