"""Steps that one layer of torch or evenkeel does together: biases, scales, activations, padding."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evenkeel.port.steps import Argument, Step

_ACTIVATIONS = {
    "nn.ReLU": "relu",
    "nn.ReLU6": "relu6",
    "nn.ELU": "elu",
    "nn.Sigmoid": "sigmoid",
    "nn.Tanh": "tanh",
    "nn.SiLU": "silu",
}
_LINEAR = frozenset(("dense", "conv", "depthwise", "upconv"))


def merged(steps: list[Step], output: int) -> list[Step]:
    """The steps that ``output`` needs, joined where one layer can do what several nodes did."""
    steps = needed(steps, output)
    for join in (_pad, _bias, _norm_scale, _norm_bias, _activation):
        steps = _joined(steps, output, join)
    return steps


def needed(steps: list[Step], output: int) -> list[Step]:
    """Those steps that ``output`` is computed from, in order."""
    wanted, kept = {output}, []
    for step in reversed(steps):
        if step.output in wanted:
            kept.append(step)
            wanted.update(step.inputs)
    return kept[::-1]


def _joined(
    steps: list[Step], output: int, join: Callable[[Step, Step], Step | None]
) -> list[Step]:
    """Every pair of steps, the second the only user of the first, that ``join`` makes one of."""
    uses = Counter(number for step in steps for number in step.inputs)
    made: dict[int, Step] = {}
    kept: list[Step] = []
    for step in steps:
        before = made.get(step.inputs[0]) if len(step.inputs) == 1 else None
        free = before is not None and uses[before.output] == 1 and before.output != output
        one = join(before, step) if before is not None and free else None
        if one is not None and before is not None:
            one.output = step.output
            place = next(i for i, other in enumerate(kept) if other is before)
            kept[place] = one
        else:
            kept.append(step)
            one = step
        made[one.output] = one
    return kept


def _pad(first: Step, second: Step) -> Step | None:
    if first.kind != "pad" or second.kind not in ("conv", "depthwise") or not second.pads:
        return None
    both = zip(first.pads, second.pads, strict=True)
    pads = tuple((a + c, b + d) for (a, b), (c, d) in both)
    return replace(second, inputs=first.inputs, pads=pads)


def _bias(first: Step, second: Step) -> Step | None:
    if first.kind not in _LINEAR or second.kind != "bias" or "bias" in first.tensors:
        return None
    values = second.tensors[""]
    rank = 0 if first.kind == "dense" else first.tensors["weight"].ndim - 2
    if values.shape != (values.size, *[1] * rank):
        return None
    return _added(first, second, "bias", {"bias": True})


def _norm_scale(first: Step, second: Step) -> Step | None:
    if first.kind != "norm" or second.kind != "scale" or {"weight", "bias"} & first.tensors.keys():
        return None
    return _added(first, second, "weight", {"scale": True})


def _norm_bias(first: Step, second: Step) -> Step | None:
    if first.kind != "norm" or second.kind != "bias" or "bias" in first.tensors:
        return None
    return _added(first, second, "bias", {"center": True})


def _added(first: Step, second: Step, name: str, arguments: dict[str, Argument]) -> Step | None:
    """``first`` with the vector of ``second`` as one of its tensors."""
    call = first.call
    values = second.tensors[""].reshape(-1)
    if call is None or values.size != _channels(first):
        return None
    call = replace(call, arguments={**call.arguments, **arguments})
    tensors = {**first.tensors, name: values}
    owners = {**first.owners, name: second.owners[""]}
    return replace(first, call=call, tensors=tensors, owners=owners)


def _channels(step: Step) -> int:
    arguments = step.call.arguments if step.call else {}
    found = arguments.get("features", arguments.get("outputs"))
    return int(found) if isinstance(found, int | np.integer) else -1


def _activation(first: Step, second: Step) -> Step | None:
    if first.kind != "norm" or second.kind != "activation" or first.call is None:
        return None
    name = _ACTIVATIONS.get(second.call.name if second.call else "")
    if name is None or first.call.arguments["activation"] is not None:
        return None
    call = replace(first.call, arguments={**first.call.arguments, "activation": name})
    return replace(first, call=call)
