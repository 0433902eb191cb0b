"""Code for steps: one torch.fx graph, constants and attributes baked in, branches as inner graphs."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from evenkeel.tf1.fold import folded
from evenkeel.tf1.lower.dead import branches, merge, spreading, switch
from evenkeel.tf1.lower.gradient_record import leaf
from evenkeel.tf1.lower.schedule import Group, level
from evenkeel.tf1.lower.steps import Plan, Step
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops import definition
from evenkeel.tf1.ops.signature import Arg, grouped, signature
from evenkeel.tf1.ops.table import OpDef, named
from evenkeel.tf1.state import State
from evenkeel.tf1.values import to_host, to_torch

_FORWARDS_REF = ("RefSwitch", "RefIdentity", "RefEnter", "RefMerge", "RefNextIteration", "RefExit")


def variable_of(tensor: Tensor) -> str:
    """The name of the variable behind a reference."""
    while tensor.op.inputs and tensor.op.inputs[0].dtype.is_ref:
        tensor = tensor.op.inputs[0]
    return tensor.op.name


class Emitter:
    """One function under construction: what it computes so far, by tensor."""

    def __init__(self, plan: Plan, state: State, leaves: set[Tensor], context: Any = None) -> None:
        self.plan, self.state, self.leaves, self.context = plan, state, leaves, context
        self.graph = fx.Graph()
        self.root = torch.nn.Module()
        self.at: dict[str, Operation] = {}  # generated names -> the node at work
        self._known: dict[Tensor, Any] = {}
        self._host: dict[Tensor, Any] = {}
        self._reads: dict[str, Any] = {}
        self._dead: set[Tensor] = set()
        # A fed constant changes what was folded from it.
        self._folds = all(folded(t) is None for t in plan.fed)

    # ---- the whole

    def placeholder(self, tensor: Tensor) -> None:
        """An argument of the function."""
        node = self.graph.placeholder(f"arg{len(self._known)}")
        self._known[tensor] = self._leaf(tensor, node)

    def steps(self, steps: list[Step]) -> None:
        """Code for every step, in an order that data, controls and creation allow."""
        for item in level(self.plan, steps, self.context):
            if isinstance(item, Group):
                self._branch(item)
            elif item.run is not None:
                self._fused(item)
            else:
                self._plain(item.op)

    def finish(self, results: list[Any]) -> Callable[..., Any]:
        """The function, which returns ``results``."""
        values = [self.value(r) if isinstance(r, Tensor) else None for r in results]
        self.graph.output(tuple(values))
        module = fx.GraphModule(self.root, self.graph)
        module._evenkeel_at = self.at  # type: ignore[assignment]  # read by program.py for errors
        return module.forward

    # ---- values

    def value(self, tensor: Tensor) -> Any:
        """The fx node of a tensor; a reference is read now."""
        if tensor in self._known:
            return self._known[tensor]
        if tensor.dtype.is_ref:
            return self._read(tensor)
        if tensor.op.type == "Const":
            return self._constant(tensor)
        raise KeyError(f"{tensor.name} was not computed before it was needed")

    def _read(self, tensor: Tensor) -> Any:
        name = variable_of(tensor)
        if name not in self._reads:
            node = self._call(_reader(self.state, name), (), tensor.op)
            variable = tensor.graph.operations[name].outputs[0]
            self._reads[name] = self._leaf(variable, node)
        return self._reads[name]

    def _constant(self, tensor: Tensor) -> Any:
        if not tensor.dtype.has_torch:
            value = tensor.op.attrs["value"]
            node = self._call(named("text", _text, {"value": value}), (), tensor.op)
        else:
            name = f"constant{len(self._known)}"
            value = to_torch(tensor.op.attrs["value"], tensor.dtype, self.state.device)
            object.__setattr__(self.root, name, value)
            node = self.graph.get_attr(name)
        self._known[tensor] = self._leaf(tensor, node)
        return self._known[tensor]

    def _leaf(self, tensor: Tensor, node: Any) -> Any:
        return self.graph.call_function(leaf, (node,)) if tensor in self.leaves else node

    def _on_host(self, tensor: Tensor) -> Any:
        if tensor not in self._host:
            known = folded(tensor) if self._folds or tensor.op.type == "Const" else None
            # A size known beforehand is dead all the same where its branch is not taken.
            known = None if tensor in self.plan.fed or tensor in self._dead else known
            if known is not None:
                self._host[tensor] = to_host(known)
            else:
                self._host[tensor] = self.graph.call_function(to_host, (self.value(tensor),))
        return self._host[tensor]

    # ---- one step

    def _call(self, run: Callable[..., Any], args: tuple[Any, ...], op: Operation) -> Any:
        node = self.graph.call_function(run, args)
        self.at[node.name] = op
        return node

    def _plain(self, op: Operation) -> None:
        if op.type == "Const" or op.type in ("VariableV2", "Variable"):
            return  # made or read where it is used
        if op.type in ("Switch", "Merge", *_FORWARDS_REF):
            self._flow(op)
            return
        row = definition(op.type)
        arguments = signature(op.type).inputs
        groups = grouped(op.type, op.attrs, op.inputs)
        args = tuple(self._argument(a, g, row) for a, g in zip(arguments, groups, strict=True))
        run = row.bake(op, self.state, self.state.device)
        if any(t in self._dead for t in op.inputs):
            run = spreading(run, len(op.outputs))
            self._dead |= set(op.outputs)
        node = self._call(run, args, op)
        self._bind(op.outputs, node)
        if any(a.ref for a in arguments):
            self._written(op)

    def _written(self, op: Operation) -> None:
        for arg, group in zip(
            signature(op.type).inputs, grouped(op.type, op.attrs, op.inputs), strict=True
        ):
            for tensor in group if isinstance(group, list) else [group]:
                if arg.ref:
                    self._reads.pop(variable_of(tensor), None)

    def _argument(self, arg: Arg, group: Any, row: OpDef) -> Any:
        if isinstance(group, list):
            return [self._argument(arg, tensor, row) for tensor in group]
        if arg.ref:
            return variable_of(group)
        return self._on_host(group) if arg.name in row.host else self.value(group)

    def _flow(self, op: Operation) -> None:
        if op.type in _FORWARDS_REF:
            return  # the variable behind it is read where it is used
        context = op._control_flow_context
        if op.type == "Switch" and context is not None and context is self.context:
            node = self.value(op.inputs[0])  # inside the branch: the side taken
            self._known |= dict.fromkeys(op.outputs, node)
            return
        args = tuple(self.value(t) for t in op.inputs)
        node = self._call(switch if op.type == "Switch" else merge, args, op)
        self._bind(op.outputs, node)
        if op.type == "Switch":
            self._dead |= set(op.outputs)

    def _fused(self, step: Step) -> None:
        run: Any = step.run
        if step.name == "while":
            run = run(self._function)
            self._reads.clear()  # the loop may have written any variable
        if step.needs_state:
            run = run(self.state)
        args = tuple(self.value(t) for t in step.inputs)
        node = self._call(run, args, step.op)
        self._bind(step.outputs, node, always_many=True)
        if step.needs_state:
            for op in step.covers:
                self._written(op)

    def _function(self, plan: Plan, given: list[Tensor], context: Any) -> Callable[..., Any]:
        """A function of ``given`` that computes what ``plan`` fetches."""
        inner = Emitter(plan, self.state, self.leaves, context)
        for tensor in given:
            inner.placeholder(tensor)
        inner.steps(plan.steps)
        return inner.finish(plan.fetched)

    def _bind(self, outputs: Any, node: Any, always_many: bool = False) -> None:
        if len(outputs) == 1 and not always_many:
            self._known[outputs[0]] = self._leaf(outputs[0], node)
            return
        for index, tensor in enumerate(outputs):
            part = self.graph.call_function(operator.getitem, (node, index))
            self._known[tensor] = self._leaf(tensor, part)

    # ---- branches

    def _branch(self, group: Group) -> None:
        sides = [self._side(group, side) for side in (1, 0)]
        inputs = list(dict.fromkeys(t for side in sides for t in side.inputs))
        functions = [self._lowered(side, inputs) for side in sides]
        counts = (len(sides[0].outputs), len(sides[1].outputs))
        args = (self.value(group.pred), *(self.value(t) for t in inputs))
        node = self._call(branches(functions[0], functions[1], counts), args, group.op)
        outputs = [*sides[0].outputs, *sides[1].outputs]
        self._bind(outputs, node, always_many=True)
        self._dead |= set(outputs)
        for name in {n for side in sides for n in side.writes}:
            self._reads.pop(name, None)

    def _side(self, group: Group, side: int) -> "_Side":
        steps = group.sides[side]
        inside = {op for s in steps for op in s.covers}
        made = {t for s in steps for t in s.outputs}
        taken = dict.fromkeys(t for s in steps for t in s.inputs if t not in made)
        inputs = [t for t in taken if self._crosses(t)]
        wanted = {t for t in self.plan.fetched if isinstance(t, Tensor)}
        for step in self.plan.steps:
            if step.covers[0] not in inside:
                wanted |= set(step.inputs)
        outputs = [t for s in steps for t in s.outputs if t in wanted and not _by_name(t)]
        refs = [t for op in inside for t in op.inputs if t.dtype.is_ref]
        return _Side(steps, inputs, outputs, {variable_of(t) for t in refs})

    def _crosses(self, tensor: Tensor) -> bool:
        if tensor in self.plan.fed:
            return True
        return tensor.op.type != "Const" and not _by_name(tensor)

    def _lowered(self, side: "_Side", inputs: list[Tensor]) -> Callable[..., Any]:
        context = side.steps[0].context if side.steps else None
        inner = Emitter(self.plan, self.state, self.leaves, _child(context, self.context))
        for tensor in inputs:
            inner.placeholder(tensor)
        inner._dead = self._dead & set(inputs)
        inner.steps(side.steps)
        return inner.finish(side.outputs)


class _Side:
    """The steps of one branch, what they take from outside, give to it, and the variables they use."""

    def __init__(
        self, steps: list[Step], inputs: list[Tensor], outputs: list[Tensor], writes: set[str]
    ) -> None:
        self.steps, self.inputs, self.outputs, self.writes = steps, inputs, outputs, writes


def _child(context: Any, parent: Any) -> Any:
    """The context of a branch: the ancestor of ``context`` right below ``parent``."""
    while context is not None and context.outer_context is not parent:
        context = context.outer_context
    return context


def _by_name(tensor: Tensor) -> bool:
    """Whether a reference is read by its variable's name rather than passed on."""
    forwards = tensor.op.type in (*_FORWARDS_REF, "VariableV2", "Variable")
    return tensor.dtype.is_ref and forwards


def _reader(state: State, name: str) -> Callable[[], Any]:
    def read() -> Any:
        return state.read(name)

    read.__module__ = "evenkeel.tf1.state"
    read.__qualname__ = "read"
    return read


def _text(*, value: Any) -> Any:
    return value
