"""Learning rates that fall with the step."""

import math
from collections.abc import Callable
from typing import Any

from evenkeel.tf1.api.control import case, cond
from evenkeel.tf1.api.math import cast, divide
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.nodes import Tensor


def _begin(rate: Any) -> tuple[Any, Any]:
    start = convert(rate, name="initial_learning_rate")
    return start, start.dtype.base_dtype


def exponential_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any,
    staircase: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Learning_rate · decay_rate^(step / decay_steps)."""
    _need(global_step)
    with name_scope(name, "ExponentialDecay") as scope:
        start, kind = _begin(learning_rate)
        steps, rate = cast(decay_steps, kind), cast(decay_rate, kind)
        power = _share(global_step, steps, kind, staircase)
        return apply("Mul", start, apply("Pow", rate, power), name=scope)


def natural_exp_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any,
    staircase: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Learning_rate · e^(−decay_rate · step / decay_steps)."""
    rate = apply("Exp", apply("Neg", decay_rate))
    return exponential_decay(learning_rate, global_step, decay_steps, rate, staircase, name)


def inverse_time_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any,
    staircase: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Learning_rate / (1 + decay_rate · step / decay_steps)."""
    _need(global_step)
    with name_scope(name, "InverseTimeDecay") as scope:
        start, kind = _begin(learning_rate)
        steps, rate = cast(decay_steps, kind), cast(decay_rate, kind)
        share = _share(global_step, steps, kind, staircase)
        one = cast(constant(1), kind)
        return divide(start, apply("Add", one, apply("Mul", rate, share)), name=scope)


def _need(global_step: Any) -> None:
    if global_step is None:
        raise ValueError("global_step is required.")


def _share(global_step: Any, steps: Any, kind: Any, staircase: bool) -> Any:
    share = cast(global_step, kind) / steps
    return apply("Floor", share) if staircase else share


def piecewise_constant(x: Any, boundaries: Any, values: Any, name: str | None = None) -> Any:
    """The value of the interval that ``x`` lies in: the first up to the first boundary."""
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    limits = [convert(b) for b in boundaries]
    numbers = [convert(v) for v in values]
    step = convert(x)
    limits = [cast(b, step.dtype) if b.dtype.base_dtype != step.dtype else b for b in limits]
    with name_scope(name, "PiecewiseConstant"):
        pairs: list[tuple[Any, Callable[[], Any]]] = [
            (step <= limits[0], lambda: numbers[0]),
            (step > limits[-1], lambda: numbers[-1]),
        ]
        for low, high, value in zip(limits[:-1], limits[1:], numbers[1:-1], strict=True):
            pairs.append(((step > low) & (step <= high), _giving(value)))
        return case(pairs, lambda: numbers[0], exclusive=True)


def _giving(value: Tensor) -> Callable[[], Tensor]:
    return lambda: value


piecewise_constant_decay = piecewise_constant


def polynomial_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, end_learning_rate: Any = 0.0001,
    power: Any = 1.0, cycle: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """From learning_rate to end_learning_rate along a power of the share of the steps."""
    _need(global_step)
    with name_scope(name, "PolynomialDecay") as scope:
        start, kind = _begin(learning_rate)
        end, exponent = cast(end_learning_rate, kind), cast(power, kind)
        step, steps = cast(global_step, kind), cast(decay_steps, kind)
        if cycle:
            times = cond(
                apply("Equal", step, 0), lambda: 1.0, lambda: apply("Ceil", step / decay_steps)
            )
            steps = apply("Mul", steps, times)
        else:
            step = apply("Minimum", step, decay_steps)
        share = divide(step, steps)
        span = start - end
        rest = apply("Pow", 1 - share, exponent)
        return apply("Add", apply("Mul", span, rest), end, name=scope)


def _wave(share: Any) -> Any:
    """From 2 to 0 along a cosine."""
    return 1.0 + apply("Cos", constant(math.pi, share.dtype) * share)


def cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, alpha: float = 0.0,
    name: str | None = None,
) -> Any:  # fmt: skip
    """From learning_rate to alpha · learning_rate along a cosine."""
    _need(global_step)
    with name_scope(name, "CosineDecay"):
        start, kind = _begin(learning_rate)
        steps = cast(decay_steps, kind)
        step = apply("Minimum", cast(global_step, kind), steps)
        falling = 0.5 * _wave(step / steps)
        return apply("Mul", start, (1 - alpha) * falling + alpha)


def cosine_decay_restarts(
    learning_rate: Any, global_step: Any, first_decay_steps: Any, t_mul: Any = 2.0,
    m_mul: Any = 1.0, alpha: Any = 0.0, name: str | None = None,
) -> Any:  # fmt: skip
    """Cosines one after another, each t_mul times as long and m_mul times as high."""
    _need(global_step)
    with name_scope(name, "SGDRDecay") as scope:
        start, kind = _begin(learning_rate)
        steps = cast(first_decay_steps, kind)
        low, longer, lower = (cast(v, kind) for v in (alpha, t_mul, m_mul))
        whole = cast(global_step, kind) / steps
        count, share = cond(
            apply("Equal", longer, 1.0),
            lambda: _equal_periods(whole),
            lambda: _growing_periods(whole, longer),
        )
        height = 0.5 * lower**count
        falling = height * _wave(share)
        return apply("Mul", start, (1 - low) * falling + low, name=scope)


def _equal_periods(whole: Any) -> tuple[Any, Any]:
    count = apply("Floor", whole)
    return count, whole - count


def _growing_periods(whole: Any, longer: Any) -> tuple[Any, Any]:
    ratio = apply("Log", 1.0 - whole * (1.0 - longer)) / apply("Log", longer)
    count = apply("Floor", ratio)
    before = (1.0 - longer**count) / (1.0 - longer)
    return count, (whole - before) / longer**count


def linear_cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, num_periods: Any = 0.5,
    alpha: Any = 0.0, beta: Any = 0.001, name: str | None = None,
) -> Any:  # fmt: skip
    """A line times cosines."""
    _need(global_step)
    with name_scope(name, "LinearCosineDecay") as scope:
        start, kind = _begin(learning_rate)
        steps = cast(decay_steps, kind)
        periods, low, base = (cast(v, kind) for v in (num_periods, alpha, beta))
        step = apply("Minimum", cast(global_step, kind), steps)
        line = (steps - step) / steps
        share = step / steps
        falling = 0.5 * _wave(2.0 * periods * share)
        return apply("Mul", start, (low + line) * falling + base, name=scope)
