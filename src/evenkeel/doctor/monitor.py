"""Monitor: the doctor beside a training that runs, on one step in many."""

import warnings
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol, Self

from torch import nn

from evenkeel.doctor.finding import ERROR, NOTE, Finding
from evenkeel.doctor.layers import meant_to_stand_still, seen_layer
from evenkeel.doctor.measures import drift, fewest, has_drift
from evenkeel.doctor.passes import Counter
from evenkeel.doctor.report import Report, judge, words
from evenkeel.doctor.trace import Call, Layer, Trace
from evenkeel.doctor.watching import TRAINING, Watch
from evenkeel.errors import BadOption, EvenkeelError
from evenkeel.surgery.sites import sites

EVERY = 100
KEPT = 8  # sampled steps that a judgement is made of
# What is known while weights still move; drift and memory are judged at the end.
LIVE = tuple(f"EK{n}" for n in (103, 105, 106, 108, 109, 110, 112, 113, 114, 202, 203, 204, 401))
POISON = "EK103"


class Unhealthy(UserWarning):
    """A finding of a Monitor."""


class Poisoned(EvenkeelError):
    """Running statistics of a training under a Monitor are not finite, and it was to stop then."""


class Writer(Protocol):
    """What takes scalars: TensorBoard's SummaryWriter does."""

    def add_scalar(self, name: str, value: float, step: int) -> object:
        """Keep a number of a step."""


class Monitor:
    """Watches a training: warns once for each finding, writes scalars, stops a poisoned run if asked.

    Math:    as the rules': `evenkeel doctor --explain CODE`; on the last 8 sampled steps
    Shapes:  as the model's
    Dtypes:  as the model's
    Raises:  BadOption for ``every`` below 1; Poisoned, with ``stop``, when running statistics are no
             longer finite; warnings are of class Unhealthy
    Source:  docs/doctor/

    One training step in ``every`` is looked at; on the others a single hook on the model counts. Drift
    and an average that is still near its beginning are judged at the end, when weights stand still.
    ``writer`` takes scalars (TensorBoard's SummaryWriter). ``lightning()`` and ``transformers()`` give
    it as a callback of a trainer. ``report()`` is the verdict so far.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    >>> with Monitor(model, every=1) as monitor:
    ...     for _ in range(40):
    ...         _ = model(torch.randn(64, 4))
    >>> monitor.report().exit_code
    0
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        every: int = EVERY,
        stop: bool = False,
        writer: Writer | None = None,
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
    ) -> None:
        if every < 1:
            raise BadOption(
                "a monitor looks at one step in so many", got=every, do="give 1 or more"
            )
        self.every, self.stop, self.writer = every, stop, writer
        self.step, self.poisoned, self.stop_now = 0, False, False
        self._select, self._ignore = words(select), words(ignore)
        self._told: set[tuple[str, str]] = set()
        self._model, self._handles = model, []  # type: ignore[var-annotated]  # hooks of torch
        self._before: dict[str, Counter] = {}
        self._seen: dict[str, deque[Call]] = {}
        self._moves: dict[str, int] = {}
        self._watch: Watch | None = None
        self._watching: Any = None

    def __enter__(self) -> Self:
        if self._model is None:
            raise BadOption("a monitor needs a model", got="None", do="Monitor(model)")
        return self.attach(self._model)

    def __exit__(self, *error: object) -> None:
        self.detach()
        if error == (None, None, None) and self._seen:
            self._tell(self.report())

    def attach(self, model: nn.Module) -> Self:
        """Begin to watch ``model``."""
        self.detach()
        self._model = model
        self._handles = [
            model.register_forward_pre_hook(self._begin),
            model.register_forward_hook(self._end, always_call=True),
        ]
        return self

    def detach(self) -> None:
        """Take every hook away."""
        self._stop_watching()
        for handle in self._handles:
            handle.remove()
        self._handles, self._before = [], {}

    def report(self) -> Report:
        """The verdict on the sampled steps so far, drift and memory included."""
        rest = ("EK101", "EK102", "EK104", "EK115")
        return judge(self._trace(), self._select or (*LIVE, *rest), self._ignore)

    def lightning(self) -> Any:
        """This monitor as a callback of Lightning's Trainer."""
        from evenkeel.doctor.callbacks import lightning_callback

        return lightning_callback(self)

    def transformers(self) -> Any:
        """This monitor as a callback of transformers' Trainer."""
        from evenkeel.doctor.callbacks import transformers_callback

        return transformers_callback(self)

    def _begin(self, model: nn.Module, inputs: Any) -> None:
        if self._before:
            self._count_moves()
        if not model.training:
            return
        self.step += 1
        if self.step % self.every == 0:
            self._watch = Watch(sites(model))
            self._watch.batch, self._watch.mode = self.step, TRAINING
            self._before = {site.path: Counter(site.module) for site in self._watch.layers}
            self._watching = self._watch.watching()
            self._watching.__enter__()

    def _end(self, model: nn.Module, inputs: Any, outputs: Any) -> None:
        watch = self._watch
        self._stop_watching()
        if watch is None:
            return
        for site in watch.layers:
            kept = self._seen.setdefault(site.path, deque(maxlen=KEPT))
            kept.extend(watch.seen[site.path].calls)
        report = judge(self._trace(watch), self._select or LIVE, self._ignore)
        self._tell(report)
        if self.writer is not None:
            self._write(self.writer, report.trace)

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.__exit__(None, None, None)
        self._watching = self._watch = None

    def _count_moves(self) -> None:
        """How often the statistics moved from a sampled forward to the next one."""
        for site in sites(self._model) if self._model is not None else ():
            if site.path in self._before:
                self._moves[site.path] = self._before[site.path].moves_since(site.module)
        self._before = {}

    def _trace(self, watch: Watch | None = None) -> Trace:
        """The trace of the sampled steps."""
        model = self._model
        if model is None:
            return Trace()
        still = meant_to_stand_still(model)
        layers = [self._layer(site, still.get(site.path, ""), watch) for site in sites(model)]
        name = type(model).__name__
        return Trace(subject=name, layers=tuple(layers), trained=True, sizes=(0,) * self.step)

    def _layer(self, site: Any, still: str, watch: Watch | None) -> Layer:
        moves = (self._moves[site.path],) if site.path in self._moves else ()
        seen = watch.seen[site.path] if watch is not None else None
        layer = seen_layer(site, seen)
        calls = tuple(self._seen.get(site.path, ()))
        return replace(layer, frozen=still, calls=calls, moves=moves)

    def _tell(self, report: Report) -> None:
        new: dict[str, list[Finding]] = {}
        for found in report.findings:
            if found.severity > NOTE and (found.code, found.place) not in self._told:
                self._told.add((found.code, found.place))
                new.setdefault(found.code, []).append(found)
        for first, *others in new.values():
            also = f" (and {len(others)} more layers)" if others else ""
            words = f"step {self.step}: {first}{also}; {first.do}"
            warnings.warn(words, Unhealthy, stacklevel=2)
        poison = [f for f in report.findings if f.code == POISON and f.severity is ERROR]
        if poison:
            self._poison(poison[0])

    def _poison(self, found: Finding) -> None:
        self.poisoned = True
        if self.stop:
            raise Poisoned(
                "the running statistics are poisoned, and this monitor was to stop then",
                got=found.says,
                do=found.do,
                at=found.place,
            )

    def _write(self, writer: Writer, trace: Trace) -> None:
        for layer in trace.layers:
            if has_drift(layer, trace):
                found = drift(layer)
                writer.add_scalar(f"evenkeel/{layer.path}/mean_gap", found.mean, self.step)
                writer.add_scalar(f"evenkeel/{layer.path}/variance_gap", found.var, self.step)
                writer.add_scalar(f"evenkeel/{layer.path}/count", fewest(layer), self.step)
