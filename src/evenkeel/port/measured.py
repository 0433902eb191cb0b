"""How the graph moves its running statistics, measured: momentum, and biased or unbiased variance.

The update of a moving average is computed twice, from 0 and from a high value, on the same batch.
What they differ by is the weight of the past, whatever nodes spell it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import torch

from evenkeel.conventions import convention
from evenkeel.errors import EvenkeelError
from evenkeel.port.reading import VARIABLES, Reading
from evenkeel.port.steps import Argument, Step
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.lower.views import variable_of
from evenkeel.tf1.nodes import Operation, Tensor

_ASSIGNMENTS = frozenset(
    ("Assign", "AssignSub", "AssignAdd", "AssignVariableOp", "AssignSubVariableOp",
     "AssignAddVariableOp")
)  # fmt: skip
HIGH = 2.0**20  # so far above any batch that rounding leaves the weight of the past alone
_NO_UPDATE = "# momentum: the graph has no update of these statistics; tf.layers' default"
_VARYING = "# momentum: the graph's own changes from step to step; tf.layers' default"


@dataclass(frozen=True)
class Moving:
    """A graph in training: what it would write into a variable."""

    graph: Graph
    variables: Mapping[str, Any]
    fed: Mapping[Tensor, Any]
    data: frozenset[Tensor]

    def reading(self, changed: Mapping[str, Any] | None = None) -> Reading:
        """The graph in training, some variables with other values."""
        return Reading({**self.variables, **(changed or {})}, self.fed)

    def updates(self, names: Iterable[str], reading: Reading) -> dict[str, Operation]:
        """The assignments that a training step makes to variables, from what it is fed."""
        wanted, found = set(names), {}
        for op in self.graph.operations.values():
            if op.type not in _ASSIGNMENTS or (name := variable_of(op.inputs[0])) not in wanted:
                continue
            if all(reading.is_alive(t) for t in op.inputs) and self._from_data(op, reading):
                found[name] = op
        return found

    def _from_data(self, op: Operation, reading: Reading) -> bool:
        return any(t in self.data for t in reading.origins(op.inputs[1]))

    def after(self, op: Operation, reading: Reading) -> torch.Tensor:
        """What the variable holds after an assignment."""
        change = reading.of(op.inputs[1])
        if op.type in ("Assign", "AssignVariableOp"):
            return torch.as_tensor(change)
        old = reading.state.read(variable_of(op.inputs[0]))
        return torch.as_tensor(old - change if "Sub" in op.type else old + change)


def with_moving(steps: list[Step], moving: Moving) -> list[Step]:
    """The norms with the momentum and the variance that the graph's own updates have."""
    norms = [s for s in steps if s.kind == "norm" and s.owners.get("running_mean")]
    names = [s.owners[n] for s in norms for n in ("running_mean", "running_var")]
    names = [n for n in names if n in moving.graph.operations and _is_variable(moving.graph, n)]
    ends = [
        moving.reading({n: torch.full_like(moving.variables[n], v) for n in names})
        for v in (0.0, HIGH)
    ]
    updates = moving.updates(names, ends[0])
    return [_measured(s, updates, moving, ends) if s in norms else s for s in steps]


def _is_variable(graph: Graph, name: str) -> bool:
    return graph.operations[name].type in VARIABLES


def _measured(
    step: Step, updates: dict[str, Operation], moving: Moving, ends: list[Reading]
) -> Step:
    mean_op = updates.get(step.owners["running_mean"])
    var_op = updates.get(step.owners["running_var"])
    if mean_op is None or var_op is None:
        return _by_default(step, _NO_UPDATE)
    try:
        low, high = ([moving.after(op, end) for op in (mean_op, var_op)] for end in ends)
    except EvenkeelError:  # the update needs what nobody feeds
        return _by_default(step, _NO_UPDATE)
    kept = torch.cat([(b.double() - a.double()) / HIGH for a, b in zip(low, high, strict=True)])
    mean = float(kept.mean())
    if not float((kept - mean).abs().max()) < 1e-5 or not -1e-6 <= mean <= 1 + 1e-6:
        return _by_default(step, _VARYING)
    changed: dict[str, Argument] = {"momentum": float(1 - Decimal(str(round(mean, 6))))}
    unbiased = _is_unbiased(step, low, ends[0])
    if unbiased is not None:
        changed["running_var"] = "unbiased" if unbiased else "biased"
    return _with(step, changed)


def _is_unbiased(step: Step, moved: list[torch.Tensor], reading: Reading) -> bool | None:
    """Whether the batch's variance was corrected; None where the figures cannot tell.

    ``moved``: mean and variance after a step from 0. The mean tells the weight of the batch to the
    last digit: 1 − 0.999 in float32 is off by 1e-5, more than the correction is for large images.
    """
    if step.source is None:
        return None
    x = reading.of(step.source).double()
    kept = {a % x.ndim for a in step.axes}
    others = [a for a in range(x.ndim) if a not in kept]
    mean = x.mean(dim=others).reshape(-1)
    var = x.var(dim=others, correction=0).reshape(-1)
    count = x.numel() // mean.numel()
    clearest = int((mean.abs() / (var.sqrt() + 1e-30)).argmax())
    moved_mean, moved_var = (m.double().reshape(-1) for m in moved)
    if count < 2 or not mean[clearest] or not moved_mean[clearest]:
        return None
    weight = float(moved_mean[clearest]) / float(mean[clearest])
    ratio = (moved_var / weight / var)[var > 0]
    if not len(ratio):
        return None
    share = float((ratio.median() - 1) * (count - 1))  # 0 where biased, 1 where corrected
    return share > 0.5 if -0.3 < share < 1.3 else None


def _by_default(step: Step, note: str) -> Step:
    momentum = convention("tf.layers").kwargs["momentum"]
    return replace(_with(step, {"momentum": momentum}), notes=(note,))


def _with(step: Step, changed: Mapping[str, Argument]) -> Step:
    if step.call is None:
        return step
    return replace(step, call=replace(step.call, arguments={**step.call.arguments, **changed}))
