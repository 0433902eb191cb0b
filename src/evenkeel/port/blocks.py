"""Repeated structure: windows of steps that occur several times become one class."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from evenkeel.port.steps import Argument, Step

LONGEST = 40  # steps in one block: a residual block has 5 to 15


@dataclass(eq=False)
class Block:
    """A class to be: its instances, each a list of items of the same structure."""

    instances: list[list["Item"]] = field(default_factory=list)


@dataclass(eq=False)
class Item:
    """A step, or an instance of a block with what is inside of it."""

    inputs: tuple[int, ...]
    output: int
    signature: Hashable
    step: Step | None = None
    block: Block | None = None
    children: list["Item"] = field(default_factory=list)

    def leaves(self) -> Iterator[Step]:
        """The steps inside."""
        if self.step is not None:
            yield self.step
        for child in self.children:
            yield from child.leaves()


def folded(steps: list[Step], output: int) -> list[Item]:
    """The steps with every repeated window replaced by an instance of a block; innermost first."""
    shared = _shared(steps)
    items = [_item(step, shared) for step in steps]
    while (found := _best(items, output)) is not None:
        starts, length = found
        items = _replaced(items, starts, length)
    return items


def _item(step: Step, shared: set[int]) -> Item:
    call = step.call
    fixed = {} if call is None else {k: v for k, v in call.arguments.items() if is_fixed(v)}
    names = () if call is None else tuple(call.arguments)
    signature: Hashable = (
        step.kind, step.template, call.name if call else "", names,
        tuple(sorted(fixed.items(), key=str)), frozenset(step.tensors), bool(step.pads),
    )  # fmt: skip
    if step.output in shared:
        signature = (signature, step.output)
    return Item(step.inputs, step.output, signature, step)


def is_fixed(value: Argument) -> bool:
    """Whether an argument is part of a block's structure and not one of its parameters."""
    return value is None or isinstance(value, bool | str)


def _shared(steps: list[Step]) -> set[int]:
    """Outputs of steps whose layer is used more than once."""
    users: dict[Hashable, list[int]] = defaultdict(list)
    for step in steps:
        if (key := identity(step)) is not None:
            users[key].append(step.output)
    return {number for numbers in users.values() if len(numbers) > 1 for number in numbers}


def identity(step: Step) -> Hashable | None:
    """What two steps with one layer between them have in common: the graph's variables."""
    owners = tuple(sorted(step.owners.items()))
    if not owners or not all(name for _, name in owners) or step.call is None:
        return None
    return (step.kind, owners, tuple(sorted(step.call.arguments.items(), key=str)), step.pads)


def _best(items: list[Item], output: int) -> tuple[list[int], int] | None:
    """(starts, length) of the windows whose replacement saves most."""
    maker = {item.output: i for i, item in enumerate(items)}
    last_use = _last_uses(items, output)
    best: tuple[list[int], int] | None = None
    gain = 1
    for length in range(2, min(LONGEST, len(items) // 2) + 1):
        for starts in _repeats(items, length, maker, last_use):
            saved = (len(starts) - 1) * length
            if saved > gain:
                best, gain = (starts, length), saved
    return best


def _last_uses(items: list[Item], output: int) -> dict[int, int]:
    found = {number: i for i, item in enumerate(items) for number in item.inputs}
    return found | {output: len(items)}


def _repeats(
    items: list[Item], length: int, maker: Mapping[int, int], last_use: Mapping[int, int]
) -> Iterator[list[int]]:
    """Starts of windows of this length that do not overlap and have the same structure."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for start in range(len(items) - length + 1):
        key = _structure(items, start, length, maker, last_use)
        if key is not None and (not found[key] or found[key][-1] + length <= start):
            found[key].append(start)
    yield from (starts for starts in found.values() if len(starts) > 1)


def _structure(
    items: list[Item], start: int, length: int, maker: Mapping[int, int], last: Mapping[int, int]
) -> Hashable | None:
    """What a window does, apart from sizes; None unless it has one entry and one exit."""
    end = start + length
    entry: int | None = None
    parts: list[Hashable] = []
    for place in range(start, end):
        item = items[place]
        if place < end - 1 and last.get(item.output, -1) >= end:
            return None
        references: list[int] = []
        for number in item.inputs:
            made = maker.get(number, -1)
            if made >= start:
                references.append(place - made)
                continue
            if entry is not None and number != entry:
                return None
            entry = number
            references.append(0)
        parts.append((item.signature, tuple(references)))
    if entry is None or not _is_worthwhile(items[start:end]) or _glues(items, start, end):
        return None
    return tuple(parts)


def _is_worthwhile(items: list[Item]) -> bool:
    """Whether there are weights inside, and more than a row of one block."""
    is_row = all(item.block is not None for item in items)
    return not is_row and any(step.tensors for item in items for step in item.leaves())


def _glues(items: list[Item], start: int, end: int) -> bool:
    """Whether a window only glues a block that is whole already before or behind another one."""
    first, last = items[start], items[end - 1]
    rest = [n for item in items[start + 1 : end] for n in item.inputs]
    own = first.output in rest and not set(first.inputs) & set(rest)
    if first.block is not None and own:
        return end - start > 2 and _is_worthwhile(items[start + 1 : end])
    return last.block is not None and end - start > 2 and _is_worthwhile(items[start : end - 1])


def _replaced(items: list[Item], starts: list[int], length: int) -> list[Item]:
    block = Block()
    made, place = [], 0
    while place < len(items):
        if place not in starts:
            made.append(items[place])
            place += 1
            continue
        inside = items[place : place + length]
        outputs = {item.output for item in inside}
        entry = next(n for item in inside for n in item.inputs if n not in outputs)
        block.instances.append(inside)
        made.append(Item((entry,), inside[-1].output, block, block=block, children=inside))
        place += length
    return made
