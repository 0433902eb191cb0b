"""What tensors are, by their names and shapes: batch-norm layers, moving averages, optimizer slots."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

AVERAGE = "/ExponentialMovingAverage"

# The last part of a name -> what it is to a batch normalization; TensorFlow's words, then torch's.
_ROLES = {
    "gamma": "weight",
    "scale": "weight",
    "weight": "weight",
    "beta": "bias",
    "offset": "bias",
    "bias": "bias",
    "moving_mean": "mean",
    "running_mean": "mean",
    "pop_mean": "mean",
    "moving_variance": "var",
    "moving_var": "var",
    "running_var": "var",
    "pop_variance": "var",
    "pop_var": "var",
    "num_batches_tracked": "batches",
}
_OF_NORM = frozenset(("gamma", "beta"))  # these names alone tell a batch normalization
_SLOTS = (
    "Adam", "Adam_1", "Momentum", "RMSProp", "RMSProp_1", "RMSProp_2", "Adagrad", "Adadelta",
    "Adadelta_1", "Ftrl", "Ftrl_1", "ProximalAdagrad", "AdaMax", "AdaMax_1",
)  # fmt: skip
_TORCH_SLOT = re.compile(r"(^|\.)state\.\d+\.(exp_avg|exp_avg_sq|momentum_buffer|step|square_avg)$")
_DIGITS = re.compile(r"(\d+)")
_COUNTERS = re.compile(r"(^|/)(beta[12]_power(_\d+)?|global_step)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor: name, shape (-1 where a size is open), type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Norm:
    """A batch-norm layer: what belongs together, by role: weight, bias, mean, var, batches."""

    name: str
    parts: Mapping[str, Entry]

    @property
    def channels(self) -> int:
        """The length of its vectors; the commonest where they differ."""
        sizes = [e.shape[-1] for r, e in self.parts.items() if r != "batches" and e.shape]
        return max(set(sizes), key=sizes.count) if sizes else 0


@dataclass(frozen=True, slots=True)
class Inventory:
    """Tensors by what they are. ``averages`` and ``slots``: name -> the variable it belongs to."""

    entries: list[Entry]
    norms: list[Norm] = field(default_factory=list)
    averages: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> list[Entry]:
        """Everything that is neither a moving average nor an optimizer's."""
        return [e for e in self.entries if e.name not in self.averages.keys() | self.slots.keys()]


def inventory(entries: Iterable[Entry]) -> Inventory:
    """Sort tensors by their names.

    >>> names = ("bn/gamma", "bn/gamma/Adam", "bn/beta", "bn/moving_mean", "bn/moving_variance")
    >>> found = inventory(Entry(n, (8,), "float32") for n in names)
    >>> found.norms[0].name, sorted(found.norms[0].parts), found.slots
    ('bn', ['bias', 'mean', 'var', 'weight'], {'bn/gamma/Adam': 'bn/gamma'})
    """
    listed = sorted(entries, key=lambda e: _natural(e.name))
    names = {e.name for e in listed}
    averages = {n: n.removesuffix(AVERAGE) for n in names if n.endswith(AVERAGE)}
    slots = {n: owner for n in names if (owner := _slot_of(n, names)) is not None}
    kept = [e for e in listed if e.name not in averages.keys() | slots.keys()]
    return Inventory(
        listed, _norms(kept), dict(sorted(averages.items())), dict(sorted(slots.items()))
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """What sorts layer_10 behind layer_9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name)]


def _slot_of(name: str, names: set[str]) -> str | None:
    """The variable that an optimizer's tensor belongs to; empty for a counter; None for no slot."""
    head, _, tail = name.rpartition("/")
    if tail in _SLOTS and head:
        # A slot made inside of a name scope carries it in front of its variable's name.
        owners = [n for n in names if n == head or head.endswith(f"/{n}")]
        return max(owners, key=len) if owners else head
    return "" if _COUNTERS.search(name) or _TORCH_SLOT.search(name) else None


def _norms(entries: list[Entry]) -> list[Norm]:
    groups: dict[str, dict[str, Entry]] = {}
    sure: set[str] = set()
    for entry in entries:
        head, last = _split(entry.name)
        role = _ROLES.get(re.sub(r"_\d+$", "", last))
        if role is None or (role != "batches" and len(entry.shape) > 1 and entry.shape[0] != 1):
            continue
        groups.setdefault(head, {}).setdefault(role, entry)
        if last in _OF_NORM or role in ("mean", "var"):
            sure.add(head)
    return [Norm(head, parts) for head, parts in groups.items() if head in sure]


def _split(name: str) -> tuple[str, str]:
    mark = "/" if "/" in name else "."
    head, _, last = name.rpartition(mark)
    return head, last
