"""Feeds: any tensor by itself, by name or by what stands for it; checked against its static shape."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from evenkeel.tf1 import dtypes
from evenkeel.tf1.nodes import IndexedSlices, Tensor
from evenkeel.tf1.values import to_torch

if TYPE_CHECKING:
    from evenkeel.tf1.graph import Graph


def fed_tensors(graph: "Graph", feeds: Any) -> Iterator[tuple[Tensor, Any]]:
    """Each fed tensor and its value."""
    for key, value in feeds.items():
        if isinstance(key, IndexedSlices):
            yield key.values, value.values
            yield key.indices, value.indices
        elif isinstance(key, list | tuple):
            yield from fed_tensors(graph, dict(zip(key, value, strict=True)))
        else:
            yield _tensor(graph, key), value


def _tensor(graph: "Graph", key: Any) -> Tensor:
    try:
        found = graph.as_graph_element(key, allow_operation=False)
    except (TypeError, ValueError, KeyError) as error:
        words = error.args[0] if error.args else error
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {words}") from None
    if not graph.is_feedable(found):
        raise ValueError(f"Tensor {found} may not be fed.")
    return found  # type: ignore[return-value]  # operations are not allowed above


def feeder(tensor: Tensor, device: Any) -> Callable[[Any], Any]:
    """The function that turns what is fed for ``tensor`` into a value of its own."""
    kind, shape = tensor.dtype.base_dtype, tensor.shape
    sizes = None if shape.ndims is None else shape.sizes
    free = sizes is None or all(s is None for s in sizes)
    numpy_kind = kind.as_numpy_dtype if kind.has_torch and kind.name != "bfloat16" else None
    wide = numpy_kind is None or numpy_kind in (np.uint16, np.uint32, np.uint64)
    on_cpu = str(device) == "cpu"
    rank = None if sizes is None else len(sizes)

    def feed(value: Any) -> Any:
        if isinstance(value, Tensor):
            raise TypeError(
                "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include "
                f"Python scalars, strings, lists, numpy ndarrays, or TensorHandles. For reference, "
                f"the tensor object was {value} which was passed to the feed with key {tensor}."
            )
        array = _array(value, numpy_kind, tensor)
        if rank is not None and (array.ndim != rank or not (free or _fits(array.shape, sizes))):
            raise ValueError(
                f"Cannot feed value of shape {array.shape} for Tensor {tensor.name!r}, which has "
                f"shape '{shape}'"
            )
        if wide:
            return to_torch(array, kind, device)
        made = torch.from_numpy(array)
        return made if on_cpu else made.to(device)

    return feed


def _array(value: Any, kind: Any, tensor: Tensor) -> Any:
    """A fresh array: what is fed may be changed by its owner after the run."""
    _check_integer(value, tensor)
    if kind is None:
        return _texts(value) if not tensor.dtype.has_torch else np.array(value)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.array(value, dtype=kind, order="C")


def _texts(value: Any) -> Any:
    """Strings as bytes, whatever holds them."""
    array = np.array(value, dtype=object)
    flat = array.reshape(-1)
    for index, one in enumerate(flat):
        if isinstance(one, str):
            flat[index] = one.encode()
    return array


def _check_integer(value: Any, tensor: Tensor) -> None:
    if isinstance(value, int) and tensor.dtype.is_integer:
        try:
            fits = dtypes.as_dtype(tensor.dtype.base_dtype).as_numpy_dtype(value) == value
        except OverflowError:
            fits = False
        if not fits:
            raise TypeError(
                f"Type of feed value {value} with type {type(value)} is not compatible with Tensor "
                f"type {tensor.dtype.as_numpy_dtype}. Try explicitly setting the type of the feed "
                "tensor to a larger type (e.g. int64)."
            )


def _fits(there: tuple[int, ...], sizes: Any) -> bool:
    return all(a is None or a == b for a, b in zip(sizes, there, strict=True))
