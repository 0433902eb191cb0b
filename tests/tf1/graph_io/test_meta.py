"""Meta graphs of our own: collections, contexts, scopes, savers, saved models, frozen graphs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.proto import GraphDef, NodeDef
from tf1.graph_io.exchange import data, network, numbers


def test_a_program_goes_on_from_its_meta_graph(tmp_path: Path) -> None:
    x, y = data()
    with tf.Graph().as_default(), tf.Session() as session:
        network(tf)
        saver = tf.train.Saver(max_to_keep=3)
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "model"))
        expected = numbers(tf, session)
        keys = tf.get_default_graph().get_all_collection_keys()
        names = {k: [getattr(i, "name", i) for i in tf.get_collection(k)] for k in keys}
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(str(tmp_path / "model.meta"))
        assert saver.as_saver_def().max_to_keep == 3
        saver.restore(session, str(tmp_path / "model"))
        found = numbers(tf, session)
        for key in names:
            listed = [getattr(i, "name", i) for i in tf.get_collection(key)]
            listed = [i.decode() if isinstance(i, bytes) else i for i in listed]
            assert listed == names[key], key
        assert tf.global_variables()[0] is tf.trainable_variables()[0]
        gradient = tf.gradients(tf.get_default_graph().get_tensor_by_name("loss:0"),
                                tf.trainable_variables()[0])  # fmt: skip
        assert np.isfinite(session.run(gradient[0], {"x:0": x, "y:0": y})).all()
    assert np.abs(np.array(found["after"]) - expected["after"]).max() < 1e-5
    assert found["step"] == expected["step"] == 5


def test_a_scope_goes_in_and_out() -> None:
    with tf.Graph().as_default() as graph:
        with tf.device("/cpu:0"):
            w = tf.get_variable("w", [2], initializer=tf.ones_initializer())
            p = tf.placeholder(tf.bool, [], name="p")
            tf.identity(tf.cond(p, lambda: w * 2.0, lambda: w), name="out")
        message = tf.train.export_meta_graph()
        twice = tf.train.import_meta_graph(message, import_scope="again", clear_devices=True)
        assert [v.name for v in tf.global_variables()] == ["w:0", "again/w:0"]
        assert graph.get_operation_by_name("again/p").device == ""
        assert graph.get_operation_by_name("p").device == "/device:CPU:0"
        assert graph.get_operation_by_name("again/w/Assign").colocation_groups() == [
            b"loc:@again/w"
        ]
        inner = tf.train.export_meta_graph(export_scope="again")
        assert {n.name for n in inner.graph_def.node} == {n.name for n in message.graph_def.node}
        assert inner.collection_def["cond_context"] == message.collection_def["cond_context"]
        assert twice is not None
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            assert session.run("again/out:0", {"again/p:0": True}).tolist() == [2.0, 2.0]


def test_gradients_pass_an_imported_branch() -> None:
    def build() -> None:
        x, p = tf.placeholder(tf.float32, [], name="x"), tf.placeholder(tf.bool, [], name="p")
        inner = lambda: tf.cond(x > 1.0, lambda: x * x, lambda: 3.0 * x)  # noqa: E731
        tf.identity(tf.cond(p, inner, lambda: -x), name="out")

    def branches(graph: Any) -> dict[str, list[str]]:
        found = {}
        for op in graph.get_operations():
            context, names = op._get_control_flow_context(), []
            while context is not None:
                names.append(f"{context.name} {context.branch}")
                context = context.outer_context
            found[op.name] = names
        return found

    with tf.Graph().as_default() as source:
        build()
        message = tf.train.export_meta_graph()
    with tf.Graph().as_default() as graph:
        assert tf.train.import_meta_graph(message) is None
        assert branches(graph) == branches(source)
        x, out = graph.get_tensor_by_name("x:0"), graph.get_tensor_by_name("out:0")
        (slope,) = tf.gradients(out, x)
        with tf.Session() as session:
            found = [
                session.run(slope, {x: v, "p:0": p}) for v in (0.5, 2.0) for p in (True, False)
            ]
    assert found == [3.0, -1.0, 4.0, -1.0]


def test_default_attributes_can_be_left_out() -> None:
    with tf.Graph().as_default():
        tf.nn.conv2d(tf.zeros([1, 2, 2, 1]), tf.zeros([1, 1, 1, 1]), [1, 1, 1, 1], "SAME", name="c")
        plain = tf.train.export_meta_graph(strip_default_attrs=True)
    node = next(n for n in plain.graph_def.node if n.op == "Conv2D")
    assert set(node.attr) == {"T", "strides", "padding", "_output_shapes"}
    assert plain.meta_info_def.stripped_default_attrs
    listed = {o.name for o in plain.meta_info_def.stripped_op_list.op}
    assert listed == {n.op for n in plain.graph_def.node}


def test_what_cannot_be_written_is_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tf.Graph().as_default():
        tf.add_to_collection("odd", object())
        tf.add_to_collection("numbers", 3)
        tf.add_to_collection("numbers", 4)
        message = tf.train.export_meta_graph()
    assert "Issue encountered when serializing odd" in caplog.text
    assert list(message.collection_def["numbers"].int64_list.value) == [3, 4]
    assert "odd" not in message.collection_def


def saved(folder: Path) -> Any:
    x, _ = data()
    with tf.Graph().as_default(), tf.Session() as session:
        network(tf)
        vocabulary = folder / "words.txt"
        vocabulary.write_text("one\ntwo\n")
        asset = tf.constant(str(vocabulary), name="asset")
        session.run(tf.global_variables_initializer())
        graph = tf.get_default_graph()
        utils = tf.saved_model.signature_def_utils
        signature = utils.predict_signature_def(
            {"x": graph.get_tensor_by_name("x:0")}, {"out": graph.get_tensor_by_name("out:0")}
        )
        assert utils.is_valid_signature(signature)
        builder = tf.saved_model.Builder(str(folder / "model"))
        start = tf.group(tf.identity(asset), name="start")
        builder.add_meta_graph_and_variables(
            session, ["serve", "cpu"], {"predict": signature}, assets_list=[asset], main_op=start
        )
        builder.add_meta_graph(["train"], {"predict": signature})
        builder.save(as_text=True)
        return session.run("out:0", {"x:0": x})


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    x, _ = data()
    expected = saved(tmp_path)
    folder = str(tmp_path / "model")
    assert tf.saved_model.loader.maybe_saved_model_directory(folder)
    assert (tmp_path / "model" / "assets" / "words.txt").read_text() == "one\ntwo\n"
    for scope in (None, "part"):
        with tf.Graph().as_default(), tf.Session() as session:
            message = tf.saved_model.load(session, ["cpu", "serve"], folder, import_scope=scope)
            info = message.signature_def["predict"].outputs["out"]
            out = tf.saved_model.utils.get_tensor_from_tensor_info(info, import_scope=scope)
            feed = f"{scope}/x:0" if scope else "x:0"
            assert np.abs(session.run(out, {feed: x}) - expected).max() < 1e-6
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(RuntimeError, match="'none' could not be found"):
            tf.saved_model.load(session, ["none"], folder)
        with pytest.raises(OSError, match="SavedModel file does not exist at"):
            tf.saved_model.load(session, ["serve"], str(tmp_path))
    with pytest.raises(AssertionError, match="isn't empty"):
        tf.saved_model.Builder(folder)


def frozen_network() -> tuple[Any, Any, Any]:
    x, _ = data()
    with tf.Graph().as_default() as graph, tf.Session() as session:
        network(tf)
        session.run(tf.global_variables_initializer())
        frozen = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["out"]
        )
        return frozen, session.run("out:0", {"x:0": x}), graph.as_graph_def()


def test_a_frozen_graph_has_no_variables_and_the_same_values() -> None:
    x, _ = data()
    frozen, expected, whole = frozen_network()
    assert {n.op for n in frozen.node} & {"VariableV2", "Assign", "ApplyMomentum"} == set()
    assert 0 < len(frozen.node) < len(whole.node)
    clean = tf.graph_util.remove_training_nodes(frozen, ["out"])
    assert len(clean.node) < len(frozen.node)
    for message in (frozen, clean):
        with tf.Graph().as_default(), tf.Session() as session:
            (out,) = tf.import_graph_def(message, return_elements=["out:0"], name="")
            assert np.abs(session.run(out, {"x:0": x}) - expected).max() < 1e-6


def test_some_variables_may_stay() -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
        tf.add(a, b, name="out")
        session.run(tf.global_variables_initializer())
        convert = tf.graph_util.convert_variables_to_constants
        white = convert(session, graph.as_graph_def(), ["out"], variable_names_whitelist=["a"])
        black = convert(session, graph.as_graph_def(), ["out"], variable_names_blacklist=["a"])
    assert {n.name: n.op for n in white.node if n.name in "ab"} == {"a": "Const", "b": "VariableV2"}
    assert {n.name: n.op for n in black.node if n.name in "ab"} == {"a": "VariableV2", "b": "Const"}


def test_identities_that_matter_stay() -> None:
    rows = [
        ("x", "Placeholder", []), ("a", "Identity", ["x"]), ("b", "CheckNumerics", ["a"]),
        ("waited", "Identity", ["x"]), ("waits", "Identity", ["x", "^waited"]),
        ("s", "Switch", ["x", "x"]), ("side", "Identity", ["s:1"]),
        ("y", "AddN", ["b", "waits", "side:0", "^waited"]),
    ]  # fmt: skip
    message = GraphDef(node=[NodeDef(name=n, op=k, input=i) for n, k, i in rows])
    found = tf.graph_util.remove_training_nodes(message)
    assert [n.name for n in found.node] == ["x", "waited", "waits", "s", "side", "y"]
    assert list(found.node[-1].input) == ["x", "waits", "side:0", "^waited"]
    with pytest.raises(AssertionError, match="nothing is not in graph"):
        tf.graph_util.extract_sub_graph(message, ["nothing"])
    text = NodeDef(name="t", op="Const")
    text.attr["dtype"].type = 7
    assert tf.graph_util.must_run_on_cpu(text)
    assert not tf.graph_util.must_run_on_cpu(message.node[0])


@pytest.mark.parametrize("name", ["saved_model.lod", "graph_util.extract", "train.import_meta"])
def test_a_missing_name_says_so(name: str) -> None:
    space, _, last = name.partition(".")
    with pytest.raises(AttributeError, match=f"tf.{name}"):
        getattr(getattr(tf, space), last)
