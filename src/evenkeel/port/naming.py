"""Names and calls of the generated module: attributes by what a layer is, arguments that vary."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from evenkeel.port.blocks import Item, is_fixed
from evenkeel.port.steps import Argument, Call, Step

WIDTH = 88  # ruff's own default: lines within it are right for longer limits too


def numbered(nouns: Sequence[str]) -> list[str]:
    """Each noun, with a number where it comes more than once.

    >>> numbered(["conv", "norm", "conv"])
    ['conv1', 'norm', 'conv2']
    """
    counts, seen = Counter(nouns), Counter[str]()
    names = []
    for noun in nouns:
        seen[noun] += 1
        names.append(f"{noun}{seen[noun]}" if counts[noun] > 1 else noun)
    return names


def noun(item: Item) -> str:
    """What an item is called."""
    if item.step is not None:
        return item.step.kind
    kinds = [step.kind for step in item.leaves()]
    if "add" in kinds:
        return "residual"
    if "depthwise" in kinds:
        return "separable"
    return next((k for k in kinds if k in ("conv", "upconv", "dense", "embedding")), "norm")


def needs_pad(instances: Iterable[Step]) -> bool:
    """Whether some instance pads more on one side, which torch's layers cannot."""
    return any(a != b for step in instances for a, b in step.pads)


def parts(step: Step, padded: bool) -> list[tuple[str, Call]]:
    """(noun, constructor) of the layers of a step: itself, and zeros before it where need be."""
    if step.call is None:
        return []
    call = step.call
    if step.kind not in ("conv", "depthwise") or not step.pads:
        return [(step.kind, call)]
    if not padded:
        arguments = {**call.arguments, "padding": one([a for a, _ in step.pads])}
        order = (*call.positional, "stride", "padding")
        ordered = {k: arguments[k] for k in sorted(arguments, key=lambda k: _place(order, k))}
        return [(step.kind, Call(call.name, ordered, call.positional, call.defaults))]
    sides = tuple(side for pair in reversed(step.pads) for side in pair)
    zeros = Call(f"nn.ZeroPad{len(step.pads)}d", {"pad": one(sides)}, ("pad",))
    return [("pad", zeros), (step.kind, call)]


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def one(values: Sequence[int]) -> int | tuple[int, ...]:
    """One number where all are equal."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def same_form(column: Sequence[Argument]) -> list[Argument]:
    """The values of one argument over all instances, all numbers or all tuples.

    >>> same_form([1, (0, 1)])
    [(1, 1), (0, 1)]
    """
    length = max((len(v) for v in column if isinstance(v, tuple)), default=0)
    if not length:
        return list(column)
    return [v if isinstance(v, tuple) else (int(v or 0),) * length for v in column]


@dataclass(slots=True)
class Parameter:
    """An argument of a generated class: its values over the instances, and its default."""

    name: str
    values: tuple[Argument, ...]
    default: Argument = None

    @property
    def has_default(self) -> bool:
        """Whether most instances share a value."""
        return self.default is not None

    def declared(self) -> str:
        """As in the signature."""
        text = f"{self.name}: {annotation(self.values[0])}"
        return f"{text} = {written(self.default)}" if self.has_default else text


def parameter(name: str, values: tuple[Argument, ...]) -> Parameter:
    """A parameter; what at least half of the instances share is its default."""
    value, count = Counter(values).most_common(1)[0]
    sized = name in ("inputs", "outputs", "features")
    return Parameter(name, values, value if 2 * count >= len(values) and not sized else None)


def annotation(value: Argument) -> str:
    """The type of a value, in words of Python."""
    if isinstance(value, tuple):
        return f"tuple[{', '.join(annotation(v) for v in value)}]"
    return type(value).__name__


def written(value: Argument) -> str:
    """A value as code, in double quotes.

    >>> written("relu"), written((1, 2))
    ('"relu"', '(1, 2)')
    """
    return f'"{value}"' if isinstance(value, str) else repr(value)


def code_of(call: Call, text: Callable[[str, Argument], str]) -> tuple[str, list[str]]:
    """(function, arguments) of a constructor; ``text`` says how an argument's value is written."""
    if call.name in ("nn.Parameter", "nn.Buffer"):
        return call.name, [f"torch.empty({text('shape', call.arguments['shape'])})"]
    arguments = []
    for name, value in call.arguments.items():
        shown = text(name, value)
        if name in call.positional:
            arguments.append(shown)
        elif name not in call.defaults or shown != written(call.defaults[name]):
            arguments.append(f"{name}={shown}")
    return call.name, arguments


def laid_out(indent: int, start: str, arguments: Sequence[str], end: str) -> list[str]:
    """``start(arguments)end`` on one line, or an argument a line where it would be too long."""
    space = " " * indent
    line = f"{space}{start}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH or not arguments:
        return [line]
    return [f"{space}{start}(", *(f"{space}    {a}," for a in arguments), f"{space}){end}"]


def is_varied(value: Argument) -> bool:
    """Whether an argument can be a parameter of a block."""
    return not is_fixed(value)
