"""The text of the generated file."""

from collections.abc import Sequence
from textwrap import wrap

from evenkeel.port.classes import Class, Plan, constructor
from evenkeel.port.naming import WIDTH, laid_out
from evenkeel.port.steps import Step, Value

_WORDS = {
    "pad": "zero padding",
    "conv": "convolution",
    "depthwise": "depthwise convolution",
    "upconv": "transposed convolution",
    "dense": "linear layer",
    "norm": "batch normalization",
    "pool": "pooling",
    "dropout": "dropout",
    "activation": "activation",
    "add": "addition",
    "response": "local response normalization",
    "embedding": "embedding",
}
_LONGEST = 76  # of a docstring, within ruff's own width
_LOAD = '''

def load(path: str | Path | None = None) -> Network:
    """The network with its weights, in inference mode.

    Raises:  BadRun for a file that is missing, damaged, or of another network
    """
    beside = Path(__file__).with_name("{weights}")
    model = Network()
    load_model(model, beside if path is None else path)
    return model.eval()
'''


def source_of(
    plan: Plan, inputs: Sequence[Value], output: Value, title: Sequence[str], weights: str
) -> str:
    """A module of Python: the classes, and a function that loads the weights."""
    blocks = [c for key, c in plan.classes.items() if key is not None]
    shapes = _shapes(inputs, output)
    body = [line for block in blocks for line in _class_lines(block, _block_doc(block))]
    body += _class_lines(plan.network, _network_doc(plan.network, shapes))
    text = "\n".join(body)
    end = ['"""'] if len(title) > 1 else []
    first = f'"""{title[0]}' + ("" if end else '"""')
    about = [
        part for line in title[1:] for part in wrap(line, WIDTH, subsequent_indent="  ") or [""]
    ]
    head = [first, *about, *end, "", *_imports(text), ""]
    return "\n".join([*head, text]) + _LOAD.replace("{weights}", weights)


def _imports(text: str) -> list[str]:
    norms = [n for n in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d") if n in text]
    lines = ["from pathlib import Path", ""]
    lines += ["import torch"] if "torch." in text else []
    lines += [f"from evenkeel import {', '.join(norms)}"] if norms else []
    lines += ["from evenkeel.surgery import load_model", "from torch import Tensor, nn"]
    return lines + (["from torch.nn import functional as F"] if "F." in text else [])


def _class_lines(made: Class, doc: list[str]) -> list[str]:
    arguments = ["self", *(f"{name}: Tensor" for name in made.entries)]
    return [
        "",
        f"class {made.name}(nn.Module):",
        *(f"    {line}" if line else "" for line in doc),
        "",
        *constructor(made),
        "",
        *laid_out(4, "def forward", arguments, " -> Tensor:"),
        f'        """{_forward_doc(made)}"""',
        *(text for line in made.lines for text in line.written(8)),
        f"        return {made.result}",
        "",
    ]


def _forward_doc(made: Class) -> str:
    return "Run the network." if made.name == "Network" else "Run the block."


def _block_doc(made: Class) -> list[str]:
    steps = [step for item in made.instances[0] for step in item.leaves()]
    return [f'"""{_sentence(steps)}"""']


def _sentence(steps: Sequence[Step]) -> str:
    words = [w for step in steps if (w := _words(step))]
    unique = [w for i, w in enumerate(words) if i == 0 or w != words[i - 1]]
    if len(", ".join(unique)) > _LONGEST:
        unique = list(dict.fromkeys(word.partition(" with ")[0] for word in unique))
    text = ", ".join(unique) or "one block"
    return f"{text[0].upper()}{text[1:]}."


def _words(step: Step) -> str:
    word = _WORDS.get(step.kind, "")
    name = step.call.arguments.get("activation") if step.call else None
    if step.kind == "activation" and step.call is not None:
        return step.call.name.removeprefix("nn.")
    return f"{word} with {name}" if name else word


def _network_doc(made: Class, shapes: str) -> list[str]:
    return ['"""The whole network.', "", f"Shapes:  {shapes}", '"""']


def _shapes(inputs: Sequence[Value], output: Value) -> str:
    names = ["x"] if len(inputs) == 1 else [f"x{i + 1}" for i in range(len(inputs))]
    parts = [f"{n} {_sizes(v)}" for n, v in zip(names, inputs, strict=True)]
    return f"{', '.join(parts)}; the result {_sizes(output)}"


def _sizes(value: Value) -> str:
    return f"[{', '.join('N' if s == -1 else str(s) for s in value.sizes)}]"
