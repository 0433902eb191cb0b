"""The networks of the seed documents, from the checkpoints that TensorFlow 1.15.5 wrote."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evenkeel.tf1 as tf
from evenkeel.data.idx import read_idx
from evenkeel.port import Ported, Source, from_program, open_source, port

CASES = {
    "conv20_layers": "conv20_layers/model.ckpt-800",
    "dnn_elu": "dnn_elu/mnist-batch-normalized-model.ckpt",
}
MNIST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def source_of(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Source:
    monkeypatch.setenv("EVENKEEL_DATA", str(shared / "data" / "mnist"))
    monkeypatch.chdir(folder)
    (folder / "MNIST_data").symlink_to(shared / "data" / "mnist")
    checkpoint = shared / "oracle" / "artefacts" / CASES[name]
    return from_program(shared / "programs" / f"{name}.py", checkpoint=checkpoint, output="logits")


def images(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = (read_idx(shared / "data" / "mnist" / n) for n in MNIST)
    return np.asarray(pixels, np.float32)[..., None] / 255, np.asarray(labels)


def test_conv20_from_its_frozen_graph_and_its_meta_graph(shared: Path) -> None:
    """TensorFlow's own logits for 64 images."""
    folder = shared / "oracle" / "artefacts" / "conv20_layers"
    with np.load(folder / "expected.npz") as recorded:
        want, output = recorded["logits"], str(recorded["logits_name"])
    x = torch.from_numpy(images(shared)[0][:64]).permute(0, 3, 1, 2)
    for path in (folder / "model.ckpt-800", folder / "frozen.pb"):
        made = port(open_source(path), output)
        with torch.no_grad():
            assert np.abs(made.module(x).numpy() - want).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_accuracy_is_the_graphs(
    shared: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = source_of(shared, name, monkeypatch, tmp_path)
    made = port(source, "logits")
    check_text(made, source)
    pixels, labels = images(shared)
    pixels = pixels if name == "conv20_layers" else pixels.reshape(len(pixels), -1)
    graph, module = graph_scores(source, pixels), module_scores(made.module, pixels)
    assert np.abs(graph - module).max() < 1e-5 * max(1.0, float(np.abs(graph).max()))
    assert (graph.argmax(1) == labels).mean() == (module.argmax(1) == labels).mean() > 0.95


def check_text(made: Ported, source: Source) -> None:
    nodes = [n for n in source.graph.operations if "/" in n or "_" in n]
    assert not [n for n in nodes if n in made.code.split('"""', 2)[2]]
    assert made.code.count("nn.Conv2d(") + made.code.count("nn.Linear(") <= 3


def graph_scores(source: Source, pixels: np.ndarray) -> np.ndarray:
    inputs = source.names.get("inputs", source.names.get("X"))
    mode = source.names.get("is_training", source.names.get("training"))
    with tf.Session(graph=source.graph) as session:
        for op in source.graph.operations.values():
            if op.type == "VariableV2" and op.name in source.values:
                value = torch.from_numpy(np.array(source.values[op.name]))
                session.state.variables[op.name] = value
        logits = source.tensor("logits")
        parts = [session.run(logits, {inputs: p, mode: False}) for p in np.split(pixels, 10)]
    return np.concatenate(parts)


def module_scores(module: nn.Module, pixels: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(pixels)
    x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
    with torch.no_grad():
        return np.concatenate([module(part).numpy() for part in x.chunk(10)])
