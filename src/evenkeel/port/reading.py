"""A graph read in one mode: which branch is alive, what a tensor comes from, what it is worth.

Nothing is run that writes: a node is computed from its inputs alone, on demand, and remembered.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from evenkeel.errors import BadData, BadOption
from evenkeel.tf1.errors import OpError
from evenkeel.tf1.lower.views import variable_of
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops import definition
from evenkeel.tf1.ops.signature import grouped, signature
from evenkeel.tf1.state import State
from evenkeel.tf1.values import to_host, to_torch

PASSING = frozenset(
    ("Identity", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot", "RefIdentity",
     "ReadVariableOp", "Print", "EnsureShape", "PlaceholderWithDefault")
)  # fmt: skip
VARIABLES = frozenset(("VariableV2", "Variable", "VarHandleOp"))
SWITCHES = frozenset(("Switch", "RefSwitch"))
NOISE = 0.999


class Reading:
    """A graph whose inputs and variables have values, and whose predicates are therefore known."""

    def __init__(self, variables: Mapping[str, Any], fed: Mapping[Tensor, Any]) -> None:
        self.state = State()
        self.state.variables.update(variables)
        self.fed = {tensor: to_torch(value, tensor.dtype) for tensor, value in fed.items()}
        self._alive: dict[Operation, bool] = {}
        self._values: dict[Tensor, Any] = {}

    # ---- where a tensor comes from

    def through(self, tensor: Tensor) -> Tensor:
        """The tensor behind whatever only hands it on: identities, and branches that are taken."""
        while (behind := self.behind(tensor)) is not None:
            tensor = behind
        return tensor

    def behind(self, tensor: Tensor) -> Tensor | None:
        """One step of ``through``; None at its end."""
        op = tensor.op
        if tensor in self.fed or (tensor.index and op.type == "Merge"):
            return None
        if op.type in PASSING or op.type in SWITCHES:
            return op.inputs[0]
        if op.type == "IdentityN":
            return op.inputs[tensor.index]
        if op.type in ("Merge", "RefMerge"):
            return next((t for t in op.inputs if self.is_alive(t)), None)
        return None

    def outside(self, tensor: Tensor) -> Tensor:
        """``tensor`` as it was before it went into a branch: the same in every mode."""
        while tensor not in self.fed and tensor.op.type in PASSING | SWITCHES:
            tensor = tensor.op.inputs[0]
        return tensor

    def is_alive(self, tensor: Tensor) -> bool:
        """Whether the branch that makes it is taken."""
        op = tensor.op
        if tensor in self.fed:
            return True
        if op.type in SWITCHES:
            taken = bool(self.of(op.inputs[1]))
            return bool(tensor.index) == taken and self.is_alive(op.inputs[0])
        if op not in self._alive:
            self._alive[op] = True  # a loop comes back here
            self._alive[op] = self._is_alive(op)
        return self._alive[op]

    def _is_alive(self, op: Operation) -> bool:
        if op.type in ("Merge", "RefMerge"):
            return any(self.is_alive(t) for t in op.inputs)
        if op.inputs:
            return all(self.is_alive(t) for t in op.inputs)
        pins = [c.outputs[0] for c in op.control_inputs if c.outputs]
        return all(self.is_alive(t) for t in pins)

    def inputs(self, op: Operation) -> list[Tensor]:
        """What a node takes, each followed to where it comes from."""
        return [self.through(tensor) for tensor in op.inputs]

    def origins(self, tensor: Tensor) -> Iterator[Tensor]:
        """Every tensor that this one is computed from, itself first."""
        seen: set[Tensor] = set()
        todo = [self.through(tensor)]
        while todo:
            found = todo.pop()
            if found in seen:
                continue
            seen.add(found)
            yield found
            if found not in self.fed and found.op.type not in VARIABLES:
                todo += self.inputs(found.op)

    # ---- what it is worth

    def of(self, tensor: Tensor) -> Any:
        """Its value: a torch tensor."""
        found = self.through(tensor)
        if found not in self._values:
            self._values[found] = self._computed(found)
        return self._values[found]

    def _computed(self, tensor: Tensor) -> Any:
        op = tensor.op
        if tensor in self.fed:
            return self.fed[tensor]
        if op.type == "Const":
            return to_torch(op.attrs["value"], tensor.dtype)
        if op.type in VARIABLES:
            return self._variable(tensor)
        if op.type == "Placeholder":
            raise unfed(tensor)
        outputs = self._run(op)
        for index, value in enumerate(outputs):
            self._values[op.outputs[index]] = value
        return outputs[tensor.index]

    def _variable(self, tensor: Tensor) -> Any:
        name = variable_of(tensor)
        if name not in self.state.variables:
            raise BadData(
                "a variable on the way to the output has no value",
                got=f"variable {name!r}, which is not in what was given",
                do="give the checkpoint that this graph's Saver wrote (--checkpoint)",
                at=tensor.op.origin,
            )
        return self.state.read(name)

    def _run(self, op: Operation) -> tuple[Any, ...]:
        if op.type == "RandomUniform":  # so high that dropout keeps everything
            return (torch.full(to_host(self.of(op.inputs[0])), NOISE),)
        row = definition(op.type)
        groups = grouped(op.type, op.attrs, [self.of(tensor) for tensor in op.inputs])
        args = [
            _each(group, to_host) if arg.name in row.host else group
            for arg, group in zip(signature(op.type).inputs, groups, strict=True)
        ]
        try:
            with torch.no_grad():
                made = row.bake(op, self.state, "cpu")(*args)
        except (RuntimeError, IndexError, OpError) as error:  # torch's, about sizes; indices
            raise BadData(
                "a node cannot be computed from these inputs",
                got=f"{op.type} {op.name!r}: {str(error).partition(chr(10))[0]}",
                do="give the sizes and values that the graph is made for: --shape, --feed",
                at=op.origin,
            ) from error
        return made if isinstance(made, tuple) else (made,)


def _each(group: Any, convert: Any) -> Any:
    return [convert(value) for value in group] if isinstance(group, list) else convert(group)


def unfed(tensor: Tensor) -> BadOption:
    """The error for a placeholder that nothing feeds."""
    return BadOption(
        "a placeholder on the way to the output has no value",
        got=f"{tensor.name}, {tensor.dtype.name} of shape {tensor.shape}",
        do=f"give its value in inference: --feed {tensor.op.name}=1.0",
        at=tensor.op.origin,
    )
