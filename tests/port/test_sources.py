"""Graphs from files: meta graphs, frozen graphs, SavedModels; and what is none of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

import evenkeel.tf1 as tf
from evenkeel.errors import BadData, BadOption
from evenkeel.port import Unportable, from_meta, from_saved_model, open_source, port
from evenkeel.port.source import values_of
from evenkeel.tf1 import graph_io
from port.networks import NETWORKS


def saved(folder: Path, name: str = "norm_fused") -> tuple[str, str, np.ndarray]:
    """(prefix, output, its values for the probe) of a network saved by Saver and as a SavedModel."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        output = NETWORKS[name]()
        averages = tf.train.ExponentialMovingAverage(0.9)
        update = averages.apply(tf.trainable_variables())
        session.run(tf.global_variables_initializer())
        session.run(update)
        prefix = tf.train.Saver().save(session, str(folder / "model.ckpt"))
        graph_io.export_meta_graph(str(folder / "model.ckpt.meta"))
        x = graph.get_tensor_by_name("image:0")
        tf.saved_model.simple_save(session, str(folder / "served"), {"x": x}, {"result": output})
        constant = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [output.op.name]
        )
        (folder / "frozen.pb").write_bytes(constant.SerializeToString())
        image = np.random.default_rng(3).standard_normal((4, 9, 9, 3)).astype(np.float32)
        values = session.run(output, {x: image, "training:0": False})
    return prefix, output.op.name, values


def outputs(module: torch.nn.Module) -> np.ndarray:
    image = np.random.default_rng(3).standard_normal((4, 9, 9, 3)).astype(np.float32)
    with torch.no_grad():
        got = module(torch.from_numpy(image).permute(0, 3, 1, 2))
    return np.asarray(got.permute(0, 2, 3, 1))


def test_every_source_gives_the_same_network(tmp_path: Path) -> None:
    prefix, output, want = saved(tmp_path)
    codes = []
    for path in (prefix, f"{prefix}.meta", tmp_path / "frozen.pb", tmp_path / "served"):
        source = open_source(path)
        made = port(source, output)
        assert np.abs(outputs(made.module) - want).max() < 1e-5
        codes.append(made.code.split('"""', 2)[2])
    assert codes[0] == codes[1] == codes[3]
    assert "momentum=0.1" in codes[0]


def test_signatures_name_tensors(tmp_path: Path) -> None:
    saved(tmp_path)
    source = from_saved_model(tmp_path / "served")
    assert set(source.names) == {"x", "result"}
    assert len(port(source, "result").differences) == 3


def test_averages_take_the_place_of_weights(tmp_path: Path) -> None:
    prefix, output, _ = saved(tmp_path)
    shadow = values_of(prefix)["conv2d/kernel/ExponentialMovingAverage"]
    source = from_meta(f"{prefix}.meta", prefix, averages=True)
    kernel = port(source, output).module.state_dict()["conv.weight"]
    assert torch.equal(kernel.permute(2, 3, 1, 0), torch.from_numpy(np.array(shadow)))


def test_a_checkpoint_without_averages_says_so(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(1.0)
        session.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(session, str(tmp_path / "plain"))
    with pytest.raises(BadOption, match="no moving averages"):
        values_of(prefix, averages=True)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="no graph to port"):
        open_source(tmp_path / "nothing")
    (tmp_path / "damaged.pb").write_bytes(b"\x0a\xff\xff\xff\x7f")
    with pytest.raises(BadData, match=r"(?s)cannot be read.*DataLossError"):
        open_source(tmp_path / "damaged.pb")
    with pytest.raises(BadData, match="cannot be read"):
        open_source(tmp_path / "missing.pb")


def test_the_likeliest_results_are_named(tmp_path: Path) -> None:
    _, output, _ = saved(tmp_path)
    assert open_source(tmp_path / "frozen.pb").ends() == [output]


def test_a_node_of_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        tf.diag(tf.placeholder(tf.float32, [3], name="x"), name="wide")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(Unportable, match=r"at:  .*graph\.pb"):
        port(open_source(tmp_path / "graph.pb"), "wide")


def test_a_signature_of_a_node_without_outputs_names_nothing(tmp_path: Path) -> None:
    """An Estimator signs the node that initializes."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        builder = tf.saved_model.builder.SavedModelBuilder(str(tmp_path / "served"))
        signature = tf.saved_model.signature_def_utils.predict_signature_def(
            {"x": x}, {"y": x * 2.0}
        )
        start = tf.group(tf.no_op(), name="start")
        signature.outputs["start"].name = start.name
        signature.outputs["start"].dtype = x.dtype.as_datatype_enum
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
        assert graph.get_operation_by_name("start").outputs == []
    assert set(from_saved_model(tmp_path / "served").names) == {"x", "y"}
