"""The nodes by which optimizers change variables: each rule once, for whole tensors and for rows.

A rule gets the variable, its slots and the gradient as tensors, and the rest as Python numbers, by
the names of TensorFlow's signature. It returns new values for the variable and the slots, in order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from evenkeel.tf1 import errors
from evenkeel.tf1.ops.rules import merge
from evenkeel.tf1.ops.signature import known_types, signature
from evenkeel.tf1.ops.table import OPS, OpDef

Update = Callable[..., tuple[Any, ...]]
_TENSORS = ("grad", "delta", "indices")


def update(name: str) -> Callable[[Update], Update]:
    """Enter a rule as the meaning of ``ApplyName`` and ``SparseApplyName``, also of resources."""

    def enter(rule: Update) -> Update:
        for kind in (f"{a}{b}Apply{name}" for a in ("", "Resource") for b in ("", "Sparse")):
            if kind in known_types():
                OPS.add(kind)(_definition(kind, rule))
        return rule

    return enter


def _definition(kind: str, rule: Update) -> OpDef:
    row = signature(kind)
    variables = [a.ref or (a.fixed is not None and a.fixed.name == "resource") for a in row.inputs]
    refs = [a.name for a, is_one in zip(row.inputs, variables, strict=True) if is_one]
    others = [a.name for a in row.inputs if a.name not in refs]
    host = frozenset(n for n in others if n not in _TENSORS)
    flags = [a for a in ("use_nesterov", "update_slots") if a in row.attrs]

    def run(*inputs: Any, state: Any, op: Any) -> Any:
        names = inputs[: len(refs)]
        given = dict(zip(others, inputs[len(refs) :], strict=True))
        given |= {flag: op.attrs[flag] for flag in flags}
        values = [state.read(name) for name in names]
        new = _rows(rule, values, given, op) if "indices" in given else rule(*values, **given)
        for name, value, before in zip(names, new, values, strict=False):
            if value is not before:
                state.write(name, value)
        return new[0] if row.outputs else None

    shape = _of_rows if kind.startswith("Sparse") else _of_whole
    return OpDef(kind, run, host, True, shape, ("state", "op"))


def _of_rows(node: Any) -> Any:
    return [node.inputs[0].shape]


def _of_whole(node: Any) -> Any:
    names = [a.name for a in signature(node.type).inputs]
    at = names.index("delta") if "delta" in names else names.index("grad")
    return [merge(node.inputs[0].shape, node.inputs[at].shape)]


def _rows(rule: Update, values: list[Any], given: dict[str, Any], op: Any) -> list[Any]:
    """The rule on some rows; they are different ones, as optimizers see to it."""
    rows = given.pop("indices").reshape(-1).long()
    size = values[0].shape[0]
    outside = (rows < 0) | (rows >= size)
    if bool(outside.any()):
        bad = int(rows[outside][0])
        raise errors.InvalidArgumentError(None, op, f"Index {bad} at offset 0 is out of range")
    parts = [value.index_select(0, rows) for value in values]
    new = rule(*parts, **given)
    return [
        value if changed is part else value.index_copy(0, rows, changed)
        for value, part, changed in zip(values, parts, new, strict=True)
    ]


@update("GradientDescent")
def gradient_descent(var: Any, alpha: float, delta: Any) -> tuple[Any, ...]:
    """Var − alpha · delta."""
    return (torch.sub(var, delta, alpha=alpha),)


def descent_of_all(variables: list[Any], alpha: float, deltas: list[Any]) -> Any:
    """The same for any number of variables."""
    return torch._foreach_sub(variables, deltas, alpha=alpha)


@update("Momentum")
def momentum_(
    var: Any, accum: Any, lr: float, grad: Any, momentum: float, use_nesterov: bool
) -> tuple[Any, ...]:
    """Accum = momentum · accum + grad; var − lr · accum, or a step ahead of it with Nesterov's."""
    new = torch.add(grad, accum, alpha=momentum)
    if use_nesterov:
        ahead = torch.sub(var, grad, alpha=lr)
        return ahead.sub_(new, alpha=lr * momentum), new
    return torch.sub(var, new, alpha=lr), new


def adam_of_all(
    variables: list[Any], ms: list[Any], vs: list[Any], numbers: tuple[float, ...],
    grads: list[Any], use_nesterov: bool = False,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The rule of Adam for any number of variables that share beta1_power … epsilon."""
    beta1_power, beta2_power, lr, beta1, beta2, epsilon = numbers
    one = np.float32(1.0)  # in float32, as TensorFlow computes it
    powers = np.float32(beta1_power), np.float32(beta2_power)
    rate = float(np.float32(lr) * np.sqrt(one - powers[1]) / (one - powers[0]))
    step = new_m = torch._foreach_lerp(ms, grads, float(one - np.float32(beta1)))
    new_v = torch._foreach_mul(vs, beta2)
    torch._foreach_addcmul_(new_v, grads, grads, value=float(one - np.float32(beta2)))
    over = torch._foreach_sqrt(new_v)
    torch._foreach_add_(over, epsilon)
    if use_nesterov:
        step = torch._foreach_mul(new_m, beta1)
        torch._foreach_add_(step, grads, alpha=1 - beta1)
    return torch._foreach_addcdiv(variables, step, over, value=-rate), new_m, new_v


@update("Adam")
def adam(
    var: Any, m: Any, v: Any, beta1_power: float, beta2_power: float, lr: float, beta1: float,
    beta2: float, epsilon: float, grad: Any, use_nesterov: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """M and v are running means of grad and grad²; var − lr' · m / (√v + epsilon)."""
    numbers = beta1_power, beta2_power, lr, beta1, beta2, epsilon
    new = adam_of_all([var], [m], [v], numbers, [grad], use_nesterov)
    return tuple(values[0] for values in new)


def _rms_step(
    var: Any, mom: Any, grad: Any, spread: Any, lr: float, momentum: float
) -> tuple[Any, Any]:
    step = torch.mul(mom, momentum).addcdiv_(grad, spread.sqrt_(), value=lr)
    return torch.sub(var, step), step


@update("RMSProp")
def rms_prop(
    var: Any, ms: Any, mom: Any, lr: float, rho: float, momentum: float, epsilon: float, grad: Any
) -> tuple[Any, ...]:
    """Ms is the running mean of grad²; the step is lr · grad / √(ms + epsilon), with momentum."""
    square = torch.lerp(ms, grad * grad, 1 - rho)
    new, step = _rms_step(var, mom, grad, square + epsilon, lr, momentum)
    return new, square, step


@update("CenteredRMSProp")
def centered_rms_prop(
    var: Any, mg: Any, ms: Any, mom: Any, lr: float, rho: float, momentum: float, epsilon: float,
    grad: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """As RMSProp, with the variance of grad in the place of its mean square."""
    square, mean = torch.lerp(ms, grad * grad, 1 - rho), torch.lerp(mg, grad, 1 - rho)
    new, step = _rms_step(var, mom, grad, square - mean * mean + epsilon, lr, momentum)
    return new, mean, square, step


@update("Adagrad")
def adagrad(
    var: Any, accum: Any, lr: float, grad: Any, update_slots: bool = True
) -> tuple[Any, ...]:
    """Accum is the sum of grad²; var − lr · grad / √accum."""
    total = torch.addcmul(accum, grad, grad) if update_slots else accum
    return torch.addcdiv(var, grad, total.sqrt(), value=-lr), total


@update("Adadelta")
def adadelta(
    var: Any, accum: Any, accum_update: Any, lr: float, rho: float, epsilon: float, grad: Any
) -> tuple[Any, ...]:
    """The step is grad times the ratio of the root mean squares of steps and gradients."""
    total = torch.mul(accum, rho).addcmul_(grad, grad, value=1 - rho)
    step = (accum_update + epsilon).sqrt_().mul_(torch.rsqrt(total + epsilon)).mul_(grad)
    steps = torch.mul(accum_update, rho).addcmul_(step, step, value=1 - rho)
    return torch.sub(var, step, alpha=lr), total, steps


@update("Ftrl")
def ftrl(
    var: Any, accum: Any, linear: Any, grad: Any, lr: float, l1: float, l2: float, lr_power: float
) -> tuple[Any, ...]:
    """Follow the regularized leader."""
    return _ftrl(var, accum, linear, grad, grad, lr, l1, l2, lr_power)


@update("FtrlV2")
def ftrl_v2(
    var: Any, accum: Any, linear: Any, grad: Any, lr: float, l1: float, l2: float,
    l2_shrinkage: float, lr_power: float,
) -> tuple[Any, ...]:  # fmt: skip
    """The same, with an L2 penalty in the gradient that the accumulator does not see."""
    shrunk = torch.add(grad, var, alpha=2 * l2_shrinkage)
    return _ftrl(var, accum, linear, grad, shrunk, lr, l1, l2, lr_power)


def _ftrl(
    var: Any, accum: Any, linear: Any, grad: Any, pulled: Any, lr: float, l1: float, l2: float,
    power: float,
) -> tuple[Any, ...]:  # fmt: skip
    total = torch.addcmul(accum, grad, grad)
    root = torch.sqrt if power == -0.5 else (lambda value: value.pow(-power))
    after, before = root(total), root(accum)
    new = linear + (pulled - (after - before) / lr * var)
    quadratic = after / lr + 2 * l2
    inside = new.abs() <= l1
    value = (torch.sign(new) * l1 - new) / quadratic
    return torch.where(inside, torch.zeros_like(value), value), total, new


def _shrunk(value: Any, rate: Any, l1: float, l2: float) -> Any:
    """Pulled towards zero by l1 and l2."""
    if l1 > 0:
        value = torch.sign(value) * torch.clamp(value.abs() - rate * l1, min=0)
    return value / (1 + l2 * rate)


@update("ProximalGradientDescent")
def proximal_gradient_descent(
    var: Any, alpha: float, l1: float, l2: float, delta: Any = None, grad: Any = None
) -> tuple[Any, ...]:
    """A step, then the pull of l1 and l2."""
    step = grad if delta is None else delta
    return (_shrunk(torch.sub(var, step, alpha=alpha), alpha, l1, l2),)


@update("ProximalAdagrad")
def proximal_adagrad(
    var: Any, accum: Any, lr: float, l1: float, l2: float, grad: Any
) -> tuple[Any, ...]:
    """A step of Adagrad, then the pull of l1 and l2."""
    total = torch.addcmul(accum, grad, grad)
    rate = torch.rsqrt(total) * lr
    return _shrunk(var - rate * grad, rate, l1, l2), total


@update("AdagradDA")
def adagrad_da(
    var: Any, gradient_accumulator: Any, gradient_squared_accumulator: Any, grad: Any, lr: float,
    l1: float, l2: float, global_step: int,
) -> tuple[Any, ...]:  # fmt: skip
    """Adagrad with dual averaging: the variable is made anew from the sums."""
    total = gradient_accumulator + grad
    squares = torch.addcmul(gradient_squared_accumulator, grad, grad)
    step = total
    if l1 > 0:
        step = torch.sign(total) * torch.clamp(total.abs() - l1 * global_step, min=0)
    return -lr * step / (l2 * global_step * lr + squares.sqrt()), total, squares
