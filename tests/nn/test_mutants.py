"""The checks of this folder, seen to fail: each mutant is a layer with one fault."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from evenkeel.autograd import Moved, train_moving
from evenkeel.functional.normalization import blend, normalize_by_batch
from evenkeel.functional.statistics import Moments, var_unbiased
from evenkeel.kernels.library import why_missing
from evenkeel.nn import BatchNorm, BatchNorm1d, batch_norm, running, steps
from nn.twin import Twin, check, data, randomized

Patch = pytest.MonkeyPatch


def flipped_momentum(patch: Patch) -> None:
    patch.setattr(running, "blend", lambda old, new, weight: blend(old, new, 1 - weight))


def biased_for_unbiased(patch: Patch) -> None:
    patch.setattr(running, "var_unbiased", lambda batch: batch.var)


def unbiased_for_biased(patch: Patch) -> None:
    def mutant(*args: Any, **options: Any) -> tuple[Tensor, Moments]:
        _, batch = normalize_by_batch(*args, **options)
        x, weight, bias = args
        y = (x - batch.mean) / (var_unbiased(batch) + options["eps"]).sqrt() * weight + bias
        return y, batch

    patch.setattr(steps, "normalize_by_batch", mutant)


def eps_outside_the_root(patch: Patch) -> None:
    def mutant(*args: Any, **options: Any) -> tuple[Tensor, Moments]:
        y, batch = normalize_by_batch(*args, **options)
        root = (batch.var + options["eps"]).sqrt() / (batch.var.sqrt() + options["eps"])
        return (y - args[2]) * root + args[2], batch

    patch.setattr(steps, "normalize_by_batch", mutant)


def wrong_axis(patch: Patch) -> None:
    class Mutant(BatchNorm1d):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options, channel_axis=0)

    patch.setattr(batch_norm, "BatchNorm1d", Mutant)


def statistics_move_in_inference(patch: Patch) -> None:
    infer = BatchNorm.forward

    def mutant(self: BatchNorm, input: Tensor, **options: Any) -> Tensor:
        y = infer(self, input, **options)
        if not self.training:
            with torch.no_grad():
                self.running_mean.lerp_(input.mean(0), 0.1)  # type: ignore[union-attr]
        return y

    patch.setattr(BatchNorm, "forward", mutant)


def batch_statistics_in_inference(patch: Patch) -> None:
    def mutant(*args: Any) -> Tensor:
        spec, x, _, _, weight, bias, residual, _ = args
        return steps.by_batch(spec, x, weight, bias, residual)[0]

    patch.setattr(batch_norm, "infer", mutant)


def gradient_through_the_running_mean(patch: Patch) -> None:
    move = BatchNorm._move

    def mutant(self: BatchNorm, batch: Moments) -> None:
        move(self, batch)
        mean = self._buffers["running_mean"]
        assert mean is not None
        self._buffers["running_mean"] = mean + 0 * self.weight

    patch.setattr(BatchNorm, "_move", mutant)


def statistics_moved_twice(patch: Patch) -> None:
    move = BatchNorm._move

    def mutant(self: BatchNorm, batch: Moments) -> None:
        move(self, batch)
        move(self, batch)

    patch.setattr(BatchNorm, "_move", mutant)


def statistics_never_moved(patch: Patch) -> None:
    patch.setattr(BatchNorm, "_move", lambda self, batch: None)


def statistics_cut_from_the_graph(patch: Patch) -> None:
    def mutant(*args: Any, **options: Any) -> tuple[Tensor, Moments]:
        _, batch = normalize_by_batch(*args, **options)
        x, weight, bias = args
        return (x - batch.mean) / (batch.var + options["eps"]).sqrt() * weight + bias, batch

    patch.setattr(steps, "normalize_by_batch", mutant)


def bias_inside_the_scale(patch: Patch) -> None:
    def mutant(*args: Any, **options: Any) -> tuple[Tensor, Moments]:
        y, batch = normalize_by_batch(*args, **options)
        return y - args[2] + args[1] * args[2], batch

    patch.setattr(steps, "normalize_by_batch", mutant)


MUTANTS: list[Callable[[Patch], None]] = [
    flipped_momentum,
    biased_for_unbiased,
    unbiased_for_biased,
    eps_outside_the_root,
    wrong_axis,
    statistics_move_in_inference,
    batch_statistics_in_inference,
    gradient_through_the_running_mean,
    statistics_moved_twice,
    statistics_never_moved,
    statistics_cut_from_the_graph,
    bias_inside_the_scale,
]


def in_one_call(change: Callable[[Moved], Moved]) -> Callable[[Patch], None]:
    real: Callable[..., Any] = train_moving

    def apply(patch: Patch) -> None:
        def mutant(*args: Any) -> tuple[Tensor, bool] | None:
            done: tuple[Tensor, bool] | None = real(*args[:-1], change(args[-1]))
            return done

        patch.setattr(steps, "train_moving", mutant)

    return apply


IN_ONE_CALL: dict[str, Callable[[Patch], None]] = {
    "flipped momentum": in_one_call(lambda m: m._replace(momentum=1 - m.momentum)),
    "biased for unbiased": in_one_call(lambda m: m._replace(unbiased=False)),
    "mean not moved": in_one_call(lambda m: m._replace(mean=m.mean.clone())),
    "variance not moved": in_one_call(lambda m: m._replace(var=m.var.clone())),
    "mean for variance": in_one_call(lambda m: m._replace(mean=m.var, var=m.mean)),
}


def run_check(dtype: torch.dtype) -> None:
    layer = batch_norm.BatchNorm1d(6, 0.01, dtype=dtype)
    check(Twin(randomized(layer), eps=0.01), data((6, 6), dtype))  # C = N: a wrong axis fits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_check_passes_on_the_real_layer(dtype: torch.dtype) -> None:
    run_check(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_the_check_sees_the_mutant(
    mutant: Callable[[Patch], None], dtype: torch.dtype, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(batch_norm, "known_of", lambda *_: None)
    run_check(dtype)
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        run_check(dtype)


@pytest.mark.skipif(bool(why_missing()), reason="the native kernels move statistics in one call")
@pytest.mark.parametrize("mutant", IN_ONE_CALL.values(), ids=IN_ONE_CALL)
def test_the_check_sees_the_mutant_of_one_call(
    mutant: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        run_check(torch.float32)
