"""The data sets that TensorFlow 1's tutorials and Keras read, from files that are here already."""

from evenkeel.tf1.datasets.dataset import DataSet, Datasets
from evenkeel.tf1.datasets.mnist import read_data_sets

__all__ = ["DataSet", "Datasets", "read_data_sets"]
