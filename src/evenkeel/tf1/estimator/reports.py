"""What an Estimator gives back: metrics and their summaries, predictions one by one."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from evenkeel.tf1 import logging, metrics
from evenkeel.tf1.control_ops import group
from evenkeel.tf1.data import structure
from evenkeel.tf1.events import FileWriterCache
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.literal import dtype_of
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.proto import Summary
from evenkeel.tf1.stacks import get_default_graph


def metric_operations(spec: Any) -> tuple[Any, dict[str, Any]]:
    """One operation that updates all metrics, and their values by name; the mean loss is one."""
    if "loss" in spec.eval_metric_ops:
        raise ValueError(
            'Metric with name "loss" is not allowed, because Estimator already defines a default '
            "metric with the same name."
        )
    spec.eval_metric_ops["loss"] = metrics.mean(spec.loss)
    found = dict(sorted(spec.eval_metric_ops.items()))
    if GraphKeys.GLOBAL_STEP in found:
        raise ValueError(
            "Metric with name `global_step` is not allowed, because Estimator already defines a "
            "default metric with the same name."
        )
    update = group(*[update for _, update in found.values()])
    return update, {name: value for name, (value, _) in found.items()}


def write(folder: str, results: dict[str, Any], path: Any) -> None:
    """Write metrics, and which checkpoint they are of, as summaries."""
    from evenkeel.tf1.graph_io.tensors import tensor_to_proto

    step = results[GraphKeys.GLOBAL_STEP]
    shown = (f"{k} = {v}" for k, v in sorted(results.items()) if not isinstance(v, bytes))
    logging.info("Saving dict for global step %d: %s", step, ", ".join(shown))
    summary = Summary()
    for name, value in results.items():
        if value is not None and name != GraphKeys.GLOBAL_STEP:
            _add(summary, name, value)
    writer = FileWriterCache.get(folder)
    writer.add_summary(summary, step)
    if path:
        logging.info("Saving 'checkpoint_path' summary for global step %d: %s", step, path)
        text = np.array(str(path).encode(), dtype=object)
        row = Summary.Value(tag="checkpoint_path", tensor=tensor_to_proto(text, dtype_of(text)))
        writer.add_summary(Summary(value=[row]), step)
    writer.flush()


def _add(summary: Any, name: str, value: Any) -> None:
    from evenkeel.tf1.graph_io.tensors import tensor_to_proto

    if isinstance(value, bytes):
        for index, row in enumerate(Summary.FromString(value).value):
            row.tag = f"{name}/{index}"
            summary.value.append(row)
    elif isinstance(value, np.ndarray):
        row = Summary.Value(
            tag=name, node_name=name, tensor=tensor_to_proto(value, dtype_of(value))
        )
        summary.value.append(row)
    else:
        summary.value.add(tag=name, simple_value=float(value))


def check_ends(features: Any) -> None:
    """A warning where nothing says that the input ends."""
    leaves = [t for t in structure.flatten(features) if isinstance(t, Tensor)]
    queued = get_default_graph().get_collection(GraphKeys.QUEUE_RUNNERS)
    if not queued and not any(t.op.type == "IteratorGetNext" for t in leaves):
        logging.warning(
            "Input graph does not use tf.data.Dataset or contain a QueueRunner. That means predict "
            "yields forever. This is probably a mistake."
        )


def chosen_predictions(predictions: Any, keys: Any) -> Any:
    """The predictions asked for by name."""
    if not keys:
        return predictions
    if not isinstance(predictions, dict):
        raise ValueError("predict_keys argument is not valid in case of non-dict predictions.")  # noqa: TRY004  # TensorFlow's class
    found = {k: v for k, v in predictions.items() if k in keys}
    if not found:
        raise ValueError(
            f"Expected to run at least one output from {predictions.keys()}, provided {keys}."
        )
    return found


def examples(batch: Any) -> Iterator[Any]:
    """The rows of a batch of predictions."""
    if not isinstance(batch, dict):
        yield from batch
        return
    sizes = {len(v) for v in batch.values()}
    if len(sizes) > 1:
        raise ValueError(f"Batch length of predictions should be same. Lengths: {sorted(sizes)}")
    for index in range(next(iter(sizes))):
        yield {key: value[index] for key, value in batch.items()}
