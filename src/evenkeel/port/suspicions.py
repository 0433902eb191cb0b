"""What looks wrong about tensors: pure functions of an inventory and of values, with numbers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.port.inventory import Entry, Inventory, Norm

Array = NDArray[Any]  # of whatever type the file holds
Read = Callable[[str], Array | None]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that looks wrong: which kind, where, what was seen, and the number behind it."""

    kind: str
    where: str
    text: str
    number: float

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def by_shape(found: Inventory) -> list[Suspicion]:
    """What names and shapes alone tell."""
    outputs = {n for entry in found.weights for n in _channels_of(entry)}
    listed = []
    for norm in found.norms:
        listed += [*without_statistics(norm), *unequal_lengths(norm), *unmatched(norm, outputs)]
    return listed


def by_value(found: Inventory, read: Read) -> list[Suspicion]:
    """What the values tell; each tensor is read once, or twice in a batch normalization."""
    listed = []
    for norm in found.norms:
        values = {
            role: value for role, e in norm.parts.items() if (value := read(e.name)) is not None
        }
        listed += [*never_moved(norm, values), *bad_variance(norm, values)]
    for entry in found.entries:
        value = read(entry.name)
        if value is not None:
            listed += non_finite(entry.name, value)
    for shadow, owner in found.averages.items():
        listed += stale_average(shadow, read(shadow), read(owner) if _has(found, owner) else None)
    return listed


def without_statistics(norm: Norm) -> list[Suspicion]:
    """Gamma or beta whose moving mean and variance are not there."""
    missing = [word for word in ("mean", "var") if word not in norm.parts]
    if not missing:
        return []
    words = " and ".join({"mean": "moving mean", "var": "moving variance"}[m] for m in missing)
    text = f"has {', '.join(e.name for e in norm.parts.values())}, but no {words}"
    return [Suspicion("without-statistics", norm.name, text, len(missing))]


def unequal_lengths(norm: Norm) -> list[Suspicion]:
    """Vectors of one layer that differ in length."""
    sizes = {r: prod(e.shape) for r, e in norm.parts.items() if r != "batches"}
    if len(set(sizes.values())) < 2:
        return []
    text = "its vectors have different lengths: " + ", ".join(f"{r} {n}" for r, n in sizes.items())
    return [Suspicion("unequal-lengths", norm.name, text, max(sizes.values()))]


def unmatched(norm: Norm, outputs: set[int]) -> list[Suspicion]:
    """A length that is no kernel's number of outputs or inputs."""
    if not outputs or norm.channels in outputs or not norm.channels:
        return []
    text = f"{norm.channels} channels, which no kernel in the file has"
    return [Suspicion("unmatched", norm.name, text, norm.channels)]


def never_moved(norm: Norm, values: Mapping[str, Array]) -> list[Suspicion]:
    """Moving mean all 0 and moving variance all 1: their initial values."""
    mean, var = values.get("mean"), values.get("var")
    if mean is None or var is None or not mean.size:
        return []
    moved = max(float(np.abs(mean).max()), float(np.abs(var - 1).max()))
    if moved != 0:
        return []
    text = "its moving averages are at their initial values, 0 and 1: no update ever ran"
    return [Suspicion("never-moved", norm.name, text, moved)]


def bad_variance(norm: Norm, values: Mapping[str, Array]) -> list[Suspicion]:
    """Variances below 0, which cannot be, or of 0, whose channels are constant."""
    var = values.get("var")
    if var is None or not var.size:
        return []
    # NaN is said elsewhere, and must not hide the rest.
    lowest, zeros = float(np.fmin.reduce(var, axis=None)), int((var == 0).sum())
    if lowest < 0:
        text = f"its moving variance goes down to {lowest:.3g}, below 0"
        return [Suspicion("negative-variance", norm.name, text, lowest)]
    if zeros:
        text = f"its moving variance is 0 in {zeros} of {var.size} channels, which never varied"
        return [Suspicion("zero-variance", norm.name, text, zeros)]
    return []


def non_finite(name: str, value: Array) -> list[Suspicion]:
    """NaN or infinity."""
    if value.dtype.kind != "f":
        return []
    count = int(value.size - np.isfinite(value).sum())
    text = f"{count} of {value.size} values are NaN or infinite"
    return [Suspicion("non-finite", name, text, count)] if count else []


def stale_average(shadow: str, value: Array | None, own: Array | None) -> list[Suspicion]:
    """A moving average of weights that is all 0 although its weights are not."""
    if value is None or own is None or not value.size or value.any() or not own.any():
        return []
    text = f"is all 0 while its variable goes up to {float(np.abs(own).max()):.3g}"
    return [Suspicion("stale-average", shadow, text, 0.0)]


def _channels_of(entry: Entry) -> Iterable[int]:
    """Numbers of outputs and inputs of a kernel, in TensorFlow's order of axes and in torch's."""
    if len(entry.shape) < 2:
        return ()
    *_, inputs, outputs = entry.shape
    return {inputs, outputs, inputs * outputs, *entry.shape[:2]}


def _has(found: Inventory, name: str) -> bool:
    return any(entry.name == name for entry in found.entries)
