"""The loops of an imported graph: their contexts, found again from frames, Merges and Switches."""

from typing import Any

from evenkeel.tf1.loop_context import WhileContext
from evenkeel.tf1.nodes import Operation, Tensor

_ENTER, _EXIT = ("Enter", "RefEnter"), ("Exit", "RefExit")
_MERGE, _SWITCH = ("Merge", "RefMerge"), ("Switch", "RefSwitch")


class Frame:
    """The nodes of one loop, while they are gathered."""

    def __init__(self, name: str, parent: "Frame | None") -> None:
        self.name, self.parent = name, parent
        self.ops: list[Operation] = []
        self.context: WhileContext | None = None


def restore_loops(ops: list[Operation]) -> list[WhileContext]:
    """Give the nodes of every loop the context that lowering asks for; the contexts made."""
    frames = _frames(ops)
    outer = {f.name: f.ops[0]._get_control_flow_context() for f in frames}
    for frame in frames:  # a frame is found after the frame around it
        frame.context = _context(frame, outer[frame.name])
    return [f.context for f in frames if f.context is not None]


def _frames(ops: list[Operation]) -> list[Frame]:
    frames: dict[str, Frame] = {}
    flows: dict[Operation, Frame | None] = {}  # the frame that an operation's outputs are in
    for op in ops:
        frame = _deepest(flows.get(before) for before in _before(op))
        if op.type in _ENTER:
            name = str(op.attrs["frame_name"])
            frame = frames.setdefault(name, Frame(name, frame))
        if frame is not None:
            frame.ops.append(op)
        flows[op] = frame.parent if op.type in _EXIT and frame is not None else frame
    return list(frames.values())


def _before(op: Operation) -> list[Operation]:
    return [*(t.op for t in op.inputs), *op.control_inputs]


def _deepest(frames: Any) -> Frame | None:
    return max((f for f in frames if f is not None), key=_depth, default=None)


def _depth(frame: Frame) -> int:
    depth, around = 0, frame.parent
    while around is not None:
        depth, around = depth + 1, around.parent
    return depth


def _context(frame: Frame, outer: Any) -> WhileContext | None:
    pivot = next((op.outputs[0] for op in frame.ops if op.type == "LoopCond"), None)
    merges = [op for op in frame.ops if op.type in _MERGE and _is_variable(op)]
    if pivot is None or not merges:
        return None  # no loop that could run: fetching it says so
    if frame.parent is not None and frame.parent.context is not None:
        outer = frame.parent.context
    context = WhileContext.restored(frame.name, _parallel(frame), outer)
    context.pivot = pivot
    context.enters = [op.inputs[0] for op in merges]
    exits = [op.outputs[0] for op in frame.ops if op.type in _EXIT]
    context.exits = sorted(exits, key=lambda t: t.op._id)
    context.pivot_for_pred = merges[0].outputs[0]
    context.pivot_for_body = _body_pivot(merges, pivot)
    for op in frame.ops:
        op._set_control_flow_context(context)
        context._values.update(t.name for t in op.outputs)
    return context


def _is_variable(op: Operation) -> bool:
    starts, goes_on = (t.op.type for t in op.inputs) if len(op.inputs) == 2 else ("", "")
    return starts in _ENTER and goes_on in ("NextIteration", "RefNextIteration")


def _parallel(frame: Frame) -> int:
    return int(frame.ops[0].attrs.get("parallel_iterations", 10))


def _body_pivot(merges: list[Operation], pivot: Tensor) -> Tensor | None:
    """What the nodes of a turn wait for: what reads the first variable when a turn begins."""
    for merge in merges:
        switch = _reader(merge.outputs[0], _SWITCH, pivot)
        body = None if switch is None else _reader(switch.outputs[1], ("Identity", "Sub"))
        if body is not None:
            found: Tensor = body.outputs[0]
            return found
    return None


def _reader(tensor: Tensor, kinds: tuple[str, ...], pred: Tensor | None = None) -> Any:
    """The first node of these types that takes ``tensor``."""
    for op in tensor.consumers():
        if op.type in kinds and op.inputs[0] is tensor and (pred is None or op.inputs[1] is pred):
            return op
    return None
