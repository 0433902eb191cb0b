"""Classes of the generated file: what they construct, what forward does, where each tensor lives."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evenkeel.port.blocks import Block, Item, identity
from evenkeel.port.forward import Line, Unit, forward
from evenkeel.port.naming import (
    Parameter,
    code_of,
    is_varied,
    laid_out,
    needs_pad,
    noun,
    numbered,
    parameter,
    parts,
    same_form,
    written,
)
from evenkeel.port.steps import Argument, Array, Call, Step

_CLASSES = {
    "conv": "ConvBlock",
    "dense": "DenseBlock",
    "residual": "ResidualBlock",
    "separable": "SeparableBlock",
    "upconv": "UpsamplingBlock",
    "embedding": "EmbeddingBlock",
    "norm": "NormBlock",
}
_PLURALS = {"dense": "hidden", "residual": "residuals", "separable": "separables"}


@dataclass(eq=False)
class Layer:
    """One attribute of a class: a constructor, or several instances of a block in a row.

    ``calls[k][j]``: what instance k of the class constructs as the j-th in the row.
    """

    noun: str
    calls: list[list[Call]]
    in_row: bool = False
    notes: tuple[str, ...] = ()
    name: str = ""


@dataclass(eq=False)
class Group:
    """Items that one line of forward runs: one, or a row of blocks; padding comes before its layer."""

    items: list[Item]
    layers: list[Layer]
    place: int

    def unit(self) -> Unit:
        """The line, once its layers have names."""
        step = self.items[0].step
        template = "{layer}({0})" if step is None else step.template
        if len(self.layers) > 1:
            template = template.replace("{0}", f"self.{self.layers[0].name}({{0}})")
        if self.layers:
            template = template.replace("{layer}", f"self.{self.layers[-1].name}")
        return Unit(self.items[0].inputs, self.items[-1].output, template)


@dataclass(eq=False)
class Class:
    """A class to be written: layers, parameters, lines of forward."""

    name: str
    groups: list[Group]
    layers: list[Layer]
    lines: list[Line]
    entries: list[str]
    result: str
    parameters: list[Parameter] = field(default_factory=list)
    instances: list[list[Item]] = field(default_factory=list)

    def columns(self) -> Iterator[tuple[str, tuple[Argument, ...]]]:
        """Every argument that differs between the instances."""
        for layer in self.layers:
            for j in range(len(layer.calls[0])):
                yield from _varied([row[j] for row in layer.calls])


def _varied(calls: Sequence[Call]) -> Iterator[tuple[str, tuple[Argument, ...]]]:
    for name, value in calls[0].arguments.items():
        if is_varied(value):
            values = tuple(same_form([call.arguments[name] for call in calls]))
            if len(set(values)) > 1:
                yield name, values


class Plan:
    """All classes of a file: blocks first, the network last."""

    def __init__(self, items: list[Item], entries: Sequence[int], output: int) -> None:
        self.classes: dict[Block | None, Class] = {}
        self.names = Counter[str]()
        for item in items:
            self._plan_blocks(item)
        self.network = self._planned(None, [items], entries, output)

    def _plan_blocks(self, item: Item) -> None:
        block = item.block
        if block is None or block in self.classes:
            return
        for instance in block.instances:
            for child in instance:
                self._plan_blocks(child)
        first = block.instances[0]
        inside = {i.output for i in first}
        entry = next(n for i in first for n in i.inputs if n not in inside)
        self._planned(block, block.instances, [entry], first[-1].output)

    def _planned(
        self, block: Block | None, instances: list[list[Item]], entries: Sequence[int], output: int
    ) -> Class:
        groups = self._groups(instances)
        layers = list(dict.fromkeys(layer for group in groups for layer in group.layers))
        _name(layers, is_network=block is None)
        lines, names, result = forward([g.unit() for g in groups], entries, output)
        name = self._class_name(block)
        made = Class(name, groups, layers, lines, names, result, instances=instances)
        made.parameters = _parameters(made)
        self.classes[block] = made
        return made

    def _class_name(self, block: Block | None) -> str:
        if block is None:
            return "Network"
        item = Item((), 0, "", block=block, children=block.instances[0])
        base = _CLASSES[noun(item)]
        self.names[base] += 1
        return base if self.names[base] == 1 else f"{base}{self.names[base]}"

    # ---- layers

    def _groups(self, instances: list[list[Item]]) -> list[Group]:
        """What each line of forward calls, in order."""
        known: dict[object, list[Layer]] = {}
        first, place, groups = instances[0], 0, list[Group]()
        while place < len(first):
            count = _row(first, place)
            layers = self._layers([i[place : place + count] for i in instances], known)
            groups.append(Group(first[place : place + count], layers, place))
            place += count
        return groups

    def _layers(self, instances: list[list[Item]], known: dict[object, list[Layer]]) -> list[Layer]:
        first = instances[0][0]
        if first.block is not None:
            rows = [[self.call(item) for item in instance] for instance in instances]
            return [Layer(noun(first), rows, len(rows[0]) > 1)]
        steps = [step for instance in instances for step in instance[0].leaves()]
        key = identity(steps[0]) if len(steps) == 1 else None
        if key is not None and key in known:
            return known[key]
        found = [parts(step, needs_pad(steps)) for step in steps]
        made = [
            Layer(word, [[row[j][1]] for row in found], notes=steps[0].notes)
            for j, (word, _) in enumerate(found[0])
        ]
        if key is not None:
            known[key] = made
        return made

    def call(self, item: Item) -> Call:
        """The constructor of one instance of a block."""
        made = self.classes[item.block]
        k = next(
            k for k, instance in enumerate(made.instances) if instance[-1].output == item.output
        )
        arguments = {p.name: p.values[k] for p in made.parameters}
        required = tuple(p.name for p in made.parameters if not p.has_default)
        defaults = {p.name: p.default for p in made.parameters if p.has_default}
        return Call(made.name, arguments, required, defaults)

    # ---- where the tensors are

    def tensors(self) -> dict[str, Array]:
        """Every tensor of the network by its path in the module."""
        return {
            f"{path}.{name}" if name else path: values
            for path, step in self.steps()
            for name, values in step.tensors.items()
        }

    def steps(self) -> Iterator[tuple[str, Step]]:
        """Every step that has a layer, with the layer's path in the module."""
        return self._steps(self.network, self.network.instances[0], "")

    def _steps(self, made: Class, items: list[Item], prefix: str) -> Iterator[tuple[str, Step]]:
        for group in made.groups:
            if not group.layers:
                continue
            layer = group.layers[-1]
            inside = items[group.place : group.place + len(group.items)]
            for j, item in enumerate(inside):
                path = f"{prefix}{layer.name}" + (f".{j}" if layer.in_row else "")
                if item.step is not None:
                    yield path, item.step
                else:
                    yield from self._steps(self.classes[item.block], item.children, f"{path}.")


def _row(items: list[Item], place: int) -> int:
    """How many instances of one block follow one another, each taking what the last one gives."""
    block, count = items[place].block, 1
    if block is None:
        return 1
    while place + count < len(items):
        before, item = items[place + count - 1], items[place + count]
        users = sum(before.output in other.inputs for other in items)
        if item.block is not block or item.inputs != (before.output,) or users > 1:
            break
        count += 1
    return count


def _name(layers: list[Layer], *, is_network: bool) -> None:
    """Give each layer its attribute's name."""
    nouns = [_PLURALS.get(x.noun, f"{x.noun}s") if x.in_row else x.noun for x in layers]
    last = next((i for i in reversed(range(len(nouns))) if layers[i].noun == "dense"), None)
    learned = [i for i, x in enumerate(layers) if x.noun not in ("dropout", "activation", "pad")]
    if is_network and last is not None and learned[-1] == last and not layers[last].in_row:
        nouns[last] = "head"
    for layer, name in zip(layers, numbered(nouns), strict=True):
        layer.name = name


def _parameters(made: Class) -> list[Parameter]:
    """The parameters of a class: those columns of arguments that differ, each once."""
    by_values: dict[tuple[Argument, ...], str] = {}
    taken = Counter[str]()
    for name, values in made.columns():
        if values in by_values:
            continue
        base = name.rstrip("0123456789")
        taken[base] += 1
        by_values[values] = base if taken[base] == 1 else f"{base}{taken[base]}"
    found = [parameter(name, values) for values, name in by_values.items()]
    return sorted(found, key=lambda p: p.has_default)


def constructor(made: Class) -> list[str]:
    """The lines of __init__."""
    declared = ["self", *(p.declared() for p in made.parameters)]
    lines = [*laid_out(4, "def __init__", declared, " -> None:"), "        super().__init__()"]
    names: Mapping[tuple[Argument, ...], str] = {p.values: p.name for p in made.parameters}
    for layer in made.layers:
        lines += [f"        {note}" for note in layer.notes]
        if layer.in_row:
            lines += _row_lines(layer, names)
            continue
        calls = [row[0] for row in layer.calls]
        function, arguments = _code(calls, names)
        lines += laid_out(8, f"self.{layer.name} = {function}", arguments, "")
    return lines


def _row_lines(layer: Layer, names: Mapping[tuple[Argument, ...], str]) -> list[str]:
    lines = [f"        self.{layer.name} = nn.Sequential("]
    for j in range(len(layer.calls[0])):
        function, arguments = _code([row[j] for row in layer.calls], names)
        lines += laid_out(12, function, arguments, ",")
    return [*lines, "        )"]


def _code(calls: list[Call], names: Mapping[tuple[Argument, ...], str]) -> tuple[str, list[str]]:
    """One constructor as it stands in a class, with parameters where instances differ."""

    def text(name: str, value: Argument) -> str:
        if not is_varied(value):
            return written(value)
        values = tuple(same_form([call.arguments[name] for call in calls]))
        return names[values] if len(set(values)) > 1 else written(values[0])

    return code_of(calls[0], text)
