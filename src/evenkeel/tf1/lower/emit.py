"""Code for steps: one torch.fx graph, constants and attributes baked in, branches as inner graphs."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from evenkeel.tf1.fold import folded
from evenkeel.tf1.lower.dead import (
    DEAD,
    Living,
    branches,
    gate,
    merge,
    side_of,
    spreading,
    switch,
)
from evenkeel.tf1.lower.gradient_record import leaf
from evenkeel.tf1.lower.schedule import Group, branch_of, level
from evenkeel.tf1.lower.steps import ALIAS, DEAD_STEP, Plan, Step
from evenkeel.tf1.lower.views import FORWARDS_REF, Views, variable_of
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.ops import definition
from evenkeel.tf1.ops.signature import Arg, grouped, signature
from evenkeel.tf1.ops.table import OpDef, named
from evenkeel.tf1.state import State
from evenkeel.tf1.values import to_host, to_torch


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
        self._views = Views()
        self._work: Operation | None = None
        self._dead = Living()
        self._refs: dict[Tensor, Any] = {}  # dead where a reference is; only of such as may be
        self._signs: dict[Operation, Any] = {}  # the same of operations
        self._chosen: dict[Tensor, int | None] = {}  # which input a Merge is known to pass on
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
            elif item.name == DEAD_STEP:
                self._dead.never(item.outputs)
            elif item.name == ALIAS:
                self._renamed(item)
            elif item.run is not None:
                self._fused(item)
            else:
                self._plain(item.op)

    def finish(self, results: list[Any]) -> Callable[..., Any]:
        """The function, which returns ``results``."""
        self._work = None
        values = [self.value(r) if isinstance(r, Tensor) else None for r in results]
        self.graph.output(tuple(values))
        module = fx.GraphModule(self.root, self.graph)
        module._evenkeel_at = self.at  # type: ignore[assignment]  # read by program.py for errors
        return module.forward

    # ---- values

    def value(self, tensor: Tensor) -> Any:
        """The fx node of a tensor; a reference is read now."""
        if (name := self._views.overwritten(tensor, self._work)) is not None:
            return self._read(tensor.graph.operations[name].outputs[0])
        if tensor in self._known:
            return self._known[tensor]
        if tensor.dtype.is_ref:
            return self._read(tensor)
        if tensor.op.type == "Const":
            return self._constant(tensor)
        if tensor in self._dead:
            return self._call(named("dead", _given, {"value": DEAD}), (), tensor.op)
        if tensor in self._chosen:
            return self._attribute(to_torch(self._chosen[tensor], tensor.dtype, self.state.device))
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
            node = self._call(named("text", _given, {"value": value}), (), tensor.op)
        else:
            value = to_torch(tensor.op.attrs["value"], tensor.dtype, self.state.device)
            node = self._attribute(value)
        self._known[tensor] = self._leaf(tensor, node)
        return self._known[tensor]

    def _attribute(self, value: Any) -> Any:
        name = f"constant{len(self._known)}"
        object.__setattr__(self.root, name, value)
        return self.graph.get_attr(name)

    def _leaf(self, tensor: Tensor, node: Any) -> Any:
        return self.graph.call_function(leaf, (node,)) if tensor in self.leaves else node

    def _on_host(self, tensor: Tensor) -> Any:
        if self._views.overwritten(tensor, self._work) is not None:
            return self.graph.call_function(to_host, (self.value(tensor),))
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
        self._work = op
        if op.type in ("VariableV2", "Variable", "ControlTrigger"):
            return  # read where it is used; a trigger is only an order
        waits = self._waits(op)
        if op.type == "Const":
            self._gated(op, waits)
            return  # without anything that may be dead it is made where it is used
        if op.type in ("Switch", "Merge", *FORWARDS_REF):
            self._flow(op)
            return
        if op.type == "Identity" and not waits:
            self._alias(op.outputs[0], op.inputs[0])
            return
        row = definition(op.type, op)
        arguments = signature(op.type).inputs
        groups = grouped(op.type, op.attrs, op.inputs)
        args = tuple(self._argument(a, g, row) for a, g in zip(arguments, groups, strict=True))
        run = row.bake(op, self.state, self.state.device)
        guards = self._dead.of([*op.inputs, *op.control_inputs])
        if guards:
            run = spreading(run, len(op.outputs), len(waits))
            args = (*waits, *args)
        node = self._call(run, args, op)
        self._bind(op.outputs, node)
        self._note(op, guards, node)
        if any(a.ref for a in arguments):
            self._written(op)

    def _waits(self, op: Operation) -> list[Any]:
        """What a node waits for, by edges without values, that may be dead."""
        found = [self._sign(before) for before in op.control_inputs]
        refs = [self._refs[t] for t in op.inputs if t in self._refs]
        return [*(node for node in found if node is not None), *refs]

    def _sign(self, op: Operation) -> Any:
        if op in self._signs:
            return self._signs[op]
        known = op.outputs and op.outputs[0] in self._dead and not op.outputs[0].dtype.is_ref
        return self.value(op.outputs[0]) if known and op.type != "Switch" else None

    def _note(self, op: Operation, guards: Any, node: Any) -> None:
        """Remember when a node lives, and what says so at run time."""
        self._dead.note([op, *op.outputs], guards)
        if guards and not op.outputs:
            self._signs[op] = node

    def _gated(self, op: Operation, waits: list[Any]) -> None:
        """A constant of a branch: dead where what it waits for is."""
        if waits:
            run = spreading(gate, 1)
            node = self._call(run, (self._constant(op.outputs[0]), *waits), op)
            self._known[op.outputs[0]] = node
            self._note(op, self._dead.of(op.control_inputs), node)

    def _written(self, op: Operation) -> None:
        for arg, group in zip(
            signature(op.type).inputs, grouped(op.type, op.attrs, op.inputs), strict=True
        ):
            for tensor in group if isinstance(group, list) else [group]:
                if arg.ref:
                    self._reads.pop(variable_of(tensor), None)
                    self._views.written(variable_of(tensor), op)

    def _argument(self, arg: Arg, group: Any, row: OpDef) -> Any:
        if isinstance(group, list):
            return [self._argument(arg, tensor, row) for tensor in group]
        if arg.ref:
            return variable_of(group)
        return self._on_host(group) if arg.name in row.host else self.value(group)

    def _flow(self, op: Operation) -> None:
        if op.type in FORWARDS_REF:
            self._reference(op)
            return
        context = op._control_flow_context
        own = context is not None and context is self.context and context.pred is op.inputs[1]
        if op.type == "Switch" and own:
            node = self.value(op.inputs[0])  # inside the branch: the side taken
            self._known |= dict.fromkeys(op.outputs, node)
            return
        args = tuple(self.value(t) for t in op.inputs)
        node = self._call(switch if op.type == "Switch" else merge, args, op)
        self._bind(op.outputs, node)
        if op.type == "Merge":
            self._dead.note([op, *op.outputs], self._dead.merged(op))
            return
        for side, tensor in enumerate(op.outputs):
            guards = self._dead.of(op.inputs) | side_of(op.inputs[1], side)
            self._dead.note([tensor], guards)

    def _reference(self, op: Operation) -> None:
        """The variable behind a reference is read where it is used; on a side not taken it is dead."""
        if op.type == "RefSwitch" and op._control_flow_context is None:
            pred = op.inputs[1]
            node = self._call(switch, (True, self.value(pred)), op)
            for side, tensor in enumerate(op.outputs):
                self._refs[tensor] = self.graph.call_function(operator.getitem, (node, side))
                self._dead.note([tensor], self._dead.of([pred]) | side_of(pred, side))
        elif op.inputs[0] in self._refs:
            self._refs[op.outputs[0]] = self._refs[op.inputs[0]]
            self._dead.note(op.outputs[:1], self._dead.of(op.inputs))

    def _alias(self, tensor: Tensor, source: Tensor) -> None:
        """``tensor`` is ``source`` by another name: values are never written to."""
        self._known[tensor] = self._leaf(tensor, self.value(source))
        self._views.note(tensor, source)
        self._dead.note([tensor, tensor.op], self._dead.of([source]))

    def _renamed(self, step: Step) -> None:
        op = step.op
        live: Any = 0
        if op.type == "Merge":
            self._chosen[op.outputs[1]] = self.plan.predicates.live_input(op)
        elif op.type == "Switch":
            live = self.plan.predicates.live_side(op)
            self._dead.never([op.outputs[1 - live]])
        self._alias(op.outputs[live], step.inputs[0])

    def _fused(self, step: Step) -> None:
        run: Any = step.run
        if step.name == "while":
            run = run(self._function)
        if step.needs_state:
            run = run(self.state)
        self._work = step.op
        args = tuple(self.value(t) for t in step.inputs)
        if guards := self._dead.of(step.inputs):
            run = spreading(run, len(step.outputs), many=True)
            self._dead.note([*step.covers, *step.outputs], guards)
        node = self._call(run, args, step.op)
        self._bind(step.outputs, node, always_many=True)
        if step.needs_state or step.name == "while":
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
        for side, made in zip((1, 0), sides, strict=True):
            self._dead.note(made.outputs, side_of(group.pred, side))
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
        child = branch_of(context, self.plan, self.context)
        inner = Emitter(self.plan, self.state, self.leaves, child)
        for tensor in inputs:
            inner.placeholder(tensor)
        inner._dead = self._dead.only(inputs)
        inner.steps(side.steps)
        return inner.finish(side.outputs)


class _Side:
    """The steps of one branch, what they take from outside, give to it, and the variables they use."""

    def __init__(
        self, steps: list[Step], inputs: list[Tensor], outputs: list[Tensor], writes: set[str]
    ) -> None:
        self.steps, self.inputs, self.outputs, self.writes = steps, inputs, outputs, writes


def _by_name(tensor: Tensor) -> bool:
    """Whether a reference is read by its variable's name rather than passed on."""
    forwards = tensor.op.type in (*FORWARDS_REF, "VariableV2", "Variable")
    return tensor.dtype.is_ref and forwards


def _reader(state: State, name: str) -> Callable[[], Any]:
    def read() -> Any:
        return state.read(name)

    read.__module__ = "evenkeel.tf1.state"
    read.__qualname__ = "read"
    return read


def _given(*, value: Any) -> Any:
    return value
