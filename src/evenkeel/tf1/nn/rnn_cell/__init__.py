"""``tf.nn.rnn_cell``: one step of a recurrent network."""

from evenkeel.tf1.nn.rnn_cell.base import RNNCell
from evenkeel.tf1.nn.rnn_cell.cells import (
    BasicLSTMCell,
    BasicRNNCell,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
)
from evenkeel.tf1.nn.rnn_cell.wrappers import DropoutWrapper, MultiRNNCell, ResidualWrapper

__all__ = [
    "BasicLSTMCell", "BasicRNNCell", "DropoutWrapper", "GRUCell", "LSTMCell", "LSTMStateTuple",
    "MultiRNNCell", "RNNCell", "ResidualWrapper",
]  # fmt: skip
