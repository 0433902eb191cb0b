"""What a layer is, apart from its tensors: one frozen record, checked when it is made."""

from dataclasses import dataclass, replace
from math import prod

from torch import Tensor

from evenkeel.errors import BadAxis, BadOption, BadShape
from evenkeel.kernels.activations import ACTIVATIONS
from evenkeel.nn.running import CumulativeAverage, Ema, Running
from evenkeel.views import FLOATS, Axes, axes_of, check_eps, check_float

DEFAULT_EPS, DEFAULT_MOMENTUM = 1e-5, 0.1


@dataclass(frozen=True, slots=True)
class Spec:
    """Hyperparameters of a batch-norm layer.

    ``channels``: sizes of the channel axes. ``channel_axis``: that axis, or several. ``ranks``: the
    ranks of input that the layer takes; () for any. ``running``: the rule of the running statistics.
    ``unbiased``: whether the running variance carries Bessel's correction.
    """

    kind: str
    channels: tuple[int, ...]
    eps: float = DEFAULT_EPS
    channel_axis: Axes = 1
    activation: str | None = None
    running: Running = Ema(DEFAULT_MOMENTUM)  # noqa: RUF009 -- frozen
    unbiased: bool = True
    ranks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_sizes(self)
        check_eps(self.eps)
        if self.activation is not None:
            ACTIVATIONS[self.activation]  # a miss names its neighbours
        if self.ranks:
            self.axes(max(self.ranks))

    @property
    def torch_inference(self) -> bool:
        """Whether torch's class with the same tensors computes the same in inference."""
        return self.activation is None and self.channel_axis == 1

    @property
    def torch_training(self) -> bool:
        """Whether torch's class with the same tensors does the same in training."""
        plain_rule = type(self.running) in (Ema, CumulativeAverage)
        return self.torch_inference and plain_rule and self.unbiased

    @property
    def lasting(self) -> "Spec":
        """That of a copy of the layer."""
        rule = self.running.lasting
        return self if rule is self.running else replace(self, running=rule)

    def options(self) -> str:
        """What differs from torch's defaults, as in the constructor's call."""
        parts = {
            "channel_axis": (self.channel_axis, 1),
            "activation": (self.activation, None),
            "running_var": ("unbiased" if self.unbiased else "biased", "unbiased"),
        }
        shown = [
            f"{name}={value!r}" for name, (value, default) in parts.items() if value != default
        ]
        if type(self.running) not in (Ema, CumulativeAverage):
            shown.append(f"running={self.running!r}")
        return ", ".join(shown)

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The channel axes of input of rank ``ndim``: not negative, ascending.

        Raises:  BadAxis when there are none such, or in another order than ``channels``' sizes
        """
        if self.channel_axis == 1 and ndim > 1:
            return (1,)
        axes = axes_of(self.channel_axis, ndim)
        if isinstance(self.channel_axis, tuple):
            given = [a + ndim if a < 0 else a for a in self.channel_axis]
            if given != sorted(given):
                raise BadAxis(
                    "several channel axes are named in ascending order, as num_features is",
                    got=f"channel_axis {self.channel_axis}, axes {given} at rank {ndim}",
                    do=f"give channel_axis={axes}, and num_features in that order",
                )
        return axes

    def vector_shape(self, ndim: int) -> list[int]:
        """The shape in which a vector of the channels broadcasts to input of rank ``ndim``."""
        sizes = dict(zip(self.axes(ndim), self.channels, strict=True))
        return [sizes.get(axis, 1) for axis in range(ndim)]

    def check_input(self, x: Tensor) -> None:
        """Raise BadShape or BadDtype unless the layer can take ``x``."""
        if self._usual(x):
            return
        check_float(x)
        if self.ranks and x.ndim not in self.ranks:
            raise BadShape(
                f"this {self.kind} expects input of rank {' or '.join(map(str, self.ranks))}",
                got=f"x of shape {list(x.shape)}: rank {x.ndim}",
                do=_rank_advice(x.ndim),
            )
        axes = self.axes(x.ndim)
        if tuple(x.shape[a] for a in axes) != self.channels:
            raise self._wrong_channels(x, axes)

    def _usual(self, x: Tensor) -> bool:
        """Whether a glance shows that ``x`` fits: every training step asks."""
        return (
            isinstance(x, Tensor)
            and x.dtype in FLOATS
            and x.ndim in self.ranks
            and self.channel_axis == 1
            and x.shape[1] == self.channels[0]
        )

    def _wrong_channels(self, x: Tensor, axes: tuple[int, ...]) -> BadShape:
        wanted = " x ".join(map(str, self.channels))
        place = f"axis {axes[0]}" if len(axes) == 1 else f"axes {list(axes)}"
        found = f"{' x '.join(str(x.shape[a]) for a in axes)} on {place}"
        slip = [a for a in range(1, x.ndim) if x.shape[a] == prod(self.channels) and a not in axes]
        problem = f"this {self.kind} expects {wanted} channels on {place}"
        if len(axes) > 1 or not slip:
            advice = f"give it {wanted} channels there, or build the layer for the sizes given"
            return BadShape(problem, got=f"x of shape {list(x.shape)}: {found}", do=advice)
        named = -1 if slip[-1] == x.ndim - 1 else slip[-1]
        return BadShape(
            problem,
            got=f"x of shape {list(x.shape)}: {found}, {x.shape[slip[-1]]} on axis {slip[-1]}",
            do=f"permute to {_layout(axes[0], x.ndim)}, "
            f"or build the layer with channel_axis={named}",
        )


def _check_sizes(spec: Spec) -> None:
    axes = spec.channel_axis if isinstance(spec.channel_axis, tuple) else (spec.channel_axis,)
    if len(axes) != len(spec.channels):
        raise BadOption(
            "num_features must give one size for each channel axis",
            got=f"num_features {spec.channels}, channel_axis {spec.channel_axis}",
            do="for example BatchNorm2d((64, 7, 7), channel_axis=(1, 2, 3))",
        )
    if not all(isinstance(c, int) and c > 0 for c in spec.channels):
        raise BadOption(
            "num_features counts channels", got=spec.channels, do="give whole numbers above 0"
        )


def _layout(axis: int, rank: int) -> str:
    """The usual letters of the axes, C on ``axis``."""
    places = ["N", *{3: "L", 4: "HW", 5: "DHW"}.get(rank, ["*"] * (rank - 2))]
    return f"[{', '.join([*places[:axis], 'C', *places[axis:]])}]"


def _rank_advice(rank: int) -> str:
    right = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}.get(rank)
    return (
        f"use {right} for rank {rank}" if right else "give a batch: [N, C], [N, C, L], [N, C, H, W]"
    )
