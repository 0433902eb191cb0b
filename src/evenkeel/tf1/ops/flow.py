"""Nodes of control flow: their shapes; lowering knows what they do."""

from typing import Any

import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.dtypes import short_name
from evenkeel.tf1.ops.rules import scalar, unknown
from evenkeel.tf1.ops.table import op
from evenkeel.tf1.shapes import TensorShape, unknown_shape
from evenkeel.tf1.values import to_numpy, to_torch


def _both(node: Any) -> list[TensorShape]:
    return [node.inputs[0].shape, node.inputs[0].shape]


@op("Switch", "RefSwitch", stateful=True, shape=_both)
def switch(data: Any, pred: Any) -> Any:
    """Lowered by itself."""
    return data, data


def _merged(node: Any) -> list[TensorShape]:
    shapes = [t.shape for t in node.inputs]
    ranks = {s.ndims for s in shapes}
    if len(ranks) > 1 or None in ranks:
        return [unknown_shape(), TensorShape([])]
    sizes = zip(*[s.sizes for s in shapes], strict=True)
    return [TensorShape([s[0] if len(set(s)) == 1 else None for s in sizes]), TensorShape([])]


@op("Merge", "RefMerge", stateful=True, shape=_merged)
def merge(inputs: list[Any]) -> Any:
    """Lowered by itself."""
    return inputs[0], torch.tensor(0, dtype=torch.int32)


@op("LoopCond", stateful=True, shape=scalar)
def loop_cond(value: Any) -> Any:
    """The condition of a loop."""
    return value


@op("Assert", stateful=True)
def assert_(condition: Any, data: list[Any], *, summarize: int, op: Any) -> None:
    """InvalidArgumentError, with the data, where the condition does not hold."""
    if not bool(condition):
        shown = " ".join(f"[{shown_values(v, summarize)}]" for v in data)
        raise errors.InvalidArgumentError(None, op, f"assertion failed: {shown}")


def shown_values(value: Any, count: int) -> str:
    """The first values as text."""
    import numpy as np

    flat = np.asarray(to_numpy(value)).reshape(-1)
    texts = [
        v.decode() if isinstance(v, bytes) else f"{v:g}" if v.dtype.kind == "f" else str(v)
        for v in flat
    ]
    limit = len(texts) if count < 0 else count
    return " ".join(texts[:limit]) + ("..." if len(texts) > limit else "")


@op("Print", stateful=True, shape=lambda node: [node.inputs[0].shape])
def print_(
    value: Any, data: list[Any], *, message: str, first_n: int, summarize: int, op: Any, state: Any
) -> Any:
    """The value; the data go to the standard error."""
    import sys

    count = state.op_state.get(op, 0) if state is not None else 0
    if first_n < 0 or count < first_n:
        shown = "".join(f"[{shown_values(v, summarize)}]" for v in data)
        sys.stderr.write(f"{message}{shown}\n")
    if state is not None:
        state.op_state[op] = count + 1
    return value


@op("PyFunc", "PyFuncStateless", "EagerPyFunc", stateful=True, shape=unknown)
def py_func(inputs: list[Any], *, token: str, op: Any, Tout: Any, device: Any) -> Any:
    """A Python function of numpy arrays."""
    import numpy as np

    if token not in op.graph.functions:  # a graph from a file has the node, not the function
        raise errors.InvalidArgumentError(None, op, f"ValueError: callback {token} is not found")
    given = [np.asarray(to_numpy(v)) if not np.isscalar(v) else v for v in inputs]
    try:
        returned = op.graph.functions[token](*given)
    except Exception as error:  # any may come; TensorFlow raises each as one of its own
        raise _as_tensorflows(error, op) from error
    listed = list(returned) if isinstance(returned, list | tuple) else [returned]
    listed = [] if returned is None else listed
    if len(listed) != len(Tout) and Tout:
        raise errors.InvalidArgumentError(
            None,
            op,
            f"{token} returns {len(listed)} values, but expects to see {len(Tout)} values.",
        )
    values = [
        _typed(v, t, token, op, i, device)
        for i, (v, t) in enumerate(zip(listed, Tout, strict=False))
    ]
    return values[0] if len(values) == 1 else tuple(values)


def _as_tensorflows(error: Exception, op: Any) -> errors.OpError:
    """The error that TensorFlow makes of what a Python function raised, with where it was."""
    import traceback

    where = "".join(traceback.format_exception(error))
    found = next((made for kind, made in _RAISED if isinstance(error, kind)), errors.UnknownError)
    return found(None, op, f"{type(error).__name__}: {error}\n{where}")


_RAISED: tuple[tuple[Any, type[errors.OpError]], ...] = (
    ((ValueError, TypeError), errors.InvalidArgumentError),
    (StopIteration, errors.OutOfRangeError),
    (MemoryError, errors.ResourceExhaustedError),
    (NotImplementedError, errors.UnimplementedError),
)


def _typed(value: Any, kind: Any, token: str, op: Any, index: int, device: Any) -> Any:
    import numpy as np

    from evenkeel.tf1.literal import dtype_of

    array = np.asarray(value)
    if array.dtype == object and not all(isinstance(v, str | bytes) for v in array.flat):
        raise errors.InternalError(
            None, op, f"Unsupported object type {type(array.flat[0]).__name__}"
        )
    if dtype_of(array) != kind and kind.has_torch:
        raise errors.InvalidArgumentError(
            None,
            op,
            f"{index}-th value returned by {token} is "
            f"{short_name(dtype_of(array))}, but expects {short_name(kind)}",
        )
    return to_torch(array, kind, device)


@op("Enter", "Exit", "NextIteration", shape=lambda node: [node.inputs[0].shape])
def enter(value: Any) -> Any:
    """The value: the loop around it is lowered as a whole."""
    return value
