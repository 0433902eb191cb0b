"""Batch normalization that a program makes itself: tf.nn.moments, variables, tf.nn.batch_normalization.

Known by what it computes, whatever the variables are called: a root over a variance plus eps, where the
variance is that of the batch (a mean over the batch axis), a variable, or either by a condition.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from evenkeel.tf1.nodes import Operation

VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
ASSIGNS = ("Assign", "AssignSub", "AssignAdd")
_PASSING = ("Identity", "Squeeze", "Reshape", "Cast", "StopGradient", "Enter", "ReadVariableOp")
# Between a moment and the assignment of its average.
_ARITHMETIC = (*_PASSING, "Mul", "Sub", "Add", "AddV2", "Switch", "Merge")


@dataclass(slots=True)
class Handmade:
    """One of them: its roots, whether one is of the batch and one of the averages, its averages."""

    roots: list[Operation]
    moving: set[Operation]
    of_batch: bool
    of_moving: bool
    flags: list[Operation]
    shares: set[Operation] = field(default_factory=set)


@dataclass(slots=True)
class _Sources:
    moments: list[Operation] = field(default_factory=list)
    variables: set[Operation] = field(default_factory=set)
    flags: list[Operation] = field(default_factory=list)


def handmade(ops: Iterable[Operation], known: Iterable[str]) -> list[Handmade]:
    """Every one among ``ops``, the branches of a condition together.

    ``known`` are names of averages that belong to a layer; what reads them is the layer's own.
    """
    layers, found = set(known), list[Handmade]()
    for root in (op for op in ops if op.type == "Rsqrt"):
        one = _of(root)
        if one is None or any(op.name in layers for op in one.moving):
            continue
        for other in [o for o in found if o.shares & one.shares]:
            found.remove(other)
            one = _joined(other, one)
        found.append(one)
    return found


def decider(flag: Operation) -> Operation:
    """The operation that a condition's predicate comes from."""
    while flag.type in ("Identity", "Cast", "LogicalNot", "Switch") and flag.inputs:
        flag = flag.inputs[0].op
    return flag


def target(op: Operation) -> Operation:
    """The variable that an assignment changes."""
    source = op.inputs[0].op
    while source.type in ("RefSwitch", "Identity", "Switch") and source.inputs:
        source = source.inputs[0].op
    return source


def initializes(op: Operation) -> bool:
    """Whether an assignment is the variable's own initializer, or a Saver's."""
    name = target(op).name
    return op.type == "Assign" and (
        op.name == f"{name}/Assign" or op.inputs[1].op.type == "RestoreV2"
    )


def _of(root: Operation) -> Handmade | None:
    """The normalization that a root belongs to; None for a root of something else."""
    plus = root.inputs[0].op
    if plus.type not in ("Add", "AddV2"):
        return None
    scaled = _scaled_by(root)
    if scaled is None:
        return None
    x, mean = scaled
    found = _sources(plus.inputs[0].op, mean)
    if not (found.variables or found.moments):
        return None
    moving = {op for m in found.moments for op in _averages(m)} | found.variables
    flags = [*found.flags, *_sources(x).flags]
    shares = {*moving, _stripped(x)}
    return Handmade([root], moving, bool(found.moments), bool(found.variables), flags, shares)


def _joined(one: Handmade, other: Handmade) -> Handmade:
    return Handmade(
        one.roots + other.roots,
        one.moving | other.moving,
        one.of_batch or other.of_batch,
        one.of_moving or other.of_moving,
        one.flags + other.flags,
        one.shares | other.shares,
    )


def _scaled_by(root: Operation) -> tuple[Operation, Operation] | None:
    """The input and the mean: tf.nn.batch_normalization multiplies both with the root, and gamma."""
    first = _product(root, "mul")
    if first is None:
        return None
    x, mean = _product(first, "mul_1"), _product(first, "mul_2")
    if mean is None:  # no gamma
        x, mean = first, _product(root, "mul_1")
    return (x.inputs[0].op, mean.inputs[0].op) if x and mean else None


def _product(of: Operation, name: str) -> Operation | None:
    own = (op for op in of._consumed if op.type == "Mul" and op.name.endswith(f"/{name}"))
    return next(own, None)


def _sources(*starts: Operation) -> _Sources:
    """Where values come from: means over the batch, variables, and by which conditions."""
    found, seen, waiting = _Sources(), set(starts), list(starts)
    while waiting:
        op = waiting.pop()
        if op.type in VARIABLES:
            found.variables.add(op)
        elif op.type == "Mean" and _over_batch(op):
            found.moments.append(op)
        if op.type in ("Switch", "RefSwitch"):
            found.flags.append(decider(op.inputs[1].op))
        elif op.type in ("Select", "Where"):
            found.flags.append(decider(op.inputs[0].op))
        for before in _values(op):
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return found


def _values(op: Operation) -> Iterator[Operation]:
    """The operations whose values ``op`` hands on."""
    if op.type in (*_PASSING, "Switch", "RefSwitch"):
        yield op.inputs[0].op
    elif op.type in ("Merge", "RefMerge"):
        yield from (tensor.op for tensor in op.inputs)
    elif op.type == "Select":
        yield from (tensor.op for tensor in op.inputs[1:])


def _stripped(op: Operation) -> Operation:
    while op.type in (*_PASSING, "Switch"):
        op = op.inputs[0].op
    return op


def _over_batch(mean: Operation) -> bool:
    """Whether a mean goes over axis 0; a layer's or an instance's normalization does not."""
    axes = mean.inputs[1].op.attrs.get("value")
    return axes is not None and bool((np.ravel(axes) == 0).any())


def _averages(moment: Operation) -> Iterator[Operation]:
    """Variables that are assigned what follows from a batch moment."""
    seen, waiting = {moment}, [moment]
    while waiting:
        op = waiting.pop()
        for user in op._consumed:
            if user.type in ASSIGNS and user.inputs[0].op is not op:
                yield target(user)
            elif user not in seen and user.type in _ARITHMETIC and "batchnorm" not in user.name:
                seen.add(user)
                waiting.append(user)
