"""Batches: how a model is run on one, what its labels are, what one image of it is."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evenkeel.doctor.recording import tensors_of
from evenkeel.errors import BadOption

Forward = Callable[[nn.Module, Any], Any]
Loss = Callable[[Any, Any], Tensor]


def call(model: nn.Module, batch: Any) -> Any:
    """Run a model on a batch: a tensor, a tuple that begins with one, a mapping of arguments."""
    if isinstance(batch, Tensor):
        return model(batch)
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, tuple | list) and batch and isinstance(batch[0], Tensor):
        return model(batch[0])
    raise BadOption(
        "a batch is a tensor, a tuple or list that begins with one, or a mapping of arguments",
        got=type(batch).__name__,
        do="give forward=, which runs the model on a batch: forward(model, batch)",
    )


def inputs_of(batch: Any) -> Any:
    """What of a batch goes into the model."""
    return batch[0] if isinstance(batch, tuple | list) else batch


def labels_of(batch: Any) -> Any:
    """The labels that come with a batch; None without any."""
    if isinstance(batch, Mapping):
        return batch.get("labels")
    return batch[1] if isinstance(batch, tuple | list) and len(batch) > 1 else None


def size_of(batch: Any) -> int:
    """How many examples a batch holds."""
    found = tensors_of(inputs_of(batch))
    return len(found[0]) if found and found[0].ndim else 0


def first_of(batch: Any, count: int = 1) -> Any:
    """The first examples of a batch, in its form."""
    size = size_of(batch)
    if isinstance(batch, Tensor):
        return batch[:count]
    cut = [
        v[:count] if isinstance(v, Tensor) and v.ndim and len(v) == size else v
        for v in _values(batch)
    ]
    return dict(zip(batch, cut, strict=True)) if isinstance(batch, Mapping) else type(batch)(cut)


def logits_of(outputs: Any) -> Tensor | None:
    """The scores [N, K] among a model's outputs."""
    named = getattr(outputs, "logits", None)
    found = [named] if isinstance(named, Tensor) else tensors_of(outputs)
    return next((y for y in found if y.ndim == 2 and y.is_floating_point()), None)


def loss_of(outputs: Any, labels: Any, loss: Loss | None) -> Tensor | None:
    """The loss: by the user's function, the model's own, or cross entropy where labels are classes."""
    if loss is not None and labels is not None:
        return loss(outputs, labels)
    own = outputs.get("loss") if isinstance(outputs, Mapping) else None
    if isinstance(own, Tensor):
        return own
    logits = logits_of(outputs)
    if logits is not None and are_classes(labels, logits):
        return cross_entropy(logits.float(), labels)
    return None


def are_classes(labels: Any, logits: Tensor) -> bool:
    """Whether labels number the columns of ``logits``."""
    plain = isinstance(labels, Tensor) and labels.dtype == torch.long and labels.ndim == 1
    return bool(plain and len(labels) == len(logits) and int(labels.max()) < logits.shape[1])


def some_loss(outputs: Any) -> Tensor | None:
    """A number that depends on every output, for a backward pass where there is no loss."""
    parts = [y.float().square().mean() for y in tensors_of(outputs) if y.requires_grad]
    return torch.stack(parts).sum() if parts else None


def _values(batch: Any) -> list[Any]:
    return list(batch.values()) if isinstance(batch, Mapping) else list(batch)
