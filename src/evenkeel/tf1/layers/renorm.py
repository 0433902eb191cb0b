"""Batch renormalization (Ioffe 2017): what a batch's normalization is corrected by."""

from typing import Any

from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.constants import ones_like, zeros_like
from evenkeel.tf1.api.control import smart_cond
from evenkeel.tf1.build import apply
from evenkeel.tf1.layers import moving
from evenkeel.tf1.stacks import get_default_graph


def renormalized(layer: Any, mean: Any, variance: Any, training: Any) -> Any:
    """r, d, and the mean and variance for the moving averages, after renorm's own have moved."""
    eps = layer.epsilon
    stddev = apply("Sqrt", variance + eps)
    smallest = apply("Sqrt", eps)
    kept = apply("Maximum", layer.renorm_stddev, smallest)
    r = stddev / kept
    d = (mean - layer.renorm_mean) / kept
    graph = get_default_graph()
    with graph.control_dependencies([r, d]):  # they take the averages before these move
        mean, stddev = arrays.identity(mean), arrays.identity(stddev)
    r, d = _clipped(r, d, layer.renorm_clipping)
    clipped = r, d
    r = smart_cond(training, lambda: clipped[0], lambda: ones_like(clipped[0]))
    d = smart_cond(training, lambda: clipped[1], lambda: zeros_like(clipped[1]))

    def moved(average: Any, value: Any) -> Any:
        value = arrays.identity(value)
        return smart_cond(
            training,
            lambda: moving.average(average, value, layer.renorm_momentum),
            lambda: arrays.identity(average),
        )

    first = moved(layer.renorm_mean, mean)
    second = moved(layer.renorm_stddev, stddev)
    with graph.control_dependencies([first, second]):
        return r, d, arrays.identity(mean), arrays.identity(variance)


def _clipped(r: Any, d: Any, limits: dict[str, Any]) -> Any:
    rmin, rmax, dmax = (limits.get(key) for key in ("rmin", "rmax", "dmax"))
    if rmin is not None:
        r = apply("Maximum", r, rmin)
    if rmax is not None:
        r = apply("Minimum", r, rmax)
    if dmax is not None:
        d = apply("Minimum", apply("Maximum", d, -dmax), dmax)
    return r, d
