"""From a graph and its values to a module of PyTorch, its weights, and the proof that they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch
from torch import nn

from evenkeel.errors import BadRun
from evenkeel.files import replace_file
from evenkeel.port import rules
from evenkeel.port.blocks import folded
from evenkeel.port.classes import Plan
from evenkeel.port.inputs import Given, given
from evenkeel.port.measured import with_moving
from evenkeel.port.merging import merged
from evenkeel.port.proof import (
    Difference,
    check,
    graph_output,
    in_inference,
    in_training,
    module_input,
)
from evenkeel.port.source import Source
from evenkeel.port.steps import Value
from evenkeel.port.tracing import IMAGES, Tracing, deep_recursion
from evenkeel.port.write import source_of
from evenkeel.surgery import export_onnx, save_model
from evenkeel.tf1.nodes import Operation, Tensor

CODE, WEIGHTS, ONNX = "network.py", "model.safetensors", "model.onnx"
TOLERANCE = 1e-5
_ = rules  # its import fills the table of rules


@dataclass(frozen=True)
class Ported:
    """What came of it: the text, the module with its weights, how far it is from the graph."""

    code: str
    module: nn.Module
    differences: list[Difference]
    probe: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class _Traced:
    plan: Plan
    inputs: list[Value]
    output: Value


def port(
    source: Source, output: str, *, tolerance: float = TOLERANCE, training: bool = True,
    feeds: Mapping[str, Any] | None = None, training_feeds: Mapping[str, Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Ported:  # fmt: skip
    """A graph as a module of ordinary torch layers and evenkeel's batch normalization, proved.

    Shapes:  images for convolutions and pooling become [N, C, H, W]; everything else as in the graph.
             ``shapes`` gives sizes that the graph leaves open, by the input's name, without the batch
    Dtypes:  as the graph's
    Error:   the largest difference over the largest value: outputs in inference at most ``tolerance``;
             with ``training``, outputs and running statistics of a step in training mode at most 20
             times that, since normalizing by few values amplifies rounding
    Raises:  Unportable for a node without a counterpart, with its line; OutputsDiffer above the
             tolerance; UnknownName for an output that is not there; BadOption for a placeholder
             without a value; BadData for a variable without one
    Source:  TensorFlow 1.15's operations, as evenkeel.tf1 computes them

    ``feeds`` are the values in inference of placeholders that are no inputs, such as a keep_prob;
    ``training_feeds`` those in training. Placeholders of one bool are False, then True.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default() as graph:
    ...     x = tf.placeholder(tf.float32, [None, 3])
    ...     y = tf.nn.relu(tf.matmul(x, tf.constant([[1.0], [0.0], [2.0]])), name="y")
    >>> port(Source(graph), "y").module
    Network(
      (head): Linear(in_features=3, out_features=1, bias=False)
      (activation): ReLU()
    )
    """
    target = source.tensor(output)
    with deep_recursion():
        fed = given(source, target, feeds or {}, training_feeds or {}, shapes or {})
        traced = _traced(target, fed)
        title = f"Ported to PyTorch from {source.title}."
        code = _code(traced, [title])
        module = _built(code, traced.plan)
        found, probe = _proved(module, target, fed, traced, training=training)
    check(found, tolerance)
    lines = ["", "Against the graph, on random inputs:", *(f"- {d}." for d in found)]
    return Ported(_code(traced, [title, *lines]), module, found, probe)


def _traced(target: Tensor, fed: Given) -> _Traced:
    tracing = Tracing(fed.reading, fed.other, fed.training)
    tracing.check(target)
    has_images = any(_has_channels_last(t.op) for t in fed.reading.origins(target))
    inputs = []
    for tensor in fed.inputs:
        shape = tracing.shape(tensor)
        rank = len(shape)
        axes = (0, rank - 1, *range(1, rank - 1)) if has_images and rank > 3 else None
        inputs.append(tracing.new(shape, axes))
        tracing.values[tensor] = inputs[-1]
    output = tracing.value(target)
    output = tracing.plain(output) if output.order is not None else output
    steps = with_moving(merged(tracing.steps, output.number), fed.moving)
    plan = Plan(folded(steps, output.number), [v.number for v in inputs], output.number)
    return _Traced(plan, inputs, output)


def _has_channels_last(op: Operation) -> bool:
    # A dense layer's BiasAdd has a data format too.
    return op.type != "BiasAdd" and op.attrs.get("data_format") in IMAGES


def _code(traced: _Traced, title: list[str]) -> str:
    return source_of(traced.plan, traced.inputs, traced.output, title, WEIGHTS)


def _built(code: str, plan: Plan) -> nn.Module:
    """The module that the text describes, with its weights."""
    made = ModuleType("ported")
    exec(compile(code, CODE, "exec"), vars(made))
    module: nn.Module = made.Network()
    tensors = {name: torch.from_numpy(values.copy()) for name, values in plan.tensors().items()}
    module.load_state_dict(tensors)
    return module.eval()


def _proved(
    module: nn.Module, target: Tensor, fed: Given, traced: _Traced, *, training: bool
) -> tuple[list[Difference], tuple[torch.Tensor, ...]]:
    inputs = [
        module_input(fed.reading.of(t), x) for t, x in zip(fed.inputs, traced.inputs, strict=True)
    ]
    want = graph_output(target, fed.variables, fed.fed, fed.reading)
    found = [in_inference(module, inputs, want, traced.output)]
    if training and fed.has_training:
        paths = dict(traced.plan.steps())
        found += in_training(
            module, inputs, fed.training, fed.moving, (target, traced.output), paths
        )
    return found, tuple(inputs)


def write(ported: Ported, folder: str | Path, *, onnx: bool = False) -> list[Path]:
    """Write network.py, model.safetensors and, on demand, model.onnx; each whole or not at all.

    Raises:  BadRun where the folder or a file cannot be written; MissingExtra without safetensors, or
             without what the export to ONNX needs; OutputsDiffer where onnxruntime computes
             something else
    """
    into = Path(folder)
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRun(
            "the folder cannot be made",
            got=f"{into}: {error.strerror or error}",
            do="name a folder that can be written, or one to be made",
        ) from error
    with TemporaryDirectory() as kept:
        save_model(ported.module, Path(kept) / WEIGHTS)
        if onnx:
            export_onnx(ported.module, ported.probe, Path(kept) / ONNX)
        names = [WEIGHTS, ONNX] if onnx else [WEIGHTS]
        for name in names:
            replace_file(into / name, (Path(kept) / name).read_bytes())
    replace_file(into / CODE, ported.code)
    return [into / name for name in (CODE, *names)]
