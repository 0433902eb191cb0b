"""``tf.contrib.rnn``: the cells of ``tf.nn.rnn_cell`` and the static networks of ``tf.nn``."""

from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.nn import rnn_cell
from evenkeel.tf1.nn.recurrent import static_bidirectional_rnn, static_rnn

__all__ = ["static_bidirectional_rnn", "static_rnn", *rnn_cell.__all__]


def __getattr__(name: str) -> Any:
    if name in rnn_cell.__all__:
        return getattr(rnn_cell, name)
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.contrib.rnn.{name}", __all__)
