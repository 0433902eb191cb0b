"""Running statistics: what they are (a type each) and how a batch moves them. Their one home.

A rule is a frozen value. ``updated`` is pure: state and batch in, new state out. ``commit`` is the one
line that changes a layer's buffers.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from evenkeel.errors import BadOption
from evenkeel.functional.normalization import blend
from evenkeel.functional.statistics import Moments, all_finite, merge_nonempty, var_unbiased


class RunningState(NamedTuple):
    """A layer's running statistics; ``extra`` is what the rule itself keeps beyond torch's three."""

    mean: Tensor
    var: Tensor
    batches: Tensor
    extra: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A rule for running statistics; the base of all of them.

    ``momentum`` is the weight of the new batch, None where the rule has none. ``extra`` names the
    buffers that the rule keeps beyond torch's: float64, one number for each channel, 0 at first.
    """

    extra: ClassVar[tuple[str, ...]] = ()
    momentum: float | None

    def weights(self, batches: Tensor) -> tuple[float | Tensor, float | Tensor]:
        """The weight of the new batch in mean and variance, at the ``batches``-th batch."""
        raise NotImplementedError

    def with_momentum(self, momentum: float | None) -> "Running":
        """The rule with another momentum; None means the cumulative average, as in torch."""
        return CumulativeAverage() if momentum is None else Ema(momentum)

    @property
    def lasting(self) -> "Running":
        """The rule that a copy of the layer has."""
        return self

    def updated(self, state: RunningState, batch: Moments, unbiased: bool) -> RunningState:
        """The state after one more batch: old + weight · (batch − old)."""
        old, batches = widened(state, batch), state.batches + 1
        mean_weight, var_weight = self.weights(batches)
        var = var_unbiased(batch) if unbiased else batch.var
        return old._replace(
            mean=blend(old.mean, batch.mean, mean_weight),
            var=blend(old.var, var, var_weight),
            batches=batches,
        )


@dataclass(frozen=True, slots=True)
class Ema(Running):
    """running ← (1 − momentum) · running + momentum · batch: torch's rule, and TensorFlow's.

    >>> Ema(0.1)
    Ema(momentum=0.1)
    """

    momentum: float = 0.1

    def __post_init__(self) -> None:
        _check_momentum(self.momentum)

    def weights(self, batches: Tensor) -> tuple[float, float]:
        """The same weight for every batch."""
        return float(self.momentum), float(self.momentum)


@dataclass(frozen=True, slots=True)
class CumulativeAverage(Running):
    """The plain average of all batches' statistics: torch's ``momentum=None``."""

    momentum: None = None

    def weights(self, batches: Tensor) -> tuple[Tensor, Tensor]:
        """1/t at batch t."""
        return _one_over(batches), _one_over(batches)


@dataclass(frozen=True, slots=True)
class ZeroDebiasedEma(Running):
    """The exponential average of the batches alone: the initial value has no part in it.

    An average that starts at 0 and is divided by 1 − (1 − momentum)^t (Adam's correction) equals one
    whose weight at batch t is momentum / (1 − (1 − momentum)^t): 1 at the first batch. So it needs no
    state beyond the running values themselves. ``variance=False`` debiases the mean alone, as
    tf.contrib.layers' ``zero_debias_moving_mean`` does.

    Source:  Kingma & Ba 2014, section 3; Haiku's BatchNorm; TensorFlow's assign_moving_average
    """

    momentum: float | None = 0.1
    variance: bool = True

    def __post_init__(self) -> None:
        _check_momentum(0.1 if self.momentum is None else self.momentum)
        if self.momentum == 0:
            raise BadOption(
                "a zero-debiased average needs a momentum above 0", got=0, do="use Ema(0.0)"
            )

    def weights(self, batches: Tensor) -> tuple[float | Tensor, float | Tensor]:
        """Momentum / (1 − (1 − momentum)^t) at batch t."""
        if self.momentum is None:
            return _one_over(batches), _one_over(batches)
        debiased = self.momentum / (1 - (1 - self.momentum) ** batches.double())
        return debiased, debiased if self.variance else float(self.momentum)

    def with_momentum(self, momentum: float | None) -> "Running":
        """The same rule; None averages cumulatively until a momentum comes back."""
        return replace(self, momentum=momentum)


@dataclass(frozen=True, slots=True)
class Population(Running):
    """Exact mean and variance of every value seen: batches merged by count, in float64.

    Keeps ``population_count``, ``population_mean`` and ``population_m2`` (Σ (x − mean)²) as buffers,
    which stay float64 when the layer is converted with ``half()`` or ``to(dtype)``.
    Source:  Chan, Golub & LeVeque 1983
    """

    # The count too has one number for each channel: torch.compile (torch 2.13) drops every in-place
    # update of a float64 buffer without dimensions.
    extra: ClassVar[tuple[str, ...]] = ("population_count", "population_mean", "population_m2")
    momentum: None = None

    def with_momentum(self, momentum: float | None) -> "Running":
        """Itself for None; a population has no momentum."""
        if momentum is None:
            return self
        raise BadOption(
            "exact population statistics have no momentum",
            got=f"momentum={momentum}",
            do="build the layer with running=Ema(momentum) instead",
        )

    def updated(self, state: RunningState, batch: Moments, unbiased: bool) -> RunningState:
        """The state after the batch's values joined the population."""
        count, mean, m2 = state.extra
        seen = Moments(mean, m2 / count.clamp_min(1), count)
        new_count = torch.as_tensor(batch.count).to(count).expand_as(count)
        whole = merge_nonempty(seen, Moments(batch.mean.double(), batch.var.double(), new_count))
        total = count + new_count
        var = var_unbiased(whole) if unbiased else whole.var
        return RunningState(
            whole.mean, var, state.batches + 1, (total, whole.mean, whole.var * total)
        )


def widened(state: RunningState, batch: Moments) -> RunningState:
    """The averages in a dtype that holds the batch's statistics too.

    The variance of ±400 is infinite in float16, a tenth of it is not.
    """

    def wide(average: Tensor) -> Tensor:
        return average.to(torch.promote_types(average.dtype, batch.mean.dtype))

    extra = tuple(wide(tensor) for tensor in state.extra)
    return RunningState(wide(state.mean), wide(state.var), state.batches, extra)


def commit(state: RunningState, new: RunningState, batch: Moments) -> bool:
    """Write ``new`` into the buffers of ``state``, unless the batch's statistics are not finite.

    One NaN or infinite value must not poison statistics that every later inference uses. False says
    that the batch was seen not to be finite; on an accelerator, where looking would make every step
    wait for the device, the answer is always True.
    """
    sane = all_finite(batch)
    seen = sane.device.type == "cpu" and not torch.compiler.is_compiling()
    if seen and not bool(sane):
        return False
    for old, value in zip(tensors(state), tensors(new), strict=True):
        old.copy_(value if seen else torch.where(sane, value.to(old.dtype), old))
    return True


def keep_exact(
    buffers: dict[str, Tensor | None], before: dict[str, Tensor | None], rule: Running
) -> None:
    """Give the rule's own buffers their float64 values back after ``half()``, on the new device."""
    for name in rule.extra:
        old, new = before.get(name), buffers.get(name)
        if old is not None and new is not None and new.dtype != old.dtype:
            buffers[name] = old.to(new.device)


def tensors(state: RunningState) -> tuple[Tensor, ...]:
    """All buffers of a state, in a fixed order."""
    return (state.mean, state.var, state.batches, *state.extra)


def _one_over(batches: Tensor) -> Tensor:
    return 1.0 / batches.double()  # an integer tensor would give float32, also to a float64 layer


def _check_momentum(momentum: float) -> None:
    if not 0 <= momentum <= 1:
        raise BadOption(
            "momentum is the weight of the new batch, from 0 to 1",
            got=f"momentum={momentum}",
            do="use 0.1 (torch); TensorFlow's momentum m is 1 - m here",
        )
