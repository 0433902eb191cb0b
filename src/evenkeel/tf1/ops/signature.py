"""What TensorFlow 1.15 says of each operation type: inputs, outputs, attributes and their defaults.

The rows of ``signatures.json`` were printed by TensorFlow 1.15.5 from its own registry, one line a
type: ``[name, [[input, type]], [[output, type]], {attr: [kind, default, allowed]}, stateful]``. A type
is an attribute's name, ``=float32`` for a fixed one, ``N*T`` for a list of one type, ``Tin[]`` for a
list of any types, with ``&`` before it for a reference to a variable.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evenkeel.tf1.dtypes import DType, as_dtype

NO_DEFAULT = object()


@dataclass(frozen=True, slots=True)
class Arg:
    """One input or output: its name, and how its type is found."""

    name: str
    ref: bool
    number: str  # the attribute that counts a list of one type
    kind: str  # the attribute that is the type, or that lists the types
    fixed: DType | None
    is_type_list: bool

    @property
    def is_list(self) -> bool:
        """Whether this takes a list of tensors."""
        return bool(self.number) or self.is_type_list


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute: its kind (``int``, ``type``, ``list(int)``, ...), default and allowed values."""

    kind: str
    default: Any
    allowed: list[Any] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """One operation type."""

    type: str
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    attrs: dict[str, Attr]
    stateful: bool

    def inferred(self) -> set[str]:
        """The attributes that the inputs decide."""
        return {n for a in self.inputs for n in (a.number, a.kind) if n}


def _arg(row: list[str]) -> Arg:
    name, text = row
    ref = text.startswith("&")
    number, _, kind = text.removeprefix("&").rpartition("*")
    fixed = as_dtype(kind[1:]) if kind.startswith("=") else None
    kind = "" if fixed else kind
    return Arg(name, ref, number, kind.removesuffix("[]"), fixed, kind.endswith("[]"))


def _attr(row: list[Any]) -> Attr:
    default = row[1] if len(row) > 1 and row[1] != "?" else NO_DEFAULT
    if default is None and row[0] == "list(type)":
        default = []
    return Attr(row[0], default, row[2] if len(row) > 2 else None)


@cache
def _rows() -> dict[str, list[Any]]:
    text = (Path(__file__).parent / "signatures.json").read_text(encoding="utf-8")
    return {row[0]: row for row in json.loads(text)}


@cache
def signature(kind: str) -> Signature:
    """The signature of an operation type; KeyError for one that TensorFlow 1.15 does not have."""
    name, inputs, outputs, attrs, stateful = _rows()[kind]
    return Signature(
        name,
        tuple(map(_arg, inputs)),
        tuple(map(_arg, outputs)),
        {key: _attr(row) for key, row in attrs.items()},
        bool(stateful),
    )


def known_types() -> list[str]:
    """Every operation type of TensorFlow 1.15."""
    return list(_rows())


def output_dtypes(kind: str, attrs: dict[str, Any]) -> list[DType]:
    """The element types of the outputs, from the attributes."""
    found: list[DType] = []
    for arg in signature(kind).outputs:
        if arg.is_type_list:
            types = list(attrs[arg.kind])
        else:
            types = [arg.fixed or attrs[arg.kind]] * (attrs[arg.number] if arg.number else 1)
        found += [t._as_ref if arg.ref else t for t in types]
    return found


def grouped(kind: str, attrs: dict[str, Any], inputs: list[Any]) -> list[Any]:
    """The flat inputs of a node, one entry an argument: a list where the argument is a list."""
    groups: list[Any] = []
    rest = iter(inputs)
    for arg in signature(kind).inputs:
        if arg.is_list:
            count = attrs[arg.number] if arg.number else len(attrs[arg.kind])
            groups.append([next(rest) for _ in range(count)])
        else:
            groups.append(next(rest))
    return groups
