"""The lines of a generated forward: which variable holds which value, and for how long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evenkeel.port.naming import WIDTH

_JOIN = re.compile(r"torch\.cat\(\[(.*)\], dim=(\d+)\)")
_FRESH = ("y", "z", "u", "v", "w")


@dataclass(frozen=True, slots=True)
class Line:
    """``target = expression``; annotated where the name is new."""

    target: str
    expression: str
    is_new: bool

    def written(self, indent: int) -> list[str]:
        """The line, or several where it would be too long."""
        start = f"{' ' * indent}{self.target}{': Tensor' if self.is_new else ''} = "
        joined = _JOIN.fullmatch(self.expression)
        if len(start + self.expression) <= WIDTH or joined is None:
            return [start + self.expression]
        inner = " " * (indent + 4)
        names = [f"{inner}    {name}," for name in joined[1].split(", ")]
        end = [f"{inner}],", f"{inner}dim={joined[2]},", f"{' ' * indent})"]
        return [f"{start}torch.cat(", f"{inner}[", *names, *end]


@dataclass(frozen=True, slots=True)
class Unit:
    """What one line computes: ``template`` has a place for each input."""

    inputs: tuple[int, ...]
    output: int
    template: str


def forward(
    units: Sequence[Unit], entries: Sequence[int], output: int
) -> tuple[list[Line], list[str], str]:
    """(lines, names of the arguments, name of the result) for units in order."""
    names = ["x"] if len(entries) == 1 else [f"x{i + 1}" for i in range(len(entries))]
    holds = dict(zip(entries, names, strict=True))
    last = {number: i for i, unit in enumerate(units) for number in unit.inputs}
    last[output] = len(units)
    known, lines = set(names), list[Line]()
    for place, unit in enumerate(units):
        text = unit.template.format(*(holds[n] for n in unit.inputs))
        gone = [holds[n] for n in unit.inputs if last[n] == place]
        for number in [n for n in holds if last.get(n, -1) <= place]:
            del holds[number]
        target = "out" if unit.output == output else _target(gone, set(holds.values()))
        lines.append(Line(target, text, target not in known))
        known.add(target)
        holds[unit.output] = target
    return lines, names, holds[output]


def _target(gone: list[str], held: set[str]) -> str:
    """A variable that is free: one just used for the last time, or another."""
    free = [name for name in gone if name not in held]
    if free:
        return free[0]
    return next(n for n in (*_FRESH, *(f"y{i}" for i in range(2, 1000))) if n not in held)
