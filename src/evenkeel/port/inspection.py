"""What a file of weights or a graph holds and what looks wrong, as text and as JSON."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evenkeel.port.files import open_tensors
from evenkeel.port.inventory import Entry, Inventory, inventory
from evenkeel.port.suspicions import Suspicion, by_shape, by_value


@dataclass(frozen=True)
class Inspection:
    """A file's tensors by what they are, and what looks wrong about them."""

    file: str
    kind: str
    found: Inventory
    suspicions: list[Suspicion]

    def text(self) -> str:
        """For people: a line for each tensor, layer and suspicion."""
        return "\n".join(self._lines()) + "\n"

    def json(self) -> str:
        """For programs: one object with file, kind, tensors, norms and suspicions."""
        plain: dict[str, Any] = {
            "file": self.file,
            "kind": self.kind,
            "tensors": [{**asdict(e), **self._role(e.name)} for e in self.found.entries],
            "norms": [
                {
                    "name": norm.name,
                    "channels": norm.channels,
                    "parts": {role: e.name for role, e in norm.parts.items()},
                }
                for norm in self.found.norms
            ],
            "suspicions": [_plain(suspicion) for suspicion in self.suspicions],
        }
        return json.dumps(plain, indent=1, allow_nan=False) + "\n"

    def _role(self, name: str) -> dict[str, str]:
        found = self.found
        for role, names in (("moving average", found.averages), ("optimizer", found.slots)):
            if name in names:
                return {"role": role, "of": names[name]}
        return {"role": "model"}

    def _lines(self) -> Iterator[str]:
        found = self.found
        yield (
            f"{self.file}: {self.kind}, {len(found.entries)} tensors: {len(found.weights)} of the "
            f"model, {len(found.averages)} moving averages of them, {len(found.slots)} of optimizers"
        )
        slots = [e for e in found.entries if e.name in found.slots]
        averages = [e for e in found.entries if e.name in found.averages]
        yield from _table("model", found.weights)
        yield from _table("moving averages", averages)
        yield from _table("optimizer", slots)
        yield from self._norms()
        yield from ("", "what looks wrong" if self.suspicions else "nothing looks wrong")
        yield from (f"  {suspicion}" for suspicion in self.suspicions)

    def _norms(self) -> Iterator[str]:
        if self.found.norms:
            yield from ("", "batch-norm layers")
        width = max((len(norm.name) for norm in self.found.norms), default=0)
        for norm in self.found.norms:
            parts = ", ".join(e.name[len(norm.name) :].strip("/.") for e in norm.parts.values())
            yield f"  {norm.name:<{width}}  {norm.channels:>5} channels: {parts}"


def inspected(path: str | Path) -> Inspection:
    """A checkpoint, .meta, .pb, SavedModel folder, .safetensors or .pt, looked through.

    Every tensor is read once, and nothing in the file is executed.

    Raises:  BadData for a file that is missing, damaged, or none of these

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from evenkeel.checkpoint import write_bundle
    >>> with TemporaryDirectory() as folder:
    ...     write_bundle(f"{folder}/model.ckpt", {"w": np.array([1.0, np.nan])})
    ...     inspected(f"{folder}/model.ckpt").suspicions[0].text
    '1 of 2 values are NaN or infinite'
    """
    tensors = open_tensors(path)
    found = inventory(tensors.entries)
    suspicions = [*by_shape(found), *by_value(found, tensors.read)]
    return Inspection(str(path), tensors.kind, found, suspicions)


def _table(title: str, entries: list[Entry]) -> Iterator[str]:
    if entries:
        yield from ("", title)
    width = max((len(e.name) for e in entries), default=0)
    for e in entries:
        yield f"  {e.name:<{width}}  {e.dtype:<8} {list(e.shape)}"


def _plain(suspicion: Suspicion) -> dict[str, Any]:
    """JSON has no infinity."""
    number = suspicion.number if math.isfinite(suspicion.number) else None
    return asdict(suspicion) | {"number": number}
