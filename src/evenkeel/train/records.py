"""What a training run leaves behind, as frozen data: everything the report shows, JSON-able."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainRow:
    """One logged training step. ``loss`` and ``accuracy`` are those of the step's own batch."""

    step: int
    loss: float
    accuracy: float
    lr: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The whole validation split in inference mode after ``step`` training steps."""

    step: int
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Percentiles:
    """15th, 50th and 85th percentile over the batch of what one unit hands to its activation."""

    step: int
    p15: float
    p50: float
    p85: float


@dataclass(frozen=True, slots=True)
class LayerGap:
    """How far a layer's running statistics are from those of a batch.

    ``mean_gap``: mean over channels of |batch mean − running mean| / batch standard deviation.
    ``var_gap``: mean over channels of |log(batch variance / running variance)|.
    ``updates``: training batches that entered the running statistics.
    """

    layer: str
    channels: int
    mean_gap: float
    var_gap: float
    updates: int


@dataclass(frozen=True, slots=True)
class InferenceCheck:
    """Single images in inference mode against predictions made from batch statistics."""

    images: int
    accuracy: float
    agreement: int
    layers: tuple[LayerGap, ...]
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """One trained network: how it was made, its history, its figures."""

    label: str
    recipe: str
    batch_norm: bool
    placement: str
    data: str
    steps: int
    batch_size: int
    lr: float
    seed: int
    threads: int
    device: str
    seconds: float
    train: tuple[TrainRow, ...]
    evaluations: tuple[Evaluation, ...]
    probe: str
    percentiles: tuple[Percentiles, ...]
    valid_accuracy: float
    test_accuracy: float
    check: InferenceCheck
    nproc: int = 1
    dtype: str = "float32"
