"""Data: MNIST and its kin from files or the network, the embedded digits, batches by step."""

from evenkeel.data.batches import Batches
from evenkeel.data.dataset import Dataset, Split
from evenkeel.data.idx import read_idx, write_idx
from evenkeel.data.sources import SOURCES, load

__all__ = ["SOURCES", "Batches", "Dataset", "Split", "load", "read_idx", "write_idx"]
