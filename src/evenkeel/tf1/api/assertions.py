"""``tf.assert_*``: nodes that fail where values are not as they should be; some fail at once."""

from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.api.control import Assert
from evenkeel.tf1.api.reductions import reduce_all
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.control_ops import no_op
from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.fold import constant_value

_BINARY = {
    "assert_equal": ("Equal", "=="), "assert_greater": ("Greater", ">"),
    "assert_greater_equal": ("GreaterEqual", ">="), "assert_less": ("Less", "<"),
    "assert_less_equal": ("LessEqual", "<="), "assert_none_equal": ("NotEqual", "!="),
}  # fmt: skip
# What is compared with zero, how it reads, and whether zero comes first.
_UNARY = {
    "assert_negative": ("assert_less", "< 0", False),
    "assert_non_negative": ("assert_less_equal", ">= 0", True),
    "assert_non_positive": ("assert_less_equal", "<= 0", False),
    "assert_positive": ("assert_less", "> 0", True),
}
__all__ = [*_BINARY, "assert_rank", "assert_type", *_UNARY]


def _binary(name_: str, kind: str, symbol: str) -> Any:
    def check(
        x: Any, y: Any, data: Any = None, summarize: Any = None, message: Any = None,
        name: Any = None,
    ) -> Any:  # fmt: skip
        with name_scope(name, name_, [x, y, data]):
            left, right = convert(x, name="x"), convert(y, name="y")
            if left is right and kind == "Equal":
                return no_op("NoOp")
            if data is None:
                data = [f"Condition x {symbol} y did not hold element-wise:"]
                data += [f"x ({left.name}) = ", left, f"y ({right.name}) = ", right]
                data = [message, *data] if message is not None else data
            truth = reduce_all(apply(kind, left, right))
            values = constant_value(left), constant_value(right)
            if all(value is not None for value in values):
                _refuse(kind, values, message, symbol)
            return Assert(truth, data, summarize=summarize)

    check.__doc__ = f"A node that fails where x {symbol} y does not hold for every element."
    check.__name__ = name_
    return check


_HOLDS: dict[str, Any] = {
    "Equal": lambda a, b: a == b, "Greater": lambda a, b: a > b,
    "GreaterEqual": lambda a, b: a >= b, "Less": lambda a, b: a < b,
    "LessEqual": lambda a, b: a <= b, "NotEqual": lambda a, b: a != b,
}  # fmt: skip


def _refuse(kind: str, values: tuple[Any, Any], message: Any, symbol: str) -> None:
    if not _HOLDS[kind](*values).all():
        words = message or f"Condition x {symbol} y did not hold element-wise"
        raise errors.InvalidArgumentError(None, None, f"{words}: x = {values[0]}, y = {values[1]}")


globals().update({name: _binary(name, *row) for name, row in _BINARY.items()})


def _unary(name_: str, by: str, words: str, zero_first: bool) -> Any:
    def check(
        x: Any, data: Any = None, summarize: Any = None, message: Any = None, name: Any = None
    ) -> Any:
        with name_scope(name, name_, [x, data]):
            value = convert(x, name="x")
            if data is None:
                told = f"Condition x {words} did not hold element-wise:"
                data = [message or "", told, f"x ({value.name}) = ", value]
            zero = constant(0, value.dtype.base_dtype)
            pair = (zero, value) if zero_first else (value, zero)
            return globals()[by](*pair, data=data, summarize=summarize)

    check.__doc__ = f"A node that fails where x {words} does not hold for every element."
    check.__name__ = name_
    return check


globals().update({name: _unary(name, *row) for name, row in _UNARY.items()})


def assert_rank(
    x: Any, rank: int, data: Any = None, summarize: Any = None, message: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """ValueError for another rank where it is known; where it is not, a node that fails."""
    with name_scope(name, "assert_rank", [x]):
        value = convert(x, name="x")
        if value.shape.ndims is None:
            truth = apply("Equal", apply("Rank", value), rank)
            return Assert(truth, data or [message or "", f"rank must be {rank}"], summarize)
        if value.shape.ndims != rank:
            raise ValueError(
                f"{message or ''}.  Tensor {value.name} must have rank {rank}.  Received rank "
                f"{value.shape.ndims}, shape {value.shape}"
            )
        return no_op("static_checks_determined_all_ok")


def assert_type(tensor: Any, tf_type: Any, message: Any = None, name: Any = None) -> Any:
    """TypeError for another element type."""
    with name_scope(name, "assert_type", [tensor]):
        value, wanted = convert(tensor, name="tensor"), as_dtype(tf_type)
        if value.dtype != wanted:
            raise TypeError(f"{message or ''}  {value.name} must be of type {wanted!r}")
        return no_op("statically_determined_correct_type")
