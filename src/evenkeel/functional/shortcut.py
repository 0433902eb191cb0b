"""Calls like one that was checked and planned before go to their kernel at once.

What a call on a small tensor costs is what Python does around it: checks and look-ups take 20 µs, the
kernel one. A plan is kept for each kind of input; whether the vectors fit it is asked every time.
"""

import torch
from torch import Tensor

from evenkeel.autograd import (
    Moved,
    normalize_planned,
    plan_given,
    plan_moving,
    recomputing,
    train_moving,
)
from evenkeel.kernels import Call
from evenkeel.kernels.plan import Plan
from evenkeel.kernels.table import mode_of, unwatched
from evenkeel.views import Axes, axes_of

__all__ = ["Kind", "kind_of", "learn", "run"]

Kind = tuple[bool, torch.Size, tuple[int, ...], torch.dtype, Axes, float, str | None]
MOST = 4096

_plans: dict[Kind, Plan] = {}


def kind_of(
    x: Tensor, training: bool, axis: Axes, eps: float, activation: str | None
) -> Kind | None:
    """What calls of one kind share; None where every call must be looked at anew."""
    if torch.compiler.is_compiling() or not unwatched() or mode_of(x) or not x.is_cpu:
        return None
    if type(axis) is not int and type(axis) is not tuple:
        return None
    return training, x.shape, x.stride(), x.dtype, axis, eps, activation


def learn(kind: Kind | None, x: Tensor, running: Tensor | None) -> bool:
    """Plan calls like this one, which was checked; whether there is a plan."""
    if kind is None or running is None:
        return False
    training, _, _, _, axis, eps, activation = kind
    call = Call.of(x, axes_of(axis, x.ndim))
    plan = (plan_moving if training else plan_given)(call, running, eps, activation)
    if plan is not None:
        if len(_plans) >= MOST:
            _plans.clear()
        _plans[kind] = plan
    return plan is not None


def run(
    kind: Kind | None,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    momentum: float,
    out: Tensor | None = None,
) -> Tensor | None:
    """The call by the plan of its kind; None where there is none, or the vectors do not fit it."""
    plan = None if kind is None else _plans.get(kind)
    if plan is None or mean is None or var is None:
        return None
    if kind is not None and kind[0]:
        if recomputing() or out is not None:
            return None
        done = train_moving(plan, x, weight, bias, None, Moved(mean, var, float(momentum), True))
        return None if done is None else done[0]
    return normalize_planned(plan, x, mean, var, weight, bias, None, out=out)
