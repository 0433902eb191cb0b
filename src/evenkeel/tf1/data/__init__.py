"""``tf.data``: input pipelines as nodes of the graph, in TensorFlow's order."""

from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.data import experimental as experimental
from evenkeel.tf1.data.dataset import Dataset
from evenkeel.tf1.data.iterator import Iterator
from evenkeel.tf1.data.options import Options
from evenkeel.tf1.data.readers import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset

__all__ = [
    "Dataset", "FixedLengthRecordDataset", "Iterator", "Options", "TFRecordDataset",
    "TextLineDataset", "experimental", "get_output_classes", "get_output_shapes",
    "get_output_types", "make_initializable_iterator", "make_one_shot_iterator",
]  # fmt: skip


def get_output_types(dataset_or_iterator: Any) -> Any:
    """The types of the components, nested as an element is."""
    return dataset_or_iterator.output_types


def get_output_shapes(dataset_or_iterator: Any) -> Any:
    """The static shapes of the components, nested as an element is."""
    return dataset_or_iterator.output_shapes


def get_output_classes(dataset_or_iterator: Any) -> Any:
    """The classes of the components, nested as an element is."""
    return dataset_or_iterator.output_classes


def make_one_shot_iterator(dataset: Dataset) -> Iterator:
    """An iterator that goes once through a dataset, without being initialized."""
    return dataset.make_one_shot_iterator()


def make_initializable_iterator(dataset: Dataset, shared_name: str | None = None) -> Iterator:
    """An iterator that starts whenever its ``initializer`` runs."""
    return dataset.make_initializable_iterator(shared_name)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.data.{name}", __all__)
