"""BatchRenorm: training that normalizes, within limits, by what inference will use."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evenkeel.autograd import recomputing
from evenkeel.errors import BadOption, NoStatistics
from evenkeel.functional.normalization import blend
from evenkeel.functional.statistics import Moments
from evenkeel.kernels.activations import finish
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.running import CumulativeAverage, Ema, RunningState, commit, widened
from evenkeel.nn.spec import DEFAULT_EPS, Spec
from evenkeel.nn.steps import by_batch, warn_not_finite
from evenkeel.views import check_like

PAST = 32  # batches whose corrections a recomputation in the backward pass can still find


@dataclass(frozen=True, slots=True)
class RenormLimits:
    """Fixed limits of the correction: r within [r_min, r_max], d within ±d_max.

    ``r_min`` None means 1 / r_max. ``RenormLimits(inf, inf)`` corrects without limit.
    """

    r_max: float
    d_max: float
    r_min: float | None = None

    def __post_init__(self) -> None:
        if not (self.r_max >= 1 and self.d_max >= 0 and 0 <= self.low <= 1):
            raise BadOption(
                "limits must let r = 1 and d = 0 pass",
                got=self,
                do="give r_max of 1 or more, d_max of 0 or more, r_min from 0 to 1",
            )

    @property
    def low(self) -> float:
        """The lower limit of r."""
        return 1 / self.r_max if self.r_min is None else self.r_min

    def at(self, batches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """r_min, r_max, d_max after ``batches`` training batches."""
        limits = [self.low, self.r_max, self.d_max]
        low, high, shift = batches.new_tensor(limits, dtype=torch.float64)
        return low, high, shift


@dataclass(frozen=True, slots=True)
class RenormSchedule:
    """The paper's schedule: plain batch norm first, then limits that open linearly.

    Until batch ``start``: r_max = 1, d_max = 0. r_max then grows to ``r_max`` at batch ``r_end``,
    d_max to ``d_max`` at ``d_end``. r_min is 1 / r_max throughout.
    Source:  Ioffe 2017, section 4.1: 5,000 batches, then r_max = 3 at 40,000 and d_max = 5 at 25,000
    """

    start: int = 5_000
    r_max: float = 3.0
    r_end: int = 40_000
    d_max: float = 5.0
    d_end: int = 25_000

    def __post_init__(self) -> None:
        if not (
            0 <= self.start < min(self.r_end, self.d_end) and self.r_max >= 1 and self.d_max >= 0
        ):
            raise BadOption(
                "the limits open after the start",
                got=self,
                do="give start before r_end and d_end, r_max of 1 or more, d_max of 0 or more",
            )

    def at(self, batches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """r_min, r_max, d_max after ``batches`` training batches."""
        past = (batches - self.start).double()
        high = 1 + (self.r_max - 1) * (past / (self.r_end - self.start)).clamp(0, 1)
        shift = self.d_max * (past / (self.d_end - self.start)).clamp(0, 1)
        return 1 / high, high, shift


class BatchRenorm(BatchNorm):
    """Batch renormalization of input of any rank from 2 on.

    Math:    σ_B = √(v + eps) of the batch, σ and μ the running ones before this batch
             r = clip(σ_B / σ, r_min, r_max), d = clip((m − μ) / σ, −d_max, d_max), no gradient
             y = activation(weight · ((x − m) / σ_B · r + d) + bias + residual)
             μ ← (1 − momentum) · μ + momentum · m;  σ ← (1 − momentum) · σ + momentum · σ_B;
             ``running_var`` holds σ² − eps, at least 0
             inference: as BatchNorm
    Shapes:  as BatchNorm
    Limits:  ``limits``: a RenormSchedule (the paper's by default; it counts training batches) or
             fixed RenormLimits. ``reset_running_stats``, and with it torch's ``update_bn``, starts a
             schedule over
    Options: ``renorm_momentum`` keeps a second pair of averages, ``renorm_mean`` and ``renorm_std``,
             for r and d alone, as TensorFlow 1.15's ``renorm_momentum`` does; None (the paper) uses
             the running statistics themselves
    Policy:  as BatchNorm for batches that are not finite, and for recomputation in a backward pass,
             which takes the r and d of the first pass (of the last 32 batches)
    Raises:  as BatchNorm; BadOption for a mask or weights in training; NoStatistics when a tool has
             taken the running statistics away
    Source:  Ioffe 2017, arXiv:1702.03275, Algorithm 1, whose momentum is 0.01

    >>> layer = BatchRenorm(3, limits=RenormLimits(r_max=1.5, d_max=0.5))
    >>> layer(torch.randn(8, 3)).shape
    torch.Size([8, 3])
    """

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        eps: float = DEFAULT_EPS,
        momentum: float | None = 0.01,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        limits: RenormLimits | RenormSchedule | None = None,
        renorm_momentum: float | None = None,
        running_var: str = "biased",
        **options: Any,  # BatchNorm's keyword-only arguments, checked there
    ) -> None:
        super().__init__(
            num_features,
            eps,
            momentum,
            affine,
            track_running_stats,
            device,
            dtype,
            running_var=running_var,
            **options,
        )
        self._check_options()
        self.limits = RenormSchedule() if limits is None else limits
        self.renorm_momentum = renorm_momentum
        if renorm_momentum is not None:
            Ema(renorm_momentum)  # checks its range
            for name, value in (("renorm_mean", 0.0), ("renorm_std", 1.0)):
                self.register_buffer(
                    name, torch.full(self.spec.channels, value, device=device, dtype=dtype)
                )

    def reset_running_stats(self) -> None:
        """Set the running statistics to those of a new layer."""
        super().reset_running_stats()
        for name, value in (("renorm_mean", 0.0), ("renorm_std", 1.0)):
            if name in self._buffers:
                getattr(self, name).fill_(value)

    def extra_repr(self) -> str:
        """BatchNorm's, and the limits."""
        extra = f", limits={self.limits}"
        if self.renorm_momentum is not None:
            extra += f", renorm_momentum={self.renorm_momentum}"
        return super().extra_repr() + extra

    @property
    def _torch_training(self) -> bool:
        return False

    def _check_options(self) -> None:
        averages = type(self.spec.running) in (Ema, CumulativeAverage)
        if averages and not self.spec.unbiased and self.track_running_stats:
            return
        raise BadOption(
            "BatchRenorm averages σ, by momentum, and normalizes by that average",
            got=f"{self.spec.options()}, track_running_stats={self.track_running_stats}",
            do="leave out running, running_var and track_running_stats",
        )

    def _forward_by_batch(
        self, x: Tensor, residual: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        """Normalize with the correction; in training also move the running statistics."""
        self.spec.check_input(x)
        if weights is not None:
            raise BadOption(
                "BatchRenorm takes no mask or weights",
                got="one of them",
                do="use BatchNorm with a mask",
            )
        if residual is not None:
            check_like(residual, x, "residual")
        state = self._state()
        y, batch = by_batch(replace(self.spec, activation=None), x, None, None, None)
        with torch.no_grad():
            std = (batch.var + self.spec.eps).sqrt()
            wide = widened(state, batch)
            correction = self._corrected_before(batch) if recomputing() else None
            if correction is None:
                correction = _correction(self.spec, self.limits, wide, batch.mean, std)
            new = _updated(self.spec, self.renorm_momentum, wide, batch, std)
        if self._moving:
            self.__dict__.setdefault("_past", deque(maxlen=PAST)).append((batch.mean, correction))
            if not commit(state, new, batch):
                warn_not_finite(self.spec)
        y = _affine(self.spec, y, *correction, self.weight, self.bias)
        return finish(y, residual, self.spec.activation)

    def _corrected_before(self, batch: Moments) -> tuple[Tensor, Tensor] | None:
        """R and d of this batch's first pass, whose averages have moved since; told by its mean."""
        past: Iterable[tuple[Tensor, tuple[Tensor, Tensor]]] = self.__dict__.get("_past", ())
        return next((rd for mean, rd in past if torch.equal(mean, batch.mean)), None)

    def __getstate__(self) -> dict[str, Any]:
        """The layer without what it remembers of past batches."""
        return {name: value for name, value in super().__getstate__().items() if name != "_past"}

    def _state(self) -> RunningState:
        own = super()._state()
        if own is None:
            raise NoStatistics(
                "BatchRenorm normalizes by its running statistics, in training too",
                got="a layer whose running statistics were taken away",
                do="use BatchNorm where there are none",
            )
        pair = [self._buffers[n] for n in ("renorm_mean", "renorm_std") if n in self._buffers]
        return own._replace(extra=tuple(pair))  # type: ignore[arg-type]


def _correction(
    spec: Spec,
    limits: RenormLimits | RenormSchedule,
    state: RunningState,
    mean: Tensor,
    std: Tensor,
) -> tuple[Tensor, Tensor]:
    """R and d against the averages before this batch."""
    if state.extra:
        reference_mean, reference_std = state.extra
    else:
        reference_mean, reference_std = state.mean, (state.var + spec.eps).sqrt()
    low, high, shift = limits.at(state.batches)
    r = (std / reference_std).clamp(low, high)
    d = ((mean - reference_mean) / reference_std).clamp(-shift, shift)
    return r, d


def _updated(
    spec: Spec, renorm_momentum: float | None, state: RunningState, batch: Moments, std: Tensor
) -> RunningState:
    weight, _ = spec.running.weights(state.batches + 1)
    running_std = blend((state.var + spec.eps).sqrt(), std, weight)
    extra = state.extra
    if renorm_momentum is not None:
        pair = zip(state.extra, (batch.mean, std), strict=True)
        extra = tuple(blend(old, new, float(renorm_momentum)) for old, new in pair)
    return RunningState(
        blend(state.mean, batch.mean, weight),
        (running_std.square() - spec.eps).clamp_min(0),
        state.batches + 1,
        extra,
    )


def _affine(
    spec: Spec, y: Tensor, r: Tensor, d: Tensor, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """Weight · (y · r + d) + bias, vectors along the channel axes."""
    scale = r if weight is None else r * weight
    offset = d if weight is None else d * weight
    offset = offset if bias is None else offset + bias
    shape = spec.vector_shape(y.ndim)
    return torch.addcmul(offset.view(shape), y.to(scale.dtype), scale.view(shape)).to(y.dtype)
