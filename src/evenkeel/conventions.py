"""Every framework's batch normalization in one language: momentum is the weight of the new batch.

Three things differ between frameworks, independently of each other: which side of the running
average the momentum knob weighs, what eps is, and whether the running variance gets Bessel's
correction; in TensorFlow the last one differs between the code paths of one function. A row of
`CONVENTIONS` says what one framework does, `convention` says it in evenkeel's words. Plain values
only: nothing here imports torch.
"""

import math
import warnings
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Literal, TypedDict

from evenkeel.errors import BadOption
from evenkeel.tables import Table

RunningVar = Literal["biased", "unbiased"]
Side = Literal["old", "new"]


class FlippedMomentum(UserWarning):
    """A momentum that lets each batch wipe out most of the average: the other side's, most likely."""


class BatchNormArguments(TypedDict):
    """Keyword arguments of `evenkeel.nn.BatchNorm2d` and its siblings."""

    eps: float
    momentum: float
    running_var: RunningVar
    center: bool
    scale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Initial:
    """Values before the first step; ``weight`` is drawn from N(weight, weight_std²)."""

    mean: float = 0.0
    var: float = 1.0
    weight: float = 1.0
    weight_std: float = 0.0
    bias: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A row: what one framework's batch normalization does, in its own words.

    ``knob`` is the argument's name there, ``weighs`` the side of the average it multiplies, and
    ``momentum`` its default. At ``fused_ranks`` the framework takes a fused kernel, which stores the
    unbiased variance and raises eps to ``eps_floor``; at every other rank ``running_var`` holds.
    None stands for an argument without a default there.
    """

    knob: str = "momentum"
    weighs: Side
    momentum: float | None
    eps: float | None
    running_var: RunningVar
    fused_ranks: tuple[int, ...] = ()
    eps_floor: float = 0.0
    only_ranks: tuple[int, ...] = ()
    center: bool = True
    scale: bool = True
    zero_debias: bool = False
    initial: Initial = Initial()
    moves: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """What one framework means at one rank, in evenkeel's words: what `convention` returns.

    ``momentum`` is the weight of the new batch, whatever side the framework's own knob weighs;
    None where the framework has no default. ``moves`` says when the running statistics move.
    """

    name: str
    rank: int
    eps: float | None
    momentum: float | None
    running_var: RunningVar
    center: bool
    scale: bool
    zero_debias: bool
    initial: Initial
    moves: str
    source: str

    @property
    def kwargs(self) -> BatchNormArguments:
        """The keyword arguments that make evenkeel's BatchNorm layers behave like this.

        Raises:  BadOption where a value is missing, or where plain keyword arguments cannot say it

        >>> convention("tf.layers").kwargs
        {'eps': 0.001, 'momentum': 0.01, 'running_var': 'unbiased', 'center': True, 'scale': True}
        """
        eps, momentum = self.eps, self.momentum
        if eps is None or momentum is None:
            raise self._incomplete()
        if self.zero_debias:
            raise BadOption(
                f"{self.name} keeps zero-debiased averages, which plain arguments cannot say",
                got=f"convention({self.name!r}, …).kwargs",
                do=f"BatchNorm2d(…, eps={eps}, running_var={self.running_var!r}, "
                f"running=ZeroDebiasedEma({momentum}))",
            )
        return {
            "eps": eps,
            "momentum": momentum,
            "running_var": self.running_var,
            "center": self.center,
            "scale": self.scale,
        }

    def _incomplete(self) -> BadOption:
        missing = [k for k in ("momentum", "eps") if getattr(self, k) is None]
        return BadOption(
            f"{self.name} has no default for {' and '.join(missing)}",
            got=f"convention({self.name!r}, rank={self.rank}) without it",
            do=f"convention({self.name!r}, {', '.join(f'{k}=…' for k in missing)})",
        )


def convention(
    name: str, *, rank: int = 4, momentum: float | None = None, eps: float | None = None
) -> Convention:
    """What batch normalization means in a framework, for inputs of a rank.

    Math:    running ← (1 − momentum)·running + momentum·batch, whichever side the framework weighs
    Shapes:  ``rank`` counts all axes: 2 for [N, C], 4 for images
    Args:    ``momentum`` and ``eps`` are the framework's own arguments, in its own spelling: 0.99
             for tf.layers is 0.01 for torch
    Raises:  UnknownName for a framework without a row; BadOption for a momentum outside [0, 1], an
             eps below 0, a rank that the framework refuses. Warns with FlippedMomentum where a new
             batch would weigh more than the whole past
    Source:  each framework's own code, named in ``source`` of the result; docs/conventions.md

    >>> convention("tf.layers", momentum=0.9).momentum
    0.1
    >>> [convention("tf.layers", rank=rank).running_var for rank in (2, 4)]
    ['biased', 'unbiased']
    >>> convention("tf.layers", eps=1e-5).eps
    1.001e-05
    """
    row = CONVENTIONS[name]
    _check_rank(name, row, rank)
    fused = rank in row.fused_ranks
    given = row.momentum if momentum is None else _checked_momentum(name, row, momentum)
    kept = row.eps if eps is None else _checked_eps(name, row, eps)
    return Convention(
        name=name,
        rank=rank,
        eps=max(kept, row.eps_floor) if fused and kept is not None else kept,
        momentum=None if given is None else _weight_of_new(given, row.weighs),
        running_var="unbiased" if fused else row.running_var,
        center=row.center,
        scale=row.scale,
        zero_debias=row.zero_debias,
        initial=row.initial,
        moves=row.moves,
        source=row.source,
    )


def _weight_of_new(momentum: float, weighs: Side) -> float:
    # in decimal, so that 0.9 becomes 0.1 and not 0.09999999999999998
    return momentum if weighs == "new" else float(1 - Decimal(str(momentum)))


def _check_rank(name: str, row: Framework, rank: int) -> None:
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 2:
        do = "count the batch and the channel axis too: 2 for [N, C], 4 for images"
        raise BadOption(
            "batch normalization needs a rank of 2 or more", got=f"rank={rank!r}", do=do
        )
    if row.only_ranks and rank not in row.only_ranks:
        ranks = " or ".join(str(r) for r in row.only_ranks)
        do = f"reshape, as a program for {name} has to"
        raise BadOption(f"{name} takes inputs of rank {ranks}", got=f"rank={rank!r}", do=do)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _checked_eps(name: str, row: Framework, eps: float) -> float:
    if not _is_number(eps) or not 0 <= eps < math.inf:
        raise BadOption(
            f"eps of {name} must be a number of 0 or more",
            got=f"eps={eps!r}",
            do="pass 0.001, as its programs do" if row.eps is None else f"its default is {row.eps}",
        )
    return float(eps)


def _checked_momentum(name: str, row: Framework, momentum: float) -> float:
    if not _is_number(momentum) or not 0 <= momentum <= 1:
        in_percent = _is_number(momentum) and 10 <= momentum <= 100
        meaning = f"{row.knob} is the weight of the {row.weighs} side"
        default = "" if row.momentum is None else f", {row.momentum} by default"
        raise BadOption(
            f"{row.knob} of {name} must be a number between 0 and 1",
            got=f"momentum={momentum!r}",
            do=f"pass {momentum / 100:g}: not percent" if in_percent else meaning + default,
        )
    weight = _weight_of_new(float(momentum), row.weighs)
    # 0 and 1 are no slips: "never move" and "keep the last batch" are meant when they are written
    if 0.5 < weight < 1:
        _warn_flipped(name, row, float(momentum))
    return float(momentum)


def _warn_flipped(name: str, row: Framework, momentum: float) -> None:
    other = "TensorFlow, Keras or Flax" if row.weighs == "new" else "torch"
    flipped = float(1 - Decimal(str(momentum)))
    warnings.warn(
        f"with {row.knob}={momentum} in {name} a new batch outweighs the whole past\n"
        f"  got: {row.knob}={momentum}, which {name} reads as the weight of the {row.weighs} side\n"
        f"  do:  pass {flipped} if the {momentum} came from {other}",
        FlippedMomentum,
        stacklevel=4,
    )


CONVENTIONS: Table[Framework] = Table("convention")

_CUDNN_FLOOR = 1.001e-5  # tf.nn.fused_batch_norm raises a smaller epsilon to it without a word
_IN_UPDATE_OPS = "only where the program runs tf.GraphKeys.UPDATE_OPS"

CONVENTIONS.add("torch")(
    Framework(
        weighs="new",
        momentum=0.1,
        eps=1e-5,
        running_var="unbiased",
        moves="in forward, while the layer is in training mode",
        source="torch.nn.BatchNorm1d/2d/3d, torch.nn.functional.batch_norm",
    )
)
CONVENTIONS.add("timm-tf")(
    Framework(
        weighs="new",
        momentum=0.01,
        eps=1e-3,
        running_var="unbiased",
        moves="in forward, while the layer is in training mode",
        source="timm's BN_MOMENTUM_TF_DEFAULT and BN_EPS_TF_DEFAULT on torch's layer",
    )
)
CONVENTIONS.add("tf.nn.fused_batch_norm")(
    Framework(
        knob="decay",
        weighs="old",
        momentum=None,
        eps=1e-3,
        running_var="unbiased",
        fused_ranks=(4,),
        eps_floor=_CUDNN_FLOOR,
        only_ranks=(4,),
        moves="never: the program averages the returned batch_mean and batch_var itself",
        source="TensorFlow 1.15 python/ops/nn_impl.py",
    )
)
CONVENTIONS.add("tf.nn.batch_normalization")(
    Framework(
        knob="decay",
        weighs="old",
        momentum=None,
        eps=None,
        running_var="biased",
        moves="never: the program averages what tf.nn.moments returns itself",
        source="TensorFlow 1.15 python/ops/nn_impl.py: tf.nn.moments, tf.nn.batch_normalization",
    )
)
CONVENTIONS.add("tf.layers", "tf.layers.batch_normalization")(
    Framework(
        weighs="old",
        momentum=0.99,
        eps=1e-3,
        running_var="biased",
        fused_ranks=(4,),
        eps_floor=_CUDNN_FLOOR,
        moves=_IN_UPDATE_OPS,
        source="TensorFlow 1.15 python/layers/normalization.py",
    )
)
CONVENTIONS.add("tf.contrib.layers", "tf.contrib.layers.batch_norm", "slim")(
    Framework(
        knob="decay",
        weighs="old",
        momentum=0.999,
        eps=1e-3,
        running_var="biased",
        fused_ranks=(2, 4),
        eps_floor=_CUDNN_FLOOR,
        scale=False,
        moves=_IN_UPDATE_OPS + ", or with the layer where updates_collections=None",
        source="TensorFlow 1.15 contrib/layers/python/layers/layers.py; tf_slim 1.1",
    )
)
CONVENTIONS.add("tf1.keras")(
    Framework(
        weighs="old",
        momentum=0.99,
        eps=1e-3,
        running_var="biased",
        fused_ranks=(4,),
        eps_floor=_CUDNN_FLOOR,
        moves="in fit, else where the program runs layer.updates; not while trainable=False, though "
        "V1 behaviour still normalizes by the batch then",
        source="TensorFlow 1.15 python/keras/layers/normalization.py",
    )
)
CONVENTIONS.add("keras2", "tf.keras")(
    Framework(
        weighs="old",
        momentum=0.99,
        eps=1e-3,
        running_var="biased",
        fused_ranks=(4, 5),
        moves="in call(training=True), unless trainable=False",
        source="tf_keras 2.21 layers/normalization/batch_normalization.py",
    )
)
CONVENTIONS.add("keras3")(
    Framework(
        weighs="old",
        momentum=0.99,
        eps=1e-3,
        running_var="biased",
        moves="in call(training=True), unless trainable=False",
        source="Keras 3.15 layers/normalization/batch_normalization.py",
    )
)
CONVENTIONS.add("tflearn")(
    Framework(
        knob="decay",
        weighs="old",
        momentum=0.9,
        eps=1e-5,
        running_var="biased",
        initial=Initial(weight_std=0.002),
        moves="with the layer's output, while tflearn.is_training(True) is set",
        source="TFLearn 0.5 layers/normalization.py",
    )
)
CONVENTIONS.add("tensorpack")(
    Framework(
        weighs="old",
        momentum=0.9,
        eps=1e-5,
        running_var="biased",
        fused_ranks=(4,),
        eps_floor=_CUDNN_FLOOR,
        only_ranks=(2, 4),
        moves="with the training step, by a callback that runs UPDATE_OPS",
        source="tensorpack 0.11 models/batch_norm.py on TensorFlow 1.15",
    )
)
CONVENTIONS.add("flax")(
    Framework(
        weighs="old",
        momentum=0.99,
        eps=1e-5,
        running_var="biased",
        moves="with use_running_average=False: linen where batch_stats is mutable, nnx in place",
        source="Flax 0.12 linen/normalization.py, nnx/nn/normalization.py",
    )
)
CONVENTIONS.add("haiku")(
    Framework(
        knob="decay_rate",
        weighs="old",
        momentum=None,
        eps=1e-5,
        running_var="biased",
        zero_debias=True,
        initial=Initial(var=0.0),
        moves="in the returned state, with is_training=True",
        source="Haiku 0.0.17 _src/batch_norm.py, _src/moving_averages.py",
    )
)
CONVENTIONS.add("onnx")(
    Framework(
        weighs="old",
        momentum=0.9,
        eps=1e-5,
        running_var="biased",
        moves="returned as outputs, with training_mode=1",
        source="ONNX operator BatchNormalization-15",
    )
)
