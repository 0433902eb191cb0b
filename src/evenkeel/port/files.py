"""Tensors in files of every kind: names, shapes and types at once, values one at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenkeel.checkpoint import open_checkpoint
from evenkeel.errors import BadData, EvenkeelError
from evenkeel.files import refuse_bomb
from evenkeel.port.inventory import Entry
from evenkeel.port.reading import VARIABLES
from evenkeel.port.source import FROZEN, Source, from_frozen, from_meta, from_saved_model
from evenkeel.tf1.graph import Graph

Array = NDArray[Any]  # of whatever type the file holds
_NUMBERS = "fiub"  # NumPy's kinds whose values can be looked at


@dataclass(frozen=True)
class Tensors:
    """What a file holds; ``read`` gives the values of one tensor, None where the file has none."""

    kind: str
    entries: list[Entry]
    read: Callable[[str], Array | None]
    graph: Graph | None = None

    def values(self, names: set[str] | None = None) -> Iterator[tuple[str, Array]]:
        """Names and values of the tensors of numbers, one at a time."""
        for entry in self.entries:
            if names is None or entry.name in names:
                value = self.read(entry.name)
                if value is not None and value.dtype.kind in _NUMBERS:
                    yield entry.name, value


def open_tensors(path: str | Path) -> Tensors:
    """A checkpoint (by its prefix or one of its files), .meta, .pb, SavedModel, .safetensors or .pt.

    Raises:  BadData for a file that is missing, damaged, or none of these. Nothing in it is executed
    """
    file = Path(path)
    for suffixes, opened in _BY_SUFFIX.items():
        if file.suffix in suffixes and file.exists():
            return opened(file)
    if file.is_dir():
        return _saved_model(file)
    name = file.name.partition(".data-")[0].removesuffix(".index")
    return _checkpoint(file.with_name(name))


def _checkpoint(prefix: Path) -> Tensors:
    found = open_checkpoint(prefix)
    entries = [Entry(n, tuple(i.shape), i.dtype_name) for n, i in sorted(found.entries.items())]
    texts = {e.name for e in entries if e.dtype == "string"}
    return Tensors("checkpoint", entries, lambda n: None if n in texts else np.asarray(found[n]))


def _saved_model(folder: Path) -> Tensors:
    return _of_graph("SavedModel", from_saved_model(folder))


def _meta(file: Path) -> Tensors:
    return _of_graph("meta graph", from_meta(file))


def _frozen(file: Path) -> Tensors:
    return _of_graph("frozen graph", from_frozen(file))


def _of_graph(kind: str, source: Source) -> Tensors:
    """Variables, whose values may be elsewhere; in a frozen graph the constants read as weights."""
    entries, constants = [], {}
    for op in source.graph.operations.values():
        if op.type in VARIABLES:
            shape = op.outputs[0].shape if op.type != "VarHandleOp" else op.attrs["shape"]
            sizes = tuple(-1 if s is None else int(s) for s in shape.sizes or ())
            dtype = op.attrs.get("dtype", op.outputs[0].dtype).base_dtype.name
            entries.append(Entry(op.name, sizes, dtype))
        elif op.type == "Const" and kind == "frozen graph" and _is_weight(op):
            value = np.asarray(op.attrs["value"])
            constants[op.name] = value
            entries.append(Entry(op.name, value.shape, value.dtype.name))

    def read(name: str) -> Array | None:
        if name in constants:
            return constants[name]
        return np.asarray(source.values[name]) if name in source.values else None

    return Tensors(kind, sorted(entries, key=lambda e: e.name), read, source.graph)


def _is_weight(op: Any) -> bool:
    return any(c.type == "Identity" and c.name == f"{op.name}/read" for c in op._consumed)


def _safetensors(file: Path) -> Tensors:
    from safetensors import safe_open

    def all_of() -> Mapping[str, Any]:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118

    def read(name: str) -> Array | None:
        with safe_open(file, framework="pt") as opened:
            return _array(opened.get_tensor(name))

    try:
        slices = all_of()
    except Exception as error:  # safetensors has errors of its own for everything
        raise _damaged(file, error) from error
    entries = [
        Entry(n, tuple(s.get_shape()), s.get_dtype().lower()) for n, s in sorted(slices.items())
    ]
    return Tensors("safetensors", entries, read)


def _torch(file: Path) -> Tensors:
    refuse_bomb(file)
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, pickle's among them
        raise _damaged(file, error) from error
    found = dict(_flat("", loaded))
    entries = [
        Entry(n, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for n, t in found.items()
    ]
    return Tensors("torch file", entries, lambda n: _array(found[n]))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), part)
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _flat(f"{prefix}.{i}" if prefix else str(i), part)


def _array(tensor: torch.Tensor) -> Array | None:
    if tensor.layout != torch.strided or tensor.is_quantized:
        return None
    wide = tensor.detach()
    return np.asarray((wide.float() if wide.dtype == torch.bfloat16 else wide).numpy())


def _damaged(file: Path, error: Exception) -> EvenkeelError:
    return BadData(
        "the file cannot be read as weights",
        got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        do="restore it from a copy; of .pt files only plain tensors are loaded, never code",
        at=str(file),
    )


_BY_SUFFIX: dict[tuple[str, ...], Callable[[Path], Tensors]] = {
    (".meta",): _meta,
    FROZEN: _frozen,
    (".safetensors",): _safetensors,
    (".pt", ".pth", ".bin"): _torch,
}
