"""Wrong training steps, by name: each is right but for one fault, and a comparison must see it.

Each entry names the array that the fault shows in. All are computed in float64, so that the fault is
the only difference; the last one is a fault of rounding and needs data far from zero.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from oracles.definitions import Given, Step, step

Mutant = Callable[[Given], Step]

MUTANTS: dict[str, tuple[str, Mutant]] = {}


def fault(array: str) -> Callable[[Mutant], Mutant]:
    def keep(mutant: Mutant) -> Mutant:
        MUTANTS[mutant.__name__] = (array, mutant)
        return mutant

    return keep


def statistics(given: Given) -> tuple[Tensor, Tensor, Tensor]:
    x = given.x.double()
    axes = (0, *range(2, x.ndim))
    return x, x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)


def affine(given: Given, normalized: Tensor) -> Tensor:
    shape = [1, -1] + [1] * (normalized.ndim - 2)
    return normalized * given.weight.double().view(shape) + given.bias.double().view(shape)


def with_y(given: Given, normalized: Tensor) -> Step:
    return step(given)._replace(y=affine(given, normalized))


@fault("y")
def unbiased_variance_in_y(given: Given) -> Step:
    x, mean, var = statistics(given)
    count = x.numel() / x.shape[1]
    return with_y(given, (x - mean) / (var * count / (count - 1) + given.eps).sqrt())


@fault("y")
def eps_outside_the_root(given: Given) -> Step:
    x, mean, var = statistics(given)
    return with_y(given, (x - mean) / (var.sqrt() + given.eps))


@fault("y")
def no_eps(given: Given) -> Step:
    x, mean, var = statistics(given)
    return with_y(given, (x - mean) / var.sqrt())


@fault("y")
def wrong_axis_with_as_many_channels_as_samples(given: Given) -> Step:
    wrong = step(given._replace(x=given.x.transpose(0, 1), dy=given.dy.transpose(0, 1)))
    return wrong._replace(y=wrong.y.transpose(0, 1), dx=wrong.dx.transpose(0, 1))


@fault("running_mean")
def statistics_over_the_wrong_axis(given: Given) -> Step:
    wrong = step(given._replace(x=given.x.transpose(0, 1), dy=given.dy.transpose(0, 1)))
    return step(given)._replace(running_mean=wrong.running_mean)


@fault("y")
def statistics_of_each_sample(given: Given) -> Step:
    x = given.x.double()
    axes = tuple(range(2, x.ndim))
    var = x.var(axes, correction=0, keepdim=True)
    return with_y(given, (x - x.mean(axes, keepdim=True)) / (var + given.eps).sqrt())


@fault("y")
def weight_and_bias_swapped(given: Given) -> Step:
    return step(given._replace(weight=given.bias, bias=given.weight))


@fault("y")
def normalized_by_running_statistics(given: Given) -> Step:
    x, *_ = statistics(given)
    shape = [1, -1] + [1] * (x.ndim - 2)
    mean, var = given.running_mean.double().view(shape), given.running_var.double().view(shape)
    return with_y(given, (x - mean) / (var + given.eps).sqrt())


@fault("y")
def variance_about_zero_in_float32(given: Given) -> Step:
    x, mean, _ = statistics(given)
    axes = (0, *range(2, x.ndim))
    squares = given.x.float().square().mean(axes, keepdim=True)
    var = (squares - mean.float().square()).clamp_min(0)
    return with_y(given, (x - mean) / (var.double() + given.eps).sqrt())


@fault("running_mean")
def flipped_momentum(given: Given) -> Step:
    return step(given._replace(momentum=1 - given.momentum))


@fault("running_mean")
def statistics_never_updated(given: Given) -> Step:
    return step(given._replace(momentum=0.0))


@fault("running_mean")
def statistics_updated_twice(given: Given) -> Step:
    first = step(given)
    return step(
        given._replace(running_mean=first.running_mean, running_var=first.running_var)
    )._replace(y=first.y)


@fault("running_var")
def biased_running_variance(given: Given) -> Step:
    right, count, m = step(given), given.x.numel() / given.x.shape[1], given.momentum
    old = (1 - m) * given.running_var.double()
    return right._replace(running_var=old + (right.running_var - old) * (count - 1) / count)


@fault("running_var")
def eps_in_the_running_variance(given: Given) -> Step:
    right = step(given)
    return right._replace(running_var=right.running_var + given.momentum * given.eps)


@fault("running_var")
def standard_deviation_for_variance(given: Given) -> Step:
    _, _, var = statistics(given)
    old = (1 - given.momentum) * given.running_var.double()
    return step(given)._replace(running_var=old + given.momentum * var.flatten().sqrt())


@fault("dx")
def statistics_without_gradient(given: Given) -> Step:
    _, _, var = statistics(given)
    shape = var.shape
    scale = given.weight.double().view(shape) / (var + given.eps).sqrt()
    return step(given)._replace(dx=given.dy.double() * scale)


@fault("dx")
def variance_without_gradient(given: Given) -> Step:
    _, _, var = statistics(given)
    axes = (0, *range(2, given.x.ndim))
    scale = given.weight.double().view(var.shape) / (var + given.eps).sqrt()
    dy = given.dy.double()
    return step(given)._replace(dx=(dy - dy.mean(axes, keepdim=True)) * scale)


@fault("dx")
def weight_missing_in_dx(given: Given) -> Step:
    return step(given)._replace(dx=step(given._replace(weight=torch.ones_like(given.weight))).dx)


@fault("dweight")
def dweight_of_raw_input(given: Given) -> Step:
    axes = (0, *range(2, given.x.ndim))
    return step(given)._replace(dweight=(given.dy.double() * given.x.double()).sum(axes))


@fault("dbias")
def dbias_averaged(given: Given) -> Step:
    return step(given)._replace(dbias=step(given).dbias / (given.x.numel() / given.x.shape[1]))
