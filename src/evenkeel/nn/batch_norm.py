"""BatchNorm1d, BatchNorm2d, BatchNorm3d: torch's classes, and what torch's classes lack."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import index
from typing import Any, Self

import torch
from torch import Tensor, nn

from evenkeel.autograd import recomputing
from evenkeel.errors import BadOption, Misread
from evenkeel.functional.statistics import Moments
from evenkeel.nn.no_update import updating
from evenkeel.nn.running import CumulativeAverage, Ema, Running, RunningState, keep_exact
from evenkeel.nn.spec import DEFAULT_EPS, DEFAULT_MOMENTUM, Spec
from evenkeel.nn.steps import (
    Known,
    by_batch,
    by_batch_moving,
    by_weights,
    infer,
    known_of,
    move,
    without_learnt,
)
from evenkeel.nn.tracing import is_traced, recorded
from evenkeel.views import Axes


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization of input of any rank from 2 on; the base of the numbered classes.

    Math:    training:  y = activation(weight · (x − m) / √(v + eps) + bias + residual) with m, v the
             batch's mean and biased variance over all axes but the channels'; then
             running ← (1 − momentum) · running + momentum · batch, whose variance is
             v·n/(n − 1) with ``running_var="unbiased"`` (torch, fused TensorFlow), v with "biased"
             (Keras 3, Flax, TFLearn, unfused TensorFlow)
             inference: m, v the running statistics
    Shapes:  x [N, C, *], or C at ``channel_axis``; several axes give one parameter for each of their
             positions (num_features a tuple, both in ascending order of axes); residual as x; mask
             and weights broadcast to x with size 1 on the channel axis, or have x's shape without it
    Weights: the statistics' n is Σ w, so with "unbiased" they sum to 2 or more; what stands where a
             weight is 0 may be NaN
    Dtypes:  x f16, bf16, f32, f64; statistics f32 (f64 for f64); y as x
    Error:   f32, |mean|/std ≤ 10⁴: batch variance within 1e-5 of itself, in every layout
    Policy:  a batch with NaN or infinity gives NaN outputs, as in torch, and leaves the running
             statistics and ``num_batches_tracked`` as they were; on the CPU a NonFiniteBatch warning
             says so. A forward call inside of a backward pass repeats one that has been
             (torch.utils.checkpoint): it moves nothing again
    Raises:  BadShape, BadAxis, BadDtype, EmptyBatch, OneValuePerChannel, BadOption, UnknownName;
             Misread when a tool that knows only torch's class reads this layer (docs/decisions/0001)
    Source:  Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithms 1 and 2; torch.nn.BatchNorm2d

    Arguments up to ``bias`` are torch's. ``momentum`` is the weight of the new batch.

    >>> layer = BatchNorm2d(64, activation="relu")
    >>> layer(torch.randn(8, 64, 7, 7)).min() >= 0
    tensor(True)
    """

    _ranks: tuple[int, ...] = ()
    _known: Known | None = None  # what the last training call learnt about its input

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        eps: float = DEFAULT_EPS,
        momentum: float | None = DEFAULT_MOMENTUM,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        channel_axis: Axes = 1,
        center: bool = True,
        scale: bool = True,
        activation: str | None = None,
        running_var: str = "unbiased",
        running: Running | None = None,
    ) -> None:
        nn.Module.__init__(self)
        self.spec = Spec(
            type(self).__name__,
            _sizes(num_features),
            eps,
            channel_axis,
            activation,
            _running(running, momentum),
            unbiased(running_var),
            self._ranks,
        )
        self.track_running_stats = track_running_stats
        shape = self.spec.channels
        for name, present in (("weight", affine and scale), ("bias", affine and center and bias)):
            tensor = torch.empty(shape, device=device, dtype=dtype) if present else None
            self.register_parameter(name, None if tensor is None else nn.Parameter(tensor))
        self.affine = self.weight is not None or self.bias is not None
        self._register_statistics(device, dtype)
        self.reset_parameters()

    def forward(
        self,
        input: Tensor,
        *,
        residual: Tensor | None = None,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Normalize ``input``; in training also move the running statistics.

        ``residual`` is added before the activation. ``mask`` (True for real values) and ``weights``
        say how much each position counts in the batch's statistics; they change nothing in
        inference.
        """
        if is_traced(input):
            return recorded(self, input, residual=residual, mask=mask, weights=weights)
        if not self.training:
            mean, var = self.running_mean, self.running_var
            if mean is not None and var is not None:
                return infer(self.spec, input, mean, var, *self._vectors(), residual, self.__dict__)
        if mask is not None and weights is not None:
            raise BadOption(
                "mask and weights say the same thing twice",
                got="both",
                do="give weights * mask as weights",
            )
        return self._forward_by_batch(input, residual, mask if weights is None else weights)

    @property
    def eps(self) -> float:
        """The number added to the variance."""
        if not self.spec.torch_inference:
            raise self._misread("eps")
        return self.spec.eps

    @eps.setter
    def eps(self, value: float) -> None:
        self.spec = replace(self.spec, eps=value)

    @property
    def num_features(self) -> int:  # type: ignore[override]  # the number of channels is fixed
        """The number of channels."""
        if not self._torch_training:
            raise self._misread("num_features")
        return self.spec.channels[0]

    @property
    def momentum(self) -> float | None:
        """The weight of the new batch in the running statistics; None where the rule has none."""
        return self.spec.running.momentum

    @momentum.setter
    def momentum(self, value: float | None) -> None:
        self.spec = replace(self.spec, running=self.spec.running.with_momentum(value))

    def reset_running_stats(self) -> None:
        """Set the running statistics to those of a new layer."""
        super().reset_running_stats()
        for name in self.spec.running.extra:
            if name in self._buffers:
                getattr(self, name).zero_()

    def reset_parameters(self) -> None:
        """Set weight to 1, bias to 0, and the running statistics to those of a new layer."""
        self.reset_running_stats()
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            if parameter is not None:
                nn.init.constant_(parameter, value)

    def extra_repr(self) -> str:
        """The constructor's arguments, as torch prints them; then what differs from torch."""
        spec = self.spec
        channels = spec.channels[0] if len(spec.channels) == 1 else spec.channels
        line = (
            f"{channels}, eps={spec.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
        missing = [n for n in ("weight", "bias") if getattr(self, n) is None and self.affine]
        words = {"weight": "scale=False", "bias": "center=False"}
        return ", ".join(filter(None, [line, *(words[n] for n in missing), spec.options()]))

    def _forward_by_batch(
        self, x: Tensor, residual: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        """Normalize by the batch; in training also move the running statistics."""
        if weights is None and self._moving and not torch.compiler.is_compiling():
            y = self._forward_at_once(x, residual)
            if y is not None:
                return y
        self.spec.check_input(x)
        if weights is None:
            y, batch = by_batch(self.spec, x, self.weight, self.bias, residual)
        else:
            y, batch = by_weights(self.spec, x, self.weight, self.bias, residual, weights)
        self._move(batch)
        return y

    def _forward_at_once(self, x: Tensor, residual: Tensor | None) -> Tensor | None:
        """Normalize and move in one call of one kernel; None where that cannot be."""
        state = self._state()
        if state is None:
            return None
        vectors = self._vectors()
        known = self._known
        if known is None or not known.covers(self.spec, x):
            known = known_of(self.spec, x, state.mean)
            self.__dict__["_known"] = known
        return None if known is None else by_batch_moving(known, x, vectors, residual, state)

    def _move(self, batch: Moments) -> None:
        state = self._state()
        if state is not None and self._moving:
            move(self.spec, state, batch)

    @property
    def _moving(self) -> bool:
        # Code that borrows a layer switches track_running_stats off for a while, as torch allows.
        return self.training and self.track_running_stats and updating() and not recomputing()

    @property
    def _torch_training(self) -> bool:
        return self.spec.torch_training

    def __dir__(self) -> list[str]:
        """The names that can be read: torch.jit.trace asks for every one of them."""
        names: Iterable[str] = super().__dir__()  # type: ignore[no-untyped-call]
        misread = {"eps": self.spec.torch_inference, "num_features": self._torch_training}
        return [name for name in names if misread.get(name, True)]

    def __getstate__(self) -> dict[str, Any]:
        """The layer without what it learnt about its last input."""
        return without_learnt(self.__dict__)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        keep_exact(self._buffers, before, self.spec.running)
        return self

    def _misread(self, name: str) -> Misread:
        own = self.spec.options() or "this kind of layer"
        return Misread(
            f"a tool that knows only torch's class is reading this {self.spec.kind}",
            got=f"{name} of {self.spec.kind}({self.extra_repr()})",
            do=f"give the tool a plain BatchNorm layer, or read layer.spec where you handle {own}",
        )

    def _register_statistics(
        self, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        names = ("running_mean", "running_var", "num_batches_tracked")
        if not self.track_running_stats:
            for name in names:
                self.register_buffer(name, None)
            return
        for name in names[:2]:
            self.register_buffer(name, torch.empty(self.spec.channels, device=device, dtype=dtype))
        self.register_buffer(names[2], torch.tensor(0, dtype=torch.long, device=device))
        for name in self.spec.running.extra:
            exact = torch.empty(self.spec.channels, device=device, dtype=torch.float64)
            self.register_buffer(name, exact)

    def _vectors(self) -> tuple[Tensor | None, Tensor | None]:
        parameters = self._parameters
        try:
            return parameters["weight"], parameters["bias"]
        except KeyError:  # computed by a parametrization
            return self.weight, self.bias

    def _state(self) -> RunningState | None:
        buffers = self._buffers
        try:  # not as attributes: nn.Module finds those after a failure and a call in Python
            mean, var = buffers["running_mean"], buffers["running_var"]
            batches = buffers["num_batches_tracked"]
        except KeyError:  # computed by a parametrization
            mean, var, batches = self.running_mean, self.running_var, self.num_batches_tracked
        if mean is None or var is None or batches is None:
            return None
        names = self.spec.running.extra
        extra = tuple([getattr(self, name) for name in names]) if names else ()
        return RunningState(mean, var, batches, extra)


class BatchNorm1d(BatchNorm, nn.BatchNorm1d):
    """Batch normalization of [N, C] or [N, C, L]; everything else as in ``BatchNorm``.

    >>> BatchNorm1d(100, activation="sigmoid")
    BatchNorm1d(100, eps=1e-05, momentum=0.1, ..., activation='sigmoid')
    """

    _ranks = (2, 3)


class BatchNorm2d(BatchNorm, nn.BatchNorm2d):
    """Batch normalization of [N, C, H, W]; everything else as in ``BatchNorm``.

    >>> BatchNorm2d(64, channel_axis=-1)(torch.randn(8, 7, 7, 64)).shape
    torch.Size([8, 7, 7, 64])
    """

    _ranks = (4,)


class BatchNorm3d(BatchNorm, nn.BatchNorm3d):
    """Batch normalization of [N, C, D, H, W]; everything else as in ``BatchNorm``.

    >>> BatchNorm3d(4)(torch.randn(2, 4, 3, 3, 3)).shape
    torch.Size([2, 4, 3, 3, 3])
    """

    _ranks = (5,)


def _sizes(num_features: int | tuple[int, ...]) -> tuple[int, ...]:
    sizes = num_features if isinstance(num_features, tuple | list) else (num_features,)
    return tuple(index(size) for size in sizes)  # also NumPy's integers


def _running(running: Running | None, momentum: float | None) -> Running:
    if running is None:
        return CumulativeAverage() if momentum is None else Ema(momentum)
    if not isinstance(running, Running):
        raise BadOption(
            "running takes a rule for the running statistics",
            got=f"running={running!r}",
            do="give a value such as Population() or Ema(0.1), called, not the class or its name",
        )
    if momentum not in (DEFAULT_MOMENTUM, running.momentum):
        raise BadOption(
            "momentum belongs to the running statistics' rule",
            got=f"momentum={momentum} and running={running}",
            do="give the momentum there alone, for example running=Ema(0.01)",
        )
    return running


def unbiased(running_var: str) -> bool:
    """Whether the running variance has Bessel's correction."""
    if running_var not in ("unbiased", "biased"):
        raise BadOption(
            "running_var says whether the running variance has Bessel's correction",
            got=repr(running_var),
            do='use "unbiased" (torch, fused TensorFlow) or "biased" (Keras 3, Flax, TFLearn)',
        )
    return running_var == "unbiased"
