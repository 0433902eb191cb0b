"""Control flow and order: cond, case, group, tuple, checks, Python functions."""

from contextlib import nullcontext
from typing import Any

from evenkeel.tf1 import build
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.contexts import CondContext
from evenkeel.tf1.control_ops import group, no_op, with_dependencies
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.fold import constant_value
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph

__all__ = [
    "Assert", "Print", "case", "cond", "group", "no_op", "numpy_function", "py_func", "tuple",
]  # fmt: skip
_tuple: Any = tuple  # the API has a function of this name


def cond(
    pred: Any, true_fn: Any = None, false_fn: Any = None, strict: bool = False, name: Any = None,
    fn1: Any = None, fn2: Any = None,
) -> Any:  # fmt: skip
    """What ``true_fn`` builds where ``pred`` holds, else what ``false_fn`` builds; only one runs."""
    on_true, on_false = true_fn or fn1, false_fn or fn2
    if not callable(on_true):
        raise TypeError("true_fn must be callable.")
    if not callable(on_false):
        raise TypeError("false_fn must be callable.")
    with name_scope(name, "cond", [pred]):
        if isinstance(pred, bool):
            raise TypeError("pred must not be a Python bool")
        truth = convert(pred)
        p_2, p_1 = switch_of_pred(truth)
        pivot_1 = apply("Identity", p_1, name="switch_t")
        pivot_2 = apply("Identity", p_2, name="switch_f")
        chosen = apply("Identity", truth, name="pred_id")
        for tensor in (p_1, p_2, pivot_1, pivot_2, chosen):
            tensor.graph.prevent_fetching(tensor.op)
        one, first = _branch(on_true, chosen, pivot_1, 1)
        two, second = _branch(on_false, chosen, pivot_2, 0)
        merges = _merged(_matching(first, second))
        if one.outer_context is None:  # those within others are part of them
            get_default_graph().add_to_collection(GraphKeys.COND_CONTEXT, one)
            get_default_graph().add_to_collection(GraphKeys.COND_CONTEXT, two)
        return _packed(one.original, merges, strict)


def switch_of_pred(pred: Tensor) -> list[Tensor]:
    """(false side, true side) of a predicate by itself."""
    return apply("Switch", pred, pred, name="Switch")  # type: ignore[no-any-return]


class _Branch(CondContext):
    """A branch under construction, and what its function returned."""

    original: Any = None


def _branch(function: Any, pred: Tensor, pivot: Tensor, branch: int) -> Any:
    context = _Branch(pred, pivot, branch)
    with context:
        context.original = function()
        flat = [_result(context, v) for v in _flat(context.original)]
    if context.original is None:
        flat = []
    return context, flat


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [v for key in sorted(value) for v in _flat(value[key])]
    return (
        [v for item in value for v in _flat(item)] if isinstance(value, list | _tuple) else [value]
    )


def _result(context: CondContext, value: Any) -> Any:
    """What a branch returns, as a tensor inside it; an operation becomes what waits for it."""
    if isinstance(value, Operation) or value is None:
        waits = [value] if isinstance(value, Operation) else []
        return with_dependencies(waits, context.pivot)
    if isinstance(value, IndexedSlices):
        return IndexedSlices(context.AddValue(value.values), context.AddValue(value.indices))
    return context.AddValue(convert(value))


def _matching(first: list[Any], second: list[Any]) -> list[Any]:
    if len(first) != len(second):
        raise ValueError("true_fn and false_fn must return the same number of outputs: "
                         f"{len(first)} and {len(second)}")  # fmt: skip
    for x, y in zip(first, second, strict=True):
        if x.dtype.base_dtype != y.dtype.base_dtype:
            raise ValueError(
                "Outputs of true_fn and false_fn must have the same type: "
                f"{x.dtype.name}, {y.dtype.name}"
            )
    return list(zip(first, second, strict=True))


def _merged(pairs: list[Any]) -> list[Any]:
    made = []
    for value, other in pairs:
        refs = value.dtype.is_ref and other.dtype.is_ref
        made.append(apply("RefMerge" if refs else "Merge", [other, value], name="Merge")[0])
    return made


def _packed(original: Any, merges: list[Any], strict: bool) -> Any:
    rest = iter(merges)

    def build(value: Any) -> Any:
        if isinstance(value, dict):
            made = {key: build(value[key]) for key in sorted(value)}
            return type(value)((k, made[k]) for k in value)
        if hasattr(value, "_fields"):
            return type(value)(*[build(v) for v in value])
        if isinstance(value, list | _tuple):
            return type(value)([build(v) for v in value])
        merged = next(rest)
        return merged.op if isinstance(value, Operation) or value is None else merged

    if original is None:
        return None
    result = build(original)
    one = isinstance(result, list | _tuple) and len(result) == 1 and not strict
    return result[0] if one else result


def smart_cond(pred: Any, true_fn: Any, false_fn: Any, name: Any = None) -> Any:
    """``cond``, or one branch alone where the predicate is known."""
    known = smart_constant_value(pred)
    if known is None:
        return cond(pred, true_fn, false_fn, name=name)
    return true_fn() if known else false_fn()


def smart_constant_value(pred: Any) -> bool | None:
    """The truth of a predicate where it is known while building."""
    if isinstance(pred, bool) or pred in (0, 1):
        return bool(pred)
    if not isinstance(pred, Tensor):
        raise TypeError(
            f"`pred` must be a Tensor, or a Python bool, or 1 or 0. Found instead: {pred}"
        )
    value = constant_value(pred)
    return None if value is None else bool(value)


def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False,
    name: str = "case",
) -> Any:  # fmt: skip
    """What the first function whose predicate holds builds."""
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    with name_scope(name, "case", [p for p, _ in pairs]):
        if default is None:
            pred, default = pairs.pop()
        guards = [_at_most_one(p for p, _ in pairs)] if exclusive else []
        result = default
        with get_default_graph().control_dependencies(guards) if guards else nullcontext():
            for pred, function in reversed(pairs):
                result = _link(pred, function, result, strict)
            return result()


def _at_most_one(predicates: Any) -> Any:
    """A node that fails where more than one predicate holds."""
    from evenkeel.tf1.api.math import cast
    from evenkeel.tf1.api.reductions import reduce_sum

    listed = list(predicates)
    together = apply("Pack", listed, name="preds_c")
    count = reduce_sum(cast(together, "int32"), name="num_true_conds")
    fits = apply("LessEqual", count, build.constant(1, name="n_true_conds"))
    names = ", ".join(getattr(p, "name", "?") for p in listed)
    message = f"Input error: exclusive=True: more than 1 conditions ({names}) evaluated as True:"
    return Assert(fits, [message, together], summarize=len(listed))


def _link(pred: Any, function: Any, otherwise: Any, strict: bool) -> Any:
    return lambda: cond(pred, function, otherwise, strict=strict, name="cond")


def tuple(tensors: Any, name: str | None = None, control_inputs: Any = None) -> list[Any]:
    """The tensors, each available only when all are."""
    with name_scope(name, "tuple", tensors):
        gate_ops = [t if isinstance(t, Operation) else t.op for t in tensors if t is not None]
        gate_ops += [c if isinstance(c, Operation) else c.op for c in control_inputs or []]
        if not gate_ops:
            raise ValueError(f"Must have at least one Tensor: {tensors}")
        gate = group(*sorted(dict.fromkeys(gate_ops), key=lambda op: op._id))
        return [t if t is None else with_dependencies([gate], t) for t in tensors]


def Assert(condition: Any, data: Any, summarize: int | None = None, name: Any = None) -> Any:  # noqa: N802
    """A node that fails, with the data, where the condition does not hold."""
    count = 3 if summarize is None else summarize
    with name_scope(name, "Assert", [condition, data]):
        values = [convert(d) for d in data]
        if all(v.dtype.base_dtype.name in ("string", "int32") for v in values):
            return apply("Assert", condition, list(data), summarize=count, name="Assert")
        truth = convert(condition, name="Condition")
        guarded = cond(
            truth, no_op,
            lambda: apply("Assert", condition, list(data), summarize=count, name="Assert"),
            name="AssertGuard",
        )  # fmt: skip
        return guarded if isinstance(guarded, Operation) else guarded.op


def Print(  # noqa: N802
    input_: Any, data: Any, message: Any = None, first_n: Any = None, summarize: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """The value; data are printed when it is computed."""
    return apply(
        "Print",
        input_,
        list(data),
        message=message,
        first_n=first_n,
        summarize=summarize,
        name=name,
    )


def py_func(func: Any, inp: Any, Tout: Any, stateful: bool = True, name: Any = None) -> Any:
    """A Python function of numpy arrays as a node."""
    graph = get_default_graph()
    token = graph.unique_token("pyfunc")
    graph.functions[token] = func
    many = isinstance(Tout, list | _tuple)
    kinds = [as_dtype(t) for t in (Tout if many else [Tout])]
    kind = "PyFunc" if stateful else "PyFuncStateless"
    made = apply(kind, list(inp), token=token, Tout=kinds, name=name)
    return made if many else made[0]


def numpy_function(func: Any, inp: Any, Tout: Any, name: Any = None) -> Any:
    """A Python function of numpy arrays as a node."""
    return py_func(func, inp, Tout, stateful=True, name=name)
