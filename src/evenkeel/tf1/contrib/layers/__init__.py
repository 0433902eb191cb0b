"""``tf.contrib.layers``: layers, normalization, initializers, regularizers."""

import importlib
from typing import Any

from evenkeel.tf1.catalogue import missing

_WHERE = {
    "normalizing": ("batch_norm",),
    "dense": (
        "avg_pool2d", "conv1d", "conv2d", "conv2d_transpose", "conv3d", "convolution",
        "convolution1d", "convolution2d", "convolution2d_transpose", "convolution3d", "dropout",
        "flatten", "fully_connected", "linear", "max_pool2d", "one_hot_encoding", "relu", "repeat",
        "stack", "unit_norm",
    ),
    "initializers": (
        "variance_scaling_initializer", "xavier_initializer", "xavier_initializer_conv2d",
    ),
    "norms": ("instance_norm", "layer_norm"),
    "optimizing": ("OPTIMIZER_CLS_NAMES", "OPTIMIZER_SUMMARIES", "optimize_loss"),
    "regularizers": (
        "apply_regularization", "l1_l2_regularizer", "l1_regularizer", "l2_regularizer",
        "sum_regularizer",
    ),
    "summaries": (
        "summarize_activation", "summarize_activations", "summarize_collection", "summarize_tensor",
        "summarize_tensors",
    ),
}  # fmt: skip
_FILES = {name: file for file, names in _WHERE.items() for name in names}
__all__ = sorted(_FILES)  # sorted() gives a list


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name not in _FILES:
        raise missing(f"tf.contrib.layers.{name}", _FILES)
    return getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
