"""Loops on the way of gradients, as TensorFlow goes through them: the exits of a loop together, each
Switch of a loop twice, from its exit and from the end of a turn.
"""

from typing import Any

from evenkeel.tf1.autodiff.loop_state import LoopState
from evenkeel.tf1.autodiff.reach import Between, is_trainable
from evenkeel.tf1.autodiff.sums import Sums
from evenkeel.tf1.autodiff.zeros import zeros_of
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.contexts import CondContext, entered, inside, switch_of
from evenkeel.tf1.loop_context import WhileContext, loop_around, loop_of
from evenkeel.tf1.nodes import Operation, Tensor

_EXITS, _SWITCHES = ("Exit", "RefExit"), ("Switch", "RefSwitch")


class Loops:
    """The loops between the ys and the xs of one call."""

    def __init__(self, between: Between) -> None:
        self._states: dict[WhileContext, LoopState] = {}
        for op in between.ops:  # grows: all exits of a loop belong to it
            if op.type in _EXITS:
                self._enter(op, between)

    def _enter(self, exit_: Operation, between: Between) -> None:
        context = exit_._get_control_flow_context()
        if context in self._states:
            return
        outer = loop_around(exit_)
        state = LoopState(context, None if outer is None else self._states.get(outer))
        self._states[context] = state
        between.include([t.op for t in state.forward_exits])

    def state_of(self, op: Operation) -> LoopState | None:
        """The loop that ``op`` is in, where gradients go through that."""
        loop = loop_of(op)
        return None if loop is None else self._states.get(loop)

    def context_before(self, op: Operation) -> Any:
        """Where the gradients that arrive at ``op`` are added up."""
        loop = loop_around(op) if op.type in _EXITS else loop_of(op)
        state = None if loop is None else self._states.get(loop)
        return None if state is None else state.context

    def context_of(self, op: Operation) -> Any:
        """Where the gradient of ``op`` is built."""
        state = self.state_of(op)
        return None if state is None else state.context

    @property
    def all_go_back(self) -> bool:
        """Whether no loop was built with ``back_prop=False``."""
        return all(s.forward.back_prop for s in self._states.values())

    # ---- which exits to begin from

    def unused(self, pending: dict[Operation, int], targets: set[Operation]) -> list[Tensor]:
        """Exits that nothing leads to, of loops where no exit waits for anything."""
        found: list[Tensor] = []
        for state in self._states.values():
            for exit_ in state.forward_exits:
                if not pending.get(exit_.op):
                    state.pending -= 1
                    if exit_.op not in targets:
                        state.unused.append(exit_)
                    if not state.pending:
                        found += state.unused
            for enter in state.forward.enters:
                pending.setdefault(enter.op, 1)
        return found

    def ready(self, exit_: Tensor, sums: Sums) -> list[Operation]:
        """What to go on with once ``exit_`` has its gradients: all exits of its loop, or nothing."""
        state = self._states[exit_.op._get_control_flow_context()]
        state.deferred.append(exit_)
        state.pending -= 1
        if state.pending:
            return []
        reached = [y for y in state.deferred if sums.has(y)]
        state.unused += [y for y in state.deferred if not sums.has(y)]
        if reached:
            for exit_ in state.unused:
                if is_trainable(exit_):
                    sums.put(exit_, self.zeros_for_exit(exit_))
        return [y.op for y in [*reached, *state.unused]]

    def zeros_for_exit(self, value: Tensor) -> Any:
        """The gradient of an exit that nothing uses."""
        from evenkeel.tf1.api.arrays import shape_of
        from evenkeel.tf1.api.constants import zeros, zeros_like

        context = value.op._get_control_flow_context()
        around = loop_around(value.op)
        outer = None if around is None else self._states.get(around)
        known = value.shape.as_list() if value.shape.is_fully_defined() else None
        if known is not None:
            with entered(None if outer is None else outer.context):
                return zeros(known, value.dtype)
        if outer is None:
            return zeros_like(value, optimize=False)
        with inside(context.outer_context):
            sizes = shape_of(value, optimize=False)
        stack = outer.push(sizes)
        with inside(outer.context):
            return zeros(outer.pop(stack, sizes), value.dtype)

    # ---- outputs without a gradient

    def zeros(self, op: Operation, index: int) -> Any:
        """Zeros for one output of ``op``; None for a Switch of a loop."""
        if is_loop_switch(op):
            return None
        state = self.state_of(op)
        if state is None:
            return zeros_of(op, index)
        if op.outputs[index].shape.is_fully_defined():
            return _known_zeros(state, op, op.outputs[index])
        return _sized_zeros(state, op, op.outputs[index])

    def finish(self) -> None:
        """A variable whose next value has nothing of the last: its gradient is zero from then on."""
        for state in self._states.values():
            for merge in state.merges.values():
                if merge.op.inputs[0] is merge.op.inputs[1]:
                    merge.op._update_input(1, _nothing(state, merge.op.inputs[0]))


def is_loop_switch(op: Operation) -> bool:
    """Whether this is a Switch of a loop's variable, not of a branch within the loop."""
    if op.type not in _SWITCHES or not isinstance(op._get_control_flow_context(), WhileContext):
        return False
    readers = [c for t in op.outputs for c in t.consumers()]
    return not all(isinstance(_read_in(c), CondContext) for c in readers)


def _read_in(op: Operation) -> Any:
    context = op._get_control_flow_context()
    return context.outer_context if op.type in ("Enter", "RefEnter") else context


def _known_zeros(state: LoopState, op: Operation, value: Tensor) -> Any:
    made = constant(0, value.dtype.base_dtype, value.shape.as_list())
    if op.type not in _SWITCHES:
        return made
    branch = op._get_control_flow_context()
    return switch_of(made, state.known[branch.pred.name])[1 - branch.branch]


def _sized_zeros(state: LoopState, op: Operation, value: Tensor) -> Any:
    from evenkeel.tf1.api.arrays import shape_of
    from evenkeel.tf1.api.constants import zeros

    context, dead = op._get_control_flow_context(), op.type in _SWITCHES
    if dead:
        with inside(context.outer_context):
            other = switch_of(op.inputs[0], context.pred)[1 - context.branch]
            sizes = shape_of(other, optimize=False)
        other.op._set_control_flow_context(context)
        sizes.op._set_control_flow_context(context)
    else:
        with inside(context):
            sizes = shape_of(value, optimize=False)
    with inside(state.called_in):
        stack = state.push(sizes, dead)
    popped = state.pop(stack, sizes, dead)
    if dead:  # these run where the branch does not
        for node in (other.op, sizes.op):
            node._set_control_flow_context(context.outer_context)
    return zeros(popped, value.dtype.base_dtype)


def _nothing(state: LoopState, entered_: Tensor) -> Any:
    from evenkeel.tf1.api.arrays import shape_of
    from evenkeel.tf1.api.constants import zeros

    if entered_.shape.is_fully_defined():
        with inside(state.context):
            value = constant(0, entered_.dtype.base_dtype, entered_.shape.as_list())
            return apply("NextIteration", value)
    with entered(state.context.outer_context):
        value = zeros(shape_of(entered_.op.inputs[0], optimize=False))
    with inside(state.context):
        return apply("NextIteration", value)
