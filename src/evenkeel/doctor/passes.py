"""The passes over the batches: training, evaluation, by the batches' statistics, an image alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evenkeel.doctor.borrowed import Kept
from evenkeel.doctor.feeding import Forward, Loss, call, first_of, labels_of, loss_of, some_loss
from evenkeel.doctor.recording import Recording, tensors_of
from evenkeel.doctor.trace import Failure
from evenkeel.doctor.watching import BY_BATCH, EVALUATION, TRAINING, Watch
from evenkeel.surgery.sites import sites

Step = Callable[[nn.Module, Any], object]


@dataclass(frozen=True, slots=True)
class Ways:
    """How a model is run: the user's own functions, where given."""

    forward: Forward = call
    loss: Loss | None = None
    step: Step | None = None
    optimizer: Optimizer | None = None
    steps: int | None = None
    origin: str = ""


class Passes:
    """The passes, one kind after the other, and what they gave."""

    def __init__(self, model: nn.Module, batches: list[Any], ways: Ways, kept: Kept) -> None:
        self.batches, self.ways = batches, ways
        self._model, self._kept = model, kept
        self.watch = Watch(sites(model))
        self.recording: Recording | None = None
        self.failure: Failure | None = None
        self.outputs: list[Any] = []
        self.scored: list[Any] = []  # outputs by the batches' own statistics
        self.called: set[str] = set()  # modules that ran in evaluation
        self.moved: set[int] = set()  # modules whose buffers evaluation changed
        self.alone: float | None = None
        self._steps = 0

    @property
    def forwards_per_step(self) -> float:
        """Forwards for each step of the user's optimizer; 1 where none was seen."""
        return len(self.batches) / self._steps if self._steps else 1.0

    def run(self) -> None:
        """Training and evaluation."""
        self._guarded(self._train)
        self._kept.put_back()
        self._guarded(self._evaluate)
        self.moved = self._kept.changed()
        self._kept.put_back()

    def _guarded(self, passes: Callable[[], None]) -> None:
        """Run, and write down an error over one value per channel; any other is the user's to see."""
        try:
            passes()
        except Exception as error:
            if not self.watch.entered or self.watch.entered[-1][1] > 1:
                raise
            path, count = self.watch.entered[-1]
            words = (str(error) or type(error).__name__).splitlines()[0]
            self.failure = Failure(self.watch.mode, path, count, words)
            self.watch.entered.clear()

    def _train(self) -> None:
        self.watch.mode = TRAINING
        self._model.train()
        handle = self._count_steps()
        try:
            for index, batch in enumerate(self.batches):
                self.watch.batch = index
                before = self._counters()
                self._step(index, batch)
                for site in self.watch.layers:
                    moves = before[site.path].moves_since(site.module)
                    self.watch.seen[site.path].moves.append(moves)
        finally:
            if handle is not None:
                handle.remove()

    def _step(self, index: int, batch: Any) -> None:
        if index:
            self._one(batch, backward=False)
            return
        self.recording = Recording(self._model)
        with self.recording.recorded():
            self._one(batch, backward=True)

    def _one(self, batch: Any, *, backward: bool) -> None:
        """A training step of the user's, or a forward; the first with its backward."""
        if self.ways.step is not None:
            self.ways.step(self._model, batch)
            return
        with torch.set_grad_enabled(backward):
            given = self.ways.forward(self._model, batch)
            loss = loss_of(given, labels_of(batch), self.ways.loss) if backward else None
            loss = some_loss(given) if backward and loss is None else loss
        if loss is not None and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
            for parameter in self._model.parameters():
                parameter.grad = None

    def _counters(self) -> dict[str, "Counter"]:
        return {site.path: Counter(site.module) for site in self.watch.layers}

    def _count_steps(self) -> Any:
        if self.ways.optimizer is None or self.ways.step is None:
            return None

        def stepped(*_: object) -> None:
            self._steps += 1

        return self.ways.optimizer.register_step_post_hook(stepped)

    def _evaluate(self) -> None:
        self.watch.mode = EVALUATION
        self._model.eval()
        handles = [
            module.register_forward_hook(self._ran(path))
            for path, module in self._model.named_modules()
        ]
        try:
            with torch.no_grad():
                self.outputs = [self.ways.forward(self._model, b) for b in self.batches]
                self.alone = self._compare_alone()
        finally:
            for handle in handles:
                handle.remove()

    def _ran(self, path: str) -> Any:
        def hook(*_: object) -> None:
            self.called.add(path)

        return hook

    def _compare_alone(self) -> float | None:
        """The largest relative difference between the first image alone and in its batch."""
        if not any(seen.by_batch.get(EVALUATION) for seen in self.watch.seen.values()):
            return None
        try:
            alone = self.ways.forward(self._model, first_of(self.batches[0]))
        except (ValueError, RuntimeError, TypeError):
            self.watch.entered.clear()
            return float("inf")
        pairs = zip(tensors_of(self.outputs[0]), tensors_of(alone), strict=False)
        return max((_difference(y, one) for y, one in pairs if _is_row(y, one)), default=None)

    def by_batch(self, count: int) -> None:
        """Inference on ``count`` batches with their own statistics in the place of the running ones."""
        self.watch.mode = BY_BATCH
        with torch.no_grad():
            for batch in self.batches[:count] if self.outputs else ():
                self.scored.append(self.ways.forward(self._model, batch))
        self._kept.put_back()


class Counter:
    """A layer's running statistics at one time, to tell how often they moved since."""

    def __init__(self, layer: nn.Module) -> None:
        self._count, tensors = _state(layer)
        self._tensors = [t.detach().clone() for t in tensors]

    def moves_since(self, layer: nn.Module) -> int:
        """How often the statistics moved since; 0 where they are the same."""
        count, tensors = _state(layer)
        pairs = zip(tensors, self._tensors, strict=False)
        if all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs):
            return 0
        return max(1, count - self._count)


def _state(layer: nn.Module) -> tuple[int, list[Tensor]]:
    held = [layer._buffers.get(name) for name in ("running_mean", "running_var")]
    tensors = [t for t in held if t is not None]
    batches = layer._buffers.get("num_batches_tracked")
    return (sum(t._version for t in tensors[:1]) if batches is None else int(batches)), tensors


def _is_row(y: Tensor, one: Tensor) -> bool:
    return bool(y.is_floating_point() and y.ndim and one.shape == y[:1].shape)


def _difference(y: Tensor, one: Tensor) -> float:
    size = float(y.abs().max())
    return float((y[:1] - one).abs().max()) / size if size else 0.0
