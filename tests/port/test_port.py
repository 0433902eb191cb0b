"""Every form of network is carried over with its numbers; what is wrong is refused."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import evenkeel.tf1 as tf
from evenkeel import BatchNorm1d, BatchNorm2d
from evenkeel.errors import BadData, BadOption, OutputsDiffer, UnknownName
from evenkeel.nn import BatchNorm
from evenkeel.port import Source, Unportable, port, write
from evenkeel.port import proof as proof_module
from evenkeel.port.rules import convolution
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.ops import windows
from port import joined
from port.networks import NETWORKS, Network, random_values, rows, source_of


def loaded(folder: Path) -> nn.Module:
    """The written module, as a person imports it, with its written weights."""
    spec = importlib.util.spec_from_file_location("written_network", folder / "network.py")
    if spec is None or spec.loader is None:
        raise ImportError(str(folder))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: nn.Module = module.load()
    return made


def ported_from(build: Network, **options: Any) -> nn.Module:
    source, output = source_of(build)
    return port(source, output, **options).module


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str, tmp_path: Path) -> None:
    """The proof holds, and the written files compute the graph's outputs for another batch."""
    source, output = source_of(NETWORKS[name])
    made = port(source, output)
    write(made, tmp_path)
    module = loaded(tmp_path)
    feeds = _other_feeds(source, made.probe)
    with tf.Session(graph=source.graph) as session:
        session.state.variables.update(
            {k: torch.from_numpy(np.array(v)) for k, v in source.values.items()}
        )
        want = session.run(output, feeds)
    data = [v for v in feeds.values() if v.dtype != bool]
    pairs = zip(data, made.probe, strict=True)
    given = [torch.from_numpy(_as_module(value, probe)) for value, probe in pairs]
    with torch.no_grad():
        got = module(*given).numpy()
    if got.ndim > 2:
        order = (0, *range(2, got.ndim), 1)
        got = got.transpose(order) if got.transpose(order).shape == want.shape else got
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1e-5 * max(1.0, float(np.abs(want).max()))


def _other_feeds(source: Source, probe: tuple[torch.Tensor, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    feeds: dict[str, Any] = {}
    for op in source.graph.operations.values():
        if op.type != "Placeholder":
            continue
        kind = op.outputs[0].dtype.as_numpy_dtype
        shape = [3 if s is None else s for s in op.outputs[0].shape.as_list()]
        if kind == np.bool_:
            feeds[op.outputs[0].name] = np.array(False)
        elif np.issubdtype(kind, np.integer):
            feeds[op.outputs[0].name] = rng.integers(0, 11, shape).astype(kind)
        else:
            feeds[op.outputs[0].name] = rng.uniform(-2, 3, shape).astype(kind)
    return feeds


def _as_module(value: Any, probe: torch.Tensor) -> Any:
    is_same = value.shape[1:] == tuple(probe.shape[1:])
    return value if is_same else np.ascontiguousarray(np.moveaxis(value, -1, 1))


# ---- batch normalization


@pytest.mark.parametrize(
    ("name", "momentum", "running_var", "eps"),
    [
        ("norm_fused", 0.1, "unbiased", 1e-3),
        ("norm_unfused", 0.01, "biased", 1e-2),
        ("norm_contrib_dense", 0.1, "unbiased", 1e-3),
        ("norm_by_cond", 0.1, "biased", 1e-3),
        ("norm_of_large_values", 0.001, "unbiased", 1e-3),
    ],
)
def test_conventions_are_measured(name: str, momentum: float, running_var: str, eps: float) -> None:
    module = ported_from(NETWORKS[name])
    layer = next(m for m in module.modules() if isinstance(m, BatchNorm))
    assert (layer.momentum, layer.eps if layer.spec.torch_inference else layer.spec.eps) == (
        momentum,
        eps,
    )
    assert layer.spec.unbiased == (running_var == "unbiased")


def test_activations_are_fused_into_the_norm() -> None:
    module = ported_from(NETWORKS["norm_fused"])
    assert [type(m) for m in module.children()] == [nn.Conv2d, BatchNorm2d]
    assert "activation='relu'" in repr(module)


def test_a_dense_layer_on_the_fused_node_becomes_one_dimensional() -> None:
    module = ported_from(NETWORKS["norm_contrib_dense"])
    assert [type(m) for m in module.children()] == [nn.Linear, BatchNorm1d, nn.Linear]


def test_scale_and_center_are_left_out_where_the_graph_has_none() -> None:
    layers = [
        m for m in ported_from(NETWORKS["norm_without_scale"]).modules() if isinstance(m, BatchNorm)
    ]
    assert [(x.weight is None, x.bias is None) for x in layers] == [(True, False), (False, True)]


def test_without_updates_the_momentum_is_a_default_and_said_to_be() -> None:
    source, output = source_of(NETWORKS["norm_of_constant_mode"])
    code = port(source, output).code
    assert "# momentum: the graph has no update" in code
    assert "momentum=0.01" in code


# ---- form of the text


def test_repeated_blocks_are_one_class() -> None:
    source, output = source_of(NETWORKS["residual_blocks"])
    code = port(source, output).code
    assert code.count("nn.Conv2d(") == 4  # stem, two in the block's class, one projection
    assert "nn.Sequential(" in code


def test_shared_weights_are_one_layer() -> None:
    module = ported_from(NETWORKS["shared_weights"])
    assert sum(isinstance(m, nn.Linear) for m in module.modules()) == 2


def test_the_text_passes_ruff_and_has_no_names_of_nodes(tmp_path: Path) -> None:
    for name, build in NETWORKS.items():
        source, output = source_of(build)
        code = port(source, output).code
        (tmp_path / f"{name}.py").write_text(code)
        body = code.split('"""', 2)[2]
        nodes = {n for n in source.graph.operations if "/" in n or "_" in n}
        assert not [n for n in nodes if re.search(rf"\b{re.escape(n)}\b", body)], name
    for command in (
        ["check", "--select", "E,F,W,I,UP,B,C4,SIM,RET,N,ANN,RUF", "--ignore", "N812"],
        ["format", "--check"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_text_passes_mypy(tmp_path: Path) -> None:
    for name in ("residual_blocks", "inception", "norm_contrib_dense", "two_inputs", "parameters"):
        source, output = source_of(NETWORKS[name])
        (tmp_path / f"{name}.py").write_text(port(source, output).code)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, sorted(tmp_path.glob("*.py")))],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# ---- what is refused


def _fails(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, wrong: Any, build: str) -> None:
    monkeypatch.setattr(where, name, wrong)
    source, output = source_of(NETWORKS[build])
    with pytest.raises(OutputsDiffer):
        port(source, output)


def test_a_kernel_in_the_wrong_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Callable[..., Any] = lambda vector, order: vector  # noqa: E731
    _fails(monkeypatch, convolution, "features_last", wrong, "conv_flatten_dense")


def test_padding_on_the_wrong_side_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = windows.paddings
    wrong: Callable[..., Any] = lambda *a: [p[::-1] for p in right(*a)]  # noqa: E731
    _fails(monkeypatch, convolution, "paddings", wrong, "same_stride_two")


@pytest.mark.parametrize(
    "wrong", ["momentum=0.9", 'momentum=0.1, running_var="biased"', "momentum=0.1, scale=False"]
)
def test_a_wrong_norm_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """Inference would not see a wrong momentum or variance: training mode does."""
    from evenkeel.port import port as function

    module = sys.modules[function.__module__]
    right = module.source_of

    def changed(*args: Any) -> str:
        code: str = right(*args)
        assert "momentum=0.1" in code
        return code.replace("momentum=0.1", wrong)

    monkeypatch.setattr(module, "source_of", changed)
    source, output = source_of(NETWORKS["norm_fused"])
    with pytest.raises((OutputsDiffer, RuntimeError)):
        port(source, output)


def test_a_difference_that_is_not_a_number_is_refused() -> None:
    nan, one = torch.tensor([float("nan")]), torch.tensor([1.0])
    for got, want in ((nan, one), (one, nan), (nan, nan), (one, torch.ones(2))):
        with pytest.raises(OutputsDiffer):
            proof_module.check([proof_module.difference("y", got, want)], 1e9)


def test_a_node_without_a_counterpart_is_named_with_its_line() -> None:
    with Graph().as_default() as graph:
        y = tf.cumsum(rows(), name="total") if hasattr(tf, "cumsum") else tf.diag(rows())
    with pytest.raises(Unportable, match=r"(?s)cannot be carried.*networks.py|test_port.py:\d+"):
        port(Source(graph), y.name)


def test_a_loop_is_refused() -> None:
    with Graph().as_default() as graph:
        x = rows()
        _, y = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * 2.0), [0, x])
    with pytest.raises(Unportable, match=r"(?s)Exit.*ends a loop.*test_port.py:\d+"):
        port(Source(graph), y.name)


def test_a_recurrent_loop_is_refused() -> None:
    with Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3, 4])
        outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(5), x, dtype=tf.float32)
        y = tf.layers.dense(outputs[:, -1], 2)
    with pytest.raises(Unportable, match="ends a loop"):
        port(Source(graph, random_values(graph)), y.name)


def test_a_missing_variable_is_named() -> None:
    source, output = source_of(NETWORKS["dense_relu"])
    with pytest.raises(BadData, match=r"(?s)'dense/kernel'.*--checkpoint"):
        port(Source(source.graph), output)


def test_an_unknown_output_suggests_its_neighbours() -> None:
    source, _ = source_of(NETWORKS["dense_relu"])
    with pytest.raises(UnknownName, match=r"try dense_1/BiasAdd"):
        port(source, "dense_1/BiasAd")


def test_an_open_size_is_asked_for_and_taken() -> None:
    with Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, None, None, 3], name="image")
        y = tf.layers.conv2d(x, 2, 3, 2, "same")
    source = Source(graph, random_values(graph))
    with pytest.raises(BadOption, match=r"--shape image="):
        port(source, y.name)
    assert port(source, y.name, shapes={"image": [8, 6, 3]}).probe[0].shape[1:] == (3, 8, 6)


# ---- dropout by a rate that is fed


def by_keep_prob() -> Any:
    keep = tf.placeholder(tf.float32, [], name="keep_prob")
    x = tf.nn.dropout(tf.layers.dense(rows(), 5), keep_prob=keep)
    return tf.layers.dense(x, 2)


def test_a_fed_rate_is_asked_for_and_becomes_dropout() -> None:
    source, output = source_of(by_keep_prob)
    with pytest.raises(BadOption, match=r"--feed keep_prob"):
        port(source, output)
    with pytest.raises(Unportable, match="active in inference"):
        port(source, output, feeds={"keep_prob": 0.5})
    made = port(source, output, feeds={"keep_prob": 1.0}, training_feeds={"keep_prob": 0.75})
    layers = [m for m in made.module.modules() if isinstance(m, nn.Dropout)]
    assert [m.p for m in layers] == [0.25]


def test_labels_are_no_mode() -> None:
    """A graph that always infers has nothing to prove in training, whatever else it takes."""
    with Graph().as_default() as graph:
        tf.placeholder(tf.float32, [None, 4], name="labels")
        y = NETWORKS["norm_of_constant_mode"]()
    assert len(port(Source(graph, random_values(graph)), y.name).differences) == 1


def test_training_can_be_left_out_of_the_proof() -> None:
    source, output = source_of(NETWORKS["norm_fused"])
    assert len(port(source, output).differences) == 3
    assert len(port(source, output, training=False).differences) == 1


def test_files_are_left_alone_when_the_proof_fails(tmp_path: Path) -> None:
    source, output = source_of(NETWORKS["dense_relu"])
    with pytest.raises(OutputsDiffer):
        port(source, output, tolerance=-1.0)
    assert not list(tmp_path.iterdir())


def test_dropout_without_an_end_is_refused() -> None:
    with Graph().as_default() as graph:
        y = tf.nn.dropout(tf.layers.dense(rows(), 5), keep_prob=0.5)
    with pytest.raises(Unportable, match="this graph is for training alone"):
        port(Source(graph, random_values(graph)), y.name)


def test_words_that_are_fed_as_floats_are_whole_numbers() -> None:
    source, output = source_of(joined.words_fed_as_floats)
    (probe,) = port(source, output).probe
    assert set(probe.numpy().reshape(-1)) == {0.0, 1.0}
