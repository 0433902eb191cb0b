"""A loop and the loop of its gradient: what the one hands to the other.

Values of every turn go onto a stack on the way forward and come off it on the way back. Structure and
names are those of TensorFlow's gradients, so that graphs load in either.
"""

from typing import Any

from evenkeel.tf1.autodiff.loop_counters import count_down, count_turns
from evenkeel.tf1.build import apply, constant
from evenkeel.tf1.contexts import CondContext, entered, inside, switch_of
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.loop_context import WhileContext, is_constant_enter, output_context
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph

_PASS = ("Switch", "RefSwitch", "Identity", "RefIdentity")


class LoopState:
    """One forward loop with the loop of its gradient, while that is built.

    ``outer`` is the same of the loop around it. ``known`` has forward tensors by name as they are on
    the way back, ``merges`` the Merge of each Switch that the gradient came to.
    """

    def __init__(self, forward: WhileContext, outer: "LoopState | None") -> None:
        self.forward, self.outer = forward, outer
        self.called_in = get_default_graph()._get_control_flow_context()
        self.known: dict[str, Tensor] = {}
        self.merges: dict[Operation, Tensor] = {}
        self.forward_exits = list(forward.exits)
        self.pending = len(self.forward_exits)
        self.unused: list[Tensor] = []
        self.deferred: list[Tensor] = []
        self._syncs: dict[str, Operation] = {}
        around = forward.outer_context if outer is None else outer.forward
        with entered(around):
            count, self.next_count = count_turns(forward, outer)
        if outer is not None:
            outer.forward.AddName(count.name)
            stack = outer.push(count)
        with entered(around if outer is None else outer.context):
            self.context: WhileContext = WhileContext(
                forward.name,
                forward.parallel_iterations,
                forward.back_prop,
                forward.swap_memory,
                self,
            )
            turns = count if outer is None else outer.pop(stack, count)
            self.next_back = count_down(self.context, turns, outer)

    # ---- nodes that keep the order of stacks

    @property
    def forward_sync(self) -> Operation:
        """What every push inside of a branch comes before."""
        return self._sync("f_sync", self.forward, self.next_count)

    @property
    def grad_sync(self) -> Operation:
        """What every pop comes before."""
        return self._sync("b_sync", self.context, self.next_back)

    def _sync(self, name: str, context: WhileContext, following: Tensor) -> Operation:
        if name not in self._syncs:
            with context_free():
                made = self._syncs[name] = apply("ControlTrigger", name=name)
            made._set_control_flow_context(context)
            following.op._add_control_input(made)
        return self._syncs[name]

    # ---- forward values on the way back

    def value_of(self, value: Tensor) -> Tensor:
        """A forward tensor as it was in the turn that is gone back through."""
        if value.name not in self.known:
            self.known[value.name] = self._found(value)
        return self.known[value.name]

    def _found(self, value: Tensor) -> Tensor:
        state: LoopState = self
        while (enter := _constant_enter(value)) is not None:
            value = enter.inputs[0]
            if state.outer is None:  # an invariant of every loop around: it enters this one too
                return self.context.AddValue(value)
            state = state.outer
        if value.op.type == "Const":
            return constant(constant_value(value), value.dtype)
        with inside(self.called_in):
            stack = state.push(value)
        made = state.pop(stack, value)
        return made if state is self else self.context.AddValue(made)

    def push(self, value: Tensor, dead: bool = False) -> Tensor:
        """A stack that gets ``value`` in every turn; ``dead``: a value of the branch not taken."""
        graph, forward = value.graph, self.forward
        here = graph._get_control_flow_context()
        with context_free():
            with entered(here), graph.colocate_with(value.op):
                most = constant(-1, "int32")
                kind = value.dtype.base_dtype
                stack: Tensor = apply("StackV2", most, elem_type=kind, name="f_acc")
            inner = forward.AddValue(stack)
            context = output_context(value.op)
            with inside(context.outer_context if dead else context):
                pushed = apply("StackPushV2", inner, value, swap_memory=forward.swap_memory).op
            if context is forward:
                self.next_count.op._add_control_input(pushed)
            else:
                self.forward_sync._add_control_input(pushed)
            pushed._add_control_input(self.next_count.op.inputs[0].op)
        return stack

    def pop(self, stack: Tensor, value: Tensor, dead: bool = False) -> Tensor:
        """What ``push`` put onto a stack in this turn; only where its branch was taken."""
        branch = self._branch_of(value, stack.op._get_control_flow_context())
        with context_free(), inside(self.context):
            if branch is not None:
                side = 1 - branch.branch if dead else branch.branch
                stack = switch_of(stack, self._predicate(branch))[side]
            made: Tensor = apply("StackPopV2", stack, elem_type=value.dtype.base_dtype)
            made.set_shape(value.shape)
        if self.context.parallel_iterations > 1:
            self.grad_sync._add_control_input(made.op)
        return made

    def _branch_of(self, value: Tensor, until: Any) -> CondContext | None:
        context = value.op._get_control_flow_context()
        while context is not None and context is not until:
            if isinstance(context, CondContext):
                return context
            context = context.outer_context
        return None

    def _predicate(self, branch: CondContext) -> Tensor:
        state: LoopState | None = self
        while state is not None:
            if branch.pred.name in state.known:
                return state.known[branch.pred.name]
            state = state.outer
        return branch.pred

    def predicate(self, branch: CondContext) -> Tensor:
        """A branch's predicate as it was in this turn."""
        pred = branch.pred
        if pred.name not in self.known:
            with inside(self.called_in):
                stack = self.push(pred)
            self.known[pred.name] = self.pop(stack, pred)
        return self.known[pred.name]


def context_free() -> Any:
    """Outside of all contexts, waiting for nothing."""
    return get_default_graph().control_dependencies(None)


def _constant_enter(value: Tensor) -> Operation | None:
    """The Enter that a value of every turn alike came through."""
    op = value.op
    while op.type in _PASS:
        op = op.inputs[0].op
    return op if is_constant_enter(op) else None
