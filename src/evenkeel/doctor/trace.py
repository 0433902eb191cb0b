"""What was seen of a model, a checkpoint or a program: frozen plain values, JSON both ways.

Rules read nothing else. Vectors have one number for each channel, in the channels' order.
"""

import json
import types
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from evenkeel.errors import BadData

Vector = tuple[float, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer in training mode: statistics of its input.

    ``count``: values per channel. ``percentiles``: 15th, 50th and 85th of a sample of the output.
    ``padding``: share of positions at the ends of sequences that repeat one value.
    """

    batch: int
    count: int
    mean: Vector
    var: Vector
    percentiles: tuple[float, ...] = ()
    padding: float = 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a layer stands in the recorded run.

    ``calls``: how often one forward calls it. ``axis``: the axis that it takes for the channels'.
    ``before``: the kind of operation whose output it gets; ``before_path`` and ``before_bias``: the
    module and its number of bias values. ``input_axis``: where that operation put its channels.
    ``flattened``: positions of a map that became channels. ``dropout``: the dropout upstream, with no
    normalization between. ``after``: the activation that follows; ``scale_free``: only linear
    operations follow that. ``lost``: the activation that a converter took away. ``output``: what it
    gives is the model's output [N, K]. ``used``: anything depends on it.
    """

    calls: int = 1
    axis: int | None = 1
    before: str = ""
    before_path: str = ""
    before_bias: int = 0
    input_axis: int | None = None
    flattened: int = 1
    dropout: str = ""
    after: str = ""
    scale_free: bool = False
    lost: str = ""
    output: bool = False
    used: bool = True
    raw_channels_last: bool = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)  # the key of what is kept of it
class Layer:
    """A batch-norm layer: what it is, what it holds, what it did in the passes.

    ``updates``: batches that entered its running statistics, None where it does not count.
    ``by_batch``: whether it normalized by the batch in training and in evaluation. ``moves``: how
    often the running statistics moved in each training step. ``frozen``: meant to stand still.
    ``decay``: weight decay on weight and bias. ``debiased``: its average forgets the initial values.
    ``highest``: the largest value that it gave, per channel, up to the batch with which all are above
    0. ``var_without_dropout``: the input's variance with dropout off, by batch statistics.
    ``ignored``: codes that a comment takes out.
    """

    path: str
    kind: str = "BatchNorm2d"
    paths: tuple[str, ...] = ()
    channels: int = 0
    channel_axis: int | None = 1
    rank: int = 4
    eps: float = 1e-5
    momentum: float | None = 0.1
    debiased: bool = False
    unbiased: bool = True
    activation: str = ""
    weight: Vector | None = None
    bias: Vector | None = None
    running_mean: Vector | None = None
    running_var: Vector | None = None
    updates: int | None = None
    dtype: str = "float32"
    statistics_dtype: str = "float32"
    input_dtype: str = "float32"
    frozen: str = ""
    sync: bool = False
    decay: float = 0.0
    calls: tuple[Call, ...] = ()
    evaluations: int = 0
    by_batch: tuple[bool, bool] = (True, False)
    moves: tuple[int, ...] = ()
    moved_in_evaluation: bool = False
    highest: Vector = ()
    var_without_dropout: Vector = ()
    flow: Flow | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """The model in inference by its running statistics, and by those of the batches."""

    loss: float
    accuracy: float | None
    loss_by_batch: float
    accuracy_by_batch: float | None
    images: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A pass that ended in an error inside of a layer."""

    mode: str
    path: str
    count: int
    error: str


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of a distributed run: its calls of each layer, and its running means' sums."""

    rank: int
    images: int
    calls: dict[str, int]
    spread: dict[str, float]


@dataclass(frozen=True, slots=True)
class Update:
    """An operation of UPDATE_OPS: its line, and in how many kinds of run it ran."""

    name: str
    line: str
    in_training: int = 0
    in_other: int = 0


@dataclass(frozen=True, slots=True)
class Norm:
    """A batch normalization of a program's graph.

    ``mode``: "fed", "fixed training", "fixed inference", or "variable" (TFLearn). ``trained_with`` and
    ``evaluated_with``: the modes in which runs executed it: "training", "inference".
    ``moving``: the names of its moving averages. ``lost``: the line that would move them, where the
    program makes the normalization itself and no run with a train step executed it.
    """

    name: str
    line: str
    mode: str = "fed"
    trained_with: tuple[str, ...] = ()
    evaluated_with: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()
    at_initial: bool = False
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Bare:
    """Weights that reach the normalization ``norm`` in training, and skip it in another run."""

    weights: str
    norm: str
    line: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """UPDATE_OPS asked for when it held fewer operations than at the end."""

    line: str
    held: int
    later: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A Saver that leaves moving averages out."""

    line: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """What a TensorFlow 1 program built and ran; ``ignored``: codes that comments take out, by line."""

    path: str
    trained: int = 0
    updates: tuple[Update, ...] = ()
    norms: tuple[Norm, ...] = ()
    gathered: tuple[Gathered, ...] = ()
    bare: tuple[Bare, ...] = ()
    savers: tuple[Saved, ...] = ()
    ignored: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of a checkpoint that are no layer's: shapes by name."""

    kernels: dict[str, tuple[int, ...]]
    orphans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """All that was seen.

    ``kind``: "model", "checkpoint" or "program". ``trained``: whether weights moved from their initial
    values, None where nothing tells. ``steps``: training steps, where they are known. ``sizes``: images
    in each batch. ``forwards_per_step``: forwards for each step of the optimizer. ``alone``: largest
    relative difference between an image alone and in its batch, in inference. ``bare``: layers whose
    linear operation ran in evaluation without them. ``decayed``: whether the optimizer's groups were
    seen. ``origin``: the framework whose weights these are.
    """

    kind: str = "model"
    subject: str = ""
    layers: tuple[Layer, ...] = ()
    trained: bool | None = None
    steps: int | None = None
    sizes: tuple[int, ...] = ()
    forwards_per_step: float = 1.0
    alone: float | None = None
    bare: tuple[str, ...] = ()
    scores: Scores | None = None
    classes: int | None = None
    failure: Failure | None = None
    workers: tuple[Worker, ...] = ()
    origin: str = ""
    program: Program | None = None
    checkpoint: Checkpoint | None = None

    def to_json(self) -> str:
        """The trace as JSON; numbers that are not finite as "NaN", "Infinity" and "-Infinity".

        >>> Trace.from_json(Trace(layers=(Layer("bn"),)).to_json()).layers[0].path
        'bn'
        """
        return json.dumps(strict(asdict(self)))

    @classmethod
    def from_json(cls, text: str) -> "Trace":
        """The trace that ``to_json`` wrote.

        Raises:  BadData for any other text
        """
        try:
            return _built(cls, json.loads(text))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise BadData(
                "this is no trace", got=f"{text[:40]!r}: {error}", do="give what to_json wrote"
            ) from error


def strict(plain: Any) -> Any:
    """Plain values without the numbers that JSON lacks, which become strings."""
    return json.loads(json.dumps(plain), parse_constant=str)


def _built(kind: type[T], values: dict[str, Any]) -> T:
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]  # a dataclass, from its caller
    return kind(**{k: _value(hints[k], v) for k, v in values.items() if k in known})


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(next(p for p in parts if p is not types.NoneType), value)
    if hint is float and isinstance(value, str):
        return float(value)  # what is not finite
    if origin is tuple:
        return tuple(_value(parts[0], part) for part in value)
    if origin is dict:
        return {key: _value(parts[1], part) for key, part in value.items()}
    return _built(hint, value) if isinstance(hint, type) and is_dataclass(hint) else value
