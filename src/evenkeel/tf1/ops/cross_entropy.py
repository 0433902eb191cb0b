"""Cross entropies of softmax, with the gradients that TensorFlow defines for them."""

from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.infer import ShapeConflict
from evenkeel.tf1.ops.rules import broadcast_shapes, equal_sizes
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape


def _dense(node: Any) -> list[TensorShape]:
    both = broadcast_shapes(node.inputs[0].shape, node.inputs[1].shape)
    if both.ndims is None:
        return [TensorShape([None]), TensorShape([None, None])]
    if both.ndims != 2:
        raise ShapeConflict(f"Shape must be rank 2 but is rank {both.ndims}")
    return [both[:1], both]


def _sparse(node: Any) -> list[TensorShape]:
    logits, labels = (t.shape for t in node.inputs)
    if logits.ndims is None:
        return [TensorShape([labels.sizes[0] if labels.ndims == 1 else None]), logits]
    if logits.ndims != 2:
        raise ShapeConflict(f"Shape must be rank 2 but is rank {logits.ndims}")
    batch = equal_sizes(logits.sizes[0], labels.sizes[0] if labels.ndims == 1 else None)
    return [TensorShape([batch]), TensorShape([batch, logits.sizes[1]])]


class _Dense(torch.autograd.Function):
    """−Σ labels · log softmax, whose gradient is softmax − labels, whatever the labels sum to."""

    @staticmethod
    def forward(ctx: Any, logs: Any, labels: Any, slope: Any, features: Any) -> Any:
        """The losses; ``slope`` is softmax − labels."""
        ctx.save_for_backward(logs, slope)
        return -(labels * logs).sum(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """By the labels, and by the features."""
        logs, slope = ctx.saved_tensors
        weight = grads[0].unsqueeze(-1)
        by_labels = -logs * weight if ctx.needs_input_grad[1] else None
        return None, by_labels, None, slope * weight


@op("SoftmaxCrossEntropyWithLogits", shape=_dense)
def softmax_cross_entropy(features: Any, labels: Any) -> Any:
    """The loss of each row, and its gradient by the logits."""
    features, labels = torch.broadcast_tensors(features, labels)  # type: ignore[no-untyped-call]
    logs = torch.log_softmax(features, -1)
    slope = logs.exp() - labels
    return _Dense.apply(logs, labels, slope, features), slope  # type: ignore[no-untyped-call]


@op("SparseSoftmaxCrossEntropyWithLogits", shape=_sparse)
def sparse_softmax_cross_entropy(features: Any, labels: Any) -> Any:
    """The loss of each row whose class is given, and its gradient by the logits."""
    classes, count = labels.long(), features.shape[-1]
    if features.device.type == "meta":
        return features[:, 0], features
    if features.shape[0] != classes.shape[0]:
        raise errors.InvalidArgumentError(
            None, None,
            "logits and labels must have the same first dimension, got logits shape "
            f"{_sizes(features)} and labels shape {_sizes(classes)}",
        )  # fmt: skip
    if classes.numel() and not 0 <= int(classes.min()) <= int(classes.max()) < count:
        wrong = next(int(c) for c in classes if not 0 <= int(c) < count)
        listed = " ".join(str(int(c)) for c in classes)
        raise errors.InvalidArgumentError(
            None, None,
            f"Received a label value of {wrong} which is outside the valid range of [0, {count}).  "
            f"Label values: {listed}",
        )  # fmt: skip
    logs = torch.log_softmax(features, -1)
    slope = logs.exp() - torch.nn.functional.one_hot(classes, count).to(logs.dtype)
    return torch.nn.functional.nll_loss(logs, classes, reduction="none"), slope


def _sizes(value: Any) -> str:
    return f"[{','.join(str(s) for s in value.shape)}]"
