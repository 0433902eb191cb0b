"""Gradients made smaller: to a norm of their own, to a norm of all together."""

from typing import Any

from evenkeel.tf1.api.arrays import identity, rank, size, stack, where
from evenkeel.tf1.api.constants import ones_like, range
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.reductions import reduce_sum
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.dtypes import float32
from evenkeel.tf1.nodes import IndexedSlices
from evenkeel.tf1.stacks import get_default_graph

__all__ = ["clip_by_average_norm", "clip_by_global_norm", "clip_by_norm", "global_norm"]


def _values(t: Any, name: str) -> Any:
    return convert(t.values if isinstance(t, IndexedSlices) else t, name=name)


def _like(t: Any, values: Any) -> Any:
    return (
        IndexedSlices(values, t.indices, t.dense_shape) if isinstance(t, IndexedSlices) else values
    )


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """The values scaled so that their norm is at most ``clip_norm``."""
    with name_scope(name, "clip_by_norm", [t, clip_norm]) as scope:
        values = _values(t, "t")
        squares = reduce_sum(values * values, axes, keepdims=True)
        positive = squares > 0
        safe = where(positive, squares, ones_like(squares))  # no NaN in the gradient of the root
        norm = where(positive, apply("Sqrt", safe), squares)
        scaled = values * clip_norm
        values.shape.merge_with(scaled.shape)
        return _like(t, identity(scaled / apply("Maximum", norm, clip_norm), name=scope))


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Any:
    """The values scaled so that their norm over their number is at most ``clip_norm``."""
    with name_scope(name, "clip_by_average_norm", [t, clip_norm]) as scope:
        values = convert(t, name="t")
        count = cast(size(values), float32)
        over = apply("Rsqrt", reduce_sum(values * values, range(rank(values))))
        scaled = values * clip_norm
        limit = apply("Minimum", over * count, constant(1.0) / clip_norm)
        return identity(scaled * limit, name=scope)


def global_norm(t_list: Any, name: str | None = None) -> Any:
    """The norm of all values of all tensors together."""
    listed = _listed(t_list)
    with name_scope(name, "global_norm", [t for t in listed if t is not None]):
        halves = []
        for t in listed:
            if t is not None:
                values = _values(t, "t")
                with get_default_graph().colocate_with(values):
                    halves.append(apply("L2Loss", values))
        total = reduce_sum(stack(halves))
        two = constant(2.0, total.dtype)
        return apply("Sqrt", total * two, name="global_norm")


def _listed(t_list: Any) -> list[Any]:
    if not isinstance(t_list, list | tuple):
        raise TypeError("t_list should be a sequence")
    return list(t_list)


def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Any]:
    """All tensors scaled by one factor so that their norm together is at most ``clip_norm``."""
    listed = _listed(t_list)
    norm = global_norm(listed, name) if use_norm is None else use_norm
    with name_scope(name, "clip_by_global_norm", [t for t in listed if t is not None]) as scope:
        limit = apply("Minimum", 1.0 / norm, constant(1.0, norm.dtype) / clip_norm)
        factor = clip_norm * limit
        finite = apply("IsFinite", norm)
        factor = where(finite, factor, constant(float("nan"), norm.dtype))
        made: list[Any] = []
        for index, t in enumerate(listed):
            if t is None:
                made.append(None)
                continue
            values = _values(t, f"t_{index}")
            with get_default_graph().colocate_with(values):
                clipped = identity(values * factor, name=f"{scope}_{index}")
            made.append(_like(t, clipped))
    return made, norm
